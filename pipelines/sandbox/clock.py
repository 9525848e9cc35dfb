"""What time it is in the sandbox: the real time, or a time that stands still until it is set.

A benchmark walks through thirty days in minutes this way, and a test sees a favorite appear at the second it is made.
"""

from __future__ import annotations

from datetime import UTC, datetime

from features.errors import InvalidInputError

LIVE = "live"


def parse_time(text: str) -> datetime:
    """An ISO 8601 time as an aware one, UTC when it names no zone. Raises InvalidInputError."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidInputError(
            f"clock={text!r}: give {LIVE!r} or an ISO time such as 2026-11-24T12:00:00", field="clock"
        ) from None


class Clock:
    """`live`, or stopped at an ISO time."""

    def __init__(self, setting: str = LIVE) -> None:
        self._stopped_at: datetime | None = None
        self.set(setting)

    def set(self, setting: str) -> None:
        self._stopped_at = None if setting == LIVE else parse_time(setting)

    @property
    def setting(self) -> str:
        return self._stopped_at.isoformat() if self._stopped_at else LIVE

    def now(self) -> int:
        """Unix seconds."""
        return int((self._stopped_at or datetime.now(UTC)).timestamp())
