"""Photos that came after a training: which they are, and what each kind of model knows of them once they are in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import training.new_photos
from features.schema import Kind
from tests.training.conftest import DAY, START, interactions_of, log_of, recipe_of, style_of, world_rows
from tests.training.models.worlds import random_interactions
from training.bundle import load_bundle, save_bundle
from training.catalog import Catalog
from training.confidence import signed_confidence
from training.evaluation.sanity import not_finite
from training.from_lake import build_interactions
from training.interactions import NOBODY, Contacts, History, Interactions
from training.models.als import ALS
from training.models.blend import Blend
from training.models.contact_vectors import ContactVectors
from training.models.interface import Model, scores_of
from training.models.kinds import KINDS
from training.models.recipes import Recipe, fit
from training.new_photos import ALTERNATIONS, followed_by, histories_of_photos, new_rows, numbered_as, with_new_photos

HIDDEN = ("0-0000", "1-0001", "2-0002", "0-0003")
"""Photos of the world, of each style, that the training does not see."""

RECIPES = {
    **{kind: recipe_of(kind) for kind in ("als", "popularity", "neighbor_score", "blend")},
    **{kind: Recipe(kind, {}) for kind in ("user_knn", "owner_share", "contact_favorites", "followed_owner")},
    "item_knn": Recipe("item_knn", {"shrink": 10.0}),
    "local_ease": Recipe("local_ease", {"regularization": 10.0}),
    "low_pass": Recipe("low_pass", {"rank": 8}),
    "exact_ease": Recipe("exact_ease", {"regularization": 10.0}),
}


@pytest.fixture(scope="module")
def before() -> Interactions:
    return with_followers(build_interactions(log_of(row for row in world_rows() if row[1] not in HIDDEN)))


@pytest.fixture(scope="module")
def everything() -> Interactions:
    return build_interactions(log_of(world_rows()))


@pytest.fixture(scope="module")
def now(before: Interactions, everything: Interactions) -> Interactions:
    """What is known today, the hidden photos behind those of the training."""
    return extended(before.catalog, everything)


def with_followers(interactions: Interactions) -> Interactions:
    rows = np.arange(interactions.n_users)
    return replace(interactions, contacts=Contacts.of(rows, (rows + 3) % len(rows), len(rows)))


def extended(known: Catalog, everything: Interactions, favoriters: int = 3) -> Interactions:
    return numbered_as(everything, followed_by(known, everything, new_rows(everything, known, favoriters)))


def dense_of(interactions: Interactions, events: str) -> set[tuple[str, str, int]]:
    """Who, what and when, by id."""
    of = getattr(interactions, events)
    users, photos = interactions.user_ids[of.users], interactions.catalog.photo_ids[of.photos]
    return set(zip(users, photos, of.times.tolist(), strict=True))


# Which photos


def test_new_are_photos_that_the_catalog_lacks_and_enough_people_favorite_the_most_favorited_first() -> None:
    known = interactions_of({"ann": ["a"]}).catalog
    everything = interactions_of(
        {"ann": ["a", "b", "c", "d"], "ben": ["a", "b", "c", "d"], "cid": ["a", "c", "d"], "dan": ["d"]}
    )
    found = everything.catalog.photo_ids[new_rows(everything, known, 3)]
    assert found.tolist() == ["d", "c"]
    assert followed_by(known, everything, new_rows(everything, known, 3)).photo_ids.tolist() == ["a", "d", "c"]
    assert everything.catalog.photo_ids[new_rows(everything, known, 2)].tolist() == ["d", "c", "b"]


def test_who_has_taken_the_favorite_back_is_not_counted() -> None:
    at = START + DAY
    rows = [(user, "p", "o", Kind.FAVORITE, START) for user in ("ann", "ben", "cid")]
    known = Catalog(np.empty(0, dtype=object), np.empty(0, dtype=object))
    assert len(new_rows(build_interactions(log_of(rows)), known, 3)) == 1
    assert len(new_rows(build_interactions(log_of([*rows, ("cid", "p", "o", Kind.UNFAVORITE, at)])), known, 3)) == 0


def test_known_photos_keep_their_rows_even_those_that_nobody_favorites_any_more() -> None:
    known = interactions_of({"ann": ["a", "b"], "ben": ["b"]}).catalog
    today = interactions_of({"ann": ["b", "c"], "ben": ["c"], "cid": ["c"], "dan": ["x"]}, dismissed={"ben": ["b"]})
    found = extended(known, today)
    assert found.catalog.photo_ids.tolist() == [*known.photo_ids, "c"]
    assert found.photo_degrees.tolist() == [1, 0, 3]
    # Who has only favorites that the model does not know is no user of it.
    assert found.user_ids.tolist() == ["ann", "ben", "cid"]
    assert dense_of(found, "dismissals") == {("ben", "b", START)}


@given(random_interactions(), st.randoms(use_true_random=False))
def test_another_catalog_has_the_same_events_of_the_photos_that_it_holds(known: Interactions, random: Random) -> None:
    order = list(range(known.n_photos))
    random.shuffle(order)
    some = order[: 1 + len(order) // 2]
    catalog = Catalog(known.catalog.photo_ids[some], known.catalog.owner_ids[some])
    found = numbered_as(known, catalog)
    held = set(catalog.photo_ids)
    assert dense_of(found, "favorites") == {event for event in dense_of(known, "favorites") if event[1] in held}
    assert (np.diff(found.favorites.users * len(catalog) + found.favorites.photos) > 0).all()
    assert (found.user_degrees > 0).all()


def test_histories_of_photos_say_who_favorited_and_who_dismissed_them() -> None:
    found = interactions_of({"ann": ["a", "b"], "ben": ["a"], "cid": ["a", "c"]}, dismissed={"ben": ["c"]}, day=2)
    first, second, third = histories_of_photos(found, 0)
    assert (first.photo_rows.tolist(), first.positive.tolist()) == ([0, 1, 2], [True] * 3)
    assert second.photo_rows.tolist() == [0]
    assert (third.photo_rows.tolist(), third.positive.tolist()) == ([2, 1], [True, False])
    assert set(third.times.tolist()) == {START + 2 * DAY}


# ALS


@pytest.fixture(scope="module")
def als(before: Interactions) -> ALS:
    model = fit(recipe_of("als"), before)
    assert isinstance(model, ALS)
    return model


def folded(als: ALS, now: Interactions) -> ALS:
    model = with_new_photos(als, recipe_of("als"), now)
    assert isinstance(model, ALS)
    return model


def by_hand(als: ALS, now: Interactions) -> NDArray[np.float64]:
    """The factors of the new photos by the normal equations, densely, in double precision."""
    n_known, identity = len(als.photo_factors), np.eye(len(als.gram))
    weighting = replace(als.weighting, photo_degrees=now.photo_degrees.astype(np.float32))
    weighting.photo_degrees[:n_known] = als.weighting.photo_degrees

    def ridge(sides: NDArray[np.float64], confidence: NDArray[np.float64]) -> NDArray[np.float64]:
        weights = np.where(confidence == 0, 1.0, np.abs(confidence))
        system = sides.T @ (sides * weights[:, None]) + als.regularization * identity
        return np.linalg.solve(system, sides.T @ np.maximum(confidence, 0))

    factors = als.photo_factors.astype(np.float64)
    for _ in range(ALTERNATIONS):
        n_photos, liked = len(factors), now.favorites
        seen = np.zeros((now.n_users, n_photos))
        kept = liked.photos < n_photos
        users, photos, times = liked.users[kept], liked.photos[kept], liked.times[kept]
        yes = np.ones(len(users), dtype=bool)
        degrees = np.bincount(users, minlength=now.n_users)
        seen[users, photos] = signed_confidence(weighting, photos, times, yes, degrees[users])
        sides = np.array([ridge(factors, of_user) for of_user in seen])
        all_yes, of_all = np.ones(len(liked), dtype=bool), now.user_degrees[liked.users]
        known_now = np.zeros((now.n_users, now.n_photos))
        known_now[liked.users, liked.photos] = signed_confidence(weighting, liked.photos, liked.times, all_yes, of_all)
        new = [ridge(sides, of_photo) for of_photo in known_now.T[n_known:]]
        factors = np.concatenate([als.photo_factors, new])
    return factors[n_known:]


def test_new_photos_have_the_factors_of_the_ridge_regressions(als: ALS, now: Interactions) -> None:
    found = folded(als, now).photo_factors[len(als.photo_factors) :]
    assert found == pytest.approx(by_hand(als, now), rel=1e-3, abs=1e-4)


def test_further_alternations_would_change_nothing_to_speak_of(
    als: ALS, now: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = slice(len(als.photo_factors), None)
    found = folded(als, now).photo_factors[new]
    monkeypatch.setattr(training.new_photos, "ALTERNATIONS", 20)
    settled = folded(als, now).photo_factors[new]
    assert np.linalg.norm(found - settled) < 0.02 * np.linalg.norm(settled)


def test_what_was_learned_stays_and_the_gram_counts_the_new_photos(als: ALS, now: Interactions) -> None:
    found = folded(als, now)
    n_known = len(als.photo_factors)
    assert n_known == now.n_photos - len(HIDDEN)
    assert np.array_equal(found.photo_factors[:n_known], als.photo_factors)
    assert found.gram == pytest.approx(found.photo_factors.T @ found.photo_factors, rel=1e-4, abs=1e-4)
    assert found.user_factors is als.user_factors
    assert np.array_equal(found.weighting.photo_degrees[:n_known], als.weighting.photo_degrees)
    assert found.weighting.photo_degrees[n_known:].tolist() == now.photo_degrees[n_known:].tolist()


def test_a_photo_that_training_saw_gets_about_the_factors_that_training_gave_it(everything: Interactions) -> None:
    trained = fit(recipe_of("als"), everything)
    assert isinstance(trained, ALS)
    n_known = everything.n_photos - 10
    head = replace(
        trained,
        photo_factors=trained.photo_factors[:n_known],
        gram=trained.photo_factors[:n_known].T @ trained.photo_factors[:n_known],
        weighting=replace(trained.weighting, photo_degrees=trained.weighting.photo_degrees[:n_known]),
    )
    found = folded(head, everything).photo_factors[n_known:]
    learned = trained.photo_factors[n_known:]
    cosine = (found * learned).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(learned, axis=1)
    assert cosine.min() > 0.9
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.linalg.norm(learned, axis=1), rel=0.35)


def test_a_dismissal_of_a_new_photo_lowers_it_for_who_likes_what_the_dismisser_likes(before: Interactions) -> None:
    als = fit(recipe_of("als"), before)
    rows = [*world_rows()]
    likes = [row for row in rows if row[1] not in HIDDEN]
    of_new = [(f"u{user:03d}", "new", "o", Kind.FAVORITE, START + DAY) for user in (0, 1, 2, 4, 5)]
    against = [(f"u{user:03d}", "new", "o", Kind.DISMISS_PHOTO, START + DAY) for user in range(3, 30, 3)]

    def score(rows: list[tuple[str, str, str, str, int]]) -> float:
        now = extended(before.catalog, build_interactions(log_of(rows)))
        user = int(np.flatnonzero(now.user_ids == "u057")[0])  # of the style of those who dismiss
        model = with_new_photos(als, recipe_of("als"), now)
        return float(scores_of(model, before.history(user))[-1])

    assert score([*likes, *of_new, *against]) < score([*likes, *of_new])


# Every kind


def test_every_kind_of_model_is_tried_here() -> None:
    assert set(RECIPES) == {*KINDS, Blend.kind}


@pytest.mark.parametrize("kind", RECIPES)
def test_a_new_photo_is_ranked_by_its_style_as_if_training_had_seen_it(
    kind: str, before: Interactions, now: Interactions
) -> None:
    recipe = RECIPES[kind]
    model = with_new_photos(fit(recipe, before), recipe, now)
    retrained = fit(recipe, now)
    assert not_finite(model) == []
    new = np.arange(before.n_photos, now.n_photos)
    for user in range(0, now.n_users, 7):
        history = before.history(user)
        scores, wanted = (scores_of(one, history) for one in (model, retrained))
        assert scores.shape == (now.n_photos,)
        if kind in ("als", "blend"):
            own = [row for row in new if style_of(now.catalog.photo_ids[row]) == user % 3]
            assert scores[own].mean() > 2 * scores[np.setdiff1d(new, own)].mean()
            assert np.corrcoef(scores, wanted)[0, 1] > 0.95
        else:
            assert scores == pytest.approx(wanted)


@pytest.mark.parametrize("kind", RECIPES)
def test_a_model_bears_photos_that_nobody_favorites_any_more(kind: str, before: Interactions) -> None:
    rows = [row for row in world_rows() if row[1] in HIDDEN or (row[0] < "u030" and int(row[1][2:]) < 60)]
    now = extended(before.catalog, build_interactions(log_of(rows)))
    assert (now.photo_degrees == 0).any()
    model = with_new_photos(fit(RECIPES[kind], before), RECIPES[kind], now)
    assert not_finite(model) == []
    assert np.isfinite(scores_of(model, now.history(0))).all()


# In a bundle


@pytest.fixture
def reloaded(before: Interactions, now: Interactions, tmp_path: Path) -> Callable[[str], tuple[Model, Model]]:
    """Of a kind, the model with new photos as it was made from a loaded bundle, and as it is loaded again."""

    def reload(kind: str) -> tuple[Model, Model]:
        recipe = RECIPES[kind]
        first, second = tmp_path / "first", tmp_path / "second"
        save_bundle(first, recipe, fit(recipe, before), before, {})
        loaded = load_bundle(first).model
        model = with_new_photos(loaded, recipe, now)
        save_bundle(second, recipe, model, now, {})
        return model, load_bundle(second).model

    return reload


@pytest.mark.parametrize("kind", ["als", "blend", "popularity", "neighbor_score"])
def test_it_can_be_saved_and_loaded_as_any_other(
    kind: str, reloaded: Callable[[str], tuple[Model, Model]], now: Interactions
) -> None:
    made, loaded = reloaded(kind)
    assert scores_of(loaded, now.history(4)) == pytest.approx(scores_of(made, now.history(4)), rel=1e-5)


def test_contacts_vectors_keep_their_people_and_score_the_new_photos(
    reloaded: Callable[[str], tuple[Model, Model]], before: Interactions, now: Interactions
) -> None:
    _, blend = reloaded("blend")
    assert isinstance(blend, Blend)
    assert blend.followed is not None
    assert blend.followed.ids.tolist() == before.user_ids.tolist()
    (vectors,) = [one.model for one in blend.components if isinstance(one.model, ContactVectors)]
    nothing = np.empty(0, dtype=np.int64)
    only_contacts = History(NOBODY, nothing, nothing.astype(bool), before.history(3).contacts)
    new = slice(before.n_photos, now.n_photos)
    scores = scores_of(vectors, only_contacts)[new]
    own = np.array([style_of(photo) == 0 for photo in now.catalog.photo_ids[new]])  # of u006, whom u003 follows
    assert scores[own].mean() > 2 * scores[~own].mean()
