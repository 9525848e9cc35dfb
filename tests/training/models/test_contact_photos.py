"""What contacts favorited and what they own, counted by hand and against plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import CorruptModelError
from tests.training.conftest import interactions_of
from tests.training.models.worlds import history
from training.interactions import Histories, Interactions
from training.models.contact_photos import ContactPhotos
from training.models.interface import reasons_of, scores_of

KINDS = ("contact_favorites", "followed_owner")
LIKED = {"ann": ["a", "b"], "ben": ["b", "c"], "cas": ["b", "d"], "dan": ["a"]}
OWNERS = {"a": "ben", "b": "cas", "c": "cas", "d": "a stranger"}


def scores_by_photo(
    kind: str, contacts: Sequence[str], liked: Mapping[str, Sequence[str]], owners: Mapping[str, str]
) -> dict[str, float]:
    """{photo: score} for somebody who follows these."""
    interactions = interactions_of(liked, owners)
    rows = np.flatnonzero(np.isin(interactions.user_ids.astype(str), list(contacts))).astype(np.int32)
    scores = scores_of(ContactPhotos.fit(interactions, kind=kind), replace(history([0]), contacts=rows))
    return dict(zip(interactions.catalog.photo_ids.tolist(), scores.tolist(), strict=True))


def test_a_photo_scores_the_contacts_who_favorited_it() -> None:
    assert scores_by_photo("contact_favorites", ["ben", "cas"], LIKED, OWNERS) == {"a": 0, "b": 2, "c": 1, "d": 1}


def test_a_photo_of_a_followed_owner_scores_one() -> None:
    assert scores_by_photo("followed_owner", ["ben", "dan"], LIKED, OWNERS) == {"a": 1, "b": 0, "c": 0, "d": 0}
    assert scores_by_photo("followed_owner", ["ben", "cas"], LIKED, OWNERS) == {"a": 1, "b": 1, "c": 1, "d": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_somebody_who_follows_nobody_gets_zeros(kind: str) -> None:
    assert set(scores_by_photo(kind, [], LIKED, OWNERS).values()) == {0.0}


def test_an_unknown_owner_is_nobodys_contact() -> None:
    assert set(scores_by_photo("followed_owner", list(LIKED), LIKED, dict.fromkeys("abcd", "")).values()) == {0.0}


PEOPLE = ["ann", "ben", "cas", "dan"]
PHOTOS = [f"p{n}" for n in range(6)]


@given(
    st.fixed_dictionaries({person: st.lists(st.sampled_from(PHOTOS), min_size=1, unique=True) for person in PEOPLE}),
    st.fixed_dictionaries({photo: st.sampled_from([*PEOPLE, "stranger"]) for photo in PHOTOS}),
    st.sets(st.sampled_from(PEOPLE)),
)
def test_the_scores_equal_plain_python(
    liked: Mapping[str, Sequence[str]], owners: Mapping[str, str], contacts: set[str]
) -> None:
    photos = {photo for some in liked.values() for photo in some}
    favorited = {photo: sum(photo in liked[one] for one in contacts) for photo in photos}
    owned = {photo: int(owners[photo] in contacts) for photo in photos}
    assert scores_by_photo("contact_favorites", sorted(contacts), liked, owners) == favorited
    assert scores_by_photo("followed_owner", sorted(contacts), liked, owners) == owned


@pytest.mark.parametrize("kind", KINDS)
def test_many_are_scored_as_each_alone_and_no_favorite_is_a_reason(kind: str, world: Interactions) -> None:
    model = ContactPhotos.fit(world, kind=kind)
    some = [replace(world.history(user), contacts=np.arange(user, dtype=np.int32)) for user in (0, 1, 7)]
    for scores, one in zip(model.scores(Histories.of(some)), some, strict=True):
        assert (scores == scores_of(model, one)).all()
        assert reasons_of(model, one, np.array([0, 1]), 3) == [[], []]


@pytest.mark.parametrize("kind", KINDS)
def test_contacts_keep_their_rows_whoever_came_and_went_since_training(kind: str) -> None:
    model = ContactPhotos.fit(interactions_of(LIKED, OWNERS), kind=kind)
    today = interactions_of({"aaron": ["a", "b", "c"], "ben": ["c"], "cas": ["a", "b"], "dan": ["a"]}, OWNERS)
    moved = model.of_today(today)
    assert moved.user_ids.tolist() == ["ann", "ben", "cas", "dan"]
    scores = scores_of(moved, replace(history([0]), contacts=np.array([0, 1, 2], dtype=np.int32)))
    wanted = {"contact_favorites": {"a": 1, "b": 1, "c": 1}, "followed_owner": {"a": 1, "b": 1, "c": 1}}
    assert dict(zip(today.catalog.photo_ids.tolist(), scores.tolist(), strict=True)) == wanted[kind]
    of_ben = scores_of(moved, replace(history([0]), contacts=np.array([1], dtype=np.int32)))
    found = set(today.catalog.photo_ids[np.flatnonzero(of_ben)].tolist())
    assert found == ({"c"} if kind == "contact_favorites" else {"a"})


@pytest.mark.parametrize(
    ("name", "array", "what"),
    [
        ("photos_indptr", np.zeros(61, dtype=np.int64), "does not fit photos_indices"),
        ("photos_indptr", np.zeros(3, dtype=np.int64), "instead of int64"),
        ("photos_indices", np.full(1, 999, dtype=np.int32), "does not fit photos_indices|photos do not have"),
    ],
)
def test_arrays_that_do_not_fit_are_corrupt(
    name: str, array: NDArray[np.integer], what: str, world: Interactions, tmp_path: Path
) -> None:
    model = ContactPhotos.fit(world, kind="contact_favorites")
    parameters = model.save(tmp_path)
    np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(CorruptModelError, match=what):
        ContactPhotos.load(tmp_path, parameters, world.n_photos)


def test_a_row_that_no_photo_has_is_corrupt(world: Interactions, tmp_path: Path) -> None:
    parameters = ContactPhotos.fit(world, kind="followed_owner").save(tmp_path)
    with pytest.raises(CorruptModelError, match="names rows that 5 photos do not have"):
        ContactPhotos.load(tmp_path, parameters, 5)


def test_users_that_are_lost_are_corrupt(world: Interactions, tmp_path: Path) -> None:
    parameters = ContactPhotos.fit(world, kind="followed_owner").save(tmp_path)
    (tmp_path / "users.parquet").write_bytes(b"nonsense")
    with pytest.raises(CorruptModelError, match=r"users\.parquet: not readable as Parquet"):
        ContactPhotos.load(tmp_path, parameters, world.n_photos)
