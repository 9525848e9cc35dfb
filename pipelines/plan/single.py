"""What only one process of several may do at a time: a named lease in SQL, held by whoever does it.

It is renewed while its holder lives and runs out when it dies, so that another takes over, by itself and soon.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from features.database import leases
from pipelines.operation.presence import new_worker_id
from pipelines.upsert import insert

SECONDS = 30.0
"""How long a lease lasts that nobody renews; it is renewed three times in that."""

LEAVE_SECONDS = 5.0
"""How long a process that ends waits for a renewal that hangs; the lease then runs out by itself."""

logger = structlog.get_logger(__name__)


class Lease:
    """A lease that this process got. Safe to share between threads."""

    def __init__(self, engine: sa.Engine, name: str, holder: str, seconds: float, deadline: float) -> None:
        self._engine = engine
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._deadline = deadline

    def held(self) -> bool:
        """Whether it is this process's still: nobody else has it before its own clock says so, too."""
        return time.monotonic() < self._deadline

    def renew(self) -> bool:
        """Hold it for another while; False when another has it. Raises SQLAlchemyError."""
        began = time.monotonic()
        mine = sa.and_(leases.c.name == self._name, leases.c.holder == self._holder)
        until = datetime.now(UTC) + timedelta(seconds=self._seconds)
        with self._engine.begin() as connection:
            renewed = connection.execute(sa.update(leases).where(mine).values(until=until)).rowcount == 1
        self._deadline = began + self._seconds if renewed else began
        return renewed

    def release(self) -> None:
        """Give it up, so that another may have it at once. Raises SQLAlchemyError."""
        self._deadline = time.monotonic()
        mine = sa.and_(leases.c.name == self._name, leases.c.holder == self._holder)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(leases).where(mine))


@contextmanager
def hold(engine: sa.Engine, name: str, stop: threading.Event, *, seconds: float = SECONDS) -> Iterator[Lease | None]:
    """Wait for the lease, keep it renewed while the context lasts, then give it up. None when `stop` was set first.

    Look at `held()` before each thing that only its holder may do: a process that could not renew it has lost it. The
    clocks of the processes must agree to well under `seconds`. SQL that fails is logged, and tried again.
    """
    lease = _wait(engine, name, new_worker_id(), stop, seconds)
    if lease is None:
        yield None
        return
    ended = threading.Event()
    renewal = threading.Thread(target=_keep, args=(lease, name, ended, seconds), name=f"lease-{name}", daemon=True)
    renewal.start()
    try:
        yield lease
    finally:
        ended.set()
        renewal.join(LEAVE_SECONDS)
        try:
            lease.release()
        except sa.exc.SQLAlchemyError as error:
            logger.warning("lease_not_released", name=name, reason=str(error))


def _wait(engine: sa.Engine, name: str, holder: str, stop: threading.Event, seconds: float) -> Lease | None:
    while not stop.is_set():
        began, pause = time.monotonic(), seconds / 3
        try:
            free_in = _take(engine, name, holder, seconds)
            if free_in is None:
                return Lease(engine, name, holder, seconds, began + seconds)
            pause = min(pause, free_in)
        except sa.exc.SQLAlchemyError as error:
            logger.warning("lease_not_asked_for", name=name, reason=str(error))
        stop.wait(max(pause, 0.05))
    return None


def _take(engine: sa.Engine, name: str, holder: str, seconds: float) -> float | None:
    """Take the lease if it is free: None; else in how many seconds it may be."""
    now = datetime.now(UTC)
    statement = insert(engine, leases).values(name=name, holder=holder, until=now + timedelta(seconds=seconds))
    changed = {column: statement.excluded[column] for column in ("holder", "until")}
    with engine.begin() as connection:
        taken = connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name"], set_=changed, where=leases.c.until <= now
            ).returning(leases.c.holder)
        ).scalar()
        if taken is not None:
            return None
        until = connection.execute(sa.select(leases.c.until).where(leases.c.name == name)).scalar()
    return 0.0 if until is None else (until - now).total_seconds()


def _keep(lease: Lease, name: str, ended: threading.Event, seconds: float) -> None:
    while not ended.wait(seconds / 3):
        try:
            if not lease.renew():
                logger.warning("lease_lost", name=name)
                return
        except sa.exc.SQLAlchemyError as error:
            logger.warning("lease_not_renewed", name=name, reason=str(error))
