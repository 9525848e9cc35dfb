"""What Prometheus reads of the state that all processes share: queue, budget, workers, open pulls; read when asked.

Whatever a process counts itself (calls, retries, commits) is defined at the top of the module that counts it, and
stands beside this on the same page. docs/metrics.md names every metric.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa
import structlog
from prometheus_client import REGISTRY, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from features.database import pull_progress
from features.errors import ConfigurationError
from features.settings import PREFIX, Settings
from pipelines.budget.breaker import Reason
from pipelines.budget.windows import open_budget
from pipelines.operation.presence import at_work
from pipelines.queue.messages import Queue
from pipelines.queue.requests import Priority

READ_SECONDS = 5.0
"""How long a scrape waits for its parts: half of what Prometheus waits for a scrape."""

Families = list[GaugeMetricFamily]

logger = structlog.get_logger(__name__)


def _gauge(name: str, says: str, labels: Iterable[str] = ()) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"photo_recommender_{name}", says, labels=list(labels))


def _queue_families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
    return (
        _gauge("queue_waiting", "Messages that wait, delayed ones included.", ["priority"]),
        _gauge("queue_leased", "Messages that a worker holds."),
        _gauge("queue_dead", "Dead letters."),
        _gauge("queue_oldest_seconds", "Since when the oldest waiting message waits."),
    )


def _budget_families() -> tuple[GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily]:
    return (
        _gauge("budget_left", "Flickr calls that each purpose may still make this hour.", ["purpose"]),
        _gauge("budget_spent", "Flickr calls of the last hour.", ["purpose", "method"]),
        _gauge("budget_paused_seconds", "How long all calls are still held back, by why; 0: they are not.", ["reason"]),
        _gauge("flickr_trouble", "1 since Flickr kept failing or refused the key, until a call succeeds.", ["reason"]),
    )


def _workers_family() -> GaugeMetricFamily:
    return _gauge("workers", "Processes that were seen within the last minute.", ["kind"])


def _pulls_family() -> GaugeMetricFamily:
    return _gauge("open_pulls", "People whose pull is not finished.")


def _errors_family() -> GaugeMetricFamily:
    return _gauge("scrape_errors", "1 where this part of the page could not be read, else 0.", ["part"])


class SharedState(Collector):
    """Reads each part in a thread of its own; one that fails or hangs is missing, and told in `scrape_errors`."""

    def __init__(self, settings: Settings, engine: sa.Engine, queue: Queue) -> None:
        self._settings = settings
        self._engine = engine
        self._queue = queue
        self._reading: dict[str, Future[Families]] = {}
        self._lock = threading.Lock()
        self._parts: dict[str, Callable[[], Families]] = {
            "queue": self._of_queue,
            "budget": self._of_budget,
            "workers": self._of_workers,
            "pulls": self._of_pulls,
        }

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The names, without reading anything."""
        return (*_queue_families(), *_budget_families(), _workers_family(), _pulls_family(), _errors_family())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        errors = _errors_family()
        for part, families in self._read().items():
            errors.add_metric([part], families is None)
            yield from families or ()
        yield errors

    def _read(self) -> dict[str, Families | None]:
        """Each part's families, None for one that failed or is not there in time."""
        with self._lock:
            for part, read in self._parts.items():
                before = self._reading.get(part)
                # One that still hangs since an earlier scrape is not joined by a second one.
                if before is None or before.done():
                    self._reading[part] = _in_thread(part, read)
            reading = dict(self._reading)
        wait(reading.values(), READ_SECONDS)
        return {part: _families(part, future) for part, future in reading.items()}

    def _of_queue(self) -> Families:
        depth = self._queue.depth()
        waiting, leased, dead, oldest = _queue_families()
        for priority in Priority:
            waiting.add_metric([priority.name.lower()], depth.waiting.get(priority, 0))
        leased.add_metric([], depth.leased)
        dead.add_metric([], depth.dead)
        if depth.oldest_seconds is not None:
            oldest.add_metric([], depth.oldest_seconds)
        return [waiting, leased, dead, oldest]

    def _of_budget(self) -> Families:
        left, spent, paused, trouble = _budget_families()
        budget = open_budget(self._settings)
        pause, breaker = budget.paused(), budget.breaker()
        for purpose, calls in budget.spent().items():
            left.add_metric([purpose], budget.left(purpose))
            for method, count in calls.items():
                spent.add_metric([purpose, method], count)
        for reason in Reason:
            paused.add_metric([reason], pause.seconds if pause is not None and pause.reason == reason else 0.0)
        for reason in (Reason.UNAVAILABLE, Reason.KEY_INVALID):
            # A pause ends, and begins anew with the next call: this lasts while nobody calls, too.
            trouble.add_metric([reason], breaker.openings > 0 and breaker.reason == reason)
        return [left, spent, paused, trouble]

    def _of_workers(self) -> Families:
        family = _workers_family()
        for kind, count in at_work(self._engine, datetime.now(UTC)).items():
            family.add_metric([kind], count)
        return [family]

    def _of_pulls(self) -> Families:
        query = sa.select(sa.func.count()).select_from(pull_progress).where(pull_progress.c.finished_at.is_(None))
        family = _pulls_family()
        with self._engine.connect() as connection:
            family.add_metric([], connection.scalar(query) or 0)
        return [family]


def _in_thread(part: str, read: Callable[[], Families]) -> Future[Families]:
    """`read` in a daemon thread: one that hangs for ever must not keep its process from ending."""
    future: Future[Families] = Future()

    def run() -> None:
        try:
            future.set_result(read())
        except Exception as error:  # noqa: BLE001  (whatever a part raises, the other parts are shown)
            future.set_exception(error)

    threading.Thread(target=run, name=f"metrics-{part}", daemon=True).start()
    return future


def _families(part: str, future: Future[Families]) -> Families | None:
    if not future.done():
        logger.warning("metrics_not_read", part=part, reason=f"no answer within {READ_SECONDS:.0f} s")
        return None
    error = future.exception()
    if error is not None:
        logger.warning("metrics_not_read", part=part, reason=f"{type(error).__name__}: {error}")
        return None
    return future.result()


def shared_state(settings: Settings, engine: sa.Engine, queue: Queue) -> CollectorRegistry:
    """A registry of the shared state alone, for a page that shows what its processes count already."""
    registry = CollectorRegistry()
    registry.register(SharedState(settings, engine, queue))
    return registry


@contextmanager
def serve_metrics(settings: Settings, engine: sa.Engine, queue: Queue) -> Iterator[int | None]:
    """While the context lasts, `GET /metrics` on `metrics_port` of `host` shows what this process counts and all share.

    Yields the port, None when it is 0 and nothing is served. Raises ConfigurationError when the port is taken.
    """
    port = settings.metrics_port
    if port == 0:
        yield None
        return
    collector = SharedState(settings, engine, queue)
    try:
        server, thread = start_http_server(port, settings.host)
    except OSError as error:
        raise ConfigurationError(
            f"{PREFIX}METRICS_PORT={port} on {settings.host} can't be used ({error.strerror}): each worker and "
            "scheduler of a machine needs a port of its own, or 0 to serve no metrics",
            field="metrics_port",
        ) from None
    REGISTRY.register(collector)
    try:
        yield port
    finally:
        REGISTRY.unregister(collector)
        server.shutdown()
        server.server_close()
        thread.join()
