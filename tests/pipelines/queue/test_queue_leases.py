"""Leases: one worker at a time has a message, from whichever process, and none is lost with its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import sqlalchemy as sa

from features.settings import Settings
from pipelines.queue.messages import Message, Queue
from pipelines.queue.sql_queue import SqlQueue
from tests.pipelines.queue.conftest import LEASE, NOTHING_WAITS, SHORT_LEASE, Backend, put, receive_one, users


def test_a_leased_message_is_nobody_elses(queue: Queue) -> None:
    put(queue, "a", "b")
    first = queue.receive(1, 0.0)
    assert sorted(users(first + queue.receive(10, 0.0))) == ["a", "b"]
    assert queue.receive(10, 0.0) == []


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
