"""The budget of Flickr calls: moving windows that every process with this key shares.

Flickr allows so many calls an hour for the whole key. No sliding hour and no sliding second ever holds more than the
settings allow; work that nobody waits for leaves a share free, and what anonymous visitors ask for has a small one.
Embedded, the windows are a SQLite file; with several machines, Redis (`limits`).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import redis

from features.errors import ConfigurationError, DependencyError, FlickrError
from features.settings import PREFIX, Settings

HOUR = 3_600.0
LOCK_SECONDS = 30.0


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
    """No call is left now. `retry_after`: seconds until one may be."""

    code = "budget_spent"
    http_status = 503

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Limits:
    """Calls an hour and a second, for all purposes together."""

    per_hour: int
    per_second: int

    def of(self, purpose: Purpose) -> int:
        """The most calls an hour for that purpose; at least one."""
        return max(1, int(self.per_hour * SHARES[purpose]))


class Budget(Protocol):
    """Where calls are counted. Safe to share between threads."""

    def take(self, purpose: Purpose) -> float:
        """Take one call: 0.0, or, when none is left, the seconds after which asking again may help (nothing taken).

        Raises DependencyError when the windows can't be reached.
        """
        ...

    def spent(self) -> dict[Purpose, int]:
        """Calls of the last hour, by purpose."""
        ...


class SqliteBudget:
    """The windows in a SQLite file, for all processes of one machine; 0.1 ms a call."""

    def __init__(self, path: Path, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with _errors(str(path)):
            self._connection = sqlite3.connect(path, LOCK_SECONDS, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            # What a crash of the machine takes with it is at most the last moments' calls.
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(
                "CREATE TABLE IF NOT EXISTS calls (at REAL NOT NULL, purpose TEXT NOT NULL);"
                "CREATE INDEX IF NOT EXISTS calls_by_time ON calls (at);"
                "CREATE INDEX IF NOT EXISTS calls_by_purpose ON calls (purpose, at);"
                "CREATE TABLE IF NOT EXISTS spent (purpose TEXT PRIMARY KEY, calls INTEGER NOT NULL) WITHOUT ROWID;"
            )
        self._path = path

    def take(self, purpose: Purpose) -> float:
        with self._lock, _errors(str(self._path)):
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                now = self._clock()
                spent = self._sweep(now)
                wait = self._wait(purpose, now, spent)
                if wait == 0.0:
                    self._connection.execute("INSERT INTO calls VALUES (?, ?)", (now, purpose))
                    self._connection.execute(
                        "INSERT INTO spent VALUES (?, 1) ON CONFLICT DO UPDATE SET calls = calls + 1", (purpose,)
                    )
                return wait

    def spent(self) -> dict[Purpose, int]:
        with self._lock, _errors(str(self._path)):
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                spent = self._sweep(self._clock())
        return {purpose: spent.get(purpose, 0) for purpose in Purpose}

    def _sweep(self, now: float) -> dict[str, int]:
        """Forget what is older than an hour; what is left, by purpose."""
        gone = self._connection.execute("DELETE FROM calls WHERE at <= ? RETURNING purpose", (now - HOUR,)).fetchall()
        for purpose in {purpose for (purpose,) in gone}:
            count = gone.count((purpose,))
            self._connection.execute("UPDATE spent SET calls = calls - ? WHERE purpose = ?", (count, purpose))
        return dict(self._connection.execute("SELECT purpose, calls FROM spent"))

    def _wait(self, purpose: Purpose, now: float, spent: dict[str, int]) -> float:
        """Seconds until a call of that purpose fits into all of its windows."""
        waits = [0.0]
        if sum(spent.values()) >= self._limits.per_hour:
            waits.append(self._oldest("SELECT at FROM calls ORDER BY at LIMIT 1") + HOUR - now)
        if spent.get(purpose, 0) >= self._limits.of(purpose):
            oldest = "SELECT at FROM calls WHERE purpose = ? ORDER BY at LIMIT 1"
            waits.append(self._oldest(oldest, purpose) + HOUR - now)
        burst = "SELECT at FROM calls WHERE at > ? ORDER BY at DESC LIMIT 1 OFFSET ?"
        first = self._connection.execute(burst, (now - 1.0, self._limits.per_second - 1)).fetchone()
        if first is not None:
            waits.append(first[0] + 1.0 - now)
        return max(waits)

    def _oldest(self, query: str, *arguments: str) -> float:
        return float(self._connection.execute(query, arguments).fetchone()[0])


class RedisBudget:
    """The windows in Redis, for processes on any number of machines."""

    def __init__(self, url: str, limits: Limits) -> None:
        from limits import RateLimitItemPerHour, RateLimitItemPerSecond
        from limits.storage import storage_from_string
        from limits.strategies import MovingWindowRateLimiter

        self._url = url.rsplit("@", 1)[-1]
        with _errors(self._url):
            self._limiter = MovingWindowRateLimiter(
                storage_from_string(url, socket_timeout=5, socket_connect_timeout=2)
            )
        self._second = RateLimitItemPerSecond(limits.per_second)
        self._hour = RateLimitItemPerHour(limits.per_hour)
        self._shares = {purpose: RateLimitItemPerHour(limits.of(purpose)) for purpose in Purpose}

    def take(self, purpose: Purpose) -> float:
        with _errors(self._url):
            windows: list[tuple[Any, str]] = [
                (self._second, "second"),
                (self._shares[purpose], purpose),
                (self._hour, "hour"),
            ]
            full = [window for window in windows if not self._limiter.test(window[0], "flickr", window[1])]
            if not full:
                # Should another process take the last call meanwhile, what was taken of the windows before stays
                # taken: a moment's burst, or a call too few of a purpose whose hour is over anyway.
                refused = next((w for w in windows if not self._limiter.hit(w[0], "flickr", w[1])), None)
                full = [] if refused is None else [refused]
            now = time.time()
            resets = (self._limiter.get_window_stats(item, "flickr", name).reset_time for item, name in full)
            return max((max(reset - now, 0.01) for reset in resets), default=0.0)

    def spent(self) -> dict[Purpose, int]:
        with _errors(self._url):
            return {
                purpose: item.amount - self._limiter.get_window_stats(item, "flickr", purpose).remaining
                for purpose, item in self._shares.items()
            }


@contextmanager
def _errors(where: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, redis.RedisError) as error:
        raise DependencyError(f"the budget of Flickr calls at {where} can't be reached: {error}") from error


@lru_cache(maxsize=8)
def _open(address: str, limits: Limits) -> Budget:
    if address.startswith("sqlite:///"):
        return SqliteBudget(Path(address.removeprefix("sqlite:///")), limits)
    if address.startswith(("redis://", "rediss://")):
        return RedisBudget(address, limits)
    raise ConfigurationError(
        f"{PREFIX}BUDGET_URL={address!r}: neither redis://host:port/db nor empty (SQLite below home)",
        field="budget_url",
    )


def open_budget(settings: Settings) -> Budget:
    """The budget that the settings name; one object a process. Raises ConfigurationError, DependencyError."""
    return _open(settings.budget_url, Limits(settings.flickr_calls_per_hour, settings.flickr_calls_per_second))
