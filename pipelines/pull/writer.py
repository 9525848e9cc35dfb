"""The writer of a worker: gathers what the threads have fetched, commits it in batches, and concludes the requests.

While the lake, SQL or the online store take nothing it holds what it has and tries again; the worker takes no new
messages meanwhile, and the leases of those in hand are extended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

import prometheus_client
import sqlalchemy as sa
import structlog

from features.errors import DependencyError
from pipelines.flickr.client import Photo
from pipelines.pull.commit import commit
from pipelines.pull.conclude import conclude
from pipelines.pull.workplace import Outcome, Workplace
from pipelines.queue.requests import Priority

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before the second try of a commit, and the most that they grow to."""

MOST_REQUESTS = 50
"""Requests of one commit: the lake finds the rows of so few users without reading everything."""

ROWS = prometheus_client.Counter(
    "photo_recommender_pull_rows_total", "Rows that pulls added to the lake, by what they are.", ["rows"]
)
BLOCKED = prometheus_client.Gauge("photo_recommender_writer_blocked", "1 while nothing can be committed.")

logger = structlog.get_logger(__name__)


class Writer:
    """One thread of a worker. `settled` is told of outcomes that are acknowledged, `broken` of one that can't be."""

    def __init__(
        self,
        place: Workplace,
        take_details: Callable[[], list[Photo]],
        settled: Callable[[Sequence[Outcome]], None],
        broken: Callable[[Outcome, Exception], None],
    ) -> None:
        self._place = place
        self._take_details = take_details
        self._settled = settled
        self._broken = broken
        self._waiting: list[tuple[float, Outcome]] = []
        self._changed = threading.Condition()
        self._closing = False
        self.blocked = threading.Event()

    def add(self, outcome: Outcome) -> None:
        """Hand over an outcome to be committed soon."""
        with self._changed:
            self._waiting.append((time.monotonic(), outcome))
            self._changed.notify()

    def close(self) -> None:
        """Commit what is waiting without waiting for more, then let `run` return; what fails now is not retried."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def run(self) -> None:
        """Commit batch after batch until closed."""
        while batch := self._next():
            # Details go in with listings: beside a batch without any they would be taken, and lost.
            is_listed = any(outcome.fetched is not None for outcome in batch)
            self._write(batch, self._take_details() if is_listed else [])

    def _next(self) -> list[Outcome]:
        """The next batch: full, or its oldest has waited long enough, or somebody waits for it; [] when closed."""
        settings = self._place.settings
        with self._changed:
            while True:
                now = time.monotonic()
                rows = sum(_rows(outcome) for _, outcome in self._waiting)
                due = self._waiting[0][0] + settings.commit_seconds if self._waiting else now + 3600
                urgent = any(outcome.held.request.priority is Priority.PERSON for _, outcome in self._waiting)
                full = rows >= settings.commit_rows or len(self._waiting) >= MOST_REQUESTS
                if self._closing or (self._waiting and (due <= now or full or urgent)):
                    taken, self._waiting = self._waiting[:MOST_REQUESTS], self._waiting[MOST_REQUESTS:]
                    return [outcome for _, outcome in taken]
                self._changed.wait(due - now)

    def _write(self, batch: list[Outcome], photos: list[Photo]) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                self._commit(batch, photos)
                break
            except (DependencyError, sa.exc.SQLAlchemyError, OSError) as error:
                logger.warning("commit_blocked", requests=len(batch), reason=str(error), wait_seconds=pause)
                self._say_blocked(True)
                with self._changed:
                    if self._changed.wait_for(lambda: self._closing, pause):
                        return
                pause = min(2 * pause, LONGEST_PAUSE)
            except Exception as error:
                logger.exception("commit_broke", requests=len(batch))
                self._say_blocked(False)  # the stores answer again: what is wrong is in the batch
                if len(batch) == 1:
                    self._broken(batch[0], error)
                else:  # one of them is the cause, and the others must not suffer for it
                    for outcome in batch:
                        self._write([outcome], photos)
                return
        self._say_blocked(False)
        self._settled(batch)

    def _commit(self, batch: list[Outcome], photos: list[Photo]) -> None:
        place = self._place
        fetched = [outcome.fetched for outcome in batch if outcome.fetched is not None]
        if fetched:
            correlation_ids = {outcome.held.request.correlation_id for outcome in batch}
            added = commit(place.lake, place.engine, place.settings, fetched, photos, correlation_ids)
            for table, rows in asdict(added).items():
                ROWS.labels(table).inc(rows)
            logger.info("committed", requests=len(batch), **asdict(added))
        conclude(place, batch)

    def _say_blocked(self, blocked: bool) -> None:
        BLOCKED.set(blocked)
        if blocked:
            self.blocked.set()
        elif self.blocked.is_set():
            self.blocked.clear()
            logger.info("commit_works_again")


def _rows(outcome: Outcome) -> int:
    return 0 if outcome.fetched is None else len(outcome.fetched.listing.photo_ids)
