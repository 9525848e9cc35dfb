"""What `/api/status` and `/api/sandbox` answer: how fresh things are, what waits, and whom one can try."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from serving.answers import Answer, Person


class ModelStatus(Answer):
    """`retrieval`: how the best photos are found: "exact" scores all, "hnsw" those that a graph proposes.

    trained_at, data_until: when it was trained, and of when the newest favorite is that it learned from.
    """

    version: str
    kind: str
    retrieval: Literal["exact", "hnsw"]
    photos: int
    loaded_at: datetime
    trained_at: datetime | None
    data_until: datetime | None


class ChallengerStatus(ModelStatus):
    """share: percent of the users whose walls it ranks."""

    share: float


class FeatureStatus(Answer):
    version: str | None
    built_at: datetime | None


class ShareStatus(Answer):
    """Calls of the last hour that were spent on one purpose, the most that it may have, and what it has left."""

    spent: int
    limit: int
    left: int


class BudgetStatus(Answer):
    """paused_seconds: so long nobody calls Flickr; 0: everybody may."""

    calls_per_hour: int
    spent: int
    paused_seconds: float
    shares: dict[str, ShareStatus]


class DeadLetterStatus(Answer):
    reason: str
    buried_at: datetime


class StatusDetails(Answer):
    """For operators: why nobody calls Flickr, and the oldest dead letters."""

    paused_because: str | None
    dead_letters: list[DeadLetterStatus]


class Status(Answer):
    """model_error: that the newest champion, or challenger, is not served, and to operators why; queue: pulls by state;
    budget: null where it can't be read; workers: processes at work by kind; details: where the operator shows them.
    """

    model: ModelStatus | None
    challenger: ChallengerStatus | None
    model_error: str | None
    features: FeatureStatus
    queue: dict[str, int]
    budget: BudgetStatus | None
    workers: dict[str, int]
    details: StatusDetails | None


class SandboxPerson(Person):
    favorites: int
    visitor: bool


class SandboxPeople(Answer):
    people: list[SandboxPerson]
