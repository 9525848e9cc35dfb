"""The budget of Flickr calls: who may call when, for all processes with this key together.

Flickr allows so many calls an hour for the whole key. No sliding hour and no sliding second ever holds more than the
settings allow; work that nobody waits for leaves a share free, and what anonymous visitors ask for has a small one.
While Flickr asked to wait, or fails (`breaker.py`), nobody calls. Embedded, this is a SQLite file
(`budget_sqlite.py`); with several machines, Redis (`budget_redis.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from features.errors import ConfigurationError, FlickrError
from features.settings import PREFIX, Settings
from pipelines.budget.breaker import Breaker, Reason, Rules

HOUR = 3_600.0

LONGEST_PAUSE = HOUR
"""A longer Retry-After is not believed: an hour later the key's window is empty."""


class Purpose(StrEnum):
    """What a call is spent on."""

    PERSON = "person"
    """Somebody waits for it, signed in or looking somebody up."""
    REFRESH = "refresh"
    """Nobody waits."""
    ANONYMOUS = "anonymous"
    """A pull that a visitor who is not signed in asked for."""


SHARES = {Purpose.PERSON: 1.0, Purpose.REFRESH: 0.8, Purpose.ANONYMOUS: 0.1}
"""The most of an hour's calls that each purpose may take; a fifth is always there for people who wait."""


class BudgetSpentError(FlickrError):
    """No call may be made now: put it off. `retry_after`: seconds until one may be."""

    code = "budget_spent"
    http_status = 503
    retry_after: float

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class FlickrPausedError(BudgetSpentError):
    """Calls are left, and held back: Flickr asked for it, keeps failing, or refuses the key (`reason`)."""

    code = "flickr_unavailable"
    http_status = 502

    def __init__(self, message: str, retry_after: float, reason: Reason) -> None:
        super().__init__(message, retry_after)
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """Calls an hour and a second, for all purposes together, and when failures hold them back."""

    per_hour: int
    per_second: int
    rules: Rules = field(default_factory=Rules)

    def of(self, purpose: Purpose) -> int:
        """The most calls an hour for that purpose; at least one."""
        return max(1, int(self.per_hour * SHARES[purpose]))


@dataclass(frozen=True)
class Pause:
    """Nobody calls for so many seconds from now."""

    seconds: float
    reason: Reason


class Budget(Protocol):
    """Where calls are counted. Safe to share between threads. Every method raises DependencyError when the place
    can't be reached."""

    def take(self, purpose: Purpose, method: str) -> float:
        """Take one call of that Flickr method: 0.0, or, when none may be made now, the seconds after which asking
        again may help (nothing taken). After an opening of the breaker, one call at a time is let through."""
        ...

    def spent(self) -> dict[Purpose, dict[str, int]]:
        """Calls of the last hour, by purpose and method."""
        ...

    def left(self, purpose: Purpose) -> int:
        """Calls of that purpose that the hour has room for now. A pause takes none away: it only puts them off."""
        ...

    def pause(self, seconds: float) -> None:
        """Let nobody call for so long, at most `LONGEST_PAUSE`; a pause that lasts longer stays."""
        ...

    def paused(self) -> Pause | None:
        """The longest of what holds calls back now."""
        ...

    def succeeded(self, after: float) -> None:
        """Flickr answered a call that began `after` seconds ago: the breaker closes."""
        ...

    def failed(self, after: float, *, key_invalid: bool = False) -> Breaker:
        """A call that began `after` seconds ago failed, or was refused for its key; the breaker then."""
        ...

    def breaker(self) -> Breaker: ...


def longest(pause: float, breaker: float, reason: str) -> Pause | None:
    """Which of two waits (seconds; the second is the breaker's, open for `reason`) holds calls back longer."""
    if max(pause, breaker) <= 0:
        return None
    return Pause(breaker, Reason(reason)) if breaker >= pause else Pause(pause, Reason.THROTTLED)


@lru_cache(maxsize=8)
def _open(address: str, limits: Limits) -> Budget:
    if address.startswith("sqlite:///"):
        from pipelines.budget.sqlite_windows import SqliteBudget

        return SqliteBudget(Path(address.removeprefix("sqlite:///")), limits)
    if address.startswith(("redis://", "rediss://")):
        from pipelines.budget.redis_windows import RedisBudget

        return RedisBudget(address, limits)
    raise ConfigurationError(
        f"{PREFIX}BUDGET_URL={address!r}: neither redis://host:port/db nor empty (SQLite below home)",
        field="budget_url",
    )


def limits_of(settings: Settings) -> Limits:
    """What the settings allow. A trial has as long as a call can take, and a moment."""
    rules = Rules(settings.breaker_failures, settings.breaker_seconds, settings.flickr_timeout + 5.0)
    return Limits(settings.flickr_calls_per_hour, settings.flickr_calls_per_second, rules)


def open_budget(settings: Settings) -> Budget:
    """The budget that the settings name; one object a process. Raises ConfigurationError, DependencyError."""
    return _open(settings.budget_url, limits_of(settings))
