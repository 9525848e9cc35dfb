"""The graph: it finds the greatest inner products, from its file as from memory, for many threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.errors import CorruptModelError
from tests.training.ann.worlds import FACTORS, PHOTOS, long_tailed, people
from training.ann.graph import APART, FILE, LONGEST, Graph, build_graph, load_graph
from training.retrieval import top_rows


@pytest.fixture(scope="module")
def factors() -> NDArray[np.float32]:
    return long_tailed()


@pytest.fixture(scope="module")
def graph(factors: NDArray[np.float32]) -> Graph:
    return build_graph(factors, 128)


def recall(graph: Graph, factors: NDArray[np.float32], n: int = 30) -> float:
    nothing, shares = np.zeros(len(factors), dtype=bool), []
    for one in people(factors):
        found = np.concatenate([graph.near(one, graph.expansion), graph.of_longest(one, n, nothing)])
        shares.append(len(np.intersect1d(found, top_rows(factors @ one, n)[0])) / n)
    return float(np.mean(shares))


def test_it_finds_the_greatest_inner_products(graph: Graph, factors: NDArray[np.float32]) -> None:
    assert recall(graph, factors) >= 0.98


def test_the_order_of_the_photos_does_not_matter(factors: NDArray[np.float32]) -> None:
    shuffled = np.random.default_rng(3).permutation(factors)
    assert recall(build_graph(shuffled, 128), shuffled) >= 0.98


def test_a_search_returns_no_photo_twice_and_at_most_so_many(graph: Graph, factors: NDArray[np.float32]) -> None:
    for count in (1, 50, 10 * PHOTOS):
        rows = graph.near(people(factors)[0], count)
        assert rows.dtype == np.int64
        assert len(np.unique(rows)) == len(rows) <= count
        assert 0 <= rows.min() <= rows.max() < PHOTOS


def test_the_longest_are_found_exactly_and_what_is_left_out_never(graph: Graph, factors: NDArray[np.float32]) -> None:
    one, excluded = people(factors)[0], np.zeros(PHOTOS, dtype=bool)
    excluded[::3] = True
    assert (
        np.linalg.norm(factors[graph.longest], axis=1).min()
        >= np.linalg.norm(factors, axis=1)[graph.near(one, 50)].max()
    )
    expected = [row for row in np.argsort(-(factors @ one)) if row in set(graph.longest.tolist()) and row % 3]
    assert graph.of_longest(one, 10, excluded).tolist() == expected[:10]


def test_photos_without_a_vector_are_no_hindrance(factors: NDArray[np.float32]) -> None:
    some = factors.copy()
    some[::2] = 0.0
    assert recall(build_graph(some, 128), some) >= 0.95
    assert len(build_graph(np.zeros((5, FACTORS), dtype=np.float32), 8).near(factors[0], 5)) == 5


@pytest.mark.parametrize("photos", [1, APART - 1, APART, APART + 1])
def test_small_catalogs_are_found_whole(factors: NDArray[np.float32], photos: int) -> None:
    small = build_graph(factors[:photos], 8)
    found = [*small.near(factors[0], photos), *small.of_longest(factors[0], photos, np.zeros(photos, dtype=bool))]
    assert sorted(found) == list(range(photos))


def test_what_was_saved_is_found_from_the_file(graph: Graph, factors: NDArray[np.float32], tmp_path: Path) -> None:
    parameters = graph.save(tmp_path)
    loaded = load_graph(tmp_path, parameters, factors)
    assert (loaded.photos, loaded.expansion) == (PHOTOS, 128)
    for one in people(factors):
        assert loaded.near(one, 50).tolist() == graph.near(one, 50).tolist()


def test_the_file_is_mapped_and_not_read_into_memory(
    graph: Graph, factors: NDArray[np.float32], tmp_path: Path
) -> None:
    loaded = load_graph(tmp_path, graph.save(tmp_path), factors)
    assert str(tmp_path / FILE) in Path("/proc/self/maps").read_text()
    assert len(loaded.near(factors[0], 5)) == 5


def test_a_graph_from_a_file_can_be_saved_again(graph: Graph, factors: NDArray[np.float32], tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    loaded = load_graph(tmp_path, graph.save(tmp_path), factors)
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again" / FILE).read_bytes() == (tmp_path / FILE).read_bytes()


def test_threads_share_one_graph(graph: Graph, factors: NDArray[np.float32], tmp_path: Path) -> None:
    loaded = load_graph(tmp_path, graph.save(tmp_path), factors)
    asked = [*people(factors)] * 5
    with ThreadPoolExecutor(32) as threads:
        found = list(threads.map(lambda one: loaded.near(one, 50).tolist(), asked))
    assert found == [loaded.near(one, 50).tolist() for one in asked]


@pytest.mark.parametrize("kept", [0, 100, 100_000])
def test_half_a_file_is_named(graph: Graph, factors: NDArray[np.float32], kept: int, tmp_path: Path) -> None:
    parameters = graph.save(tmp_path)
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[:kept])
    with pytest.raises(CorruptModelError) as caught:
        load_graph(tmp_path, parameters, factors)
    assert caught.value.field == FILE


@pytest.mark.parametrize("name", [FILE, f"{LONGEST}.npy"])
def test_a_missing_file_is_named(graph: Graph, factors: NDArray[np.float32], name: str, tmp_path: Path) -> None:
    parameters = graph.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(CorruptModelError) as caught:
        load_graph(tmp_path, parameters, factors)
    assert caught.value.field == name


@pytest.mark.parametrize(("photos", "shape"), [(PHOTOS - 1, (PHOTOS, 16)), (PHOTOS, (PHOTOS, 17)), (PHOTOS, (9, 16))])
def test_the_graph_of_another_model_is_refused(
    graph: Graph, photos: int, shape: tuple[int, int], tmp_path: Path
) -> None:
    parameters = graph.save(tmp_path)
    with pytest.raises(CorruptModelError):
        load_graph(tmp_path, {**parameters, "photos": photos}, np.ones(shape, dtype=np.float32))
