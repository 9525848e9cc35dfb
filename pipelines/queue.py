"""The queue of pulls: requests in SQL that a worker leases, and that come back when it dies.

A request is worked on by whoever holds its lease; every statement that ends or extends one names the lease's token, so
a worker that was too slow cannot touch what another one has taken over.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from features.database import pull_requests
from pipelines.upsert import insert

MAX_ATTEMPTS = 5
"""A request that was started this often and never finished is dead: it may be what kills the workers."""

FIRST_DELAY, LONGEST_DELAY = timedelta(seconds=5), timedelta(minutes=10)

OPEN = ("waiting", "leased")

KIND_PERSON = "person"
"""Favorites and contacts of one user, then the favorites of the neighbors."""

# Lower is sooner: who is signed in and waits goes first; pulls that anonymous visitors ask for come last.
PRIORITY_PERSON, PRIORITY_REFRESH, PRIORITY_ANONYMOUS = 0, 10, 20


@dataclass(frozen=True)
class Lease:
    """The right to work on one request until `until`."""

    request_id: int
    user_id: str
    kind: str
    reason: str
    attempts: int
    token: str
    until: datetime


def put(
    engine: sa.Engine,
    user_id: str,
    *,
    kind: str = KIND_PERSON,
    reason: str = "asked",
    priority: int = PRIORITY_PERSON,
) -> int:
    """Ask for a pull; its number. While one of that user and kind is open: that one, made more urgent if need be."""
    table = pull_requests.c
    same = sa.and_(table.user_id == user_id, table.kind == kind, table.state.in_(OPEN))
    statement = insert(engine, pull_requests).values(
        user_id=user_id,
        kind=kind,
        reason=reason,
        priority=priority,
        state="waiting",
        attempts=0,
        created_at=datetime.now(UTC),
    )
    while True:
        with engine.begin() as connection:
            made = connection.execute(statement.on_conflict_do_nothing().returning(table.request_id)).scalar()
            if made is not None:
                return int(made)
            urgent = sa.case((table.priority > priority, priority), else_=table.priority)
            found = connection.execute(
                sa.update(pull_requests).where(same).values(priority=urgent).returning(table.request_id)
            ).scalar()
            if found is not None:
                return int(found)
        # The open request ended between the two statements: ask again.


def lease(engine: sa.Engine, seconds: float, *, now: datetime | None = None) -> Lease | None:
    """The most urgent, oldest request that waits or whose lease ran out, leased for that long; None when there is none.

    A request whose last attempt ran out becomes dead instead of being handed out again.
    """
    now = now or datetime.now(UTC)
    table = pull_requests.c
    free = sa.or_(
        sa.and_(table.state == "waiting", sa.or_(table.leased_until.is_(None), table.leased_until <= now)),
        sa.and_(table.state == "leased", table.leased_until <= now),
    )
    ready = sa.and_(free, table.attempts < MAX_ATTEMPTS)
    chosen = (
        sa.select(table.request_id)
        .where(ready)
        .order_by(table.priority, table.request_id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    token, until = uuid.uuid4().hex, now + timedelta(seconds=seconds)
    exhausted = sa.and_(table.state == "leased", table.leased_until <= now, table.attempts >= MAX_ATTEMPTS)
    with engine.connect() as connection:
        # Looking takes no write lock; most looks of an idle worker find nothing.
        if not connection.scalar(sa.select(sa.exists().where(sa.or_(ready, exhausted)))):
            return None
    with engine.begin() as connection:
        connection.execute(
            sa.update(pull_requests)
            .where(exhausted)
            .values(state="dead", error="its worker died or hung at every attempt", finished_at=now, lease_token=None)
        )
        row = (
            connection.execute(
                sa.update(pull_requests)
                .where(table.request_id == chosen, ready)
                .values(state="leased", lease_token=token, leased_until=until, attempts=table.attempts + 1)
                .returning(table.request_id, table.user_id, table.kind, table.reason, table.attempts)
            )
            .mappings()
            .first()
        )
    return None if row is None else Lease(token=token, until=until, **row)


def extend(engine: sa.Engine, held: Lease, seconds: float, *, now: datetime | None = None) -> bool:
    """Hold the request that much longer from now; False when the lease was lost (stop working on it)."""
    return _settle(engine, held, leased_until=(now or datetime.now(UTC)) + timedelta(seconds=seconds))


def done(engine: sa.Engine, held: Lease) -> bool:
    """The request is fulfilled; False when the lease was lost."""
    return _settle(engine, held, state="done", lease_token=None, error=None, finished_at=datetime.now(UTC))


def release(engine: sa.Engine, held: Lease, *, until: datetime | None = None) -> bool:
    """Give the request back unharmed: it waits, until `until` at the least, and this attempt does not count.

    For a worker that is asked to stop, or that lacks what no request can help.
    """
    attempts = sa.case((pull_requests.c.attempts > 0, pull_requests.c.attempts - 1), else_=0)
    return _settle(engine, held, state="waiting", lease_token=None, leased_until=until, attempts=attempts)


def fail(engine: sa.Engine, held: Lease, error: str, *, permanent: bool = False, now: datetime | None = None) -> bool:
    """The attempt failed: the request waits, longer each time, or is dead when it was the last or can never succeed."""
    now = now or datetime.now(UTC)
    if permanent or held.attempts >= MAX_ATTEMPTS:
        return _settle(engine, held, state="dead", lease_token=None, error=error, finished_at=now)
    delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (held.attempts - 1))
    return _settle(engine, held, state="waiting", lease_token=None, error=error, leased_until=now + delay)


def counts(engine: sa.Engine) -> dict[str, int]:
    """How many requests are in each state."""
    query = sa.select(pull_requests.c.state, sa.func.count()).group_by(pull_requests.c.state)
    with engine.connect() as connection:
        return {str(state): int(count) for state, count in connection.execute(query)}


def _settle(engine: sa.Engine, held: Lease, **values: object) -> bool:
    table = pull_requests.c
    with engine.begin() as connection:
        result = connection.execute(
            sa.update(pull_requests)
            .where(table.request_id == held.request_id, table.state == "leased", table.lease_token == held.token)
            .values(**values)
        )
    return result.rowcount == 1
