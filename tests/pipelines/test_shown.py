"""What a wall showed a person is remembered: by visits, once each, for as long as it matters and no longer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.database import shown
from pipelines import shown as module
from pipelines.shown import (
    KEPT,
    VISIT,
    Memory,
    Repetition,
    Showing,
    first_shown,
    forget_shown,
    forget_users,
    note_shown,
    recall,
)

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ANNA, BEN = "12@N01", "13@N01"
DAY = timedelta(days=1)
THREE_TIMES = Repetition(visits=3, rest=10 * DAY)


def show(engine: sa.Engine, *photo_ids: str, at: datetime = NOW, to: str = ANNA) -> None:
    note_shown(engine, [Showing(to, photo_id, at) for photo_id in photo_ids], THREE_TIMES)


def remembered(engine: sa.Engine, at: datetime, of: str = ANNA) -> Memory:
    return recall(engine, of, THREE_TIMES, at)


def rows(engine: sa.Engine) -> dict[tuple[str, str], tuple[datetime, datetime, int]]:
    with engine.connect() as connection:
        return {
            (user, photo): (first, last, visits)
            for user, photo, first, last, visits in connection.execute(sa.select(shown))
        }


# Visits


def test_what_was_shown_on_an_earlier_visit_is_remembered_as_that_persons(engine: sa.Engine) -> None:
    show(engine, "1", "2")
    show(engine, "3", to=BEN)
    assert remembered(engine, NOW + DAY) == Memory({"1": 1, "2": 1})
    assert remembered(engine, NOW + DAY, of=BEN).visits == {"3": 1}
    assert remembered(engine, NOW + DAY, of="14@N01") == Memory()


def test_on_the_visit_that_first_shows_a_photo_it_stays_new(engine: sa.Engine) -> None:
    show(engine, "1", at=NOW - DAY)
    show(engine, "2")
    during, after = remembered(engine, NOW + VISIT / 2), remembered(engine, NOW + VISIT)
    assert (during.is_new("1"), during.is_new("2"), during.is_new("3")) == (False, True, True)
    assert (after.is_new("1"), after.is_new("2"), after.is_new("3")) == (False, False, True)


def test_on_a_first_visit_nothing_is_called_new(engine: sa.Engine) -> None:
    show(engine, "1")
    assert not any(remembered(engine, NOW + VISIT / 2).is_new(photo_id) for photo_id in ("1", "2"))


def test_a_photo_that_is_shown_often_on_one_visit_was_shown_on_one(engine: sa.Engine) -> None:
    for minutes in range(0, 50, 10):
        show(engine, "1", at=NOW + timedelta(minutes=minutes))
    assert rows(engine) == {(ANNA, "1"): (NOW, NOW + timedelta(minutes=40), 1)}


def test_after_so_many_visits_a_photo_is_tired_and_after_its_rest_it_begins_anew(engine: sa.Engine) -> None:
    for day in range(3):
        assert remembered(engine, NOW + day * DAY).tired == frozenset()
        show(engine, "1", at=NOW + day * DAY)
    last = NOW + 2 * DAY
    assert remembered(engine, last + VISIT) == Memory({"1": 3}, tired=frozenset({"1"}))
    assert remembered(engine, last + THREE_TIMES.rest - DAY).tired == {"1"}
    rested = last + THREE_TIMES.rest
    assert remembered(engine, rested) == Memory({"1": 1})
    show(engine, "1", at=rested)
    assert remembered(engine, rested + DAY).tired == frozenset()
    assert rows(engine)[ANNA, "1"] == (NOW, rested, 1)


def test_where_one_visit_is_enough_a_photo_is_left_out_until_it_has_rested(engine: sa.Engine) -> None:
    once = Repetition(visits=1, rest=10 * DAY)
    note_shown(engine, [Showing(ANNA, "1", NOW)], once)
    assert recall(engine, ANNA, once, NOW + VISIT / 2) == Memory()
    assert recall(engine, ANNA, once, NOW + VISIT).tired == {"1"}
    assert recall(engine, ANNA, once, NOW + 10 * DAY) == Memory({"1": 1})


def test_a_rest_of_no_time_leaves_nothing_out(engine: sa.Engine) -> None:
    never = Repetition(visits=1, rest=timedelta(0))
    for day in range(4):
        note_shown(engine, [Showing(ANNA, "1", NOW + day * DAY)], never)
    assert recall(engine, ANNA, never, NOW + 4 * DAY) == Memory({"1": 1})


def test_since_when_a_photo_is_shown_is_told_of_those_that_were(engine: sa.Engine) -> None:
    show(engine, "1", "2")
    show(engine, "1", at=NOW + DAY)
    assert first_shown(engine, ANNA, ["1", "3"]) == {"1": NOW}
    assert first_shown(engine, BEN, ["1"]) == {}


@dataclass
class Row:
    first: int
    last: int
    visits: int


showings = st.lists(
    st.tuples(st.sampled_from([ANNA, BEN]), st.sampled_from("123"), st.integers(0, 24 * 30)), max_size=30
)


@given(hours=showings, repeated=st.lists(st.integers(0, 29), max_size=10))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_batches_in_their_order_count_visits_and_one_that_comes_again_changes_nothing(
    engine: sa.Engine, hours: list[tuple[str, str, int]], repeated: list[int]
) -> None:
    forget_users(engine, [ANNA, BEN])
    ordered = sorted(set(hours), key=lambda one: one[2])
    expected: dict[tuple[str, str], Row] = {}
    for place, (user_id, photo_id, hour) in enumerate(ordered):
        show(engine, photo_id, at=NOW + timedelta(hours=hour), to=user_id)
        if place in repeated:
            show(engine, photo_id, at=NOW + timedelta(hours=hour), to=user_id)
        row = expected.setdefault((user_id, photo_id), Row(hour, hour, 1))
        if hour - row.last >= THREE_TIMES.rest / timedelta(hours=1):
            row.visits = 1
        elif hour - row.last >= VISIT / timedelta(hours=1):
            row.visits += 1
        row.last = hour
    for place in repeated:  # long after, too: a batch that was thought lost
        if place < len(ordered) and ordered[place][2] < expected[ordered[place][:2]].last:
            user_id, photo_id, hour = ordered[place]
            show(engine, photo_id, at=NOW + timedelta(hours=hour), to=user_id)
    assert rows(engine) == {
        key: (NOW + timedelta(hours=row.first), NOW + timedelta(hours=row.last), row.visits)
        for key, row in expected.items()
    }


# Not for ever


def test_what_was_not_shown_for_long_is_forgotten_and_the_rest_stays(engine: sa.Engine) -> None:
    show(engine, "old", at=NOW - KEPT - timedelta(seconds=1))
    show(engine, "kept", at=NOW - KEPT + timedelta(seconds=1))
    assert forget_shown(engine, NOW) == 1
    assert list(rows(engine)) == [(ANNA, "kept")]


def test_of_more_than_is_kept_of_a_person_the_longest_ago_go_and_nobody_elses(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_OF_A_USER", 4)
    show(engine, *"12345", at=NOW - DAY, to=BEN)
    assert len(rows(engine)) == 4
    for day, photo_id in enumerate("abc"):
        show(engine, photo_id, at=NOW + day * DAY)
    show(engine, "a", "d", "e", at=NOW + 3 * DAY)
    assert {photo for user, photo in rows(engine) if user == ANNA} == {"a", "c", "d", "e"}
    assert sum(user == BEN for user, _ in rows(engine)) == 4


def test_what_was_shown_to_some_is_deleted_and_nobody_elses(engine: sa.Engine) -> None:
    show(engine, "1", "2")
    show(engine, "1", to=BEN)
    forget_users(engine, [ANNA, "14@N01"])
    assert list(rows(engine)) == [(BEN, "1")]


def test_nothing_shown_is_nothing_noted(engine: sa.Engine) -> None:
    note_shown(engine, [], THREE_TIMES)
    assert rows(engine) == {}
