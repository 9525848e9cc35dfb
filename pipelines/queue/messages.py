"""The queue of pulls as workers see it: leased messages that come back when their worker dies. Two backends, alike.

`queue_sql.py` is a table of the SQL database; `queue_sqs.py` is SQS. Bodies are opaque here: `requests.py` reads them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import sqlalchemy as sa
from prometheus_client import Counter

from features.errors import ConfigurationError
from features.settings import PREFIX, Settings
from pipelines.queue.requests import Priority, PullRequest

SQS_SCHEME = "sqs://"

MAX_ATTEMPTS = 5
"""A message that was received this often and never settled is given up: it may be what kills the workers."""

MAX_DELIVERIES = MAX_ATTEMPTS + 1
"""It is delivered once more, for a worker to give it up so that nobody waits for it; then the queue buries it."""

LONGEST_DELAY = 900.0
"""Seconds; a longer delay is shortened to it. SQS knows no longer one."""

DIED = "its worker died or hung at every attempt"
FAILED = "it failed at every attempt"

DEAD_LETTERS = Counter("photo_recommender_dead_letters_total", "Messages that were buried.", ["reason_kind"])
PUT = Counter("photo_recommender_queue_put_total", "Messages put into the queue.", ["priority"])
RECEIVED = Counter("photo_recommender_queue_received_total", "Messages received, redelivered ones too.", ["priority"])


class Death(StrEnum):
    """What kind of reason a message was buried for: the label of the metric."""

    POISON = "poison"
    """It can't be understood, by nobody and never."""
    ATTEMPTS = "attempts"
    """MAX_ATTEMPTS are used up."""
    FAILED = "failed"
    """What it asks for can't be done."""


@dataclass(frozen=True)
class Message:
    """A message that this process holds the lease of, until it is settled or the lease runs out.

    `attempts`: how often it was received, this time included. `receipt` names the lease, not the message. `message_id`
    stays the same through redelivery and `retry`; `put_back` and `redrive` may give a new one.
    """

    message_id: str
    body: str
    priority: Priority
    attempts: int
    receipt: str


@dataclass(frozen=True)
class DeadLetter:
    """A message that nobody works on any more, and why.

    `buried_at` is `created_at` where the backend does not know it: SQS buries by itself, and does not say when.
    """

    message_id: str
    body: str
    priority: Priority
    reason: str
    created_at: datetime
    buried_at: datetime


@dataclass(frozen=True)
class Depth:
    """How many messages wait (those delayed included), by priority; are leased; are dead; and the oldest's age.

    `oldest_seconds`: since the oldest waiting message was put, 0.0 when none waits, None where the backend can't tell.
    SQS's numbers are approximate, and count a message that waits after `retry` as leased.
    """

    waiting: Mapping[Priority, int]
    leased: int
    dead: int
    oldest_seconds: float | None


class Queue(Protocol):
    """Safe to share between threads. Every method raises DependencyError when the backend can't be reached.

    A message is delivered at least once: whoever receives one must be able to do it twice. Who lost the lease settles
    nothing: `done`, `retry`, `put_back` and `bury` then leave the message to whoever has it now.
    """

    def put(self, requests: Sequence[PullRequest]) -> None:
        """Add a message each; all that this returns for are kept."""
        ...

    def receive(self, limit: int, wait_seconds: float, among: Collection[Priority] = tuple(Priority)) -> list[Message]:
        """Lease up to `limit` messages, the most urgent first, waiting for the first at most `wait_seconds`.

        Only those of the priorities `among`: what can't be worked on now is better left where it is.
        The lease lasts `lease_seconds` of the settings. Messages whose attempts are used up are buried on the way. 0.0
        looks once and never waits.
        """
        ...

    def extend(self, messages: Sequence[Message]) -> set[str]:
        """Lease these for another `lease_seconds` from now; the receipts of those whose lease was lost."""
        ...

    def done(self, messages: Sequence[Message]) -> None:
        """Acknowledge: these are never delivered again (unless their lease was lost)."""
        ...

    def retry(self, message: Message, delay_seconds: float) -> None:
        """The attempt failed: deliver it again after the delay (at most LONGEST_DELAY); after the last, bury it."""
        ...

    def put_back(self, message: Message, delay_seconds: float = 0.0) -> None:
        """Give it back unharmed, for later: the attempt does not count. The delay is at most LONGEST_DELAY."""
        ...

    def bury(self, message: Message, reason: str, kind: Death = Death.FAILED) -> None:
        """Move it to the dead letters, with the reason; `kind` is for the metric."""
        ...

    def depth(self) -> Depth: ...

    def dead(self, limit: int) -> list[DeadLetter]:
        """The dead letters, oldest first; reading leaves them where they are."""
        ...

    def redrive(self, message_ids: Sequence[str] | None = None) -> int:
        """Make dead letters (all of them by default) wait again, as if they were put now; how many.

        Ids that no dead letter has are passed over.
        """
        ...


def open_queue(settings: Settings, engine: sa.Engine) -> Queue:
    """The queue that the settings name. Raises ConfigurationError, DependencyError."""
    address = settings.queue_url
    if not address:
        from pipelines.queue.sql_queue import SqlQueue

        return SqlQueue(engine, settings.lease_seconds)
    if address.startswith(SQS_SCHEME):
        from pipelines.queue.sqs_queue import SqsQueue

        return SqsQueue(address.removeprefix(SQS_SCHEME), settings.lease_seconds)
    raise ConfigurationError(
        f"{PREFIX}QUEUE_URL={address!r}: neither sqs://name nor empty (a table of the SQL database)", field="queue_url"
    )
