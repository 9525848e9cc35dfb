"""The budget of Flickr calls in a SQLite file: for all processes of one machine, without a server.

A table of the last hour's calls and two notes, the pause and the breaker, changed in one transaction each.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from features.errors import DependencyError
from pipelines.budget.breaker import Breaker, load_breaker
from pipelines.budget.windows import HOUR, LONGEST_PAUSE, Limits, Pause, Purpose, longest

LOCK_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (at REAL NOT NULL, purpose TEXT NOT NULL, method TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS calls_by_time ON calls (at);
CREATE INDEX IF NOT EXISTS calls_by_purpose ON calls (purpose, at);
CREATE TABLE IF NOT EXISTS totals (
    purpose TEXT NOT NULL, method TEXT NOT NULL, calls INTEGER NOT NULL, PRIMARY KEY (purpose, method)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, document BLOB NOT NULL) WITHOUT ROWID;
"""

# Until methods were counted `calls` lacked them and `spent` held the totals.
_UPGRADE = (
    "ALTER TABLE calls ADD COLUMN method TEXT NOT NULL DEFAULT 'unknown'",
    "INSERT INTO totals SELECT purpose, method, count(*) FROM calls GROUP BY purpose, method",
    "DROP TABLE spent",
)


class SqliteBudget:
    """A `Budget`. 0.1 ms a call. A clock that is set back neither blocks nor lets more through: what it leaves in the
    future counts as made now."""

    def __init__(self, path: Path, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._path = path
        self._troubled = True
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._connection = sqlite3.connect(path, LOCK_SECONDS, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            # What a crash of the machine takes with it is at most the last moments' calls.
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                if self._execute("SELECT 1 FROM sqlite_master WHERE name = 'spent'").fetchone():
                    for statement in _UPGRADE:
                        self._execute(statement)

    def take(self, purpose: Purpose, method: str) -> float:
        with self._changing() as now:
            breaker = self._breaker(now)
            held = max(self._pause_left(now), breaker.wait(now, self._limits.rules))
            if held > 0:
                return held
            wait = self._wait(purpose, now, self._sweep(now))
            if wait == 0.0:
                self._execute("INSERT INTO calls VALUES (?, ?, ?)", now, purpose, method)
                self._execute(
                    "INSERT INTO totals VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET calls = calls + 1", purpose, method
                )
                if breaker.openings:
                    self._note("breaker", breaker.tried(now).dump())
            return wait

    def spent(self) -> dict[Purpose, dict[str, int]]:
        with self._changing() as now:
            self._sweep(now)
            rows = self._execute("SELECT purpose, method, calls FROM totals WHERE calls > 0").fetchall()
        return {
            purpose: {method: calls for spent_on, method, calls in rows if spent_on == purpose} for purpose in Purpose
        }

    def left(self, purpose: Purpose) -> int:
        with self._changing() as now:
            spent = self._sweep(now)
        room = self._limits.per_hour - sum(spent.values())
        return max(0, min(room, self._limits.of(purpose) - spent.get(purpose, 0)))

    def pause(self, seconds: float) -> None:
        with self._changing() as now:
            if seconds > self._pause_left(now):
                self._note("pause", orjson.dumps({"at": now, "seconds": min(seconds, LONGEST_PAUSE)}))

    def paused(self) -> Pause | None:
        with self._changing() as now:
            breaker = self._breaker(now)
            return longest(self._pause_left(now), breaker.wait(now, self._limits.rules), breaker.reason)

    def succeeded(self, after: float) -> None:
        # At the last leave there was nothing to forget: spares a transaction for each call of a good day.
        if self._troubled:
            with self._changing() as now:
                self._keep(self._breaker(now).succeeded(now, after))

    def failed(self, after: float, *, key_invalid: bool = False) -> Breaker:
        with self._changing() as now:
            self._troubled = True
            return self._keep(self._breaker(now).failed(now, after, self._limits.rules, key_invalid=key_invalid))

    def breaker(self) -> Breaker:
        with self._changing() as now:
            return self._breaker(now)

    @contextmanager
    def _changing(self) -> Iterator[float]:
        """A transaction that nobody else's runs beside, and its time."""
        with self._lock, self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                now = self._clock()
                self._execute("UPDATE calls SET at = ? WHERE at > ?", now, now)
                yield now

    def _execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(statement, values)

    def _sweep(self, now: float) -> dict[str, int]:
        """Forget what is older than an hour; what is left, by purpose."""
        gone = self._execute("DELETE FROM calls WHERE at <= ? RETURNING purpose, method", now - HOUR).fetchall()
        for spent_on in set(gone):
            self._execute(
                "UPDATE totals SET calls = calls - ? WHERE purpose = ? AND method = ?", gone.count(spent_on), *spent_on
            )
        return dict(self._execute("SELECT purpose, sum(calls) FROM totals GROUP BY purpose"))

    def _wait(self, purpose: Purpose, now: float, spent: dict[str, int]) -> float:
        """Seconds until a call of that purpose fits into all of its windows."""
        waits = [0.0]
        if sum(spent.values()) >= self._limits.per_hour:
            waits.append(self._oldest("SELECT at FROM calls ORDER BY at LIMIT 1") + HOUR - now)
        if spent.get(purpose, 0) >= self._limits.of(purpose):
            oldest = "SELECT at FROM calls WHERE purpose = ? ORDER BY at LIMIT 1"
            waits.append(self._oldest(oldest, purpose) + HOUR - now)
        burst = "SELECT at FROM calls WHERE at > ? ORDER BY at DESC LIMIT 1 OFFSET ?"
        first = self._execute(burst, now - 1.0, self._limits.per_second - 1).fetchone()
        if first is not None:
            waits.append(first[0] + 1.0 - now)
        return max(waits)

    def _oldest(self, query: str, *arguments: str) -> float:
        return float(self._execute(query, *arguments).fetchone()[0])

    def _pause_left(self, now: float) -> float:
        document = self._noted("pause")
        if document is None:
            return 0.0
        pause = orjson.loads(document)
        if pause["at"] > now:
            pause["at"] = now
            self._note("pause", orjson.dumps(pause))
        return max(0.0, float(pause["at"] + pause["seconds"] - now))

    def _breaker(self, now: float) -> Breaker:
        document = self._noted("breaker")
        self._troubled = document is not None
        breaker = load_breaker(document)
        set_back = breaker.set_back(now)
        return breaker if set_back == breaker else self._keep(set_back)

    def _keep(self, breaker: Breaker) -> Breaker:
        if breaker == Breaker():
            self._execute("DELETE FROM notes WHERE name = 'breaker'")
        else:
            self._note("breaker", breaker.dump())
        return breaker

    def _noted(self, name: str) -> bytes | None:
        row = self._execute("SELECT document FROM notes WHERE name = ?", name).fetchone()
        return None if row is None else bytes(row[0])

    def _note(self, name: str, document: bytes) -> None:
        self._execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", name, document)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DependencyError(f"the budget of Flickr calls at {self._path} can't be reached: {error}") from error
