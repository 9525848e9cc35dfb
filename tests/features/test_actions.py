"""The outbox and the state it brings up to date."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from features.actions import Action, actions_after, next_actions, record_action
from features.database import metadata, open_database
from features.errors import ConfigurationError, DependencyError
from features.schema import Kind
from features.user_state import UserState, apply_actions


def act(engine: sa.Engine, kind: Kind, photo: str = "p1", user: str = "u1") -> Action:
    return record_action(engine, user_id=user, kind=kind, photo_id=photo, owner_id="o1")


def test_an_action_is_there_when_recording_returns(engine: sa.Engine) -> None:
    action = act(engine, Kind.FAVORITE)
    assert actions_after(engine, "u1", -1) == [action]
    assert actions_after(engine, "u1", action.seq) == []
    assert actions_after(engine, "u2", -1) == []


def test_a_users_actions_get_rising_times_even_when_the_clock_goes_back(engine: sa.Engine) -> None:
    late = datetime(2030, 1, 1, tzinfo=UTC)
    record_action(engine, user_id="u1", kind=Kind.FAVORITE, photo_id="p", owner_id="o", at=late)
    second = act(engine, Kind.UNFAVORITE)
    assert second.event_timestamp > late


def test_many_writers_get_distinct_numbers_and_none_is_lost(engine: sa.Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: act(engine, Kind.FAVORITE, f"p{n}").seq, range(40)))
    assert sorted(made) == [action.seq for action in next_actions(engine, -1, 100)]
    assert len(set(made)) == 40


def test_the_state_follows_the_actions(engine: sa.Engine) -> None:
    act(engine, Kind.FAVORITE, "p1")
    act(engine, Kind.FAVORITE, "p2")
    act(engine, Kind.UNFAVORITE, "p1")
    act(engine, Kind.DISMISS_PHOTO, "p3")
    act(engine, Kind.DISMISS_USER, "")
    state = apply_actions(UserState.empty("u1"), actions_after(engine, "u1", -1))
    assert state.favorite_ids == ("p2",)
    assert state.dismissed_ids == ("p3",)
    assert state.dismissed_people == ("o1",)
    act(engine, Kind.UNDISMISS_PHOTO, "p3")
    act(engine, Kind.UNDISMISS_USER, "")
    state = apply_actions(state, actions_after(engine, "u1", state.watermark))
    assert (state.favorite_ids, state.dismissed_ids, state.dismissed_people) == (("p2",), (), ())


def test_actions_up_to_the_watermark_are_not_applied_again(engine: sa.Engine) -> None:
    first = act(engine, Kind.FAVORITE, "p1")
    state = UserState(user_id="u1", watermark=first.seq)
    assert apply_actions(state, [first]) is state


def test_the_migrations_make_exactly_the_tables_that_the_code_names(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_opening_again_changes_nothing_and_keeps_what_is_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    first = open_database(url)
    action = act(first, Kind.FAVORITE)
    first.dispose()
    second = open_database(url)
    assert actions_after(second, "u1", -1) == [action]
    second.dispose()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_several_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(lambda _: open_database(url), range(4)))
    for engine in engines:
        act(engine, Kind.FAVORITE)
    assert len(next_actions(engines[0], -1, 10)) == 4
    for engine in engines:
        engine.dispose()


def test_an_unreadable_url_is_named() -> None:
    with pytest.raises(ConfigurationError, match="PHOTO_RECOMMENDER_DATABASE_URL='nonsense'"):
        open_database("nonsense")


def test_a_database_that_does_not_answer_is_a_failing_dependency(tmp_path: Path) -> None:
    (tmp_path / "file.db").write_text("this is no database at all, and long enough to be read as one" * 20)
    with pytest.raises(DependencyError, match="can't be used"):
        open_database(f"sqlite:///{tmp_path / 'file.db'}")
