"""A bundle with graphs: it answers as one without, keeps them behind checksums, and serves by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.errors import CorruptModelError
from tests.training.bundle.conftest import METRICS, each_file, replace_file, rewrite
from tests.training.conftest import interactions_of, recipe_of
from training.ann import candidates
from training.ann.candidates import factors_of
from training.ann.graph import FILE, LONGEST, Graph, build_graph
from training.bundle import MANIFEST, load_bundle, save_bundle
from training.interactions import Interactions
from training.models.interface import Model
from training.models.recipes import fit
from training.new_photos import followed_by, new_rows, numbered_as, with_new_photos

KINDS = ["als", "blend"]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(kind: str, world: Interactions) -> Model:
    return fit(recipe_of(kind), world)


@pytest.fixture(scope="module")
def graphs(model: Model) -> dict[str, Graph]:
    return {name: build_graph(als.photo_factors, 120) for name, als in factors_of(model).items()}


@pytest.fixture
def folder(kind: str, model: Model, graphs: dict[str, Graph], world: Interactions, tmp_path: Path) -> Path:
    save_bundle(tmp_path / "bundle", recipe_of(kind), model, world, METRICS, graphs=graphs)
    return tmp_path / "bundle"


@pytest.fixture(autouse=True)
def worth_it_in_a_small_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "WORTH", 1)


def test_it_says_how_it_finds_photos(folder: Path, kind: str, model: Model, world: Interactions) -> None:
    assert load_bundle(folder).retrieval == "hnsw"
    save_bundle(folder, recipe_of(kind), model, world, METRICS)
    assert load_bundle(folder).retrieval == "exact"


def test_it_finds_what_one_without_graphs_finds(
    folder: Path, kind: str, model: Model, world: Interactions, tmp_path: Path
) -> None:
    save_bundle(tmp_path / "exact", recipe_of(kind), model, world, METRICS)
    by_graph, exact = load_bundle(folder), load_bundle(tmp_path / "exact")
    for user in range(world.n_users):
        history = world.history(user)
        left_out = np.zeros(world.n_photos, dtype=bool)
        left_out[history.photo_rows] = True
        for exclude in (None, left_out, history.photo_rows):
            rows, scores = by_graph.top(history, 15, exclude)
            expected, of_expected = exact.top(history, 15, exclude)
            assert rows.tolist() == expected.tolist()
            assert scores == pytest.approx(of_expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("left", [0, 1, 14, 50])
def test_a_list_is_as_long_as_there_are_photos_left(folder: Path, world: Interactions, left: int) -> None:
    rows, _ = load_bundle(folder).top(world.history(3), 20, np.arange(left, world.n_photos))
    assert len(rows) == min(left, 20)
    assert set(rows.tolist()) <= set(range(left))


def test_graphs_are_behind_checksums(folder: Path) -> None:
    of_graph = [name for name in each_file(folder) if Path(name).name in (FILE, f"{LONGEST}.npy")]
    assert len(of_graph) == 2
    for name in of_graph:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 0x10
        (folder / name).write_bytes(content)
        with pytest.raises(CorruptModelError) as caught:
            load_bundle(folder)
        assert caught.value.field == Path(name).name
        content[len(content) // 2] ^= 0x10
        (folder / name).write_bytes(content)
    load_bundle(folder)


def test_something_else_in_place_of_a_graph_is_named(folder: Path) -> None:
    (name,) = (name for name in each_file(folder) if Path(name).name == FILE)
    replace_file(folder, name, lambda path: path.write_bytes(b"no graph" * 100))
    with pytest.raises(CorruptModelError) as caught:
        load_bundle(folder)
    assert caught.value.field == FILE


def test_a_graph_of_a_model_that_is_not_there_is_an_error_of_the_manifest(folder: Path) -> None:
    rewrite(folder, lambda manifest: manifest.update(graphs={"another": {"photos": 1, "expansion": 8}}))
    with pytest.raises(CorruptModelError) as caught:
        load_bundle(folder)
    assert caught.value.field == MANIFEST


def test_new_photos_are_found_beside_the_graph_of_the_training(folder: Path, kind: str, world: Interactions) -> None:
    users = [str(user) for user in world.user_ids[:20]]
    liked = {
        user: [str(p) for p in world.catalog.photo_ids[world.history(row).favorites]] for row, user in enumerate(users)
    }
    later = interactions_of({user: [*photos, "0new1", "0new2"] for user, photos in liked.items()})
    trained = load_bundle(folder)
    catalog = followed_by(trained.catalog, later, new_rows(later, trained.catalog, 3))
    now = numbered_as(later, catalog)
    old = trained.model if kind == "blend" else fit(recipe_of(kind), world)
    save_bundle(folder, recipe_of(kind), with_new_photos(old, recipe_of(kind), now), now, METRICS, None, trained.graphs)
    bundle = load_bundle(folder)
    assert (bundle.retrieval, len(bundle.catalog)) == ("hnsw", world.n_photos + 2)
    history = now.history(0)
    found, _ = bundle.top(history, 30)
    assert set(bundle.photo_rows(["0new1", "0new2"])) <= set(found.tolist())
