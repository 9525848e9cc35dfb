"""A dismissed person weighs as one dismissed photo, in training as in fold-in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from features.schema import Kind
from features.user_state import UserState
from tests.training.conftest import START, Row, log_of
from training.confidence import Weighting, signed_confidence
from training.from_lake import build_interactions, history_of
from training.interactions import Events, Histories, History, Interactions

OWNERS = {"a": "x", "b": "x", "c": "x", "d": "x", "e": "y"}


@pytest.fixture(scope="module")
def world() -> Interactions:
    """u1 favors one photo of x, and dismisses x and one photo of x's; u2 favors everything, u3 nothing."""
    rows: list[Row] = [("u2", photo, owner, Kind.FAVORITE, START) for photo, owner in OWNERS.items()]
    rows += [("u1", "a", "x", Kind.FAVORITE, START), ("u1", "b", "x", Kind.DISMISS_PHOTO, START + 3)]
    rows += [("u1", "", "x", Kind.DISMISS_USER, START + 5), ("u1", "", "nobody", Kind.DISMISS_USER, START + 5)]
    rows += [("u3", "", "x", Kind.DISMISS_USER, START + 5)]
    return build_interactions(log_of(rows))


def test_a_person_is_shared_among_the_photos_that_are_no_favorites(world: Interactions) -> None:
    history = world.history(0)
    shares = dict(zip(world.catalog.photo_ids[history.photo_rows].tolist(), history.shares.tolist(), strict=True))
    assert shares == pytest.approx({"a": 1, "b": 1, "c": 1 / 3, "d": 1 / 3})


def test_fold_in_shares_as_training_does(world: Interactions) -> None:
    state = UserState(
        user_id="u1",
        favorite_ids=("a", "not in the catalog"),
        favorite_owners=("x", "z"),
        favorite_times=(START, START),
        dismissed_ids=("b",),
        dismissed_owners=("x",),
        dismissed_times=(START + 3,),
        dismissed_people=("nobody", "x"),
        dismissed_people_times=(START + 5, START + 5),
    )
    served, trained = history_of(world.catalog, state), world.history(0)
    assert served.photo_rows.tolist() == trained.photo_rows.tolist()
    assert served.shares.tolist() == trained.shares.tolist()
    assert served.shares.dtype == trained.shares.dtype == np.float32


def test_who_favors_all_of_a_dismissed_persons_photos_has_no_negative(world: Interactions) -> None:
    favored = {"favorite_ids": ("e",), "favorite_owners": ("y",), "favorite_times": (START,)}
    state = replace(UserState.empty("u9"), **favored, dismissed_people=("y",), dismissed_people_times=(START,))
    assert history_of(world.catalog, state).shares.tolist() == [1.0]


def test_shares_go_with_their_events_through_every_arrangement(world: Interactions) -> None:
    both = world.histories(np.array([1, 0], dtype=np.int64))
    assert both[1:].shares.tolist() == world.history(0).shares.tolist()
    assert [one.shares.tolist() for one in both] == [world.history(user).shares.tolist() for user in (1, 0)]
    assert Histories.of(list(both)).shares.tolist() == both.shares.tolist()


def test_where_nothing_is_said_every_share_is_one() -> None:
    rows, times = np.arange(3, dtype=np.int32), np.zeros(3, dtype=np.int64)
    assert Events(rows, rows, times).shares.tolist() == [1, 1, 1]
    assert History(rows, times, times == 0).shares.tolist() == [1, 1, 1]


def test_a_share_lessens_a_dismissal_and_no_favorite_and_never_below_an_unobserved_pair() -> None:
    weighting = Weighting(5.0, 10.0, 365.0, 0.0, START, 1.0, np.ones(1, dtype=np.float32))
    row, at = np.zeros(1, dtype=np.int32), np.array([START])

    def value(positive: bool, share: float) -> float:
        shares = np.array([share], dtype=np.float32)
        return float(signed_confidence(weighting, row, at, np.array([positive]), 1, shares)[0])

    assert [value(False, share) for share in (1.0, 0.5, 0.0)] == [-11.0, -6.0, -1.0]
    assert value(True, 0.5) == value(True, 1.0) == 6.0
