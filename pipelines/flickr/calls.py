"""One call of Flickr from leave to answer: the budget, the tries, the breaker, the counts.

Everything that is asked of Flickr passes here, so that no call is made that is not paid for, and what one process
learns (Flickr asks to wait, fails, refuses the key) holds for all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import orjson
import structlog
import tenacity
from prometheus_client import Counter, Gauge, Histogram

from features.errors import FlickrError, NotFoundError
from features.settings import Settings
from pipelines.budget.breaker import WORDS, Breaker
from pipelines.budget.windows import BudgetSpentError, FlickrPausedError, Purpose, open_budget
from pipelines.flickr.errors import (
    FlickrUnavailableError,
    KeyInvalidError,
    TokenInvalidError,
    error_of,
)
from pipelines.flickr.transport import Api, FlickrToken

FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the second try, and the most that backing off comes to (a longer Retry-After is honoured)."""

PATIENCE = 5.0
"""Seconds that a call waits for leave: long enough for a burst to pass, not for an hour or a pause."""

CALLS = Counter("photo_recommender_flickr_calls_total", "Calls of Flickr, each try of each one.", ["method", "outcome"])
RETRIES = Counter("photo_recommender_flickr_retries_total", "Tries after the first.", ["method"])
SECONDS = Histogram(
    "photo_recommender_flickr_call_seconds",
    "Seconds from sending a call to having read its answer.",
    ["method"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0),
)
BREAKER_OPEN = Gauge(
    "photo_recommender_breaker_open", "1 while calls of Flickr are held back.", multiprocess_mode="mostrecent"
)
KEY_INVALID = Gauge(
    "photo_recommender_flickr_key_invalid",
    "1 while Flickr does not accept the API key.",
    multiprocess_mode="mostrecent",
)

logger = structlog.get_logger(__name__)
T = TypeVar("T")


class Caller:
    """Makes calls for one purpose, signed by a person's token when one is given. Thread-safe."""

    def __init__(self, settings: Settings, token: FlickrToken | None, purpose: Purpose) -> None:
        self._api = Api(settings, token)
        self._signed = token is not None
        self._budget = open_budget(settings)
        self._purpose = purpose
        self._counting = threading.Lock()
        self.calls = 0
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(settings.flickr_attempts),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(FlickrUnavailableError),
            before_sleep=_note_retry,
            reraise=True,
        )

    def call(self, method: str, read: Callable[[Mapping[str, Any]], T], **params: Any) -> T:
        """The answer as `read` reads it, tried again while Flickr is unavailable; leave is asked for each try anew.

        Raises FlickrUnavailableError after the last try, BudgetSpentError or its FlickrPausedError when there is no
        leave within `PATIENCE` seconds, or what `stat: fail` means. What `read` raises for an answer of another shape
        (ValueError, KeyError, TypeError, AttributeError) is an unavailable Flickr.
        """
        result: T = self._retrying(self._try, method, read, params)
        return result

    def call_once(self, method: str, read: Callable[[Mapping[str, Any]], T], **params: Any) -> T:
        """`call` with one try alone, for what must not be done twice: Flickr may have done what it did not answer."""
        return self._try(method, read, params)

    def _try(self, method: str, read: Callable[[Mapping[str, Any]], T], params: dict[str, Any]) -> T:
        self._wait_for_leave(method)
        with self._counting:
            self.calls += 1
        began = time.monotonic()
        try:
            answer = read_answer(method, self._api.do_flickr_call(method, **params), read)
        except FlickrError as error:
            self._settle(method, time.monotonic() - began, error)
            raise
        self._settle(method, time.monotonic() - began)
        return answer

    def _settle(self, method: str, seconds: float, error: FlickrError | None = None) -> None:
        """Count the call, and tell all other processes what it says about Flickr."""
        CALLS.labels(method, outcome_of(error)).inc()
        SECONDS.labels(method).observe(seconds)
        if isinstance(error, KeyInvalidError):
            # A person's token whose secret is broken looks alike, and must not stop everybody.
            if not self._signed:
                _show(self._budget.failed(seconds, key_invalid=True))
        elif isinstance(error, FlickrUnavailableError):
            asked = error.retry_after or 0.0
            if asked:
                self._budget.pause(asked)
            if not (asked and error.throttled):
                _show(self._budget.failed(seconds))
        else:
            self._budget.succeeded(seconds)
            _show(Breaker())

    def _wait_for_leave(self, method: str) -> None:
        """Return when a call may be made. Raises when that is not within `PATIENCE` seconds."""
        deadline = time.monotonic() + PATIENCE
        while wait := self._budget.take(self._purpose, method):
            if time.monotonic() + wait > deadline:
                raise self._no_leave(wait)
            time.sleep(wait)

    def _no_leave(self, wait: float) -> BudgetSpentError:
        pause = self._budget.paused()
        if pause is None:
            return BudgetSpentError(
                f"the budget of Flickr calls is spent for now ({self._purpose}); "
                f"there is more in {wait:.0f} s (`photo-recommender budget` shows it)",
                retry_after=wait,
            )
        _show(self._budget.breaker())
        return FlickrPausedError(
            f"{WORDS[pause.reason]}; nobody calls it for {pause.seconds:.0f} s more "
            "(`photo-recommender budget` shows it)",
            retry_after=pause.seconds,
            reason=pause.reason,
        )


def read_answer(method: str, content: bytes, read: Callable[[Mapping[str, Any]], T]) -> T:
    """What `read` makes of Flickr's document. Raises FlickrUnavailableError if unreadable, or Flickr's error."""
    try:
        answer = orjson.loads(content)
        if answer["stat"] == "ok":
            return read(answer)
        code, message = int(answer.get("code", 0)), str(answer.get("message", "no reason given"))[:200]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        start = content[:60].decode("utf-8", "replace")
        raise FlickrUnavailableError(f"Flickr answered {method} with something unreadable: {start!r}") from error
    raise error_of(method, code, message)


def outcome_of(error: FlickrError | None) -> str:
    """The word under which a call that ended so is counted."""
    match error:
        case None:
            return "ok"
        case FlickrUnavailableError():
            return "throttled" if error.throttled else "unavailable"
        case NotFoundError():
            return "not_found"
        case KeyInvalidError():
            return "key_invalid"
        case TokenInvalidError():
            return "token_invalid"
        case _:
            return "refused"


def _show(breaker: Breaker) -> None:
    BREAKER_OPEN.set(breaker.openings > 0)
    KEY_INVALID.set(breaker.key_invalid)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    backoff = tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)(state)
    asked = isinstance(error, FlickrUnavailableError) and error.retry_after
    # What Flickr asked for is waited for with everybody else, for leave; not all threads in the same instant, though.
    return min(backoff, FIRST_WAIT) if asked else backoff


def _note_retry(state: tenacity.RetryCallState) -> None:
    method = str(state.args[0])
    RETRIES.labels(method).inc()
    error = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0.0
    if isinstance(error, FlickrError):
        logger.info(
            "flickr_retry",
            method=method,
            attempt=state.attempt_number,
            wait_seconds=round(wait, 2),
            reason=error.message,
        )
