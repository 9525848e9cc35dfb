"""What the sandbox's world is generated from: its size, its seed, and the moment that is its "now"."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from features.errors import ConfigurationError
from pipelines.sandbox.pictures import STYLES

DAY = 86_400


def _last_midnight() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class WorldConfig:
    """What the world is generated from. `photos` (those that somebody favors, about) and `favorites` exist at `end`.

    Raises ConfigurationError for a world that can't be.
    """

    users: int = 2_000
    visitors: int = 12  # more users, for people to be: the demo does not pull them
    photos: int = 20_000
    favorites: int = 400_000
    styles: int = len(STYLES)
    seed: int = 7
    end: datetime = field(default_factory=_last_midnight)
    days: int = 730  # from the first upload to `end`
    future_days: int = 60  # events exist for so long after `end`, so that time brings new ones

    def __post_init__(self) -> None:
        if self.end.tzinfo is None or self.end.timestamp() % DAY:
            raise ConfigurationError(f"end={self.end}: must be midnight UTC", field="end")
        least = {"users": 10, "visitors": 0, "photos": 100, "styles": 1, "seed": 0, "days": 30, "future_days": 1}
        for name, smallest in least.items():
            if getattr(self, name) < smallest:
                raise ConfigurationError(f"{name}={getattr(self, name)}: must be at least {smallest}", field=name)
        if self.styles > len(STYLES):
            raise ConfigurationError(f"styles={self.styles}: there are {len(STYLES)}", field="styles")
        if not 4 * self.users <= self.favorites <= self.users * self.photos // 10:
            raise ConfigurationError(
                f"favorites={self.favorites}: {self.users} users and {self.photos} photos make between "
                f"{4 * self.users} and {self.users * self.photos // 10}",
                field="favorites",
            )

    @classmethod
    def sparse(cls, **changes: Any) -> WorldConfig:
        """As many users, photos and favorites as a real sample of Flickr has: half of the photos have two favorites."""
        return cls(**{"users": 8_252, "photos": 108_000, "favorites": 295_450, **changes})

    @property
    def uploads(self) -> int:
        """Photos uploaded before `end`: a few nobody favors."""
        return round(1.025 * self.photos)

    def as_json(self) -> dict[str, object]:
        return {**asdict(self), "end": self.end.isoformat()}
