"""What a worker has at hand, and a message in its hands: shared by the modules that work on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa

from features.lake import Lake
from features.settings import Settings
from pipelines.privacy.suppression import Suppression
from pipelines.pull.fetch import Fetched
from pipelines.queue.messages import Message, Queue
from pipelines.queue.requests import PullRequest

if TYPE_CHECKING:
    from features.online import OnlineFeatures


@dataclass(frozen=True)
class Workplace:
    """`online` is None where nobody reads online features yet."""

    lake: Lake
    engine: sa.Engine
    queue: Queue
    settings: Settings
    online: OnlineFeatures | None = None

    @cached_property
    def suppression(self) -> Suppression:
        """Who was erased."""
        return Suppression(self.settings, self.engine)


@dataclass(frozen=True)
class Held:
    """A message that this process has leased, and what it asks for."""

    message: Message
    request: PullRequest


@dataclass(frozen=True)
class Outcome:
    """What became of a request: what was fetched, None when all of it was fresh; or that Flickr knows no such user."""

    held: Held
    fetched: Fetched | None = None
    is_gone: bool = False
