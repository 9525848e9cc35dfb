"""The outbox: what people do on the site, committed to SQL before the answer leaves, kept until the lake has it.

`seq` grows in the order of commits, so "everything up to seq n" is a whole that a snapshot can name as its watermark.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from features.database import Readable, actions, reading
from features.schema import Kind

RELAY_APPLICATION = "relay"
"""The Delta application id under which actions enter the lake; its version is the newest `seq` committed."""


@dataclass(frozen=True)
class Action:
    """One thing that a person did. `photo_id` is "" when it was done to a person (`owner_id`)."""

    seq: int
    action_id: str
    user_id: str
    photo_id: str
    owner_id: str
    kind: str
    event_timestamp: datetime
    created_timestamp: datetime


def record_action(
    engine: sa.Engine, *, user_id: str, kind: Kind, owner_id: str, photo_id: str = "", at: datetime | None = None
) -> Action:
    """Commit one action and return it.

    A user's actions get strictly rising times, whatever the clocks of several servers say: their order is the order
    in which they were committed.
    """
    now = datetime.now(UTC)
    with engine.begin() as connection:
        _lock(connection)
        last = connection.scalar(sa.select(sa.func.max(actions.c.event_timestamp)).where(actions.c.user_id == user_id))
        happened = at or now
        if last is not None and happened <= last:
            happened = last + timedelta(microseconds=1)
        row = {
            "action_id": str(uuid.uuid4()),
            "user_id": user_id,
            "photo_id": photo_id,
            "owner_id": owner_id,
            "kind": str(kind),
            "event_timestamp": happened,
            "created_timestamp": now,
        }
        seq = connection.execute(sa.insert(actions).values(row)).inserted_primary_key
        assert seq is not None  # noqa: S101  (a table with a serial key always has one)
    return Action(seq=int(seq[0]), **row)  # type: ignore[arg-type]


def _lock(connection: sa.Connection) -> None:
    """Let one writer in at a time: a serial number alone is handed out before the commit, and commits can overtake."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("LOCK TABLE actions IN SHARE ROW EXCLUSIVE MODE")


def actions_after(source: Readable, user_id: str, seq: int) -> list[Action]:
    """That user's actions with a number above `seq`, in order."""
    with reading(source) as connection:
        rows = connection.execute(_AFTER, {"user_id": user_id, "seq": seq})
        return [Action(**row) for row in rows.mappings()]


_AFTER = (
    sa.select(actions)
    .where(actions.c.user_id == sa.bindparam("user_id"), actions.c.seq > sa.bindparam("seq"))
    .order_by(actions.c.seq)
)


def next_actions(engine: sa.Engine, seq: int, limit: int) -> list[Action]:
    """Everybody's oldest actions with a number above `seq`, in order, at most `limit`."""
    query = sa.select(actions).where(actions.c.seq > seq).order_by(actions.c.seq).limit(limit)
    with engine.connect() as connection:
        return [Action(**row) for row in connection.execute(query).mappings()]
