"""What is asked of the pull workers: one message of the queue, and its JSON body with a schema.

A body that does not fit is poison: it is told apart here, with the field and what is wrong, and never retried.
"""

from __future__ import annotations

import uuid
from enum import IntEnum, StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from features.errors import InvalidInputError
from pipelines.budget.windows import Purpose

MOST_BYTES = 16 * 1024
"""No request of ours comes near; SQS would take 256 KiB."""


class Kind(StrEnum):
    """What of a user is to be pulled."""

    FAVORITES = "favorites"
    CONTACTS = "contacts"
    NEIGHBORS = "neighbors"
    """Find the owners of the user's favorites in the lake, and ask for the favorites of each."""


class Priority(IntEnum):
    """Lower is sooner. What a person waits for comes before the neighbors that make the wall better, and so on."""

    PERSON = 0
    NEIGHBOR = 1
    REFRESH = 2
    ANONYMOUS = 3

    @property
    def purpose(self) -> Purpose:
        """Whose share of the key's budget pays."""
        match self:
            case Priority.PERSON | Priority.NEIGHBOR:
                return Purpose.PERSON
            case Priority.REFRESH:
                return Purpose.REFRESH
            case Priority.ANONYMOUS:
                return Purpose.ANONYMOUS


def new_correlation_id() -> str:
    """An id that no other request has: 32 hexadecimal digits."""
    return uuid.uuid4().hex


class PullRequest(BaseModel):
    """One message. `reason` says in a word why (visit, neighbor, due, …); `correlation_id` follows it into the logs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    version: Literal[1] = 1
    user_id: Annotated[str, Field(min_length=1, max_length=128)]
    kind: Kind
    reason: Annotated[str, Field(min_length=1, max_length=32)]
    priority: Priority
    correlation_id: Annotated[str, Field(max_length=64)] = Field(default_factory=new_correlation_id)

    def body(self) -> str:
        """The JSON that `parse` reads."""
        return self.model_dump_json()

    @classmethod
    def parse(cls, body: str) -> PullRequest:
        """Raises InvalidInputError, which names the field, for anything that `body` did not write."""
        size = len(body.encode("utf-8", "replace"))
        if size > MOST_BYTES:
            raise InvalidInputError(f"the message has {size:,} bytes, more than {MOST_BYTES:,}", field="body")
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "body"
            raise InvalidInputError(f"{field}={str(first['input'])[:60]!r}: {first['msg']}", field=field) from None
