"""How far the pull of one person is: written by the workers as parts arrive, read by the website.

One row a person in `pull_progress` says at which stage it is; how much is done is counted over `pull_parts`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from features.database import UtcDateTime, pull_progress
from pipelines.pull.parts import Parts, count_parts
from pipelines.queue.requests import Priority
from pipelines.upsert import insert

Stage = Literal["unknown", "queued", "favorites", "neighbors", "done", "failed"]
FINAL: tuple[Stage, ...] = ("done", "failed")


@dataclass(frozen=True)
class Progress:
    """`finished` of `made` parts are done (neighbors whose favorites are pulled), `favorites` of the person are known.

    `coverage`: the share of the neighbors whose favorites are in the lake. `eta_seconds`: None when unknown.
    """

    user_id: str
    stage: Stage
    made: int
    finished: int
    favorites: int
    coverage: float
    eta_seconds: float | None
    error: str | None


@dataclass(frozen=True)
class OpenPull:
    """A person's pull that has not ended. `published`: the finished parts that the wall was last made of, −1: none."""

    user_id: str
    stage: Stage
    wants_neighbors: bool
    priority: Priority
    correlation_id: str
    published: int
    asked_at: datetime


def read_progress(
    engine: sa.Engine, user_id: str, *, calls_left: int | None = None, calls_per_hour: int | None = None
) -> Progress:
    """The person's newest pull; `unknown` without any.

    The time it still takes is what it took so far a part; and where the key has fewer calls left this hour than parts
    are missing, at least the time until the budget allows as many.
    """
    with engine.connect() as connection:
        row = connection.execute(sa.select(pull_progress).where(pull_progress.c.user_id == user_id)).mappings().first()
    if row is None:
        return Progress(user_id, "unknown", 0, 0, 0, 0.0, None, None)
    stage: Stage = row["stage"]
    # What an earlier pull has made of parts tells nothing until the neighbors are known.
    parts = count_parts(engine, [user_id])[user_id] if stage in ("neighbors", *FINAL) else Parts()
    return Progress(
        user_id=user_id,
        stage=stage,
        made=parts.made,
        finished=parts.finished,
        favorites=row["favorites"],
        coverage=parts.coverage,
        eta_seconds=_eta(stage, row, parts, calls_left, calls_per_hour),
        error=row["error"],
    )


def _eta(stage: Stage, row: Any, parts: Parts, calls_left: int | None, calls_per_hour: int | None) -> float | None:
    if stage in FINAL:
        return 0.0
    missing = parts.made - parts.finished
    if stage != "neighbors" or row["started_at"] is None or not parts.finished:
        return None
    began: datetime = row["started_at"]
    pace = (datetime.now(UTC) - began).total_seconds() / parts.finished * missing
    budget = 0.0
    if calls_left is not None and calls_per_hour and missing > calls_left:
        budget = (missing - calls_left) / calls_per_hour * 3600
    return round(max(pace, budget), 1)


def open_progress(engine: sa.Engine, user_id: str, *, priority: Priority, neighbors: bool, correlation_id: str) -> None:
    """A pull is asked for: a new one begins unless one is open, which becomes more urgent and wants more at most."""
    table, now = pull_progress.c, datetime.now(UTC)
    fresh = {
        "stage": "queued",
        "wants_neighbors": neighbors,
        "priority": int(priority),
        "correlation_id": correlation_id,
        "published": -1,
        "error": None,
        "asked_at": now,
        "started_at": None,
        "updated_at": now,
        "finished_at": None,
    }
    with engine.begin() as connection:
        made = connection.execute(
            insert(engine, pull_progress).values(user_id=user_id, favorites=0, **fresh).on_conflict_do_nothing()
        ).rowcount
        if not made:
            mine = table.user_id == user_id
            again = connection.execute(sa.update(pull_progress).where(mine, table.stage.in_(FINAL)).values(**fresh))
            if not again.rowcount:
                urgent = sa.case((table.priority > int(priority), int(priority)), else_=table.priority)
                wants = sa.or_(table.wants_neighbors, sa.literal(neighbors))
                connection.execute(sa.update(pull_progress).where(mine).values(priority=urgent, wants_neighbors=wants))


def forget_progress(engine: sa.Engine, user_id: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(pull_progress).where(pull_progress.c.user_id == user_id))


def open_pulls(engine: sa.Engine, user_ids: set[str]) -> dict[str, OpenPull]:
    """Those of these people whose pull is open."""
    if not user_ids:
        return {}
    table = pull_progress.c
    names = ("user_id", "stage", "wants_neighbors", "priority", "correlation_id", "published", "asked_at")
    query = sa.select(*(table[name] for name in names)).where(
        table.user_id.in_(sorted(user_ids)), table.stage.not_in(FINAL)
    )
    with engine.connect() as connection:
        rows = connection.execute(query).mappings()
        return {row["user_id"]: OpenPull(**{**row, "priority": Priority(row["priority"])}) for row in rows}


def begin_progress(engine: sa.Engine, user_id: str) -> None:
    """A worker has begun with the favorites of somebody whose pull is queued; others have no pull to tell of."""
    table = pull_progress.c
    with engine.connect() as connection:
        if not connection.scalar(sa.select(sa.exists().where(table.user_id == user_id, table.stage == "queued"))):
            return
    with engine.begin() as connection:
        connection.execute(
            sa.update(pull_progress)
            .where(table.user_id == user_id, table.stage == "queued")
            .values(stage="favorites", updated_at=datetime.now(UTC))
        )


def reopen_progress(engine: sa.Engine, user_ids: Collection[str]) -> None:
    """Pulls of these people that had failed go on after all, as their dead letters were redriven."""
    table = pull_progress.c
    with engine.begin() as connection:
        connection.execute(
            sa.update(pull_progress)
            .where(table.user_id.in_(sorted(user_ids)), table.stage == "failed")
            .values(stage="favorites", error=None, finished_at=None, updated_at=datetime.now(UTC))
        )


def update_progress(engine: sa.Engine, user_id: str, stage: Stage, **values: object) -> bool:
    """Set an open pull's stage, and any of favorites, published, error; the final stages end it.

    `started_at` is set when the neighbors begin. False when no pull of this person is open.
    """
    now = datetime.now(UTC)
    changes: dict[str, object] = {"stage": stage, **values, "updated_at": now}
    if stage in FINAL:
        changes["finished_at"] = now
    if stage == "neighbors":
        changes["started_at"] = sa.func.coalesce(pull_progress.c.started_at, sa.literal(now, UtcDateTime()))
    table = pull_progress.c
    with engine.begin() as connection:
        done = connection.execute(
            sa.update(pull_progress).where(table.user_id == user_id, table.stage.not_in(FINAL)).values(**changes)
        )
    return done.rowcount == 1
