"""The worker: takes pulls from the queue, one a thread, and relays what people did on the site into the lake.

It may be killed at any moment: a lease that nobody extends runs out, and another worker begins where this one stopped.
Asked to stop, it gives back what it works on, so that the next worker need not wait for the lease to end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from features.errors import DependencyError, FlickrError, PhotoRecommenderError
from features.lake import Lake
from features.settings import Settings
from pipelines import queue
from pipelines.budget import BudgetSpentError, Purpose
from pipelines.flickr import Flickr, FlickrUnavailableError
from pipelines.progress import update_progress
from pipelines.pull import Puller, PullStoppedError
from pipelines.relay import drain

if TYPE_CHECKING:
    from features.online import OnlineFeatures

LOOK_SECONDS, LONGEST_LOOK_SECONDS = 0.3, 10.0
"""How long an idle thread sleeps between two looks into the queue, and at most while looking fails."""

RELAY_SECONDS = 2.0

DEPENDENCY_SECONDS = 30.0
"""How long a request waits when the lake, SQL, the online store or the budget can't be reached."""

logger = structlog.get_logger(__name__)


def purpose_of(held: queue.Lease) -> Purpose:
    """Whose share of the key's budget a request is paid from."""
    try:
        return Purpose(held.reason)
    except ValueError:
        return Purpose.REFRESH


class Worker:
    """Works in `concurrency` threads until `stop` is called."""

    def __init__(
        self,
        lake: Lake,
        engine: sa.Engine,
        flickr: Callable[[Purpose], Flickr],
        online: OnlineFeatures,
        settings: Settings,
    ) -> None:
        self._lake = lake
        self._engine = engine
        self._settings = settings
        self._stopping = threading.Event()
        self._flickr = flickr
        self._online = online

    def stop(self) -> None:
        """Return from `run` soon: after the step that each pull is at. Safe to call from a signal's handler."""
        self._stopping.set()

    def run(self, concurrency: int) -> None:
        """Work until stopped."""
        with ThreadPoolExecutor(concurrency + 1, thread_name_prefix="worker") as pool:
            threads = [pool.submit(self._relay), *(pool.submit(self._work) for _ in range(concurrency))]
            try:
                ended, _ = wait(threads, return_when=FIRST_EXCEPTION)
            finally:
                self.stop()
        for thread in ended:
            thread.result()

    def _relay(self) -> None:
        while not self._stopping.wait(RELAY_SECONDS):
            try:
                if moved := drain(self._engine, self._lake):
                    logger.info("relayed", actions=moved)
            except (PhotoRecommenderError, sa.exc.SQLAlchemyError) as error:
                logger.warning("relay_failed", reason=str(error))

    def _work(self) -> None:
        pullers = {
            purpose: Puller(self._lake, self._engine, self._flickr(purpose), self._settings, self._online)
            for purpose in Purpose
        }
        pause = LOOK_SECONDS
        while not self._stopping.is_set():
            try:
                held = queue.lease(self._engine, self._settings.lease_seconds)
            except sa.exc.SQLAlchemyError as error:
                pause = min(2 * pause, LONGEST_LOOK_SECONDS)
                logger.warning("queue_failed", reason=str(error), wait_seconds=pause)
                self._stopping.wait(pause)
                continue
            pause = LOOK_SECONDS
            if held is None:
                self._stopping.wait(pause)
            else:
                self._fulfil(pullers[purpose_of(held)], held)

    def _fulfil(self, puller: Puller, held: queue.Lease) -> None:
        """Pull for one request and settle it, whatever happens."""
        with self._keeping(held) as lost:

            def go_on(_stage: str, _done: int, _total: int) -> None:
                if self._stopping.is_set() or lost.is_set():
                    raise PullStoppedError

            try:
                puller.pull_person(held.user_id, neighbors=True, progress=go_on)
                queue.done(self._engine, held)
            except PullStoppedError:
                queue.release(self._engine, held)
            except BudgetSpentError as error:
                self._put_off(held, error.message, error.retry_after)
            except FlickrError as error:
                permanent = not isinstance(error, FlickrUnavailableError)
                self._fail(held, error.message, permanent=permanent)
            except DependencyError as error:
                self._put_off(held, error.message, DEPENDENCY_SECONDS)
            except PhotoRecommenderError as error:
                self._fail(held, error.message, permanent=True)
            except Exception as error:
                logger.exception("pull_broke", user_id=held.user_id)
                self._fail(held, f"unexpected: {type(error).__name__}", permanent=False)

    def _put_off(self, held: queue.Lease, reason: str, seconds: float) -> None:
        """Nothing is wrong with the request: it waits for what is missing, and the attempt does not count."""
        logger.warning("pull_put_off", user_id=held.user_id, seconds=round(seconds), reason=reason)
        queue.release(self._engine, held, until=datetime.now(UTC) + timedelta(seconds=seconds))

    def _fail(self, held: queue.Lease, reason: str, *, permanent: bool) -> None:
        logger.warning("pull_failed", user_id=held.user_id, attempt=held.attempts, reason=reason)
        if queue.fail(self._engine, held, reason, permanent=permanent):
            update_progress(self._engine, held.user_id, "failed", error=reason)

    @contextmanager
    def _keeping(self, held: queue.Lease) -> Iterator[threading.Event]:
        """Extend the lease from a thread of its own while the pull runs; the event tells that it was lost."""
        seconds = self._settings.lease_seconds
        ended, lost = threading.Event(), threading.Event()

        def extend() -> None:
            while not ended.wait(seconds / 3):
                try:
                    if not queue.extend(self._engine, held, seconds):
                        lost.set()
                        return
                except sa.exc.SQLAlchemyError as error:
                    logger.warning("lease_not_extended", user_id=held.user_id, reason=str(error))

        thread = threading.Thread(target=extend, name="lease", daemon=True)
        thread.start()
        try:
            yield lost
        finally:
            ended.set()
            thread.join()
