"""Who is at work: each worker and scheduler has a row in SQL that it renews while it lives.

A process that was killed renews nothing, and is no longer counted a minute later. It is for people and metrics to look
at; what only one process may do is guarded by leases.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Literal

import sqlalchemy as sa
import structlog

from features.database import workers
from pipelines.upsert import upsert

Kind = Literal["worker", "scheduler"]

RENEW_SECONDS = 15.0
GONE_AFTER = timedelta(minutes=1)
LEAVE_SECONDS = 5.0
"""How long a process that ends waits for a renewal that hangs; its row then runs out by itself."""

logger = structlog.get_logger(__name__)


def new_worker_id() -> str:
    """`host-pid-random`, at most 64 characters: a person can find the process, and no two are alike."""
    return f"{socket.gethostname()[:40]}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


@contextmanager
def present(engine: sa.Engine, kind: Kind) -> Iterator[str]:
    """While the context lasts, this process counts as one of that kind at work; yields its worker id.

    SQL that fails is logged, never raised: being counted is not worth a pull.
    """
    worker_id, started_at, leaving = new_worker_id(), datetime.now(UTC), threading.Event()

    def renew() -> None:
        now = datetime.now(UTC)
        row = {"worker_id": worker_id, "kind": kind, "started_at": started_at, "seen_at": now}
        try:
            upsert(engine, workers, [row], key="worker_id")
            _forget(engine, workers.c.seen_at <= now - GONE_AFTER)
        except sa.exc.SQLAlchemyError as error:
            logger.warning("presence_not_renewed", reason=str(error))

    def keep_renewing() -> None:
        while not leaving.wait(RENEW_SECONDS):
            renew()

    renew()
    thread = threading.Thread(target=keep_renewing, name="presence", daemon=True)
    thread.start()
    try:
        yield worker_id
    finally:
        leaving.set()
        thread.join(LEAVE_SECONDS)
        if not thread.is_alive():
            try:
                _forget(engine, workers.c.worker_id == worker_id)
            except sa.exc.SQLAlchemyError as error:
                logger.warning("presence_not_removed", reason=str(error))


def at_work(engine: sa.Engine, now: datetime) -> dict[Kind, int]:
    """How many processes of each kind were seen within the last minute; 0 for a kind of which none was."""
    query = (
        sa.select(workers.c.kind, sa.func.count()).where(workers.c.seen_at > now - GONE_AFTER).group_by(workers.c.kind)
    )
    with engine.connect() as connection:
        seen = {str(kind): int(count) for kind, count in connection.execute(query)}
    return {"worker": seen.get("worker", 0), "scheduler": seen.get("scheduler", 0)}


def _forget(engine: sa.Engine, which: sa.ColumnElement[bool]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(workers).where(which))
