"""Talking to SQS: the client, what its errors mean, batches that are retried in part, and the queues of one name.

Apart from `queue_sqs.py`, which gives these calls the meaning of a queue of pulls.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from features.errors import ConfigurationError, DependencyError
from features.settings import PREFIX
from pipelines.queue.messages import MAX_DELIVERIES
from pipelines.queue.requests import Priority

DEAD = "dead"
QUEUES = (*(priority.name.lower() for priority in Priority), DEAD)

MOST_ENTRIES, MOST_BYTES = 10, 256 * 1024
"""Of one batch; the bytes are the most of one message, too."""

LONGEST_POLL = 20
"""Seconds."""

PAUSES = (0.1, 0.5, 2.0)
"""Seconds between the tries of those entries of a batch that SQS itself failed at."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,70}")

Entry = dict[str, Any]


class Sqs:
    """The queues `<name>-<one of QUEUES>`. Opening asks SQS nothing; a call raises ConfigurationError, which names
    the queue, when there is none, and DependencyError when SQS fails."""

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            wanted = "1 to 70 letters, digits, hyphens and underscores"
            raise ConfigurationError(f"{PREFIX}QUEUE_URL='sqs://{name}': the name is {wanted}", field="queue_url")
        self.name = name
        self._client = _client()
        self._urls: dict[str, str] = {}

    def call(self, queue: str, operation: str, **parameters: object) -> Entry:
        """The answer of one operation (its name in boto3) on one queue."""
        name = f"{self.name}-{queue}"
        with _explained(name):
            if queue not in self._urls:
                self._urls[queue] = self._client.get_queue_url(QueueName=name)["QueueUrl"]
            answer: Entry = getattr(self._client, operation)(QueueUrl=self._urls[queue], **parameters)
        return answer

    def batch(self, queue: str, operation: str, entries: Sequence[Entry]) -> set[int]:
        """Send these entries, without `Id`, in tens; the places of those that SQS refuses for good.

        Raises DependencyError when SQS itself fails at some, again and again.
        """
        refused: set[int] = set()
        for batch in _batches([{**entry, "Id": str(place)} for place, entry in enumerate(entries)]):
            pending = {entry["Id"]: entry for entry in batch}
            for pause in (*PAUSES, None):
                failed = self.call(queue, operation, Entries=list(pending.values())).get("Failed", [])
                refused |= {int(one["Id"]) for one in failed if one["SenderFault"]}
                pending = {one["Id"]: pending[one["Id"]] for one in failed if not one["SenderFault"]}
                if not pending:
                    break
                if pause is None:
                    raise DependencyError(f"SQS failed at {len(pending)} entries of {operation}: {failed[0]['Code']}")
                time.sleep(pause)
        return refused

    def send(self, queue: str, entries: Sequence[Entry]) -> None:
        """Send all of them. Raises DependencyError."""
        if refused := self.batch(queue, "send_message_batch", entries):
            raise DependencyError(f"SQS refused {len(refused)} of {len(entries)} messages for {self.name}-{queue}")

    def create(self, lease_seconds: float) -> list[str]:
        """Create the queues that are missing; their full names. What exists is left as it is."""
        created = []
        attributes = {"MessageRetentionPeriod": str(14 * 86_400), "VisibilityTimeout": str(math.ceil(lease_seconds))}
        for queue in (DEAD, *QUEUES[:-1]):  # the others name the dead letters'
            name = f"{self.name}-{queue}"
            with _explained(name):
                try:
                    self._client.get_queue_url(QueueName=name)
                except self._client.exceptions.QueueDoesNotExist:
                    self._client.create_queue(QueueName=name, Attributes=attributes)
                    created.append(name)
            if queue == DEAD:
                asked = self.call(queue, "get_queue_attributes", AttributeNames=["QueueArn"])
                policy = {"deadLetterTargetArn": asked["Attributes"]["QueueArn"], "maxReceiveCount": MAX_DELIVERIES}
                attributes["RedrivePolicy"] = json.dumps(policy)
        return created


def attributes(**texts: str) -> Entry:
    """Message attributes as SQS wants them."""
    return {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}


def attribute(answer: Mapping[str, Any], name: str) -> str | None:
    """That message attribute of a received message."""
    found: str | None = answer.get("MessageAttributes", {}).get(name, {}).get("StringValue")
    return found


def size(entry: Mapping[str, Any]) -> int:
    """Bytes that SQS counts: the body, and of each attribute the name, the type and the value."""
    counted = [entry.get("MessageBody", "")]
    for name, value in entry.get("MessageAttributes", {}).items():
        counted += [name, value["DataType"], value["StringValue"]]
    return sum(len(text.encode()) for text in counted)


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    left = MOST_BYTES
    for entry in entries:
        if batch and (len(batch) == MOST_ENTRIES or size(entry) > left):
            yield batch
            batch, left = [], MOST_BYTES
        batch.append(entry)
        left -= size(entry)
    if batch:
        yield batch


def _client() -> Any:
    """From the environment: region, credentials, `AWS_ENDPOINT_URL_SQS` for an emulator, AWS_MAX_ATTEMPTS."""
    config = Config(
        connect_timeout=5, read_timeout=LONGEST_POLL + 10, max_pool_connections=40, retries={"mode": "standard"}
    )
    try:
        # boto3 itself reads only the second of these; the lake reads both.
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        return boto3.client("sqs", region_name=region, config=config)
    except NoRegionError:
        raise ConfigurationError("the queue is in SQS, but of no region: set AWS_REGION", field="queue_url") from None
    except BotoCoreError as error:
        raise ConfigurationError(f"SQS can't be used: {error}", field="queue_url") from error


@contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code.endswith(("QueueDoesNotExist", "NonExistentQueue")):
            missing = f"there is no queue {name} in SQS: create it by `photo-recommender queue create` or Terraform"
            raise ConfigurationError(missing, field="queue_url") from None
        raise DependencyError(f"SQS does not do its part for the queue {name}: {error}") from error
    except BotoCoreError as error:
        raise DependencyError(f"SQS can't be reached for the queue {name}: {error}") from error
