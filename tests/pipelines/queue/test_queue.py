"""The queue of pulls, in SQL and on SQS: one worker at a time has a message, and none is lost with its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import boto3
import pytest
import sqlalchemy as sa

from features.database import pull_requests
from features.errors import ConfigurationError, DependencyError, InvalidInputError, StorageFullError
from features.settings import Settings
from pipelines.queue import sqs_queue as queue_sqs
from pipelines.queue.messages import (
    DEAD_LETTERS,
    DIED,
    FAILED,
    LONGEST_DELAY,
    MAX_ATTEMPTS,
    MAX_DELIVERIES,
    Death,
    Message,
    Queue,
    open_queue,
)
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


def test_a_message_says_what_was_asked_for(queue: Queue) -> None:
    asked = request_of("Ω 12037949754@N01", Priority.REFRESH)
    queue.put([asked])
    message = receive_one(queue)
    assert PullRequest.parse(message.body) == asked
    assert (message.priority, message.attempts) == (Priority.REFRESH, 1)


def test_the_most_urgent_message_comes_first_then_the_oldest(queue: Queue) -> None:
    for user_id, priority in [("a", 2), ("b", 0), ("c", 3), ("d", 1), ("e", 2), ("f", 0)]:
        put(queue, user_id, priority=Priority(priority))
    assert users(queue.receive(4, 0.0)) == ["b", "f", "d", "a"]
    assert users(queue.receive(4, 0.0)) == ["e", "c"]


def test_an_empty_queue_is_looked_at_once_or_waited_for(queue: Queue) -> None:
    queue.put([])
    begun = time.monotonic()
    assert queue.receive(10, 0.0) == []
    at_once = time.monotonic()
    assert queue.receive(10, 1.0) == []
    assert at_once - begun < 0.5
    assert 0.9 < time.monotonic() - at_once < 3.0


def test_who_waits_gets_a_message_soon_after_it_was_put(queue: Queue) -> None:
    later = threading.Timer(0.2, put, (queue, "a"))
    later.start()
    begun = time.monotonic()
    assert users(queue.receive(10, 15.0)) == ["a"]
    assert time.monotonic() - begun < 5.0
    later.join()


def test_a_leased_message_is_nobody_elses(queue: Queue) -> None:
    put(queue, "a", "b")
    first = queue.receive(1, 0.0)
    assert sorted(users(first + queue.receive(10, 0.0))) == ["a", "b"]
    assert queue.receive(10, 0.0) == []


def test_many_messages_are_put_received_extended_and_done_at_once(queue: Queue) -> None:
    names = [f"user {number}" for number in range(25)]
    put(queue, *names)
    messages = queue.receive(23, 0.0)
    assert len(messages) == 23
    messages += queue.receive(23, 0.0)
    assert sorted(users(messages)) == sorted(names)
    assert len({message.receipt for message in messages}) == 25
    assert queue.extend(messages) == set()
    queue.done(messages)
    depth = queue.depth()
    assert (depth.waiting, depth.leased, depth.dead) == (NOTHING_WAITS, 0, 0)


def test_what_is_done_never_comes_back(backend: Backend, queue: Queue) -> None:
    put(queue, "a", "b", "c")
    done, *others = queue.receive(3, 0.0)
    queue.done([done])
    for message in others:
        backend.run_out(message)
    again = queue.receive(3, 0.0)
    assert sorted(users(again)) == sorted(users(others))
    assert [message.attempts for message in again] == [2, 2]
    assert {message.message_id for message in again} == {message.message_id for message in others}


def test_a_lease_that_is_extended_outlasts_its_seconds(backend: Backend, queue: Queue) -> None:
    put(queue, "a")
    message = receive_one(backend.hasty)
    for _ in range(3):
        backend.pass_time(0.4 * SHORT_LEASE)
        assert queue.receive(1, 0.0) == []
        assert backend.hasty.extend([message]) == set()
    backend.hasty.done([message])
    assert queue.depth().leased == 0


def test_who_lost_the_lease_can_change_nothing(backend: Backend, queue: Queue) -> None:
    hasty = backend.hasty
    settlements: list[Callable[[Message], object]] = [
        lambda message: hasty.retry(message, 0.0),
        lambda message: hasty.put_back(message),
        lambda message: hasty.bury(message, "too late"),
    ]
    if isinstance(hasty, SqlQueue):  # SQS deletes nothing by an old receipt, but its emulator does
        settlements.append(lambda message: hasty.done([message]))
    put(queue, *"abcd")
    lost = hasty.receive(4, 0.0)
    backend.pass_time(1.05 * SHORT_LEASE)
    held = queue.receive(4, 0.0)
    assert sorted(users(held)) == sorted(users(lost)) == [*"abcd"]
    assert hasty.extend(lost) == {message.receipt for message in lost}
    for settle, message in zip(settlements, lost, strict=False):
        settle(message)
    assert queue.receive(4, 0.0) == []
    depth = queue.depth()
    assert (depth.waiting, depth.leased, depth.dead) == (NOTHING_WAITS, 4, 0)
    assert queue.extend(held) == set()


def test_a_message_given_back_waits_and_the_attempt_does_not_count(queue: Queue) -> None:
    put(queue, "a")
    for _ in range(2 * MAX_ATTEMPTS):
        message = receive_one(queue)
        assert message.attempts == 1
        queue.put_back(message)
    assert queue.depth().waiting[Priority.PERSON] == 1


def test_a_failed_attempt_counts_and_giving_back_does_not_forget_it(queue: Queue) -> None:
    put(queue, "a", priority=Priority.NEIGHBOR)
    queue.retry(receive_one(queue), 0.0)
    for _ in range(2):
        message = receive_one(queue)
        assert (message.attempts, message.priority) == (2, Priority.NEIGHBOR)
        queue.put_back(message)
    queue.retry(receive_one(queue), 0.0)
    assert receive_one(queue).attempts == 3


def test_a_message_waits_for_its_delay(backend: Backend, queue: Queue) -> None:
    put(queue, "a", "b")
    first, second = queue.receive(2, 0.0)
    queue.retry(first, 2.0)
    queue.put_back(second, 2.0)
    assert queue.receive(2, 0.0) == []
    backend.pass_time(2.1)
    assert len(queue.receive(2, 0.0)) == 2


def test_no_delay_is_too_long_to_be_taken(queue: Queue) -> None:
    put(queue, "a", "b")
    first, second = queue.receive(2, 0.0)
    queue.retry(first, 1e6)
    queue.put_back(second, 1e6)
    assert queue.receive(2, 0.0) == []
    depth = queue.depth()
    assert sum(depth.waiting.values()) + depth.leased == 2


def test_a_message_that_kills_every_worker_is_buried(backend: Backend, queue: Queue) -> None:
    put(queue, "a", priority=Priority.NEIGHBOR)
    for attempt in range(1, MAX_DELIVERIES + 1):
        message = receive_one(queue)
        assert message.attempts == attempt
        backend.run_out(message)
    assert queue.receive(1, 0.0) == []
    (letter,) = queue.dead(10)
    assert (letter.reason, letter.priority, letter.body) == (DIED, Priority.NEIGHBOR, message.body)


def test_giving_back_saves_no_message_from_being_buried(backend: Backend, queue: Queue) -> None:
    put(queue, "a")
    for attempt in range(1, MAX_DELIVERIES + 1):
        queue.put_back(receive_one(queue))
        message = receive_one(queue)
        assert message.attempts == attempt
        backend.run_out(message)
    assert queue.receive(1, 0.0) == []
    assert [letter.reason for letter in queue.dead(10)] == [DIED]


def test_a_message_that_fails_at_its_last_attempt_is_buried(queue: Queue) -> None:
    put(queue, "a")
    for _ in range(MAX_ATTEMPTS):
        queue.retry(receive_one(queue), 0.0)
    assert queue.receive(1, 0.0) == []
    assert [letter.reason for letter in queue.dead(10)] == [FAILED]


def test_what_is_buried_keeps_its_reason_until_it_is_redriven(queue: Queue) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    for user_id, priority in [("a", Priority.PERSON), ("b", Priority.NEIGHBOR), ("c", Priority.ANONYMOUS)]:
        put(queue, user_id, priority=priority)
    messages = queue.receive(3, 0.0)
    queue.retry(messages[0], 0.0)
    queue.bury(messages[2], "no such user\x00 “c”")
    queue.bury(messages[1], "private")
    queue.bury(receive_one(queue), "")
    assert queue.receive(3, 0.0) == []
    for _ in range(2):  # reading leaves them
        letters = queue.dead(10)
        assert users(letters) == ["a", "b", "c"]  # type: ignore[arg-type]
        assert letters[2].reason.startswith("no such user")
        assert all(before < letter.created_at <= letter.buried_at <= datetime.now(UTC) for letter in letters)
    assert len(queue.dead(2)) == 2
    assert queue.depth().dead == 3
    assert queue.redrive([letters[1].message_id, "999", "nobody's"]) == 1
    redriven = receive_one(queue)
    assert (users([redriven]), redriven.priority, redriven.attempts) == (["b"], Priority.NEIGHBOR, 1)
    assert queue.redrive() == 2
    assert queue.dead(10) == []
    assert [(message.priority, message.attempts) for message in queue.receive(9, 0.0)] == [(0, 1), (3, 1)]
    assert queue.redrive() == 0


@pytest.mark.parametrize("body", ["not JSON {", '{"kind": "everything"}', "<html>\n☠</html>", "x" * 256 * 1024])
def test_any_text_is_carried_told_apart_buried_and_redriven(backend: Backend, queue: Queue, body: str) -> None:
    backend.put_raw(body)
    message = receive_one(queue)
    assert message.body == body
    with pytest.raises(InvalidInputError) as poison:
        PullRequest.parse(message.body)
    queue.bury(message, poison.value.message, Death.POISON)
    (letter,) = queue.dead(10)
    assert letter.reason == poison.value.message
    assert letter.body == body or (len(body) > len(letter.body) > 250_000 and body.startswith(letter.body))
    assert queue.redrive() == 1
    assert receive_one(queue).body == letter.body


def test_sql_carries_what_is_too_long_for_sqs(sql_backend: Backend) -> None:
    sql_backend.put_raw("x" * 300_000)
    sql_backend.queue.bury(receive_one(sql_backend.queue), "300 kB")
    assert [len(letter.body) for letter in sql_backend.queue.dead(1)] == [300_000]


def test_the_depth_counts_what_waits_is_leased_and_is_dead(backend: Backend, queue: Queue) -> None:
    put(queue, "a", "b", "c", "d")
    put(queue, "e", "f", priority=Priority.ANONYMOUS)
    first, second, _ = queue.receive(3, 0.0)
    queue.put_back(first, 60.0)
    queue.bury(second, "no such user")
    depth = queue.depth()
    assert depth.waiting == {**NOTHING_WAITS, Priority.PERSON: 2, Priority.ANONYMOUS: 2}
    assert (depth.leased, depth.dead) == (1, 1)


def test_sql_knows_how_long_the_oldest_has_waited(sql_backend: Backend) -> None:
    queue = sql_backend.queue
    assert queue.depth().oldest_seconds == 0.0
    put(queue, "a")
    sql_backend.pass_time(30.0)
    put(queue, "b")
    assert queue.depth().oldest_seconds == 30.0
    queue.done([receive_one(queue)])
    assert queue.depth().oldest_seconds == 0.0


def test_sql_shortens_a_delay_to_15_minutes(sql_backend: Backend) -> None:
    queue = sql_backend.queue
    put(queue, "a")
    queue.put_back(receive_one(queue), 1e6)
    sql_backend.pass_time(LONGEST_DELAY - 1)
    assert queue.receive(1, 0.0) == []
    sql_backend.pass_time(1)
    assert users(queue.receive(1, 0.0)) == ["a"]


def test_a_late_worker_still_settles_what_nobody_took_over(sql_backend: Backend) -> None:
    queue = sql_backend.queue
    put(queue, "a", "b")
    late = receive_one(queue)
    sql_backend.pass_time(2 * LEASE)
    other = receive_one(queue)  # gives back what ran out, and takes the oldest
    assert other.message_id == late.message_id
    queue.put_back(other)
    late = receive_one(queue)
    put(queue, "urgent")
    sql_backend.pass_time(2 * LEASE)
    queue.done([late])
    assert sorted(users(queue.receive(9, 0.0))) == ["b", "urgent"]


def test_every_burial_is_counted_by_its_kind(backend: Backend, queue: Queue) -> None:
    def counted() -> dict[Death, float]:
        return {kind: DEAD_LETTERS.labels(kind)._value.get() for kind in Death}

    before = counted()
    put(queue, "a", "b", "c")
    first, second, third = queue.receive(3, 0.0)
    queue.bury(first, "no JSON", Death.POISON)
    queue.bury(second, "private")
    for _ in range(MAX_ATTEMPTS - 1):
        queue.retry(third, 0.0)
        third = receive_one(queue)
    queue.retry(third, 0.0)
    assert {kind: counted()[kind] - before[kind] for kind in Death} == dict.fromkeys(Death, 1.0)


WORKER = """
import sys
from features.database import open_database
from features.settings import get_settings
from pipelines.queue.messages import open_queue
from pipelines.queue.requests import PullRequest
settings = get_settings()
queue = open_queue(settings, open_database(settings.database_url))
messages = queue.receive(2, 0.0)
while messages:
    print(*(PullRequest.parse(message.body).user_id for message in messages), flush=True)
    if "asked" not in globals():
        asked = sys.stdin.readline()
    queue.done(messages)
    messages = queue.receive(2, 0.0)
"""


def start_worker(settings: Settings) -> subprocess.Popen[str]:
    """Another process, which says what it received, and goes on after the first messages when it is told to."""
    return subprocess.Popen(
        [sys.executable, "-c", WORKER],
        env={**os.environ, **settings.environment()},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_received(worker: subprocess.Popen[str]) -> list[str]:
    assert worker.stdout
    return worker.stdout.readline().split()


def test_two_processes_never_get_the_same_message(backend: Backend, queue: Queue) -> None:
    asked = [f"user-{number}" for number in range(40)]
    put(queue, *asked)
    settings = backend.settings.model_copy(update={"lease_seconds": LEASE})
    workers = [start_worker(settings) for _ in range(2)]
    got = [first_received(worker) for worker in workers]
    assert [len(some) for some in got] == [2, 2]
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    got += [worker.communicate(timeout=60)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sorted(name for some in got for name in some) == sorted(asked)
    depth = queue.depth()
    assert (depth.waiting, depth.leased) == (NOTHING_WAITS, 0)


def test_the_messages_of_a_killed_worker_come_back(backend: Backend, queue: Queue, engine: sa.Engine) -> None:
    put(queue, "a", "b")
    with start_worker(backend.settings) as worker:
        assert sorted(first_received(worker)) == ["a", "b"]
        worker.send_signal(signal.SIGKILL)
    assert worker.returncode == -signal.SIGKILL
    if isinstance(queue, SqlQueue):
        queue = SqlQueue(engine, LEASE)  # by the clock that the killed one had
    again: list[Message] = []
    deadline = time.monotonic() + 10
    while len(again) < 2 and time.monotonic() < deadline:
        again += queue.receive(2, 2.0)
    assert sorted(users(again)) == ["a", "b"]
    assert [message.attempts for message in again] == [2, 2]


def test_a_database_that_fails_is_said_to_fail(sql_backend: Backend, engine: sa.Engine) -> None:
    put(sql_backend.queue, "a")
    message = receive_one(sql_backend.queue)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE pull_requests RENAME TO elsewhere"))
    for attempt in (
        lambda: put(sql_backend.queue, "b"),
        lambda: sql_backend.queue.receive(1, 0.0),
        lambda: sql_backend.queue.done([message]),
        lambda: sql_backend.queue.depth(),
    ):
        with pytest.raises(DependencyError, match=r"photo_recommender\.db can't be used"):
            attempt()


def test_a_full_disk_is_told_apart(sql_backend: Backend, engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "begin")
    def allow_no_more_pages(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    with pytest.raises(StorageFullError, match="no space left for the queue"):
        put(sql_backend.queue, *(f"user {number}" for number in range(2_000)))


@pytest.mark.parametrize("address", ["amqp://host", "pulls", "sqs:pulls", "sqs://", "sqs://a/b", "sqs://" + "a" * 71])
def test_an_address_that_names_no_queue_is_refused(settings: Settings, engine: sa.Engine, address: str) -> None:
    with pytest.raises(ConfigurationError, match="PHOTO_RECOMMENDER_QUEUE_URL=") as refused:
        open_queue(settings.model_copy(update={"queue_url": address}), engine)
    assert refused.value.field == "queue_url"
    assert address in refused.value.message


def test_an_empty_address_is_the_table_in_sql(settings: Settings, engine: sa.Engine) -> None:
    assert isinstance(open_queue(settings, engine), SqlQueue)
