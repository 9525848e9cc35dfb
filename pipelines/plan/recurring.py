"""What has to be done now and then by one process of all: jobs with an interval, one after the other in a thread.

They are told when to look; a job that fails is logged and comes again at its next turn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Gauge

FINISHED = Gauge(
    "photo_recommender_job_finished_timestamp_seconds", "When a recurring job last came to its end.", ["job"]
)
FAILURES = Counter("photo_recommender_job_failures", "Runs of a recurring job that failed.", ["job"])

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Job:
    """Something to do again and again. `run` may be killed at any moment, and must bear to be run twice."""

    name: str
    every: timedelta
    run: Callable[[], object]


class Recurring:
    """Runs jobs when they are due, each for the first time at the first look. Not for several threads."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs
        self._started: dict[str, datetime] = {}
        self._running: threading.Thread | None = None

    def start_due(self, now: datetime) -> None:
        """Start those that are due, in a thread that ends with the process; nothing while the last ones still run."""
        if self._running is not None and self._running.is_alive():
            return
        due = [job for job in self._jobs if job.name not in self._started or self._started[job.name] + job.every <= now]
        if due:
            self._started.update({job.name: now for job in due})
            self._running = threading.Thread(target=_run, args=(due,), name="recurring", daemon=True)
            self._running.start()


def _run(jobs: Sequence[Job]) -> None:
    for job in jobs:
        try:
            job.run()
        except Exception as error:  # noqa: BLE001  (whatever a job raises, the others are not its victims)
            FAILURES.labels(job.name).inc()
            logger.error("job_failed", job=job.name, reason=f"{type(error).__name__}: {error}")
        else:
            FINISHED.labels(job.name).set_to_current_time()
            logger.info("job_finished", job=job.name)
