"""The validation part that is split off the training file."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.files import Pairs
from training.evaluation.validation import drawn, split_validation

Rows = Sequence[tuple[int, int]]


def pairs_of(rows: Rows, times: Sequence[int] | None = None, values: Sequence[float] | None = None) -> Pairs:
    return Pairs(
        pa.array([user for user, _ in rows], pa.int64()),
        pa.array([item for _, item in rows], pa.int64()),
        None if times is None else pa.array(times, pa.int64()),
        None if values is None else np.array(values, dtype=np.float64),
    )


def rows_of(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(pairs.users.to_pylist(), pairs.items.to_pylist(), strict=True))


def grid(users: int, items: int) -> Rows:
    return [(user, item) for user in range(users) for item in range(items)]


SOME = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1)


@given(SOME, st.integers(0, 3), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_without_times_the_parts_are_whole_pairs_never_all_of_a_user_and_the_seed_decides(
    rows: list[tuple[int, int]], seed: int, shuffler: Random
) -> None:
    fit, validation = (rows_of(part) for part in split_validation(pairs_of(rows), seed))
    assert sorted(fit + validation) == sorted(rows)
    assert set(fit).isdisjoint(validation)
    assert {user for user, _ in fit} == {user for user, _ in rows}
    assert {user for user, _ in validation} == {u for u, _ in rows if len({i for v, i in rows if v == u}) >= 2}
    shuffler.shuffle(rows)
    assert set(rows_of(split_validation(pairs_of(rows), seed)[1])) == set(validation)


def test_a_tenth_is_drawn_of_users_with_few_favorites_too() -> None:
    rows = grid(2000, 6)
    _, validation = split_validation(pairs_of(rows), 0)
    assert 0.09 * len(rows) < len(validation) < 0.11 * len(rows)
    per_user = np.bincount(validation.users.to_numpy(), minlength=2000)
    assert set(per_user.tolist()) == {0, 1}
    assert rows_of(split_validation(pairs_of(rows), 1)[1]) != rows_of(validation)
    assert validation.notes == (f"{len(validation)} of 12000 favorites of the training part, at random of each user",)


def test_of_the_only_favorite_nothing_is_taken() -> None:
    _, validation = split_validation(pairs_of([(user, 1) for user in range(500)] + [(999, 1), (999, 2)]), 0)
    assert {user for user, _ in rows_of(validation)} == {999}


def test_dismissals_are_fitted() -> None:
    rows = grid(30, 4)
    values = [-1.0 if item == 0 else 1.0 for _, item in rows]
    fit, validation = split_validation(pairs_of(rows, values=values), 0)
    assert not validation.dismissals.any()
    assert fit.dismissals.sum() == 30


def test_with_times_the_newest_tenth_is_validated_on_and_nothing_later_is_fitted() -> None:
    rows = [*grid(20, 10), (99, 1)]  # user 99 came in the end
    times = [100 * item + user for user, item in grid(20, 10)] + [5000]
    fit, validation = split_validation(pairs_of(rows, times), 0)
    assert len(validation) == 19
    assert fit.times.max() < validation.times.min()
    assert {user for user, _ in rows_of(validation)} <= set(range(20))
    assert 5000 not in [*fit.times, *validation.times]
    assert "after a moment" in validation.notes[0]


def test_equal_times_stay_on_one_side() -> None:
    rows = grid(20, 10)
    fit, validation = split_validation(pairs_of(rows, [item // 2 for _, item in rows]), 0)
    assert (set(fit.times.tolist()), set(validation.times.tolist())) == ({0, 1, 2, 3}, {4})


def test_users_who_never_come_back_give_their_own_newest() -> None:
    rows = grid(200, 10)
    times = [1000 * user + item for user, item in rows]  # one visit each
    fit, validation = split_validation(pairs_of(rows, times), 0)
    assert rows_of(validation) == [(user, 9) for user in range(200)]
    assert len(fit) == 1800
    assert "the newest of each user" in validation.notes[0]


def test_the_way_the_test_part_was_drawn_is_followed() -> None:
    rows = grid(200, 10)
    times = [100 * item + user % 50 for user, item in rows]
    train = pairs_of(rows, times)
    after = pairs_of(grid(50, 1), [5000] * 50)
    newest = pairs_of([(user, 77) for user in range(200)], [901 + user % 50 for user in range(200)])
    random = pairs_of([(user, 77) for user in range(200)], [5 * user for user in range(200)])
    timeless = pairs_of(grid(5, 1))
    ways = [drawn(train, test) for test in (after, random, timeless, None)]
    assert ways == ["after a moment", "at random of each user", "after a moment", "after a moment"]
    early = pairs_of(rows, [10_000 * (user % 2) + item for user, item in rows])
    last = pairs_of([(user, 77) for user in range(200)], [10_000 * (user % 2) + 10 for user in range(200)])
    assert drawn(early, last) == "the newest of each user"
    assert drawn(pairs_of(rows), newest) == drawn(pairs_of(rows, [7] * len(rows)), newest) == "at random of each user"
