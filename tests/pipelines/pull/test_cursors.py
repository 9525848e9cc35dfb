"""How far each user is pulled."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from pipelines.pull.cursors import Cursor, begin_cursors, read_cursors, write_cursors

MOMENT = datetime(2026, 11, 24, 12, 30, 15, 250_000, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_cursors_are_read_as_they_were_written(engine: sa.Engine) -> None:
    whole = Cursor(
        "a",
        newest_faved_at=MOMENT,
        favorites_pulled_at=MOMENT + HOUR,
        contacts_pulled_at=MOMENT + 2 * HOUR,
        favorites=1_234,
        oldest_faved_at=MOMENT - HOUR,
        sweep_until=MOMENT - 2 * HOUR,
        sweep_moved_at=MOMENT - 3 * HOUR,
        swept_at=MOMENT - 4 * HOUR,
        rate_favorites=12.5,
        rate_days=0.1 + 0.2,
    )
    cursors = [whole, Cursor("b", favorites_pulled_at=MOMENT), Cursor("c")]
    write_cursors(engine, cursors)
    assert read_cursors(engine, ["a", "b", "c"]) == {cursor.user_id: cursor for cursor in cursors}


def test_a_user_never_pulled_has_none(engine: sa.Engine) -> None:
    write_cursors(engine, [Cursor("a")])
    assert set(read_cursors(engine, ["a", "b"])) == {"a"}
    assert read_cursors(engine, []) == {}


def test_writing_again_moves_a_cursor_and_leaves_the_others(engine: sa.Engine) -> None:
    write_cursors(engine, [Cursor("a", MOMENT), Cursor("b", MOMENT)])
    moved = Cursor("a", MOMENT + timedelta(hours=1), MOMENT)
    write_cursors(engine, [moved])
    assert read_cursors(engine, ["a", "b"]) == {"a": moved, "b": Cursor("b", MOMENT)}


@pytest.mark.parametrize("favorites_first", [True, False])
def test_favorites_and_contacts_are_noted_apart(engine: sa.Engine, favorites_first: bool) -> None:
    """Both were fetched behind the same cursor; each knows the other's part only as it was then."""
    before = Cursor("a", MOMENT, MOMENT, MOMENT, favorites=3)
    write_cursors(engine, [before])
    favorites = replace(before, newest_faved_at=MOMENT + HOUR, favorites_pulled_at=MOMENT + HOUR, favorites=4)
    contacts = replace(before, contacts_pulled_at=MOMENT + 2 * HOUR)
    for of_favorites in (favorites_first, not favorites_first):
        cursor = favorites if of_favorites else contacts
        write_cursors(engine, [cursor], favorites=of_favorites, contacts=not of_favorites)
    assert read_cursors(engine, ["a"])["a"] == replace(favorites, contacts_pulled_at=MOMENT + 2 * HOUR)


def test_of_somebody_new_either_part_can_be_noted_first(engine: sa.Engine) -> None:
    write_cursors(engine, [Cursor("a", contacts_pulled_at=MOMENT)], favorites=False)
    write_cursors(engine, [Cursor("b", favorites_pulled_at=MOMENT)], contacts=False)
    assert read_cursors(engine, ["a", "b"]) == {
        "a": Cursor("a", contacts_pulled_at=MOMENT),
        "b": Cursor("b", favorites_pulled_at=MOMENT),
    }


def test_a_cursor_is_begun_once_and_the_first_to_begin_it_is_told(engine: sa.Engine) -> None:
    write_cursors(engine, [Cursor("a", MOMENT)])
    assert begin_cursors(engine, ["a", "b", "c"]) == {"b", "c"}
    assert begin_cursors(engine, ["a", "b", "c"]) == set()
    assert begin_cursors(engine, []) == set()
    assert read_cursors(engine, ["a", "b", "c"]) == {"a": Cursor("a", MOMENT), "b": Cursor("b"), "c": Cursor("c")}


def test_of_many_who_begin_a_cursor_at_once_one_is_told(engine: sa.Engine) -> None:
    users = [f"user {number}" for number in range(40)]
    together = threading.Barrier(4)

    def begin(_: int) -> set[str]:
        together.wait(20)
        return begin_cursors(engine, users)

    with ThreadPoolExecutor(4) as pool:
        told = [user for begun in pool.map(begin, range(4)) for user in begun]
    assert sorted(told) == sorted(users)


def test_a_cursor_is_the_same_moment_in_any_time_zone(engine: sa.Engine) -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=9)))
    write_cursors(engine, [Cursor("a", elsewhere)])
    read = read_cursors(engine, ["a"])["a"].newest_faved_at
    assert read == MOMENT
    assert read.tzinfo is UTC


def test_more_users_than_a_statement_takes_are_read_and_written(engine: sa.Engine) -> None:
    cursors = {f"user {number}": Cursor(f"user {number}", MOMENT) for number in range(1_234)}
    write_cursors(engine, list(cursors.values()))
    assert read_cursors(engine, list(cursors)) == cursors


def test_nothing_is_written_when_one_of_them_cannot_be(engine: sa.Engine) -> None:
    write_cursors(engine, [Cursor("a", MOMENT)])
    broken = replace(Cursor("b"), newest_faved_at=datetime(2026, 1, 1))  # noqa: DTZ001 (what is refused)
    try:
        write_cursors(engine, [Cursor("a"), broken])
    except sa.exc.StatementError:
        assert read_cursors(engine, ["a", "b"]) == {"a": Cursor("a", MOMENT)}
    else:
        raise AssertionError("a time without a zone was written")
