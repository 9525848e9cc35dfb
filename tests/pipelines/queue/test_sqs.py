"""Talking to SQS: what its failures mean to an operator, and that a batch that fails in part is sent again in part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ConfigurationError, DependencyError
from pipelines.queue import sqs_calls as calls
from pipelines.queue.requests import Kind, Priority, PullRequest
from pipelines.queue.sqs_queue import SqsQueue

LEASE = 1


def test_sqs_that_does_not_answer_is_said_not_to(
    aws: str, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(DependencyError, match="can't be reached for the queue pulls-person"):
        SqsQueue("pulls", LEASE).receive(1, 0.0)


def test_a_missing_queue_is_named_with_how_to_create_it(aws: str) -> None:
    request = PullRequest(user_id="a", kind=Kind.FAVORITES, reason="test", priority=Priority.NEIGHBOR)
    with pytest.raises(ConfigurationError, match=r"nowhere-neighbor .*photo-recommender queue create") as error:
        SqsQueue("nowhere", LEASE).put([request])
    assert error.value.field == "queue_url"


def test_a_queue_that_was_deleted_meanwhile_is_named(sqs: str) -> None:
    name = sqs.removeprefix("sqs://")
    queue = SqsQueue(name, LEASE)
    assert queue.receive(1, 0.0) == []
    client = boto3.client("sqs")
    client.delete_queue(QueueUrl=client.get_queue_url(QueueName=f"{name}-person")["QueueUrl"])
    with pytest.raises(ConfigurationError, match=f"{name}-person"):
        queue.receive(1, 0.0)


def test_sqs_wants_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        SqsQueue("pulls", LEASE)


class FailingSqs(calls.Sqs):
    """Fails at every second entry of a batch, the first `times` times that it is asked."""

    def __init__(self, times: int, sender_fault: bool = False) -> None:
        super().__init__("pulls")
        self.times, self.sender_fault = times, sender_fault
        self.kept: list[str] = []

    def call(self, queue: str, operation: str, **parameters: Any) -> dict[str, Any]:
        entries = parameters["Entries"]
        fails = entries[::2] if self.times else []
        self.times -= bool(fails)
        self.kept += [entry["MessageBody"] for entry in entries if entry not in fails]
        return {"Failed": [{"Id": one["Id"], "SenderFault": self.sender_fault, "Code": "Oops"} for one in fails]}


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch, aws: str) -> None:
    monkeypatch.setattr(calls, "PAUSES", (0.0, 0.0))


def test_what_sqs_failed_at_is_sent_again_and_nothing_else(no_pauses: None) -> None:
    failing = FailingSqs(2)
    failing.send("person", [{"MessageBody": str(number)} for number in range(25)])
    assert sorted(map(int, failing.kept)) == [*range(25)]


def test_what_sqs_goes_on_failing_at_is_an_error(no_pauses: None) -> None:
    with pytest.raises(DependencyError, match="1 entries of send_message_batch: Oops"):
        FailingSqs(3).send("person", [{"MessageBody": "a"}])


def test_what_sqs_refuses_is_not_sent_again(no_pauses: None) -> None:
    refusing = FailingSqs(1, sender_fault=True)
    with pytest.raises(DependencyError, match="refused 2 of 3 messages for pulls-person"):
        refusing.send("person", [{"MessageBody": body} for body in "abc"])
    assert refusing.kept == ["b"]


@given(st.lists(st.sampled_from(["", "x", "é" * 50_000, "x" * 130_000, "x" * calls.MOST_BYTES]), max_size=40))
def test_batches_are_as_large_as_sqs_takes_and_lose_nothing(bodies: list[str]) -> None:
    batches = list(calls._batches([{"MessageBody": body} for body in bodies]))
    assert [entry["MessageBody"] for batch in batches for entry in batch] == bodies
    for batch in batches:
        assert 1 <= len(batch) <= 10
        assert sum(map(calls.size, batch)) <= calls.MOST_BYTES
