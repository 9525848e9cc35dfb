"""The circuit breaker of Flickr calls as a value: what failures, successes and time make of it.

Where it is kept, so that all processes with one key share it, is the budget's matter (`budget_sqlite.py`,
`budget_redis.py`): whoever has the say on when a call may be made has it for both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import orjson

LONGEST_SECONDS = 600.0
"""The most that doubling the pause comes to."""

KEY_SECONDS = 300.0
"""How long nobody calls once Flickr has refused the API key, each time."""

LOOK_SECONDS = 1.0
"""While one call is tried, the others look again after so long."""


class Reason(StrEnum):
    """Why no call goes out."""

    THROTTLED = "throttled"
    """Flickr asked to wait (`Retry-After`)."""
    UNAVAILABLE = "unavailable"
    """It failed too often in a row."""
    KEY_INVALID = "key_invalid"
    """It does not accept the API key."""


WORDS = {
    Reason.THROTTLED: "Flickr asked to wait",
    Reason.UNAVAILABLE: "Flickr failed too often in a row",
    Reason.KEY_INVALID: "Flickr does not accept the API key: set PHOTO_RECOMMENDER_FLICKR_KEY and _SECRET",
}


@dataclass(frozen=True)
class Rules:
    """When it opens, and for how long. `trial_seconds`: a trial that has not ended by then is over for the others."""

    failures: int = 8
    seconds: float = 30.0
    trial_seconds: float = 25.0


@dataclass(frozen=True)
class Breaker:
    """`failures` in a row; `openings` since the last success (0: closed); times are unix seconds, 0.0 for none.

    Open, it lets nobody call for `seconds` from `opened_at`; then one call is tried, since `trial_at`.
    """

    failures: int = 0
    openings: int = 0
    reason: str = ""
    opened_at: float = 0.0
    seconds: float = 0.0
    trial_at: float = 0.0

    @property
    def key_invalid(self) -> bool:
        return self.reason == Reason.KEY_INVALID

    def wait(self, now: float, rules: Rules) -> float:
        """Seconds after which asking for leave may help; 0.0 when a call may be made now."""
        if not self.openings:
            return 0.0
        rest = self.opened_at + self.seconds - now
        if rest > 0:
            return rest
        if self.trial_at:
            rest = self.trial_at + rules.trial_seconds - now
        return max(0.0, min(rest, LOOK_SECONDS))

    def tried(self, now: float) -> Breaker:
        """After leave was given: when it is not closed, that call is the trial."""
        return replace(self, trial_at=now) if self.openings else self

    def succeeded(self, now: float, after: float) -> Breaker:
        """After a call that Flickr answered, whatever it said; it began `after` seconds ago."""
        return self if self._is_late(now - after) else Breaker()

    def failed(self, now: float, after: float, rules: Rules, *, key_invalid: bool = False) -> Breaker:
        """After a call that failed, begun `after` seconds ago."""
        if self._is_late(now - after) and (self.key_invalid or not key_invalid):
            return self
        failures = self.failures + 1
        if key_invalid or self.key_invalid:
            reason, seconds = Reason.KEY_INVALID, KEY_SECONDS
        elif self.openings or failures >= rules.failures:
            reason = Reason.UNAVAILABLE
            seconds = min(rules.seconds * 2 ** min(self.openings, 30), max(LONGEST_SECONDS, rules.seconds))
        else:
            return replace(self, failures=failures)
        return Breaker(failures, self.openings + 1, reason, now, seconds)

    def set_back(self, now: float) -> Breaker:
        """The same under a clock that was set back to `now`: nothing lies in its future."""
        return replace(self, opened_at=min(self.opened_at, now), trial_at=min(self.trial_at, now))

    def _is_late(self, began: float) -> bool:
        """Whether a call began before the opening: it says nothing of the time after. None begins in between, so
        that the middle tells the two apart also where clocks differ a little."""
        return self.openings > 0 and began < self.opened_at + self.seconds / 2

    def dump(self) -> bytes:
        return orjson.dumps(self)


def load_breaker(document: bytes | str | None) -> Breaker:
    """The breaker that `dump` wrote; None is a closed one."""
    return Breaker() if document is None else Breaker(**orjson.loads(document))
