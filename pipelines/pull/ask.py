"""Asking for pulls: from the website, the planner, the command line and the worker itself, each request once.

`pull_asked` remembers what is open. It counts as open only when its message is out: a kill in between makes a second
message, which finds everything fresh, and never none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
import structlog

from features.database import pull_asked
from pipelines.pull.progress import open_progress
from pipelines.queue.messages import Queue
from pipelines.queue.requests import Kind, Priority, PullRequest, new_correlation_id
from pipelines.upsert import insert

FORGOTTEN = timedelta(hours=1)
"""A request that is open for so long may be asked for again: its message may be lost."""

_AT_ONCE = 500

logger = structlog.get_logger(__name__)


def ask(engine: sa.Engine, queue: Queue, requests: Sequence[PullRequest]) -> int:
    """Put those of the requests that are not open already, or only less urgently; how many."""
    now = datetime.now(UTC)
    unique: dict[tuple[str, Kind], PullRequest] = {}
    for request in sorted(requests, key=lambda request: request.priority):
        unique.setdefault((request.user_id, request.kind), request)
    open_requests = _open(engine, [user_id for user_id, _ in unique], now)
    new = [request for key, request in unique.items() if open_requests.get(key, len(Priority)) > request.priority]
    if not new:
        return 0
    # Noted as long forgotten until the message is out: who is killed in between has made nobody wait for a message that
    # is none, and a worker that is done with it before we note it finds something to delete.
    stamp = now - FORGOTTEN
    rows = [{"user_id": r.user_id, "kind": str(r.kind), "priority": int(r.priority), "asked_at": stamp} for r in new]
    statement = insert(engine, pull_asked)
    changed = {name: statement.excluded[name] for name in ("priority", "asked_at")}
    with engine.begin() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["user_id", "kind"], set_=changed), rows)
    queue.put(new)
    table, user_ids = pull_asked.c, sorted({request.user_id for request in new})
    with engine.begin() as connection:
        for begin in range(0, len(user_ids), _AT_ONCE):
            noted = table.asked_at == stamp, table.user_id.in_(user_ids[begin : begin + _AT_ONCE])
            connection.execute(sa.update(pull_asked).where(*noted).values(asked_at=now))
    return len(new)


def open_kinds(engine: sa.Engine, user_id: str) -> set[Kind]:
    """What is asked for of the user's own, the neighbors aside, and not settled yet."""
    return {kind for _, kind in _open(engine, [user_id], datetime.now(UTC)) if kind is not Kind.NEIGHBORS}


def settle(engine: sa.Engine, requests: Iterable[PullRequest]) -> None:
    """These are open no more."""
    keys = {(request.user_id, str(request.kind)) for request in requests}
    table = pull_asked.c
    with engine.begin() as connection:
        for user_id, kind in sorted(keys):
            connection.execute(sa.delete(pull_asked).where(table.user_id == user_id, table.kind == kind))


def ask_for_person(
    engine: sa.Engine,
    queue: Queue,
    user_id: str,
    *,
    reason: str,
    priority: Priority = Priority.PERSON,
    neighbors: bool = True,
    correlation_id: str = "",
) -> None:
    """Ask for all that somebody's wall is made of: favorites and contacts, and (`neighbors`) what the neighbors favor.

    The worker asks for the neighbors once it knows them. Asking while a pull is open makes it more urgent at most.
    `correlation_id`: "" makes one.
    """
    correlation_id = correlation_id or new_correlation_id()
    logger.info("pull_asked", user_id=user_id, reason=reason, priority=priority.name.lower())
    open_progress(engine, user_id, priority=priority, neighbors=neighbors, correlation_id=correlation_id)
    requests = [
        PullRequest(user_id=user_id, kind=kind, reason=reason, priority=priority, correlation_id=correlation_id)
        for kind in (Kind.FAVORITES, Kind.CONTACTS)
    ]
    ask(engine, queue, requests)


def _open(engine: sa.Engine, user_ids: Sequence[str], now: datetime) -> dict[tuple[str, Kind], int]:
    """The priority of each open request of these users."""
    table = pull_asked.c
    found: dict[tuple[str, Kind], int] = {}
    with engine.connect() as connection:
        for begin in range(0, len(user_ids), _AT_ONCE):
            some = user_ids[begin : begin + _AT_ONCE]
            query = sa.select(table.user_id, table.kind, table.priority).where(
                table.user_id.in_(some), table.asked_at > now - FORGOTTEN
            )
            found.update({(user_id, Kind(kind)): priority for user_id, kind, priority in connection.execute(query)})
    return found
