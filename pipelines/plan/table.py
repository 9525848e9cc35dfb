"""What the planner plans from, read from SQL: cursors of the users whom active people's walls need, and lost requests.

Active is who visited lately or was asked for lately; what only others would use is not even read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from features.database import accounts, pull_asked, pull_cursors, pull_parts, pull_progress, tombstones
from pipelines.plan.planner import Table
from pipelines.privacy.tombstones import USER
from pipelines.queue.requests import Kind, Priority, PullRequest

LOST_AFTER = timedelta(hours=1)
"""A request that is open, or a part that is unfinished, for so long may be asked for again."""


def read_table(engine: sa.Engine, now: datetime, inactive_days: float) -> Table:
    """The users with a cursor whom somebody's wall needs, except those who are gone. A million take some seconds."""
    active = active_users(now - timedelta(days=inactive_days)).subquery()
    uses = sa.union_all(
        sa.select(active.c.user_id, sa.literal(1).label("person")),
        sa.select(pull_parts.c.neighbor_id, sa.literal(0)).join(active, active.c.user_id == pull_parts.c.user_id),
    ).subquery()
    walls = (
        sa.select(uses.c.user_id, sa.func.count().label("walls"), sa.func.max(uses.c.person).label("person"))
        .group_by(uses.c.user_id)
        .subquery()
    )
    cursor = pull_cursors.c
    query = (
        sa.select(
            cursor.user_id,
            cursor.favorites_pulled_at,
            cursor.contacts_pulled_at,
            cursor.favorites,
            cursor.rate_favorites,
            cursor.rate_days,
            walls.c.walls,
            walls.c.person,
        )
        .join(walls, walls.c.user_id == cursor.user_id)
        .where(~_is_gone(cursor.user_id))
    )
    with engine.connect() as connection:
        rows = connection.execute(query).fetchall()
    columns = list(zip(*rows, strict=True)) or [()] * 8
    return Table(
        user_ids=columns[0],
        favorites_pulled_at=_seconds(columns[1]),
        contacts_pulled_at=_seconds(columns[2]),
        favorites=np.array(columns[3], dtype=np.int64),
        rate_favorites=np.array(columns[4], dtype=np.float64),
        rate_days=np.array(columns[5], dtype=np.float64),
        walls=np.array(columns[6], dtype=np.float64),
        person=np.array(columns[7], dtype=np.bool_),
    )


def open_requests(engine: sa.Engine) -> list[tuple[PullRequest, datetime]]:
    """Everything that was asked for and is not done, with when; as requests that ask for it again."""
    asked = pull_asked.c
    with engine.connect() as connection:
        rows = connection.execute(sa.select(asked.user_id, asked.kind, asked.priority, asked.asked_at)).fetchall()
    return [
        (PullRequest(user_id=user_id, kind=Kind(kind), reason="lost", priority=Priority(priority)), asked_at)
        for user_id, kind, priority, asked_at in rows
    ]


def unfinished_parts(engine: sa.Engine, now: datetime, inactive_days: float, limit: int) -> list[PullRequest]:
    """Neighbors of active people who wait unfinished though nobody asks for them, in pulls that have long stood still.

    They come as urgently as they were asked for first.
    """
    parts, progress, asked = pull_parts.c, pull_progress.c, pull_asked.c
    is_asked = sa.exists().where(asked.user_id == parts.neighbor_id, asked.kind == str(Kind.FAVORITES))
    query = (
        sa.select(parts.neighbor_id, sa.func.min(progress.priority))
        .join(pull_progress, progress.user_id == parts.user_id)
        .where(
            parts.finished_at.is_(None),
            progress.updated_at < now - LOST_AFTER,
            progress.asked_at >= now - timedelta(days=inactive_days),
            ~is_asked,
            ~_is_gone(parts.neighbor_id),
        )
        .group_by(parts.neighbor_id)
        .order_by(sa.func.min(progress.priority), parts.neighbor_id)
        .limit(limit)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).fetchall()
    return [
        PullRequest(
            user_id=user_id,
            kind=Kind.FAVORITES,
            reason="unfinished",
            priority=max(Priority(priority), Priority.NEIGHBOR),
        )
        for user_id, priority in rows
    ]


def active_users(since: datetime) -> sa.CompoundSelect[tuple[str]]:
    """The ids of who signed in, or was asked for, since then."""
    return sa.union(
        sa.select(accounts.c.user_id).where(accounts.c.last_visit_at >= since),
        sa.select(pull_progress.c.user_id).where(pull_progress.c.asked_at >= since),
    )


def _is_gone(user_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.exists().where(tombstones.c.kind == USER, tombstones.c.subject_id == user_id)


def _seconds(moments: Sequence[datetime | None]) -> NDArray[np.float64]:
    return np.array([np.nan if moment is None else moment.timestamp() for moment in moments], dtype=np.float64)
