"""Counts of the sandbox's REST calls by method and outcome, and the hourly budget that it can enforce.

The window slides: a call is let through when fewer than the budget were in the 3,600 seconds before it.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque

HOUR = 3_600.0
SECOND = 1.0


class Accounting:
    def __init__(self, calls_per_hour: int | None) -> None:
        self._limit = calls_per_hour
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._recent: deque[float] = deque()
        self._most = 0
        self._just_now: deque[float] = deque()
        self._most_in_a_second = 0

    def admit(self) -> float | None:
        """Takes one call of the budget; when none is left, takes nothing and returns the seconds until one is."""
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - HOUR:
            self._recent.popleft()
        if self._limit is not None and len(self._recent) >= self._limit:
            return min(HOUR, self._recent[0] + HOUR - now)
        self._recent.append(now)
        self._most = max(self._most, len(self._recent))
        self._just_now.append(now)
        while self._just_now[0] <= now - SECOND:
            self._just_now.popleft()
        self._most_in_a_second = max(self._most_in_a_second, len(self._just_now))
        return None

    def count(self, method: str, outcome: str) -> None:
        self._counts[method][outcome] += 1

    def as_json(self) -> dict[str, object]:
        now = time.monotonic()
        return {
            "methods": {method: dict(outcomes) for method, outcomes in sorted(self._counts.items())},
            "total": sum(sum(outcomes.values()) for outcomes in self._counts.values()),
            "admitted_last_hour": sum(1 for moment in self._recent if moment > now - HOUR),
            "most_admitted_in_an_hour": self._most,
            "most_admitted_in_a_second": self._most_in_a_second,
            "calls_per_hour": self._limit,
        }
