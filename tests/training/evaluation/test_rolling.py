"""Rolling splits: each knows its past alone, and together they test every new favorite of the period once."""

from __future__ import annotations

import json
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import InvalidInputError
from features.schema import Kind
from tests.training.conftest import DAY, START, Row, log_of, recipe_of, world_rows
from training.evaluation.holdout import evaluate
from training.evaluation.rolling import Backtest, backtest, rolling_splits
from training.from_lake import Split, temporal_split, utc
from training.models.recipes import fit

DAYS = 100
ROWS = world_rows(days=DAYS)
LOG = log_of(ROWS)
UNTIL = utc(START + DAYS * DAY)
RECIPES = {kind: recipe_of(kind) for kind in ("als", "popularity")}


def pairs_of(split: Split) -> set[tuple[str, str]]:
    """(user, photo) of the test favorites."""
    users, photos = split.train.user_ids, split.train.catalog.photo_ids
    pairs = zip(split.test_users, split.test_photos, strict=True)
    return {(users[user], photos[row]) for user, rows in pairs for row in rows}


def test_the_periods_follow_each_other_up_to_the_end_oldest_first() -> None:
    splits = list(rolling_splits(LOG, UNTIL, 7, 4))
    assert [(UNTIL - utc(split.cut)) / timedelta(days=1) for split in splits] == [28, 21, 14, 7]
    assert all(split.train.data_until <= split.cut for split in splits)


def test_a_split_is_the_temporal_split_of_what_was_known_at_its_end() -> None:
    first, second = rolling_splits(LOG, UNTIL, 10, 2)
    known = log_of([row for row in ROWS if row[4] <= second.cut])
    alone = temporal_split(known, utc(first.cut))
    assert pairs_of(first) == pairs_of(alone)
    assert first.reachable == alone.reachable


@settings(deadline=None)
@given(st.integers(1, 6), st.floats(0.5, 20))
def test_no_favorite_is_tested_twice_and_none_of_the_period_is_missed(n: int, days: float) -> None:
    splits = list(rolling_splits(LOG, UNTIL, days, n))
    found = [pair for split in splits for pair in pairs_of(split)]
    assert len(found) == len(set(found))
    known_before = {
        (user, photo)
        for user, photo, _, _, at in ROWS
        for split in splits
        if split.cut < at <= split.cut + days * DAY and user in split.train.user_ids
        if split.train.catalog.rows([photo])[0] >= 0
    }
    assert set(found) == known_before


def test_what_was_taken_back_later_still_counted_at_the_end_of_its_period() -> None:
    rows: list[Row] = [
        ("ann", "a", "o", Kind.FAVORITE, START),
        ("ben", "b", "o", Kind.FAVORITE, START),
        ("ann", "b", "o", Kind.FAVORITE, START + 2 * DAY),
        ("ann", "b", "o", Kind.UNFAVORITE, START + 9 * DAY),
    ]
    first, second = rolling_splits(log_of(rows), utc(START + 11 * DAY), 5, 2)
    assert pairs_of(first) == {("ann", "b")}
    assert pairs_of(second) == set()


# Backtest


@pytest.fixture(scope="module")
def found() -> Backtest:
    return backtest(LOG, RECIPES, until=UNTIL, days=10, n=3)


def test_each_split_measures_each_recipe_fit_on_what_was_known_then(found: Backtest) -> None:
    for split, result in zip(rolling_splits(LOG, UNTIL, 10, 3), found.splits, strict=True):
        models = {name: fit(recipe, split.train) for name, recipe in RECIPES.items()}
        by_hand = {name: one.ndcg.mean() for name, one in evaluate(models, split).items()}
        assert {name: interval["mean"] for name, interval in result.ndcg.items()} == pytest.approx(by_hand)
        assert (result.users, result.cut) == (len(split.test_users), utc(split.cut).isoformat())
        assert all(interval["low"] <= interval["mean"] <= interval["high"] for interval in result.ndcg.values())


def test_overall_a_user_of_several_splits_counts_once(found: Backtest) -> None:
    of_user: dict[str, list[float]] = {}
    for split in rolling_splits(LOG, UNTIL, 10, 3):
        ndcg = evaluate({"als": fit(RECIPES["als"], split.train)}, split)["als"].ndcg
        for user, value in zip(split.train.user_ids[split.test_users], ndcg, strict=True):
            of_user.setdefault(user, []).append(value)
    assert any(len(values) > 1 for values in of_user.values())
    assert found.users == len(of_user)
    assert found.overall["als"]["mean"] == pytest.approx(np.mean([np.mean(values) for values in of_user.values()]))


def test_the_best_is_named_with_how_far_it_is_ahead_of_each_other(found: Backtest) -> None:
    assert found.best == "als"
    ahead = found.ahead["popularity"]
    assert ahead["mean"] == pytest.approx(found.overall["als"]["mean"] - found.overall["popularity"]["mean"])
    assert ahead["low"] > 0
    assert list(found.ahead) == ["popularity"]


def test_the_same_data_and_seed_give_the_same_result(found: Backtest) -> None:
    again = backtest(LOG, RECIPES, until=UNTIL, days=10, n=3)
    assert json.dumps(again.as_dict()) == json.dumps(found.as_dict())


def test_a_split_without_anybody_to_test_is_reported_empty_and_the_others_count() -> None:
    calls: list[tuple[str, int, int]] = []
    until = utc(START + 30 * DAY)  # the first of the splits begins before there was any favorite
    some = backtest(LOG, RECIPES, until=until, days=15, n=3, progress=lambda *call: calls.append(call))
    assert [split.users > 0 for split in some.splits] == [False, False, True]
    assert (some.splits[0].ndcg, set(some.splits[2].ndcg)) == ({}, set(RECIPES))
    assert calls == [("backtest: splits", done, 3) for done in (1, 2, 3)]


def test_with_nobody_to_test_at_all_it_says_what_to_change() -> None:
    with pytest.raises(InvalidInputError, match="longer periods than 1 days, or more of them") as raised:
        backtest(LOG, RECIPES, until=utc(START - DAY), days=1, n=2)
    assert raised.value.field == "days"
