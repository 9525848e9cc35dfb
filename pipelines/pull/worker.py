"""The worker: takes requests from the queue, fetches them in threads, and relays the site's actions into the lake.

It may be killed at any moment: a lease that nobody extends runs out, and another worker begins where this one stopped.
Asked to stop, it commits what is fetched and gives back the rest, so that the next worker need not wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial

import prometheus_client
import sqlalchemy as sa
import structlog

from features.errors import DependencyError, FlickrError, InvalidInputError, PhotoRecommenderError
from features.logs import correlated
from pipelines.budget.windows import BudgetSpentError, Purpose
from pipelines.flickr.client import Flickr, FlickrUnavailableError, KeyInvalidError, Photo, UserNotFoundError
from pipelines.pull.conclude import expand, give_up, is_fresh, refuse
from pipelines.pull.cursors import read_cursors
from pipelines.pull.fetch import Fetcher
from pipelines.pull.progress import begin_progress
from pipelines.pull.workplace import Held, Outcome, Workplace
from pipelines.pull.writer import Writer
from pipelines.queue.messages import DIED, MAX_ATTEMPTS, Death, Message
from pipelines.queue.requests import Kind, Priority, PullRequest
from pipelines.relay import drain

WAIT_SECONDS = 2.0
"""How long one look into an empty queue waits, and so how long a stop may take."""

RELAY_SECONDS = 2.0

DEPENDENCY_SECONDS = 30.0
"""How long a request waits when SQL, the budget or the key can't be used."""

FIRST_DELAY, LONGEST_DELAY = 5.0, 600.0
"""Seconds before a request that failed is tried again: twice as long each time."""

PULLS = prometheus_client.Histogram(
    "photo_recommender_pull_seconds", "Time to fetch what one request asks for.", ["kind", "outcome"]
)

logger = structlog.get_logger(__name__)


class _StoppedError(Exception):
    """The worker is asked to stop, or has lost the lease, while a request is fetched."""


class Worker:
    """Works in `concurrency` threads until `stop` is called. `flickr`: a client that pays from a purpose's share."""

    def __init__(self, place: Workplace, flickr: Callable[[Purpose], Flickr]) -> None:
        self._place = place
        settings = place.settings
        self._fetchers = {
            purpose: Fetcher(flickr(purpose), settings.pull_max_favorites, settings.sweep_days) for purpose in Purpose
        }
        self._writer = Writer(place, self._take_details, self._settled, self._broken)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._in_hand: dict[str, Held] = {}  # by receipt
        self._lost: set[str] = set()  # receipts
        self._spent_until: dict[Purpose, float] = {}

    def stop(self) -> None:
        """Return from `run` soon: after the call that each thread is at. Safe to call from a signal's handler."""
        self._stopping.set()

    def is_blocked(self) -> bool:
        """Whether nothing can be committed at the moment, and so no message is taken."""
        return self._writer.blocked.is_set()

    def run(self, concurrency: int) -> None:
        """Work until stopped. Raises what breaks the worker itself, never what breaks one request."""
        ended = threading.Event()
        with ThreadPoolExecutor(4, thread_name_prefix="worker") as pool:
            receiving = pool.submit(self._receive, concurrency)
            writing = pool.submit(self._writer.run)
            others = [pool.submit(self._relay), pool.submit(self._extend, ended)]
            try:
                wait([receiving, writing, *others], return_when=FIRST_COMPLETED)
            finally:
                self.stop()
                wait([receiving])
                self._writer.close()
                wait([writing])
                ended.set()
        for loop in (receiving, writing, *others):
            loop.result()
        for held in list(self._in_hand.values()):
            self._drop(held, partial(self._place.queue.put_back, held.message))

    def _receive(self, concurrency: int) -> None:
        """Keep the threads busy: one message more than run waits for each of them."""
        free = threading.Semaphore(2 * concurrency)
        with ThreadPoolExecutor(concurrency, thread_name_prefix="fetch") as pool:
            while not self._stopping.is_set():
                if self.is_blocked():
                    self._stopping.wait(WAIT_SECONDS)
                    continue
                number = _acquire(free, WAIT_SECONDS, at_most=10)
                messages = self._look(number) if number else []
                for _ in range(number - len(messages)):
                    free.release()
                for message in messages:
                    pool.submit(self._fulfil, message).add_done_callback(lambda _: free.release())

    def _look(self, number: int) -> list[Message]:
        """Messages whose purpose has calls left. A queue that can't be reached is looked at again a little later."""
        now = time.monotonic()
        open_to = [p for p in Priority if self._spent_until.get(p.purpose, 0.0) <= now]
        try:
            if open_to:
                return self._place.queue.receive(number, WAIT_SECONDS, open_to)
        except (DependencyError, sa.exc.SQLAlchemyError) as error:
            logger.warning("queue_failed", reason=str(error))
        self._stopping.wait(WAIT_SECONDS)
        return []

    def _fulfil(self, message: Message) -> None:
        """One message, whatever happens: it ends with the writer, back in the queue, or among the dead letters."""
        try:
            request = PullRequest.parse(message.body)
        except InvalidInputError as error:
            logger.warning("message_poison", message_id=message.message_id, reason=error.message)
            self._try(partial(self._place.queue.bury, message, error.message, Death.POISON))
            return
        held = Held(message, request)
        with self._lock:
            self._in_hand[message.receipt] = held
        with correlated(request.correlation_id):
            began = time.monotonic()
            outcome = self._handle(held)
            PULLS.labels(request.kind, outcome).observe(time.monotonic() - began)

    def _handle(self, held: Held) -> str:
        """In a word how it went, for the metric."""
        queue, message = self._place.queue, held.message
        try:
            if message.attempts > MAX_ATTEMPTS:
                self._fail(held, DIED, permanent=False)
                return "failed"
            if self._place.suppression.suppressed([held.request.user_id]):
                self._drop(held, partial(refuse, self._place, held))
                return "refused"
            if held.request.kind is Kind.NEIGHBORS:
                expand(self._place, held)
                self._settled([Outcome(held)])
            else:
                self._writer.add(self._fetch(held))
            return "ok"
        except _StoppedError:
            self._drop(held, lambda: queue.put_back(message))
            return "stopped"
        except BudgetSpentError as error:
            self._spent_until[held.request.priority.purpose] = time.monotonic() + error.retry_after
            self._put_off(held, error.message, error.retry_after)
            return "put_off"
        except KeyInvalidError as error:
            self._put_off(held, error.message, DEPENDENCY_SECONDS)
            return "put_off"
        except FlickrError as error:
            self._fail(held, error.message, permanent=not isinstance(error, FlickrUnavailableError))
            return "failed"
        except (DependencyError, sa.exc.SQLAlchemyError) as error:
            self._put_off(held, str(error), DEPENDENCY_SECONDS)
            return "put_off"
        except PhotoRecommenderError as error:
            self._fail(held, error.message, permanent=True)
            return "failed"
        except Exception as error:
            logger.exception("pull_broke", user_id=held.request.user_id)
            self._broken(Outcome(held), error)
            return "broken"

    def _fetch(self, held: Held) -> Outcome:
        request = held.request
        cursor = read_cursors(self._place.engine, [request.user_id]).get(request.user_id)
        if is_fresh(self._place.settings, cursor, request.kind, request.priority):
            return Outcome(held)
        fetcher = self._fetchers[request.priority.purpose]
        self._go_on(held)
        try:
            if request.kind is Kind.FAVORITES:
                begin_progress(self._place.engine, request.user_id)
                return Outcome(held, fetcher.fetch_favorites(request.user_id, cursor, partial(self._go_on, held)))
            somebody_waits = request.priority is not Priority.REFRESH
            return Outcome(held, fetcher.fetch_contacts(request.user_id, cursor, person=somebody_waits))
        except UserNotFoundError:
            return Outcome(held, is_gone=True)

    def _go_on(self, held: Held) -> None:
        if self._stopping.is_set() or held.message.receipt in self._lost:
            raise _StoppedError

    def _take_details(self) -> list[Photo]:
        return [photo for fetcher in self._fetchers.values() for photo in fetcher.take_details()]

    def _settled(self, outcomes: Sequence[Outcome]) -> None:
        with self._lock:
            for outcome in outcomes:
                self._in_hand.pop(outcome.held.message.receipt, None)
                self._lost.discard(outcome.held.message.receipt)

    def _broken(self, outcome: Outcome, error: Exception) -> None:
        for fetcher in self._fetchers.values():
            fetcher.forget_details()
        self._fail(outcome.held, f"unexpected: {type(error).__name__}: {error}", permanent=False)

    def _put_off(self, held: Held, reason: str, seconds: float) -> None:
        """Nothing is wrong with the request: it waits for what is missing, and the attempt does not count."""
        logger.warning("pull_put_off", user_id=held.request.user_id, seconds=round(seconds), reason=reason)
        self._drop(held, lambda: self._place.queue.put_back(held.message, seconds))

    def _fail(self, held: Held, reason: str, *, permanent: bool) -> None:
        """Later again, longer each time; or never, when it was the last attempt or can't succeed."""
        message = held.message
        logger.warning("pull_failed", user_id=held.request.user_id, attempt=message.attempts, reason=reason)
        if permanent or message.attempts >= MAX_ATTEMPTS:
            death = Death.FAILED if permanent else Death.ATTEMPTS

            def bury() -> None:  # last, as nobody would give up what is buried already
                give_up(self._place, held.request, reason)
                self._place.queue.bury(message, reason, death)

            self._drop(held, bury)
        else:
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (message.attempts - 1))
            self._drop(held, lambda: self._place.queue.retry(message, delay))

    def _drop(self, held: Held, settle: Callable[[], None]) -> None:
        self._try(settle)
        self._settled([Outcome(held)])

    def _try(self, settle: Callable[[], None]) -> None:
        """What can't be settled now comes back when its lease runs out."""
        try:
            settle()
        except (DependencyError, sa.exc.SQLAlchemyError) as error:
            logger.warning("message_not_settled", reason=str(error))

    def _extend(self, ended: threading.Event) -> None:
        """Keep the leases of all messages in hand while they are worked on."""
        while not ended.wait(self._place.settings.lease_seconds / 3):
            with self._lock:
                messages = [held.message for held in self._in_hand.values()]
            try:
                lost = self._place.queue.extend(messages) if messages else set()
            except (DependencyError, sa.exc.SQLAlchemyError) as error:
                logger.warning("leases_not_extended", messages=len(messages), reason=str(error))
                continue
            with self._lock:
                self._lost |= lost & self._in_hand.keys()

    def _relay(self) -> None:
        while not self._stopping.wait(RELAY_SECONDS):
            try:
                if moved := drain(self._place.engine, self._place.lake):
                    logger.info("relayed", actions=moved)
            except (PhotoRecommenderError, sa.exc.SQLAlchemyError) as error:
                logger.warning("relay_failed", reason=str(error))


def _acquire(free: threading.Semaphore, seconds: float, at_most: int) -> int:
    """Take as many as there are, waiting for the first; how many."""
    if not free.acquire(timeout=seconds):
        return 0
    number = 1
    while number < at_most and free.acquire(blocking=False):
        number += 1
    return number
