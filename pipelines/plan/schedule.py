"""The scheduler: asks for the refreshes that the planner finds due, and sleeps until the next one is.

One of several is active, by a lease; it also sees to requests that were lost, and to recurring jobs. It holds nothing
that the next one would miss.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import sqlalchemy as sa
import structlog
from prometheus_client import Gauge

from features.errors import DependencyError
from features.settings import Settings
from pipelines.budget.windows import Limits, Purpose, open_budget
from pipelines.plan import planner, single
from pipelines.plan.recurring import Job, Recurring
from pipelines.plan.table import LOST_AFTER, open_requests, read_table, unfinished_parts
from pipelines.pull.ask import ask
from pipelines.queue.messages import Depth, Queue
from pipelines.queue.requests import Kind, Priority, PullRequest

LEASE = "scheduler"

ROUND = timedelta(minutes=5)
"""After so long everything is read anew, since users come, are pulled by others, and change."""

PEOPLE_HOURS = 6.0
"""What people use of the budget is averaged over about so long."""

RETRY_SECONDS = 15.0

DUE = Gauge("photo_recommender_users_due", "Refreshes that are due and not pulled yet.")
OVERDUE = Gauge("photo_recommender_users_overdue", "Refreshes that have waited longer than the longest interval.")
INTERVAL = Gauge("photo_recommender_refresh_interval_seconds", "Planned time between refreshes.", ["quantile"])
PLANNED = Gauge("photo_recommender_refresh_calls_planned", "Flickr calls a day that the plan takes.")
SHORT = Gauge("photo_recommender_refresh_calls_short", "Calls a day that are missing for even the longest intervals.")
ACTIVE = Gauge("photo_recommender_scheduler_active", "1 where this process is the one scheduler that plans.")

logger = structlog.get_logger(__name__)

Key = tuple[str, Kind]


def _now() -> datetime:
    return datetime.now(UTC)


def run(
    settings: Settings,
    engine: sa.Engine,
    queue: Queue,
    jobs: Sequence[Job] = (),
    stop: threading.Event | None = None,
    *,
    now: Callable[[], datetime] = _now,
    lease_seconds: float = single.SECONDS,
) -> None:
    """Plan and ask until `stop` is set; wait in line while another process does.

    `jobs` run in the active scheduler. SQL, queue or budget that fail are logged, and tried again.
    """
    stop = stop or threading.Event()
    while not stop.is_set():
        ACTIVE.set_function(float)
        with single.hold(engine, LEASE, stop, seconds=lease_seconds) as lease:
            if lease is None:
                return
            logger.info("scheduler_active")
            ACTIVE.set_function(lease.held)
            scheduler = Scheduler(settings, engine, queue, Recurring(jobs), now)
            try:
                while lease.held() and not stop.is_set():
                    scheduler.round(stop, lease)
            finally:
                ACTIVE.set_function(float)


class People:
    """Calls an hour that people use, averaged: a single visit should not turn the whole plan over."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._at = 0.0

    def mean(self, now: datetime, last_hour: int) -> float:
        """The average, `last_hour` included."""
        hours = max(0.0, now.timestamp() - self._at) / 3_600
        share = -math.expm1(-hours / PEOPLE_HOURS)
        self._mean = float(last_hour) if self._mean is None else self._mean + (last_hour - self._mean) * share
        self._at = now.timestamp()
        return self._mean


def calls_per_day(limits: Limits, people_per_hour: float) -> float:
    """What refreshes may use: their share of the key's hour, or what people leave of the whole, if that is less."""
    return 24 * max(0.0, min(limits.of(Purpose.REFRESH), limits.per_hour - people_per_hour))


def people_spent(settings: Settings) -> int:
    """Calls of the last hour that were not refreshes. Raises DependencyError."""
    spent = open_budget(settings).spent()
    return sum(sum(methods.values()) for purpose, methods in spent.items() if purpose is not Purpose.REFRESH)


class Scheduler:
    """The rounds of the active scheduler."""

    def __init__(
        self, settings: Settings, engine: sa.Engine, queue: Queue, recurring: Recurring, now: Callable[[], datetime]
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._queue = queue
        self._recurring = recurring
        self._now = now
        self._limits = Limits(settings.flickr_calls_per_hour, settings.flickr_calls_per_second)
        self._people = People()
        self._asked: dict[Key, datetime] = {}

    def round(self, stop: threading.Event, lease: single.Lease) -> None:
        """Read everything, plan, and ask for what is due and becomes due until the round is over."""
        try:
            began = self._now()
            depth = self._queue.depth()
            self._ask_for_lost(began, depth)
            table = read_table(self._engine, began, self._settings.inactive_days)
            calls = calls_per_day(self._limits, self._people.mean(began, people_spent(self._settings)))
            plan = planner.plan(began, table, planner.Bounds.from_settings(self._settings), calls)
            _show(plan, calls)
            # What waits longer than an hour may as well wait here, where it can still change its place.
            room = self._limits.of(Purpose.REFRESH) - depth.waiting.get(Priority.REFRESH, 0)
            while lease.held() and not stop.is_set():
                now = self._now()
                if now >= began + ROUND:
                    return
                self._recurring.start_due(now)
                requests = self._due(plan, table, now, room)
                room -= self._ask(requests, now)
                DUE.set(len(plan.due(now)))
                OVERDUE.set(plan.overdue(now))
                following = plan.next_due(now) if room > 0 else None
                until_end = (began + ROUND - now).total_seconds()
                wait = until_end if following is None else min(following - now.timestamp(), until_end)
                stop.wait(max(1.0, wait))
        except (sa.exc.SQLAlchemyError, DependencyError) as error:
            logger.warning("scheduler_round_failed", reason=str(error))
            stop.wait(RETRY_SECONDS)

    def _due(self, plan: planner.Plan, table: planner.Table, now: datetime, room: int) -> list[PullRequest]:
        """What is due and not asked for since it was last pulled, at most `room`, what is worth most first."""
        requests: list[PullRequest] = []
        for entry in plan.due(now):
            if len(requests) >= room:
                break
            user_id = table.user_ids[plan.rows[entry]]
            kind = Kind.CONTACTS if plan.contacts[entry] else Kind.FAVORITES
            asked_at = self._asked.get((user_id, kind))
            pulled_since = asked_at is not None and plan.pulled_at[entry] >= asked_at.timestamp()
            if asked_at is None or pulled_since or asked_at <= now - LOST_AFTER:
                requests.append(PullRequest(user_id=user_id, kind=kind, reason="due", priority=Priority.REFRESH))
        return requests

    def _ask(self, requests: Sequence[PullRequest], now: datetime) -> int:
        if not requests:
            return 0
        count = ask(self._engine, self._queue, requests)
        # Also those that fail at once and are open no more: they come again in an hour, not in a loop.
        self._asked.update({(request.user_id, request.kind): now for request in requests})
        logger.info("refreshes_asked", asked=count, due=len(requests), reason=requests[0].reason)
        return count

    def _ask_for_lost(self, now: datetime, depth: Depth) -> None:
        """Ask again for what is open for long where the queue has fewer messages than are open, and for lost parts."""
        opened = open_requests(self._engine)
        counts = Counter(request.priority for request, _ in opened)
        waiting = {priority: depth.waiting.get(priority, 0) + depth.leased for priority in counts}
        old = [request for request, asked_at in opened if asked_at <= now - LOST_AFTER]
        lost = [request for request in old if counts[request.priority] > waiting[request.priority]]
        self._asked = {key: asked_at for key, asked_at in self._asked.items() if asked_at > now - LOST_AFTER}
        for request, asked_at in opened:
            if request.priority <= Priority.REFRESH:
                self._asked[request.user_id, request.kind] = asked_at if asked_at > now - LOST_AFTER else now
        limit = self._limits.of(Purpose.REFRESH)
        parts = unfinished_parts(self._engine, now, self._settings.inactive_days, limit)
        unasked = [request for request in parts if (request.user_id, request.kind) not in self._asked]
        self._ask(lost[:limit], now)
        self._ask(unasked, now)


def _show(plan: planner.Plan, calls: float) -> None:
    used = plan.interval_days[np.isfinite(plan.interval_days)]
    for quantile in (0.1, 0.5, 0.9, 1.0):
        INTERVAL.labels(str(quantile)).set(float(np.quantile(used, quantile)) * 86_400 if len(used) else 0.0)
    PLANNED.set(plan.calls_per_day)
    SHORT.set(plan.short_calls_per_day)
    if plan.short_calls_per_day > 0:
        logger.warning(
            "refreshes_short_of_calls",
            calls_per_day=round(calls),
            missing=math.ceil(plan.short_calls_per_day),
            says="what is worth least waits longer than the longest interval",
        )
