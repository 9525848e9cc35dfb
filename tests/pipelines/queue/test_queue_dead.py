"""Dead letters: what is buried, for which reason, and how it is redriven."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from features.errors import InvalidInputError
from pipelines.queue.messages import DEAD_LETTERS, DIED, FAILED, MAX_ATTEMPTS, MAX_DELIVERIES, Death, Queue
from pipelines.queue.requests import Priority, PullRequest
from tests.pipelines.queue.conftest import Backend, put, receive_one, users


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
