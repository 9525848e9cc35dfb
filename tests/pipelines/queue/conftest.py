"""The queue in SQL and on SQS behind one name, and what a test of either puts into it and takes out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import boto3
import pytest
import sqlalchemy as sa

from features.database import pull_requests
from features.settings import Settings
from pipelines.queue import sqs_queue as queue_sqs
from pipelines.queue.messages import Message, Queue
from pipelines.queue.requests import Kind, Priority, PullRequest
from pipelines.queue.sql_queue import SqlQueue
from pipelines.queue.sqs_queue import SqsQueue

LEASE, SHORT_LEASE = 60, 2
NOTHING_WAITS = dict.fromkeys(Priority, 0)


@dataclass
class Clock:
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Backend:
    """A queue, and what only its backend can do: pass time, take any text, and be opened by another process."""

    queue: Queue
    hasty: Queue
    """The same with SHORT_LEASE: SQS can't be told what time it is."""
    settings: Settings
    pass_time: Callable[[float], None]
    run_out: Callable[[Message], None]
    """The lease ends here and now, its holder dead."""
    put_raw: Callable[[str], None]


@pytest.fixture
def sql_backend(settings: Settings, engine: sa.Engine) -> Backend:
    clock = Clock()

    def put_raw(body: str) -> None:
        row = {"priority": 2, "body": body, "state": "waiting", "visible_at": clock.now, "created_at": clock.now}
        with engine.begin() as connection:
            connection.execute(sa.insert(pull_requests), row)

    return Backend(
        SqlQueue(engine, LEASE, clock=clock),
        SqlQueue(engine, SHORT_LEASE, clock=clock),
        settings.model_copy(update={"lease_seconds": SHORT_LEASE}),
        clock.advance,
        lambda _: clock.advance(LEASE),
        put_raw,
    )


@pytest.fixture
def sqs_backend(settings: Settings, sqs: str, monkeypatch: pytest.MonkeyPatch) -> Backend:
    client = boto3.client("sqs")
    name = sqs.removeprefix("sqs://")

    def url(priority: Priority) -> str:
        return str(client.get_queue_url(QueueName=f"{name}-{priority.name.lower()}")["QueueUrl"])

    def run_out(message: Message) -> None:
        handle = message.receipt.split()[1]
        client.change_message_visibility(QueueUrl=url(message.priority), ReceiptHandle=handle, VisibilityTimeout=0)

    # The emulator has one server: a short poll finds everything.
    monkeypatch.setattr(queue_sqs, "DEAD_POLL", 0)
    return Backend(
        SqsQueue(name, LEASE),
        SqsQueue(name, SHORT_LEASE),
        settings.model_copy(update={"lease_seconds": SHORT_LEASE, "queue_url": sqs}),
        time.sleep,
        run_out,
        lambda body: client.send_message(QueueUrl=url(Priority.REFRESH), MessageBody=body),
    )


@pytest.fixture(params=["sql", "sqs"])
def backend(request: pytest.FixtureRequest) -> Backend:
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


@pytest.fixture
def queue(backend: Backend) -> Queue:
    return backend.queue


def request_of(user_id: str, priority: Priority = Priority.PERSON) -> PullRequest:
    return PullRequest(user_id=user_id, kind=Kind.FAVORITES, reason="test", priority=priority)


def put(queue: Queue, *user_ids: str, priority: Priority = Priority.PERSON) -> None:
    queue.put([request_of(user_id, priority) for user_id in user_ids])


def users(messages: Sequence[Message]) -> list[str]:
    return [PullRequest.parse(message.body).user_id for message in messages]


def receive_one(queue: Queue) -> Message:
    (message,) = queue.receive(1, 0.0)
    return message
