"""When one person's favorites are refreshed, as it is told to that person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from features.database import accounts, pull_cursors, pull_progress
from features.settings import Settings
from pipelines.plan.one import Refresh, refresh_of
from pipelines.plan.planner import Bounds, plan
from pipelines.plan.table import read_table

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
ANNA = "11111@N01"

Put = Callable[..., None]


@pytest.fixture
def put(engine: sa.Engine) -> Put:
    """A function that lets Anna be here: when she visited last, when she was pulled, how many favorites she has."""

    def insert(visited: datetime, pulled: datetime | None = NOW, favorites: int = 100) -> None:
        account = {"name": "Anna", "created_at": NOW, "last_visit_at": visited}
        with engine.begin() as connection:
            connection.execute(sa.insert(accounts).values(user_id=ANNA, **account))
            cursor = {"favorites_pulled_at": pulled, "favorites": favorites}
            connection.execute(sa.insert(pull_cursors).values(user_id=ANNA, **cursor))

    return insert


def test_of_whom_nothing_was_pulled_nothing_is_said(engine: sa.Engine, settings: Settings, put: Put) -> None:
    assert refresh_of(engine, settings, "22222@N02", NOW) == Refresh()
    put(NOW, pulled=None)
    assert refresh_of(engine, settings, ANNA, NOW) == Refresh()


def test_the_next_one_is_due_within_the_longest_interval(engine: sa.Engine, settings: Settings, put: Put) -> None:
    put(NOW - timedelta(days=3), NOW - timedelta(days=1))
    due_by = NOW - timedelta(days=1) + timedelta(hours=settings.refresh_max_hours)
    assert refresh_of(engine, settings, ANNA, NOW) == Refresh(NOW - timedelta(days=1), due_by)


@pytest.mark.parametrize("favorites", [0, 100, 900, 30_000])
def test_the_plan_never_waits_longer_than_is_told(
    engine: sa.Engine, settings: Settings, put: Put, favorites: int
) -> None:
    put(NOW, favorites=favorites)
    told = refresh_of(engine, settings, ANNA, NOW).due_by
    table = read_table(engine, NOW, settings.inactive_days)
    planned = plan(NOW, table, Bounds.from_settings(settings), calls_per_day=0.5)
    assert told is not None
    assert told.timestamp() == pytest.approx(np.nanmin(planned.overdue_at), abs=1)
    assert np.nanmin(planned.due_at) <= told.timestamp() + 1


def test_who_was_not_here_for_long_is_refreshed_only_when_they_ask(
    engine: sa.Engine, settings: Settings, put: Put
) -> None:
    put(NOW - timedelta(days=settings.inactive_days + 1))
    assert refresh_of(engine, settings, ANNA, NOW).due_by is None
    pull = {"stage": "done", "priority": 0, "asked_at": NOW, "updated_at": NOW}
    with engine.begin() as connection:
        connection.execute(sa.insert(pull_progress).values(user_id=ANNA, **pull))
    assert refresh_of(engine, settings, ANNA, NOW).due_by is not None


def test_a_refresh_may_be_asked_for_once_the_last_one_is_no_longer_fresh(
    engine: sa.Engine, settings: Settings, put: Put
) -> None:
    put(NOW)
    free_at = NOW + timedelta(minutes=settings.refresh_min_minutes)
    assert refresh_of(engine, settings, ANNA, free_at - timedelta(seconds=1)).possible_at == free_at
    assert refresh_of(engine, settings, ANNA, free_at).possible_at is None
