"""The queue of pulls, in SQL and on SQS: what is put comes out, in order, once, and after its delay."""

from __future__ import annotations

import threading
import time

from pipelines.queue.messages import LONGEST_DELAY, MAX_ATTEMPTS, Queue
from pipelines.queue.requests import Priority, PullRequest
from tests.pipelines.queue.conftest import NOTHING_WAITS, Backend, put, receive_one, request_of, users


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
