"""How far each user is pulled."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import sqlalchemy as sa

from pipelines.cursors import Cursor, read_cursors, write_cursors

MOMENT = datetime(2026, 11, 24, 12, 30, 15, 250_000, tzinfo=UTC)


def test_cursors_are_read_as_they_were_written(engine: sa.Engine) -> None:
    cursors = [Cursor("a", MOMENT, MOMENT, MOMENT), Cursor("b", favorites_pulled_at=MOMENT), Cursor("c")]
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
