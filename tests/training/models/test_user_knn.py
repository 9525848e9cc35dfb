"""User-kNN: Flexplore's formula over everybody who shares a favorite, by hand and against plain Python."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import CorruptModelError
from tests.training.conftest import interactions_of, is_mapped
from tests.training.models.worlds import best_unseen, checkerboard, histories, history, random_interactions
from training.interactions import Histories, History, Interactions
from training.models.interface import reasons_of, scores_of
from training.models.user_knn import UserKNN

Liked = Mapping[str, Sequence[str]]


def strength_of(common: int, favorites: int) -> float:
    return 150 * math.sqrt(common / (favorites + 250))


# ann shares x and y with ben, x with cas, who has more favorites, and nothing with dan.
LIKED = {"ann": ["x", "y"], "ben": ["x", "y", "new"], "cas": ["x", "new", "other", "more"], "dan": ["unseen"]}
BEN, CAS = strength_of(2, 3), strength_of(1, 4)


def scores_by_photo(liked: Liked, user: str, neighbors: int | None = None) -> dict[str, float]:
    interactions = interactions_of(liked)
    model = UserKNN.fit(interactions, neighbors=neighbors)
    scores = scores_of(model, interactions.history(interactions.user_ids.tolist().index(user)))
    return dict(zip(interactions.catalog.photo_ids.tolist(), scores.tolist(), strict=True))


def test_a_photo_scores_the_sum_of_the_neighbors_who_favorited_it() -> None:
    assert scores_by_photo(LIKED, "ann") == pytest.approx(
        {"x": BEN + CAS, "y": BEN, "new": BEN + CAS, "other": CAS, "more": CAS, "unseen": 0}
    )


def test_only_the_strongest_neighbors_count_when_asked() -> None:
    assert BEN > CAS
    assert scores_by_photo(LIKED, "ann", neighbors=1) == pytest.approx(
        {"x": BEN, "y": BEN, "new": BEN, "other": 0, "more": 0, "unseen": 0}
    )


def test_nobody_is_their_own_neighbor() -> None:
    assert scores_by_photo({"ann": ["x", "y"], "dan": ["unseen"]}, "ann") == {"x": 0, "y": 0, "unseen": 0}


def test_a_user_who_has_new_favorites_since_training_is_still_not_their_own_neighbor() -> None:
    interactions = interactions_of(LIKED)
    x, y, new = interactions.catalog.rows(["x", "y", "new"]).tolist()
    model = UserKNN.fit(interactions, neighbors=1)
    scores = scores_of(model, history([x, y, new]))
    other = interactions.catalog.rows(["other"])[0]
    # ann and ben have nothing beyond these three: cas is the only neighbor.
    assert scores[other] == pytest.approx(strength_of(2, 4))


def test_the_photo_left_out_of_a_checkerboard_comes_first() -> None:
    interactions = checkerboard()
    assert best_unseen(UserKNN.fit(interactions), interactions) == [f"p{user}" for user in range(10)]


def plain_scores(liked: Liked, mine: set[str], neighbors: int | None) -> dict[str, float]:
    """The formula as it is written down, over sets."""
    strengths = {
        user: strength_of(len(mine & set(theirs)), len(theirs))
        for user, theirs in sorted(liked.items())
        if mine & set(theirs) and not set(theirs) <= mine
    }
    strongest = sorted(strengths, key=lambda user: -strengths[user])[:neighbors]
    scores = dict.fromkeys({photo for photos in liked.values() for photo in photos}, 0.0)
    for user in strongest:
        for photo in liked[user]:
            scores[photo] += strengths[user]
    return scores


PHOTOS = [f"p{n}" for n in range(8)]


@settings(max_examples=40)
@given(
    st.lists(st.lists(st.sampled_from(PHOTOS), min_size=1, unique=True), min_size=1, max_size=6),
    st.none() | st.integers(1, 4),
)
def test_the_scores_equal_plain_python(lists: list[list[str]], neighbors: int | None) -> None:
    liked = {f"u{user}": photos for user, photos in enumerate(lists)}
    for user, photos in liked.items():
        expected = plain_scores(liked, set(photos), neighbors)
        assert scores_by_photo(liked, user, neighbors) == pytest.approx(expected, rel=1e-5)


@settings(max_examples=40)
@given(random_interactions(complete=True), histories(2))
def test_a_batch_equals_one_at_a_time(interactions: Interactions, some: list[History]) -> None:
    model = UserKNN.fit(interactions, neighbors=3)
    together = model.scores(Histories.of(some))
    assert together.dtype == np.float32
    assert together.shape == (len(some), interactions.n_photos)
    for scores, what in zip(together, some, strict=True):
        assert (scores == scores_of(model, what)).all()


def test_a_dismissal_changes_no_score_and_an_empty_history_scores_zeros(world: Interactions) -> None:
    model = UserKNN.fit(world)
    assert (scores_of(model, history([1, 2])) == scores_of(model, history([1, 2], [3, 4]))).all()
    assert (scores_of(model, history([])) == 0).all()
    assert (scores_of(model, history([], [3])) == 0).all()


@pytest.mark.parametrize("neighbors", [None, 5])
def test_the_contributions_add_up_to_the_score(world: Interactions, neighbors: int | None) -> None:
    model = UserKNN.fit(world, neighbors=neighbors)
    what = world.history(0)
    scores = scores_of(model, what)
    rows = np.argsort(-scores)[:5]
    for row, reasons in zip(rows, reasons_of(model, what, rows, 1000), strict=True):
        assert sum(weight for _, weight in reasons) == pytest.approx(scores[row], rel=1e-5)
        assert {photo for photo, _ in reasons} <= set(what.favorites.tolist())


def test_a_reason_is_a_favorite_that_the_photos_neighbors_have_too() -> None:
    interactions = interactions_of(LIKED)
    x, y, other = interactions.catalog.rows(["x", "y", "other"]).tolist()
    ann = history([x, y])
    assert reasons_of(UserKNN.fit(interactions), ann, np.array([other]), 3) == [[(x, pytest.approx(CAS))]]
    assert reasons_of(UserKNN.fit(interactions), ann, np.array([y]), 1)[0][0][1] == pytest.approx(BEN / 2)


def test_similarity_is_the_cosine_of_the_favoriters() -> None:
    interactions = interactions_of({"ann": ["a", "b"], "ben": ["a", "b"], "cas": ["a"], "dan": ["c"]})
    a, b, c = interactions.catalog.rows(["a", "b", "c"]).tolist()
    similarities = UserKNN.fit(interactions).similarities(a)
    assert similarities[b] == pytest.approx(2 / math.sqrt(3 * 2))
    assert similarities[c] == -np.inf


@pytest.mark.parametrize("neighbors", [None, 7])
def test_it_comes_back_as_it_was_saved(world: Interactions, tmp_path: Path, neighbors: int | None) -> None:
    model = UserKNN.fit(world, neighbors=neighbors)
    loaded = UserKNN.load(tmp_path, model.save(tmp_path), world.n_photos)
    assert loaded.neighbors == neighbors
    assert is_mapped(loaded.indices)
    what = world.histories(np.arange(5))
    assert (loaded.scores(what) == model.scores(what)).all()


def test_arrays_that_do_not_fit_each_other_are_corrupt(world: Interactions, tmp_path: Path) -> None:
    parameters = UserKNN.fit(world).save(tmp_path)
    with pytest.raises(CorruptModelError, match=r"user_knn_indices\.npy: names rows that 5 photos do not have"):
        UserKNN.load(tmp_path, parameters, 5)
    np.save(tmp_path / "user_knn_indptr.npy", np.array([0, 1, 2], dtype=np.int64))
    with pytest.raises(CorruptModelError, match=r"user_knn_indptr\.npy: does not fit user_knn_indices\.npy"):
        UserKNN.load(tmp_path, parameters, world.n_photos)
