"""The budget of Flickr calls in Redis: for processes on any number of machines.

The windows are those of `limits`, which never let one more through; beside them a pause that expires by itself, the
breaker, and counts by method.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import redis
from limits import RateLimitItemPerHour, RateLimitItemPerSecond
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from features.errors import DependencyError
from pipelines.budget.breaker import Breaker, load_breaker
from pipelines.budget.windows import HOUR, LONGEST_PAUSE, Limits, Pause, Purpose, longest

PAUSE, BREAKER, SPENT = "flickr:pause", "flickr:breaker", "flickr:spent:"
"""Keys; a hash of counts by `purpose method` for each minute hangs on the last."""

_LENGTHEN = """
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[1]) then redis.call('set', KEYS[1], '', 'px', ARGV[1]) end
"""


class RedisBudget:
    """A `Budget`; under 1 ms a call.

    `limits` counts by the callers' clocks, so that a window is as exact as they agree; pause and breaker go by Redis'.
    `spent()` counts whole minutes: what was called 60 to 61 minutes ago may be among it.
    """

    def __init__(self, url: str, limits: Limits) -> None:
        self._url = url.rsplit("@", 1)[-1]
        self._limits = limits
        timeouts = {"socket_timeout": 5, "socket_connect_timeout": 2}
        with self._errors():
            self._limiter = MovingWindowRateLimiter(storage_from_string(url, **timeouts))
            self._redis: Any = redis.Redis.from_url(url, **timeouts)  # its answers are typed as maybe awaitable
        self._lengthen = self._redis.register_script(_LENGTHEN)
        self._second = RateLimitItemPerSecond(limits.per_second)
        self._hour = RateLimitItemPerHour(limits.per_hour)
        self._shares = {purpose: RateLimitItemPerHour(limits.of(purpose)) for purpose in Purpose}
        self._troubled = True

    def take(self, purpose: Purpose, method: str) -> float:
        with self._errors():
            pause, breaker, held = self._held()
            self._troubled = breaker != Breaker()
            if pause > 0 or held > 0:
                return max(pause, held)
            windows: list[tuple[Any, str]] = [
                (self._second, "second"),
                (self._shares[purpose], purpose),
                (self._hour, "hour"),
            ]
            full = [window for window in windows if not self._limiter.test(window[0], "flickr", window[1])]
            if not full:
                if breaker.openings and (held := self._try()) > 0:
                    return held
                # Should another process take the last call meanwhile, what was taken of the windows before stays
                # taken: a moment's burst, or a call too few of a purpose whose hour is over anyway.
                refused = next((w for w in windows if not self._limiter.hit(w[0], "flickr", w[1])), None)
                full = [] if refused is None else [refused]
            if full:
                now = time.time()
                resets = (self._limiter.get_window_stats(item, "flickr", name).reset_time for item, name in full)
                return max(max(reset - now, 0.01) for reset in resets)
            minute = f"{SPENT}{int(time.time() // 60)}"
            self._redis.pipeline(transaction=False).hincrby(minute, f"{purpose} {method}").expire(
                minute, int(HOUR) + 120
            ).execute()
            return 0.0

    def spent(self) -> dict[Purpose, dict[str, int]]:
        spent: dict[Purpose, dict[str, int]] = {purpose: {} for purpose in Purpose}
        with self._errors():
            pipeline = self._redis.pipeline(transaction=False)
            this = int(time.time() // 60)
            for minute in range(this - 60, this + 1):
                pipeline.hgetall(f"{SPENT}{minute}")
            for counts in pipeline.execute():
                for field, calls in counts.items():
                    name, _, method = field.decode().partition(" ")
                    by_method = spent[Purpose(name)]
                    by_method[method] = by_method.get(method, 0) + int(calls)
        return spent

    def left(self, purpose: Purpose) -> int:
        with self._errors():
            windows = ((self._hour, "hour"), (self._shares[purpose], purpose))
            return min(self._limiter.get_window_stats(item, "flickr", name).remaining for item, name in windows)

    def pause(self, seconds: float) -> None:
        milliseconds = int(min(seconds, LONGEST_PAUSE) * 1_000)
        if milliseconds > 0:
            with self._errors():
                self._lengthen([PAUSE], [milliseconds])

    def paused(self) -> Pause | None:
        with self._errors():
            pause, breaker, held = self._held()
        return longest(pause, held, breaker.reason)

    def succeeded(self, after: float) -> None:
        # At the last leave there was nothing to forget: spares a round trip for each call of a good day.
        if self._troubled:
            self._change(lambda breaker, now: breaker.succeeded(now, after))

    def failed(self, after: float, *, key_invalid: bool = False) -> Breaker:
        self._troubled = True
        rules = self._limits.rules
        return self._change(lambda breaker, now: breaker.failed(now, after, rules, key_invalid=key_invalid))

    def breaker(self) -> Breaker:
        with self._errors():
            return load_breaker(self._redis.get(BREAKER))

    def _held(self) -> tuple[float, Breaker, float]:
        """Seconds of the pause; the breaker; its seconds."""
        pipeline = self._redis.pipeline(transaction=False).pttl(PAUSE).get(BREAKER).time()
        milliseconds, document, (seconds, microseconds) = pipeline.execute()
        breaker, now = load_breaker(document), seconds + microseconds / 1e6
        return max(0, milliseconds) / 1_000, breaker, breaker.set_back(now).wait(now, self._limits.rules)

    def _try(self) -> float:
        """Be the one call that is tried after an opening: 0.0, or the wait when another is."""
        wait = 0.0

        def step(breaker: Breaker, now: float) -> Breaker:
            nonlocal wait
            wait = breaker.wait(now, self._limits.rules)
            return breaker if wait else breaker.tried(now)

        self._change(step)
        return wait

    def _change(self, step: Callable[[Breaker, float], Breaker]) -> Breaker:
        """Replace the breaker by what `step` makes of it at this time; again when another process did so meanwhile."""

        def transaction(pipeline: Any) -> Breaker:
            seconds, microseconds = pipeline.time()
            now = seconds + microseconds / 1e6
            breaker = step(load_breaker(pipeline.get(BREAKER)).set_back(now), now)
            pipeline.multi()
            if breaker == Breaker():
                pipeline.delete(BREAKER)
            else:
                pipeline.set(BREAKER, breaker.dump())
            return breaker

        with self._errors():
            changed: Breaker = self._redis.transaction(transaction, BREAKER, value_from_callable=True)
        return changed

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            raise DependencyError(f"the budget of Flickr calls at {self._url} can't be reached: {error}") from error
