"""The queue as a table of the SQL database: what SQS does, without a server, on SQLite and PostgreSQL.

Each settling statement names the lease's token, so a worker that was too slow can't touch what another has taken over.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa

from features.database import pull_requests
from features.errors import DependencyError, StorageFullError, is_storage_full
from pipelines.queue.messages import (
    DEAD_LETTERS,
    DIED,
    FAILED,
    LONGEST_DELAY,
    MAX_ATTEMPTS,
    MAX_DELIVERIES,
    PUT,
    RECEIVED,
    DeadLetter,
    Death,
    Depth,
    Message,
)
from pipelines.queue.requests import Priority, PullRequest

LOOK_SECONDS = 0.2
"""How often a worker that waits looks; a look is one SELECT through an index."""

MOST_NAMED = 1_000
"""Rows that one statement names: SQLite takes some 32,000 parameters."""

_OPEN = ("waiting", "leased")

_table = pull_requests.c

_Item = TypeVar("_Item")


def _now() -> datetime:
    return datetime.now(UTC)


class SqlQueue:
    """`pipelines.queue.messages.Queue` on the table `pull_requests`.

    Times are those of the processes (`clock`), so their clocks must agree to well under `lease_seconds`.
    """

    def __init__(self, engine: sa.Engine, lease_seconds: float, *, clock: Callable[[], datetime] = _now) -> None:
        self._engine = engine
        self._lease = timedelta(seconds=lease_seconds)
        self._clock = clock

    def put(self, requests: Sequence[PullRequest]) -> None:
        if not requests:
            return
        now = self._clock()
        rows = [
            {
                "priority": int(request.priority),
                "body": request.body(),
                "state": "waiting",
                "visible_at": now,
                "attempts": 0,
                "created_at": now,
            }
            for request in requests
        ]
        with self._transaction() as connection:
            connection.execute(sa.insert(pull_requests), rows)
        for request in requests:
            PUT.labels(request.priority.name.lower()).inc()

    def receive(self, limit: int, wait_seconds: float, among: Collection[Priority] = tuple(Priority)) -> list[Message]:
        deadline = time.monotonic() + wait_seconds
        while True:
            messages = self._receive(limit, among) if self._is_something_there(among) else []
            left = deadline - time.monotonic()
            if messages or left <= 0:
                return messages
            time.sleep(min(LOOK_SECONDS, left))

    def extend(self, messages: Sequence[Message]) -> set[str]:
        lost = {message.receipt for message in messages}
        until = self._clock() + self._lease
        with self._transaction() as connection:
            for held in _held(messages):
                statement = sa.update(pull_requests).where(held).values(state="leased", visible_at=until)
                lost.difference_update(connection.scalars(statement.returning(_table.lease_token)))
        return lost

    def done(self, messages: Sequence[Message]) -> None:
        with self._transaction() as connection:
            for held in _held(messages):
                connection.execute(sa.delete(pull_requests).where(held))

    def retry(self, message: Message, delay_seconds: float) -> None:
        if message.attempts >= MAX_ATTEMPTS:
            self.bury(message, FAILED, Death.ATTEMPTS)
        else:
            self._settle(message, state="waiting", visible_at=self._after(delay_seconds))

    def put_back(self, message: Message, delay_seconds: float = 0.0) -> None:
        attempts = message.attempts - 1
        self._settle(message, state="waiting", visible_at=self._after(delay_seconds), attempts=attempts)

    def bury(self, message: Message, reason: str, kind: Death = Death.FAILED) -> None:
        if self._settle(message, state="dead", reason=reason, buried_at=self._clock()):
            DEAD_LETTERS.labels(kind).inc()

    def depth(self) -> Depth:
        now = self._clock()
        leased = sa.and_(_table.state == "leased", _table.visible_at > now)
        state = sa.case((_table.state == "dead", "dead"), (leased, "leased"), else_="waiting").label("seen")
        query = sa.select(state, _table.priority, sa.func.count(), sa.func.min(_table.created_at))
        with self._reading() as connection:
            rows = connection.execute(query.group_by(state, _table.priority)).all()
        waiting = {Priority(priority): count for seen, priority, count, _ in rows if seen == "waiting"}
        oldest = min((created for seen, _, _, created in rows if seen == "waiting"), default=now)
        return Depth(
            waiting={priority: waiting.get(priority, 0) for priority in Priority},
            leased=sum(count for seen, _, count, _ in rows if seen == "leased"),
            dead=sum(count for seen, _, count, _ in rows if seen == "dead"),
            oldest_seconds=max(0.0, (now - oldest).total_seconds()),
        )

    def dead(self, limit: int) -> list[DeadLetter]:
        query = sa.select(pull_requests).where(_table.state == "dead").order_by(_table.created_at, _table.message_id)
        with self._reading() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return [
            DeadLetter(
                message_id=str(row.message_id),
                body=row.body,
                priority=Priority(row.priority),
                reason=row.reason,
                created_at=row.created_at,
                buried_at=row.buried_at,
            )
            for row in rows
        ]

    def redrive(self, message_ids: Sequence[str] | None = None) -> int:
        now = self._clock()
        fresh = {"state": "waiting", "attempts": 0, "visible_at": now, "created_at": now}
        statement = sa.update(pull_requests).where(_table.state == "dead")
        statement = statement.values(**fresh, reason=None, buried_at=None, lease_token=None)
        if message_ids is None:
            chosen = [statement]
        else:
            numbers = sorted({int(name) for name in message_ids if name.isdecimal()})
            chosen = [statement.where(_table.message_id.in_(some)) for some in _chunks(numbers)]
        with self._transaction() as connection:
            return sum(connection.execute(statement).rowcount for statement in chosen)

    def _is_something_there(self, among: Collection[Priority]) -> bool:
        """Looking takes no write lock, which SQLite has only one of; most looks of an idle worker find nothing."""
        wanted = _table.priority.in_([int(priority) for priority in among])
        due = [sa.exists().where(_table.state == state, _table.visible_at <= self._clock(), wanted) for state in _OPEN]
        with self._reading() as connection:
            return bool(connection.scalar(sa.select(sa.or_(*due))))

    def _receive(self, limit: int, among: Collection[Priority]) -> list[Message]:
        now = self._clock()
        token = sa.literal(uuid.uuid4().hex + ".").concat(sa.cast(_table.message_id, sa.String))
        ran_out = sa.and_(_table.state == "leased", _table.visible_at <= now)
        used_up = _table.attempts >= MAX_DELIVERIES
        wanted = _table.priority.in_([int(priority) for priority in among])
        due = sa.and_(_table.state == "waiting", _table.visible_at <= now, wanted)
        bury = _update(sa.and_(ran_out, used_up)).values(state="dead", reason=DIED, buried_at=now, lease_token=None)
        # The token stays: who is late may still settle what nobody has taken over.
        give_back = _update(sa.and_(ran_out, ~used_up)).values(state="waiting")
        lease = _update(due, limit).values(
            state="leased", lease_token=token, visible_at=now + self._lease, attempts=_table.attempts + 1
        )
        told = (_table.message_id, _table.body, _table.priority, _table.attempts, _table.lease_token)
        with self._transaction() as connection:
            buried = connection.execute(bury).rowcount
            connection.execute(give_back)
            rows = connection.execute(lease.returning(*told)).all()
        DEAD_LETTERS.labels(Death.ATTEMPTS).inc(buried)
        messages = [
            Message(str(row.message_id), row.body, Priority(row.priority), row.attempts, row.lease_token)
            for row in sorted(rows, key=lambda row: (row.priority, row.message_id))
        ]
        for message in messages:
            RECEIVED.labels(message.priority.name.lower()).inc()
        return messages

    def _settle(self, message: Message, **values: object) -> bool:
        """Whether the lease was still ours."""
        statement = sa.update(pull_requests).where(*_held([message])).values(lease_token=None, **values)
        with self._transaction() as connection:
            return connection.execute(statement).rowcount == 1

    def _after(self, delay_seconds: float) -> datetime:
        return self._clock() + timedelta(seconds=min(max(delay_seconds, 0.0), LONGEST_DELAY))

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with self._explained(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._explained(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            address = self._engine.url.render_as_string(hide_password=True)
            if is_storage_full(error):
                raise StorageFullError(f"no space left for the queue at {address}: free some") from error
            raise DependencyError(f"the queue at {address} can't be used: {error}") from error


def _update(condition: sa.ColumnElement[bool], limit: int | None = None) -> sa.Update:
    """An UPDATE of the rows of that condition that nobody else is at, the most urgent and oldest `limit` of them.

    PostgreSQL passes over rows that another worker is about to change; SQLite has one writer at a time, and ignores it.
    """
    rows = sa.select(_table.message_id).where(condition).order_by(_table.priority, _table.message_id).limit(limit)
    # Within the subquery, which PostgreSQL then runs once: sqlite3 begins no transaction for what begins with WITH.
    chosen = rows.with_for_update(skip_locked=True).cte("chosen", nesting=True)
    return sa.update(pull_requests).where(_table.message_id.in_(sa.select(chosen.c.message_id)))


def _held(messages: Sequence[Message]) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions, of a bounded length, for the rows whose lease is one of these messages'. A token is of one row."""
    for some in _chunks(messages):
        ids, tokens = [int(message.message_id) for message in some], [message.receipt for message in some]
        yield sa.and_(_table.state != "dead", _table.message_id.in_(ids), _table.lease_token.in_(tokens))


def _chunks(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    for first in range(0, len(items), MOST_NAMED):
        yield items[first : first + MOST_NAMED]
