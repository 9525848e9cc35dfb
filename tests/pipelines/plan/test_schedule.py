"""The scheduler: one of several is active, it asks for what is due, and sleeps until something will be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

from features.database import accounts, leases, pull_asked, pull_cursors, pull_parts, pull_progress, tombstones
from features.settings import Settings
from pipelines.plan import schedule, single
from pipelines.plan.recurring import Job, Recurring
from pipelines.plan.table import read_table
from pipelines.queue.messages import Queue, open_queue
from pipelines.queue.requests import Kind, Priority, PullRequest


class Time:
    """A clock, and an event whose waiting lets it go on; `stop` is set after so many waits."""

    def __init__(self, waits: int) -> None:
        self.at = datetime.now(UTC)
        self.waits: list[float] = []
        self.before_wait: Callable[[], None] = lambda: None
        self._left = waits
        self.stop = threading.Event()
        self.stop.wait = self._wait  # type: ignore[method-assign]

    def now(self) -> datetime:
        return self.at

    def _wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.before_wait()
        self.waits.append(timeout)
        self.at += timedelta(seconds=timeout)
        if len(self.waits) >= self._left:
            self.stop.set()
        return self.stop.is_set()


@pytest.fixture
def queue(settings: Settings, engine: sa.Engine) -> Queue:
    return open_queue(settings, engine)


def insert(engine: sa.Engine, table: sa.Table, *rows: dict[str, Any]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(table), list(rows))


def visit(engine: sa.Engine, user_id: str, at: datetime) -> None:
    insert(engine, accounts, {"user_id": user_id, "name": user_id, "created_at": at, "last_visit_at": at})


def pulled(engine: sa.Engine, user_id: str, at: datetime, **columns: Any) -> None:
    insert(engine, pull_cursors, {"user_id": user_id, "favorites_pulled_at": at, "contacts_pulled_at": at, **columns})


def ask_for(engine: sa.Engine, user_id: str, at: datetime, **columns: Any) -> None:
    row = {"stage": "done", "favorites": 0, "wants_neighbors": True, "priority": 0, "published": -1}
    insert(engine, pull_progress, {"user_id": user_id, **row, "asked_at": at, "updated_at": at, **columns})


def part(engine: sa.Engine, user_id: str, neighbor_id: str, finished_at: datetime | None) -> None:
    row = {"user_id": user_id, "neighbor_id": neighbor_id, "finished_at": finished_at, "covered": True}
    insert(engine, pull_parts, row)


def requests(queue: Queue) -> list[tuple[str, str, str, Priority]]:
    found = [PullRequest.parse(message.body) for message in queue.receive(10, 0)]
    return sorted((request.user_id, str(request.kind), request.reason, request.priority) for request in found)


def run(settings: Settings, engine: sa.Engine, queue: Queue, clock: Time, jobs: tuple[Job, ...] = ()) -> None:
    schedule.run(settings, engine, queue, jobs, clock.stop, now=clock.now)


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"photo_recommender_{name}")


def test_a_scheduler_whose_lease_was_lost_asks_for_nothing_more(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    clock = Time(waits=3)
    visit(engine, "a@N01", clock.at)
    pulled(engine, "a@N01", clock.at - timedelta(days=30))

    def lose() -> None:
        later = clock.at + timedelta(hours=1)
        with engine.begin() as connection:
            connection.execute(sa.update(leases).values(holder="another", until=later))

    with single.hold(engine, schedule.LEASE, threading.Event()) as lease:
        assert lease is not None
        lose()
        lease.renew()
        schedule.Scheduler(settings, engine, queue, Recurring(()), clock.now).round(clock.stop, lease)
    run(settings, engine, queue, clock)
    assert requests(queue) == []


def test_it_asks_for_the_favorites_and_contacts_of_people_and_the_favorites_of_their_neighbors(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    clock = Time(waits=1)
    long_ago = clock.at - timedelta(days=8)
    visit(engine, "visitor@N01", clock.at)
    ask_for(engine, "anonymous@N01", clock.at, priority=3)
    for user_id in ("visitor@N01", "anonymous@N01", "neighbor@N01", "stranger@N01"):
        pulled(engine, user_id, long_ago)
    part(engine, "visitor@N01", "neighbor@N01", long_ago)
    run(settings, engine, queue, clock)
    due = [("anonymous@N01", "contacts"), ("anonymous@N01", "favorites"), ("neighbor@N01", "favorites")]
    due += [("visitor@N01", "contacts"), ("visitor@N01", "favorites")]
    assert requests(queue) == [(user_id, kind, "due", Priority.REFRESH) for user_id, kind in due]


def test_who_has_not_visited_for_long_costs_nothing_and_neither_do_their_neighbors(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    clock = Time(waits=1)
    long_ago = clock.at - timedelta(days=settings.inactive_days + 1)
    visit(engine, "visitor@N01", long_ago)
    ask_for(engine, "visitor@N01", long_ago)
    pulled(engine, "visitor@N01", long_ago)
    pulled(engine, "neighbor@N01", long_ago)
    part(engine, "visitor@N01", "neighbor@N01", None)
    run(settings, engine, queue, clock)
    assert requests(queue) == []


def test_who_is_gone_from_flickr_is_not_asked_for(settings: Settings, engine: sa.Engine, queue: Queue) -> None:
    clock = Time(waits=1)
    visit(engine, "gone@N01", clock.at)
    pulled(engine, "gone@N01", clock.at - timedelta(days=8))
    tombstone = {"kind": "user", "subject_id": "gone@N01", "reason": "deleted", "created_at": clock.at}
    insert(engine, tombstones, tombstone)
    run(settings, engine, queue, clock)
    assert requests(queue) == []


def test_a_neighbor_of_many_walls_counts_for_each(engine: sa.Engine) -> None:
    now = datetime.now(UTC)
    for person in ("a@N01", "b@N01"):
        visit(engine, person, now)
        part(engine, person, "c@N01", now)
    for user_id in ("a@N01", "b@N01", "c@N01"):
        pulled(engine, user_id, now, favorites=7, rate_favorites=3.0, rate_days=30.0)
    table = read_table(engine, now, inactive_days=60)
    walls = dict(zip(table.user_ids, table.walls, strict=True))
    assert walls == {"a@N01": 1, "b@N01": 1, "c@N01": 2}
    assert dict(zip(table.user_ids, table.person, strict=True)) == {"a@N01": True, "b@N01": True, "c@N01": False}
    assert table.favorites_pulled_at == pytest.approx(now.timestamp())


def test_it_sleeps_until_the_next_one_is_due_and_asks_then(settings: Settings, engine: sa.Engine, queue: Queue) -> None:
    clock = Time(waits=2)
    visit(engine, "a@N01", clock.at)
    pulled(engine, "a@N01", clock.at - timedelta(minutes=settings.refresh_min_minutes) + timedelta(seconds=100))
    run(settings, engine, queue, clock)
    assert clock.waits[0] == pytest.approx(100, abs=0.01)
    assert requests(queue) == [("a@N01", "favorites", "due", Priority.REFRESH)]


def test_it_sleeps_five_minutes_at_most_and_then_knows_who_is_new(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    clock = Time(waits=2)

    def arrive() -> None:
        if not clock.waits:
            visit(engine, "new@N01", clock.at)
            pulled(engine, "new@N01", clock.at - timedelta(days=8))

    clock.before_wait = arrive
    run(settings, engine, queue, clock)
    assert clock.waits[0] == 300
    assert {user_id for user_id, *_ in requests(queue)} == {"new@N01"}


def test_what_is_open_is_not_asked_for_twice(settings: Settings, engine: sa.Engine, queue: Queue) -> None:
    clock = Time(waits=6)
    visit(engine, "a@N01", clock.at)
    pulled(engine, "a@N01", clock.at - timedelta(days=8))
    run(settings, engine, queue, clock)
    assert len(requests(queue)) == 2
    again = Time(waits=1)
    run(settings, engine, queue, again)
    assert queue.depth().waiting[Priority.REFRESH] == 0


def test_what_fails_at_once_and_is_open_no_more_comes_again_in_an_hour_only(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    clock, asked = Time(waits=26), []

    def fail() -> None:
        for message in queue.receive(10, 0):
            asked.append(clock.at)
            queue.bury(message, "it fails")
        with engine.begin() as connection:
            connection.execute(sa.delete(pull_asked))

    clock.before_wait = fail
    visit(engine, "a@N01", clock.at)
    pulled(engine, "a@N01", clock.at - timedelta(days=3))
    run(settings, engine, queue, clock)
    assert [round((at - asked[0]).total_seconds() / 60) for at in asked] == [0, 60, 120]


def test_no_more_is_asked_than_an_hours_share_waiting_in_the_queue(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    few = settings.model_copy(update={"flickr_calls_per_hour": 5})
    clock = Time(waits=3)
    for number in range(9):
        visit(engine, f"{number}@N01", clock.at)
        pulled(engine, f"{number}@N01", clock.at - timedelta(days=8 + number))
    run(few, engine, queue, clock)
    assert len(requests(queue)) == 4
    assert gauge("users_due") == 18
    assert gauge("users_overdue") == 18


def test_what_was_asked_for_long_ago_and_is_in_no_queue_is_asked_for_again(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    clock = Time(waits=1)
    for user_id, hours in (("lost@N01", 2), ("young@N01", 0.5)):
        row = {"user_id": user_id, "kind": "neighbors", "priority": 0, "asked_at": clock.at - timedelta(hours=hours)}
        insert(engine, pull_asked, row)
    run(settings, engine, queue, clock)
    assert requests(queue) == [("lost@N01", "neighbors", "lost", Priority.PERSON)]


def test_what_was_asked_for_long_ago_and_still_waits_in_the_queue_is_left_there(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    clock = Time(waits=1)
    request = PullRequest(user_id="a@N01", kind=Kind.FAVORITES, reason="visit", priority=Priority.PERSON)
    queue.put([request])
    row = {"user_id": "a@N01", "kind": "favorites", "priority": 0, "asked_at": clock.at - timedelta(hours=3)}
    insert(engine, pull_asked, row)
    run(settings, engine, queue, clock)
    assert requests(queue) == [("a@N01", "favorites", "visit", Priority.PERSON)]


def test_parts_of_a_pull_that_stands_still_are_asked_for_again(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    clock = Time(waits=1)
    for person, minutes, priority in (("still@N01", 61, 0), ("busy@N01", 5, 0), ("anonymous@N01", 90, 3)):
        ask_for(engine, person, clock.at - timedelta(minutes=minutes), priority=priority)
        pulled(engine, person, clock.at)
        part(engine, person, f"of-{person}", None)
    run(settings, engine, queue, clock)
    assert requests(queue) == [
        ("of-anonymous@N01", "favorites", "unfinished", Priority.ANONYMOUS),
        ("of-still@N01", "favorites", "unfinished", Priority.NEIGHBOR),
    ]


def test_sql_that_fails_is_tried_again(
    settings: Settings, engine: sa.Engine, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time(waits=2)
    visit(engine, "a@N01", clock.at)
    pulled(engine, "a@N01", clock.at - timedelta(days=8))
    failures = iter([sa.exc.OperationalError("SELECT", {}, Exception("locked"))])

    def read(*arguments: Any) -> Any:
        for failure in failures:
            raise failure
        return read_table(*arguments)

    monkeypatch.setattr(schedule, "read_table", read)
    run(settings, engine, queue, clock)
    assert clock.waits[0] == schedule.RETRY_SECONDS
    assert len(requests(queue)) == 2


def test_the_active_scheduler_runs_the_jobs_and_says_that_it_is_active(
    settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    clock, ran, active = Time(waits=1), threading.Event(), []
    clock.before_wait = lambda: active.append(gauge("scheduler_active"))
    run(settings, engine, queue, clock, (Job("once", timedelta(days=1), ran.set),))
    assert ran.wait(5)
    assert active == [1.0]
    assert gauge("scheduler_active") == 0.0
