"""Numbered interactions and hold-outs, against what plain dictionaries say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from training.evaluation.files import Follows, Pairs
from training.evaluation.numbering import Holdout, holdout_of, interactions_of, per_user
from training.interactions import Interactions
from training.keys import distinct

Row = tuple[int, int, int, float]
"""user, item, unix seconds, value"""

ROWS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(0, 20), st.sampled_from([1.0, 3.0, 1.0, -1.0, 0.0]))
)
FOLLOWS = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)))


def pairs_of(rows: Sequence[Row]) -> Pairs:
    users, items, times, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Pairs(
        users=pa.array(users, pa.int32()),
        items=pa.array([f"p{item}" for item in items], pa.string()),
        timestamps=pa.array(times, pa.int64()),
        values=np.array(values, dtype=np.float64),
    )


def favorites(rows: Sequence[tuple[int, int]]) -> Pairs:
    return pairs_of([(user, item, 0, 1.0) for user, item in rows])


def follows_of(rows: Sequence[tuple[int, int]]) -> Follows:
    return Follows(pa.array([a for a, _ in rows], pa.int64()), pa.array([b for _, b in rows], pa.int64()))


def known(rows: Sequence[Row]) -> tuple[dict[tuple[int, str], int], dict[tuple[int, str], int]]:
    """Favorites and dismissals with their newest times, said plainly."""
    newest: list[dict[tuple[int, str], int]] = [{}, {}]
    for user, item, time, value in rows:
        if value:
            of = newest[value < 0]
            of[user, f"p{item}"] = max(time, of.get((user, f"p{item}"), 0))
    liked, dismissed = newest
    users, items = {user for user, _ in liked}, {item for _, item in liked}
    return liked, {(u, i): t for (u, i), t in dismissed.items() if (u, i) not in liked and u in users and i in items}


def told(train: Interactions, user: int) -> tuple[dict[str, int], dict[str, int]]:
    """A user's favorites and dismissals, by the ids of the catalog."""
    history = train.history(user)
    ids = train.catalog.photo_ids[history.photo_rows]
    events = list(zip(ids.tolist(), history.times.tolist(), history.positive.tolist(), strict=True))
    return {i: t for i, t, liked in events if liked}, {i: t for i, t, liked in events if not liked}


@given(ROWS, FOLLOWS)
def test_histories_equal_what_dictionaries_say(rows: list[Row], follows: list[tuple[int, int]]) -> None:
    train = interactions_of(pairs_of(rows), follows_of(follows))
    liked, dismissed = known(rows)
    assert train.user_ids.tolist() == sorted({user for user, _ in liked})
    counts = Counter(item for _, item in liked)
    assert train.catalog.photo_ids.tolist() == sorted(counts, key=lambda item: (-counts[item], item))
    assert train.catalog.owner_ids.tolist() == [""] * train.n_photos
    assert train.data_until == max([*liked.values(), *dismissed.values()], default=0)
    for row, user in enumerate(train.user_ids):
        assert told(train, row) == (
            {i: t for (u, i), t in liked.items() if u == user},
            {i: t for (u, i), t in dismissed.items() if u == user},
        )
        followed = {b for a, b in follows if a == user and b in train.user_ids}
        assert set(train.user_ids[train.history(row).contacts]) == followed


@given(ROWS, st.randoms(use_true_random=False))
def test_numbers_do_not_depend_on_the_order_of_the_rows(rows: list[Row], shuffler: Random) -> None:
    one = interactions_of(pairs_of(rows))
    shuffler.shuffle(rows)
    other = interactions_of(pairs_of(rows))
    assert one.user_ids.tolist() == other.user_ids.tolist()
    assert one.catalog.photo_ids.tolist() == other.catalog.photo_ids.tolist()
    for mine, its in ((one.favorites, other.favorites), (one.dismissals, other.dismissals)):
        assert [column.tolist() for column in vars(mine).values()] == [column.tolist() for column in vars(its).values()]


@given(ROWS, ROWS, FOLLOWS)
def test_a_holdout_equals_what_dictionaries_say(
    rows: list[Row], tested: list[Row], follows: list[tuple[int, int]]
) -> None:
    train = interactions_of(pairs_of(rows))
    holdout = holdout_of(train, pairs_of(tested), follows_of(follows))
    liked, dismissed = known(rows)
    to_find: dict[int, set[str]] = {}
    for user, item, _, value in tested:
        if value > 0 and (user, f"p{item}") not in liked and (user, f"p{item}") not in dismissed:
            to_find.setdefault(user, set()).add(f"p{item}")
    assert holdout.user_ids.tolist() == sorted(to_find)
    assert len(holdout) == len(holdout.relevant_rows) == len(holdout.hidden) == len(holdout.histories)
    for place, user in enumerate(holdout.user_ids):
        listed = set(train.catalog.photo_ids[holdout.relevant_rows[place]])
        absent = set(holdout.absent_items[holdout.absent_users == place])
        assert listed | absent == to_find[user]
        assert listed.isdisjoint(absent)
        assert absent.isdisjoint(train.catalog.photo_ids)
        assert holdout.relevant[place] == len(to_find[user]) >= 1
        history = holdout.histories[place : place + 1]
        before = {item for (who, item) in [*liked, *dismissed] if who == user}
        assert set(train.catalog.photo_ids[history.photo_rows]) == before
        assert holdout.hidden[place].tolist() == sorted(history.photo_rows)
        assert set(train.user_ids[history.contacts]) == {b for a, b in follows if a == user and b in train.user_ids}
        assert len(set(history.contacts)) == len(history.contacts)


def test_a_favorite_beats_a_dismissal_and_a_repeat_counts_once_with_its_newest_time() -> None:
    repeats: list[Row] = [(1, 1, 5, 1.0), (1, 1, 9, 2.0), (1, 1, 12, -1.0), (1, 2, 3, 1.0), (2, 2, 1, -1.0)]
    train = interactions_of(pairs_of(repeats))
    assert told(train, 0) == ({"p1": 9, "p2": 3}, {})
    assert (train.n_users, train.data_until) == (1, 9)


def test_without_times_all_times_are_zero() -> None:
    pairs = Pairs(pa.array(["u", "u"]), pa.array([10**7, 3]))
    train = interactions_of(pairs)
    assert (train.favorites.times.tolist(), train.data_until) == ([0, 0], 0)
    assert train.catalog.photo_ids.tolist() == [3, 10**7]


def owned(train: Mapping[int, Sequence[str]], owners: Mapping[str, int]) -> Pairs:
    rows = [(user, item) for user, items in train.items() for item in items]
    return Pairs(
        pa.array([user for user, _ in rows]),
        pa.array([item for _, item in rows]),
        owners=pa.array([owners.get(item) for _, item in rows], pa.int64()),
    )


def test_owners_are_known_by_item_and_their_own_items_are_hidden_from_them() -> None:
    train = interactions_of(owned({1: ["a", "b"], 2: ["c", "b"], 3: ["d"]}, {"a": 2, "c": 1, "d": 1}))
    assert dict(zip(train.catalog.photo_ids, train.catalog.owner_ids, strict=True)) == {"a": 2, "b": "", "c": 1, "d": 1}
    test = Pairs(pa.array([1, 9]), pa.array(["z", "a"]))
    holdout = holdout_of(train, test)
    assert set(train.catalog.photo_ids[holdout.hidden[0]]) == {"a", "b", "c", "d"}
    assert holdout.hidden[1].tolist() == []


def test_what_is_left_out_of_the_test_part_is_noted() -> None:
    train = interactions_of(pairs_of([(1, 1, 0, 1.0), (1, 2, 0, 1.0), (2, 2, 0, 1.0), (2, 1, 0, -1.0)]))
    test = [(1, 1, 0, 1.0), (2, 1, 0, 1.0), (1, 9, 0, 1.0), (1, 9, 0, 1.0), (7, 2, 0, 1.0), (7, 1, 0, -1.0)]
    assert holdout_of(train, pairs_of(test)).notes == (
        "1 dismissals were left out: they are nothing to be found",
        "2 pairs are also in the training part, and were left out",
        "1 users were left out, all of whose pairs are in the training part",
        "1 users are not in the training part: nothing is known of them",
        "1 pairs are with items that are not in the training part: they count as missed",
    )


def test_a_user_unknown_to_training_is_asked_with_his_contacts() -> None:
    train = interactions_of(favorites([(1, 1), (2, 2)]))
    holdout: Holdout = holdout_of(train, favorites([(7, 1)]), follows_of([(7, 2), (7, 2), (7, 8), (1, 2)]))
    (history,) = holdout.histories
    assert (history.photo_rows.tolist(), history.contacts.tolist()) == ([], [1])


def test_a_test_part_of_known_pairs_leaves_nobody() -> None:
    train = interactions_of(favorites([(1, 1), (2, 2)]))
    holdout = holdout_of(train, favorites([(1, 1)]))
    assert (len(holdout), holdout.relevant_rows, holdout.hidden) == (0, [], [])


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6))))
def test_values_by_user_are_distinct_and_ascending(pairs: list[tuple[int, int]]) -> None:
    whose, values = (np.array([pair[place] for pair in pairs], dtype=np.int64) for place in (0, 1))
    expected = [sorted({value for user, value in pairs if user == one}) for one in range(5)]
    assert [found.tolist() for found in per_user(whose, values, 5)] == expected
    assert distinct(values).tolist() == sorted(set(values.tolist()))
