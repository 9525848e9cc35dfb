"""The blend: compressed scores added, contributions that follow the scores, and every component found again on disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import CorruptModelError
from features.user_state import UserState
from tests.training.conftest import recipe_of
from training.bundle import MANIFEST, load_bundle, save_bundle
from training.interactions import Contacts, Histories, History, Interactions
from training.models.als import ALS
from training.models.blend import Blend, Component, compressed
from training.models.interface import reasons_of, scores_of
from training.models.popularity import Popularity
from training.models.recipes import Recipe, blend_recipe, fit

NONE = np.empty(0, dtype=np.int32)


@pytest.fixture(scope="module")
def followed(world: Interactions) -> Interactions:
    """The small world, where everybody follows the two who have the same taste after them."""
    users = np.arange(world.n_users)
    followers, others = np.repeat(users, 2), np.stack([users + 3, users + 6], axis=1).ravel() % world.n_users
    return replace(world, contacts=Contacts.of(followers, others, world.n_users))


@pytest.fixture(scope="module")
def blend(followed: Interactions) -> Blend:
    model = fit(recipe_of("blend"), followed)
    assert isinstance(model, Blend)
    return model


def fixed(scores: list[float]) -> Popularity:
    return Popularity(np.array(scores, dtype=np.float32))


def test_a_blend_adds_what_its_models_say_compressed_in_their_units(world: Interactions) -> None:
    blend = Blend((Component("one", fixed([1, -2]), 1.0, 0.5), Component("two", fixed([10, 0]), 2.0, 10.0)))
    expected = [np.log(3.0) + 2 * np.log(2.0), -np.log(5.0)]
    assert blend.scores(Histories.of([world.history(0)]))[0] == pytest.approx(expected)


def test_a_blend_of_nothing_is_refused(world: Interactions) -> None:
    for components in ((), (Component("one", fixed([1, 2]), 0.0, 1.0),)):
        with pytest.raises(ValueError, match="needs a component"):
            Blend(components).scores(Histories.of([world.history(0)]))


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=9), st.floats(1e-3, 1e3))
def test_compressing_keeps_order_sign_and_zero(values: list[float], unit: float) -> None:
    scores = np.sort(np.array([*values, 0.0], dtype=np.float64))
    result = compressed(scores, unit)
    assert (np.diff(result) >= 0).all()
    assert (np.sign(result) == np.sign(scores)).all()
    assert (np.abs(result) <= np.abs(scores) / unit).all()


def test_many_users_are_scored_as_each_alone(blend: Blend, followed: Interactions) -> None:
    histories = followed.histories(np.arange(5))
    for scores, history in zip(blend.scores(histories), histories, strict=True):
        assert scores == pytest.approx(scores_of(blend, history), rel=1e-4, abs=1e-5)


def test_contributions_are_a_models_share_of_its_own_score(followed: Interactions, blend: Blend) -> None:
    """Without dismissals a model's contributions add up to its score, and so do the blend's to those models' part."""
    history, rows = followed.history(4), np.array([0, 7, 50])
    explained = [one for one in blend.components if one.name in ("als", "item_knn", "owner_share")]
    expected = sum(one.weight * compressed(scores_of(one.model, history)[rows], one.unit) for one in explained)
    assert blend.contributions(history, rows).sum(axis=1) == pytest.approx(expected, rel=1e-3)


def test_reasons_name_favorites_of_the_history(blend: Blend, followed: Interactions) -> None:
    history = followed.history(4)
    for reasons in reasons_of(blend, history, np.array([0, 7, 50]), 3):
        assert 0 < len(reasons) <= 3
        assert {row for row, _ in reasons} <= set(history.favorites.tolist())


def test_likeness_is_that_of_the_weightiest_model_that_knows_any(blend: Blend) -> None:
    als = next(one.model for one in blend.components if one.name == "als")
    assert (blend.similarities(3) == als.similarities(3)).all()
    assert not np.isfinite(Blend((Component("popular", fixed([1, 2]), 1.0, 1.0),)).similarities(0)).any()


def test_contacts_rank_for_somebody_without_a_favorite(blend: Blend) -> None:
    nobody = History(NONE, NONE.astype(np.int64), NONE.astype(bool))
    follower = replace(nobody, contacts=np.array([1, 4], dtype=np.int32))
    assert not np.allclose(scores_of(blend, nobody), scores_of(blend, follower))


def test_an_als_that_others_stand_on_is_in_the_blend_without_weight(followed: Interactions) -> None:
    recipes = {"als": recipe_of("als"), "contact_vectors": Recipe("contact_vectors", {"als": "als"})}
    recipe = blend_recipe(recipes, {"contact_vectors": 1.0}, {"contact_vectors": 0.1})
    model = fit(recipe, followed)
    assert isinstance(model, Blend)
    assert [(one.name, one.weight) for one in model.components] == [("als", 0.0), ("contact_vectors", 1.0)]


# On disk


@pytest.fixture
def folder(blend: Blend, followed: Interactions, tmp_path: Path) -> Path:
    save_bundle(tmp_path / "blend", recipe_of("blend"), blend, followed, {})
    return tmp_path / "blend"


def test_contacts_of_a_state_count_in_a_loaded_bundle(folder: Path, blend: Blend, followed: Interactions) -> None:
    bundle, history = load_bundle(folder), followed.history(4)
    ids = tuple(followed.user_ids[history.contacts])
    state = UserState(
        user_id=followed.user_ids[4],
        favorite_ids=tuple(followed.catalog.photo_ids[history.favorites]),
        favorite_owners=("",) * len(history.favorites),
        favorite_times=tuple(history.times.tolist()),
        contacts=(*ids, "somebody unknown"),
    )
    assert sorted(bundle.history(state).contacts.tolist()) == sorted(history.contacts.tolist())
    assert bundle.scores(bundle.history(state)) == pytest.approx(scores_of(blend, history), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", ["contact_favorites", "followed_owner"])
def test_contacts_of_a_state_count_without_an_als(kind: str, followed: Interactions, tmp_path: Path) -> None:
    recipe = blend_recipe({kind: Recipe(kind, {})}, {kind: 1.0}, {kind: 1.0})
    save_bundle(tmp_path / "b", recipe, fit(recipe, followed), followed, {})
    bundle = load_bundle(tmp_path / "b")
    state = UserState(user_id="somebody new", contacts=("somebody unknown", "u007"))
    of_contact = {
        "contact_favorites": followed.favorites.photos[followed.favorites.users == 7],
        "followed_owner": np.flatnonzero(followed.catalog.owner_ids == "u007"),
    }
    assert followed.user_ids[7] == "u007"
    assert set(np.flatnonzero(bundle.scores(bundle.history(state)))) == set(of_contact[kind].tolist()) != set()


def test_only_an_als_that_contacts_need_keeps_its_user_factors(followed: Interactions, tmp_path: Path) -> None:
    other = recipe_of("als").changed(seed=1)
    recipes = {"als": recipe_of("als"), "other": other, "contact_vectors": Recipe("contact_vectors", {"als": "als"})}
    recipe = blend_recipe(recipes, dict.fromkeys(recipes, 1.0), dict.fromkeys(recipes, 1.0))
    save_bundle(tmp_path / "b", recipe, fit(recipe, followed), followed, {})
    assert (tmp_path / "b" / "als" / "user_factors.npy").exists()
    assert not (tmp_path / "b" / "other" / "user_factors.npy").exists()
    loaded = load_bundle(tmp_path / "b").model
    assert isinstance(loaded, Blend)
    assert [type(one.model) for one in loaded.components][:2] == [ALS, ALS]


def test_user_factors_that_fit_no_users_are_corrupt(folder: Path) -> None:
    """A bundle whose checksums hold, of a program that wrote nonsense."""
    from training.storage import checksums, digest

    path = folder / "als" / "user_factors.npy"
    np.save(path, np.load(path)[:-1])
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["sha256"]
    manifest["files"] = {name: one for name, one in checksums(folder).items() if name != MANIFEST}
    (folder / MANIFEST).write_text(json.dumps({**manifest, "sha256": digest(manifest)}))
    with pytest.raises(CorruptModelError, match="user_factors"):
        load_bundle(folder)


def test_a_component_that_lost_a_file_is_named(folder: Path) -> None:
    (folder / "item_knn" / "item_knn_data.npy").unlink()
    with pytest.raises(CorruptModelError, match=r"item_knn_data\.npy: the file is missing"):
        load_bundle(folder)
