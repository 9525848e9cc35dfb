"""The owner share by hand and against plain Python: favorites of an owner less dismissals, by all favorites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import CorruptModelError
from tests.training.conftest import interactions_of
from tests.training.models.worlds import histories, history
from training.interactions import Histories, Interactions
from training.models.interface import reasons_of, scores_of
from training.models.owner_share import OwnerShare

NOBODY, ANN, BEN = -1, 0, 1


def scores(owners: list[int], favorites: list[int], dismissed: list[int] | None = None) -> list[float]:
    model = OwnerShare(np.array(owners, dtype=np.int32))
    found: list[float] = scores_of(model, history(favorites, dismissed or [])).tolist()
    return found


def test_a_photo_scores_the_share_of_the_favorites_that_are_its_owners() -> None:
    assert scores([ANN, ANN, BEN, BEN], [0, 1, 2, 3]) == [0.5, 0.5, 0.5, 0.5]
    assert scores([ANN, ANN, BEN, BEN, ANN], [0, 1, 4, 2]) == [0.75, 0.75, 0.25, 0.25, 0.75]


def test_owners_who_favorite_nothing_themselves_count_too() -> None:
    model = OwnerShare.fit(interactions_of({"u": ["a", "b"], "v": ["c"]}, {"a": "x", "b": "y", "c": "x"}))
    assert sorted(scores_of(model, history([0])).tolist()) == [0.0, 1.0, 1.0]


def test_unknown_owners_have_nothing_in_common() -> None:
    model = OwnerShare.fit(interactions_of({"u": ["a", "b", "c"]}, {"a": "", "b": "", "c": "x"}))
    assert sorted(model.owners.tolist())[:2] == [NOBODY, NOBODY]
    assert scores([NOBODY, NOBODY, ANN], [0]) == [0.0, 0.0, 0.0]


def test_a_dismissal_takes_away_what_a_favorite_gives() -> None:
    assert scores([ANN, ANN, ANN, BEN], [0, 3], [1]) == [0.0, 0.0, 0.0, 0.5]
    assert scores([ANN, ANN, BEN], [], [0]) == [-1.0, -1.0, 0.0]


def test_a_dismissed_person_counts_as_one_dismissed_photo() -> None:
    model = OwnerShare(np.array([ANN, ANN, ANN, ANN, BEN], dtype=np.int32))
    found = scores_of(model, history([4], of_person=[0, 1, 2, 3]))
    assert found.tolist() == pytest.approx([-1, -1, -1, -1, 1])


@given(st.data())
def test_the_scores_equal_plain_python_and_contributions_add_up_to_them(data: st.DataObject) -> None:
    owners = data.draw(st.lists(st.integers(-1, 3), min_size=1, max_size=8))
    model, some = OwnerShare(np.array(owners, dtype=np.int32)), data.draw(histories(len(owners)))
    every = np.arange(len(owners))
    for found, one in zip(model.scores(Histories.of(some)), some, strict=True):
        values = np.where(one.positive, 1.0, -one.shares) / max(len(one.favorites), 1)
        by_owner = [
            sum(value for row, value in zip(one.photo_rows, values, strict=True) if owners[row] == owner >= 0)
            for owner in owners
        ]
        assert found == pytest.approx(by_owner, abs=1e-6)
        if one.positive.all():
            assert model.contributions(one, every).sum(axis=1) == pytest.approx(found, abs=1e-6)


def test_the_favorites_of_the_owner_are_the_reasons() -> None:
    model = OwnerShare(np.array([ANN, BEN, ANN, ANN], dtype=np.int32))
    (reasons,) = reasons_of(model, history([0, 1, 2]), np.array([3]), 3)
    assert dict(reasons) == pytest.approx({0: 1 / 3, 2: 1 / 3})


def test_owners_that_cannot_be_are_corrupt(world: Interactions, tmp_path: Path) -> None:
    model = OwnerShare.fit(world)
    model.save(tmp_path)
    np.save(tmp_path / "owners.npy", np.full(world.n_photos, -2, dtype=np.int32))
    with pytest.raises(CorruptModelError, match="names owners that 120 photos cannot have"):
        OwnerShare.load(tmp_path, {}, world.n_photos)
