"""What requests rank with: the champion, the challenger beside it, and the popular photos, all of one moment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from features.batch import PopularPhotos
from serving.answers import Variant
from serving.champion.traffic import is_challenged
from serving.ranking.cursor import MarkIndex
from serving.ranking.facts import Facts, facts_of
from training.bundle import Bundle


@dataclass(frozen=True)
class Champion:
    """A loaded bundle with what serving looks up in it."""

    version: str
    bundle: Bundle
    marks: MarkIndex
    loaded_at: datetime

    @cached_property
    def facts(self) -> Facts | None:
        """What re-ranking and people take of it; None for a champion without factors."""
        return facts_of(self.bundle)


@dataclass(frozen=True)
class Served:
    """What a request ranks with. One request reads it once, so a replacement never mixes two models.

    champion: of the request's wall, as `variant` says. error: why the newest champion (or challenger) is not served;
    None when it is, or when there is none. challenger: ranks the walls of `challenger_share` percent of the users.
    """

    champion: Champion | None = None
    popular: PopularPhotos = field(default_factory=PopularPhotos)
    error: str | None = None
    challenger: Champion | None = None
    challenger_share: float = 0.0
    variant: Variant = "champion"

    def to(self, user_id: str) -> Served:
        """What this user's walls are ranked with."""
        challenger = self.challenger
        if challenger is None or not is_challenged(user_id, challenger.version, self.challenger_share):
            return self
        return replace(self, champion=challenger, variant="challenger")
