"""Flexplore's formula, by hand and against plain Python: score(n) = 150·√(common / (favorites of n + 250))."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import CorruptModelError
from tests.training.conftest import interactions_of, style_of
from training.interactions import Interactions
from training.models.interface import scores_of
from training.models.neighbor_score import NeighborScore

Liked = Mapping[str, Sequence[str]]


def score_of(common: int, favorites: int) -> float:
    return 150 * math.sqrt(common / (favorites + 250))


def scores_by_photo(user: str, liked: Liked, owners: Mapping[str, str]) -> dict[str, float]:
    """{photo: score} for the user, by the model."""
    interactions = interactions_of(liked, owners)
    row = interactions.user_ids.tolist().index(user)
    scores = scores_of(NeighborScore.fit(interactions), interactions.history(row))
    return dict(zip(interactions.catalog.photo_ids.tolist(), scores.tolist(), strict=True))


# ann favorites a photo of ben, who has three favorites, two of them in common with her, and one of cas, who has one
# favorite, in common with her.
LIKED = {"ann": ["of ben", "of cas", "x", "y"], "ben": ["x", "y", "new"], "cas": ["x"], "dan": ["unseen"]}
OWNERS = {"of ben": "ben", "of cas": "cas", "x": "dan"}


def test_a_photo_scores_the_sum_of_the_neighbors_who_favorited_it() -> None:
    ben, cas, dan = score_of(2, 3), score_of(1, 1), score_of(0, 1)
    assert (ben, cas, dan) == pytest.approx((13.3366, 9.4679, 0.0), abs=1e-4)
    assert scores_by_photo("ann", LIKED, OWNERS) == pytest.approx(
        {"x": ben + cas, "y": ben, "new": ben, "unseen": dan, "of ben": 0, "of cas": 0}
    )


def test_a_neighbor_counts_once_however_many_of_their_photos_are_favorites() -> None:
    more = {**LIKED, "ann": [*LIKED["ann"], "also of ben"]}
    assert scores_by_photo("ann", more, {**OWNERS, "also of ben": "ben"})["new"] == pytest.approx(score_of(2, 3))


def test_a_neighbor_with_more_favorites_says_less() -> None:
    picky = scores_by_photo("ann", LIKED, OWNERS)["new"]
    generous = {**LIKED, "ben": [*LIKED["ben"], *(f"any {n}" for n in range(200))]}
    assert scores_by_photo("ann", generous, OWNERS)["new"] == pytest.approx(score_of(2, 203))
    assert score_of(2, 203) < picky


def test_more_in_common_says_more() -> None:
    closer = {**LIKED, "ann": [*LIKED["ann"], "z"], "ben": [*LIKED["ben"], "z"]}
    assert scores_by_photo("ann", closer, OWNERS)["new"] == pytest.approx(score_of(3, 4))
    assert score_of(3, 4) > score_of(2, 3)


def test_an_owner_whose_favorites_are_unknown_is_no_neighbor() -> None:
    assert set(scores_by_photo("ann", {"ann": ["p"], "ben": ["q"]}, {"p": "a stranger"}).values()) == {0.0}


def plain_scores(user: str, liked: Liked, owners: Mapping[str, str]) -> dict[str, float]:
    """The formula as it is written down, over sets."""
    mine = set(liked[user])
    neighbors = {owners[photo] for photo in mine if owners[photo] in liked}
    scores = dict.fromkeys({photo for photos in liked.values() for photo in photos}, 0.0)
    for neighbor in neighbors:
        theirs = set(liked[neighbor])
        for photo in theirs:
            scores[photo] += score_of(len(mine & theirs), len(theirs))
    return scores


PEOPLE = ["ann", "ben", "cas", "dan"]
PHOTOS = [f"p{n}" for n in range(8)]


@settings(max_examples=40)
@given(
    st.fixed_dictionaries({person: st.lists(st.sampled_from(PHOTOS), min_size=1, unique=True) for person in PEOPLE}),
    st.fixed_dictionaries({photo: st.sampled_from([*PEOPLE, "stranger"]) for photo in PHOTOS}),
)
def test_the_scores_equal_plain_python(liked: Liked, owners: Mapping[str, str]) -> None:
    for person in PEOPLE:
        expected = plain_scores(person, liked, owners)
        assert scores_by_photo(person, liked, owners) == pytest.approx(expected, rel=1e-5)


def test_a_favorite_of_a_style_raises_that_style(world: Interactions) -> None:
    model = NeighborScore.fit(world)
    styles = np.array([style_of(photo_id) for photo_id in world.catalog.photo_ids])
    what = world.history(0)
    for style in range(3):
        new = next(row for row in np.flatnonzero(styles == style) if row not in what.favorites)
        rows = np.append(what.favorites, new)
        more = type(what)(rows, np.append(what.times, what.times[0]), np.ones(len(rows), dtype=bool))
        gained = scores_of(model, more) - scores_of(model, what)
        assert gained[styles == style].mean() > gained[styles != style].mean() >= 0


def test_similarity_is_the_cosine_of_the_favoriters() -> None:
    # a: ann, ben, cas; b: ann, ben; c: dan.
    interactions = interactions_of({"ann": ["a", "b"], "ben": ["a", "b"], "cas": ["a"], "dan": ["c"]})
    a, b, c = interactions.catalog.rows(["a", "b", "c"]).tolist()
    similarities = NeighborScore.fit(interactions).similarities(a)
    assert similarities[b] == pytest.approx(2 / math.sqrt(3 * 2))
    assert similarities[a] == pytest.approx(1)
    assert similarities[c] == float("-inf")


def test_arrays_that_do_not_fit_each_other_are_corrupt(world: Interactions, tmp_path: Path) -> None:
    NeighborScore.fit(world).save(tmp_path)
    np.save(tmp_path / "favorites_indptr.npy", np.array([0, 1, 2], dtype=np.int64))
    with pytest.raises(CorruptModelError, match=r"favorites_indptr\.npy: does not fit favorites_indices\.npy"):
        NeighborScore.load(tmp_path, {}, world.n_photos)
