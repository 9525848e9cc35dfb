"""How far the pull of one user is: written by the worker as parts arrive, read by the website.

One row a user in `pull_progress`; what still waits in the queue shows as `queued`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from features.database import pull_progress, pull_requests
from pipelines.upsert import upsert

Stage = Literal["unknown", "queued", "favorites", "contacts", "neighbors", "done", "failed"]
FINAL: tuple[Stage, ...] = ("done", "failed")


@dataclass(frozen=True)
class Progress:
    """`finished` of `made` parts are done (users whose favorites are pulled), `favorites` of the user are known.

    `coverage`: the share of the user's neighbors whose favorites are in the lake. `eta_seconds`: None when unknown.
    """

    user_id: str
    stage: Stage
    made: int
    finished: int
    favorites: int
    coverage: float
    eta_seconds: float | None
    error: str | None


def read_progress(engine: sa.Engine, user_id: str, *, now: datetime | None = None) -> Progress:
    """The user's newest pull: an open request that no worker took yet is `queued`; without any, `unknown`."""
    request = (
        sa.select(pull_requests.c.state, pull_requests.c.error, pull_requests.c.created_at, pull_requests.c.finished_at)
        .where(pull_requests.c.user_id == user_id)
        .order_by(pull_requests.c.request_id.desc())
        .limit(1)
    )
    with engine.connect() as connection:
        row = connection.execute(sa.select(pull_progress).where(pull_progress.c.user_id == user_id)).mappings().first()
        newest = connection.execute(request).mappings().first()
    state = None if newest is None else newest["state"]
    if newest is not None and state == "dead" and (row is None or row["updated_at"] <= newest["finished_at"]):
        return Progress(user_id, "failed", 0, 0, 0, 0.0, 0.0, newest["error"])
    if row is None:
        return Progress(user_id, "queued" if state in ("waiting", "leased") else "unknown", 0, 0, 0, 0.0, None, None)
    queued = state == "waiting"
    if newest is not None and state == "leased" and row["stage"] in FINAL:
        # The row tells of an earlier pull, as the worker has not come to its first line yet; unless this very pull is
        # done and only the request has not been closed.
        queued = row["stage"] == "failed" or row["finished_at"] < newest["created_at"]
    stage: Stage = "queued" if queued else row["stage"]
    return Progress(
        user_id=user_id,
        stage=stage,
        made=row["made"],
        finished=row["finished"],
        favorites=row["favorites"],
        coverage=row["coverage"],
        eta_seconds=_eta(stage, row, now or datetime.now(UTC)),
        error=row["error"] if stage == "failed" else None,
    )


def _eta(stage: Stage, row: Any, now: datetime) -> float | None:
    if stage in FINAL:
        return 0.0
    if stage != "neighbors" or row["started_at"] is None or not row["finished"]:
        return None
    per_part = (now - row["started_at"]).total_seconds() / row["finished"]
    return round(float(per_part * (row["made"] - row["finished"])), 1)


def start_progress(engine: sa.Engine, user_id: str) -> None:
    """A pull begins: whatever an earlier one left is forgotten, but for the coverage that still holds."""
    now = datetime.now(UTC)
    _write(
        engine,
        user_id,
        {
            "stage": "favorites",
            "made": 0,
            "finished": 0,
            "favorites": 0,
            "error": None,
            "started_at": now,
            "finished_at": None,
        },
    )


def update_progress(engine: sa.Engine, user_id: str, stage: Stage, **values: int | float | str | None) -> None:
    """Set the stage and any of made, finished, favorites, coverage, error; the final stages end the pull."""
    ended = {"finished_at": datetime.now(UTC)} if stage in FINAL else {}
    _write(engine, user_id, {"stage": stage, **values, **ended})


def _write(engine: sa.Engine, user_id: str, values: dict[str, Any]) -> None:
    row = {"user_id": user_id, **values, "updated_at": datetime.now(UTC)}
    upsert(engine, pull_progress, [row], key="user_id")
