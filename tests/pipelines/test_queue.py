"""The queue of pulls: one worker at a time has a request, and none is lost with its worker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from features.database import metadata, open_database, pull_requests
from features.settings import Settings
from pipelines import queue

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LEASE = 60.0


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def row_of(engine: sa.Engine, request_id: int) -> sa.RowMapping:
    with engine.connect() as connection:
        query = sa.select(pull_requests).where(pull_requests.c.request_id == request_id)
        return connection.execute(query).mappings().one()


def leased(engine: sa.Engine, now: datetime = NOW) -> queue.Lease:
    held = queue.lease(engine, LEASE, now=now)
    assert held is not None
    return held


def order_of_leases(engine: sa.Engine) -> Iterator[str]:
    while held := queue.lease(engine, LEASE, now=NOW):
        yield held.user_id


def test_an_empty_queue_has_nothing_to_lease(engine: sa.Engine) -> None:
    assert queue.lease(engine, LEASE) is None
    assert queue.counts(engine) == {}


def test_a_lease_says_what_to_do_and_until_when(engine: sa.Engine) -> None:
    number = queue.put(engine, "a", reason="visit")
    held = leased(engine)
    assert (held.request_id, held.user_id, held.kind, held.reason) == (number, "a", queue.KIND_PERSON, "visit")
    assert (held.attempts, held.until) == (1, after(LEASE))
    assert queue.counts(engine) == {"leased": 1}


def test_the_most_urgent_request_is_leased_first_then_the_oldest(engine: sa.Engine) -> None:
    queue.put(engine, "a", priority=queue.PRIORITY_REFRESH)
    queue.put(engine, "b", priority=queue.PRIORITY_PERSON)
    queue.put(engine, "c", priority=queue.PRIORITY_REFRESH)
    queue.put(engine, "d", priority=queue.PRIORITY_PERSON)
    assert list(order_of_leases(engine)) == ["b", "d", "a", "c"]


def test_one_request_of_a_user_and_kind_is_open_at_a_time(engine: sa.Engine) -> None:
    first = queue.put(engine, "a")
    assert queue.put(engine, "a") == first
    held = leased(engine)
    assert queue.put(engine, "a") == first
    assert queue.put(engine, "a", kind="another") != first
    assert queue.done(engine, held)
    assert queue.put(engine, "a") != first


def test_asking_again_makes_a_request_more_urgent_and_never_less(engine: sa.Engine) -> None:
    waiting = queue.put(engine, "a", priority=queue.PRIORITY_REFRESH)
    queue.put(engine, "b", priority=queue.PRIORITY_REFRESH - 1)
    queue.put(engine, "a", priority=queue.PRIORITY_PERSON)
    queue.put(engine, "a", priority=queue.PRIORITY_REFRESH)
    assert row_of(engine, waiting)["priority"] == queue.PRIORITY_PERSON
    assert list(order_of_leases(engine)) == ["a", "b"]


def test_a_leased_request_is_nobody_elses_until_the_lease_runs_out(engine: sa.Engine) -> None:
    queue.put(engine, "a")
    first = leased(engine)
    assert queue.lease(engine, LEASE, now=after(LEASE - 1)) is None
    second = leased(engine, after(LEASE))
    assert (second.request_id, second.attempts) == (first.request_id, 2)
    assert second.token != first.token


def test_a_request_whose_lease_ran_out_keeps_its_place(engine: sa.Engine) -> None:
    queue.put(engine, "a", priority=queue.PRIORITY_REFRESH)
    queue.put(engine, "b", priority=queue.PRIORITY_REFRESH)
    leased(engine)
    queue.put(engine, "urgent")
    assert [leased(engine, after(LEASE)).user_id for _ in range(3)] == ["urgent", "a", "b"]


@pytest.mark.parametrize(
    "settle",
    [
        queue.done,
        queue.release,
        lambda engine, held: queue.extend(engine, held, LEASE),
        lambda engine, held: queue.fail(engine, held, "too late"),
        lambda engine, held: queue.fail(engine, held, "too late", permanent=True),
    ],
    ids=["done", "release", "extend", "fail", "fail for good"],
)
def test_who_lost_the_lease_can_change_nothing(
    engine: sa.Engine, settle: Callable[[sa.Engine, queue.Lease], bool]
) -> None:
    queue.put(engine, "a")
    lost = leased(engine)
    leased(engine, after(LEASE))
    before = row_of(engine, lost.request_id)
    assert not settle(engine, lost)
    assert row_of(engine, lost.request_id) == before


def test_what_is_done_is_done_once(engine: sa.Engine) -> None:
    queue.put(engine, "a")
    held = leased(engine)
    assert queue.done(engine, held)
    assert not queue.done(engine, held)
    assert not queue.fail(engine, held, "no longer mine")
    assert queue.counts(engine) == {"done": 1}
    assert row_of(engine, held.request_id)["finished_at"] is not None


def test_a_late_worker_still_finishes_what_nobody_took_over(engine: sa.Engine) -> None:
    queue.put(engine, "a")
    held = queue.lease(engine, 0.0)
    assert held is not None
    assert queue.done(engine, held)


def test_extending_holds_a_request_longer(engine: sa.Engine) -> None:
    queue.put(engine, "a")
    held = leased(engine)
    assert queue.extend(engine, held, LEASE, now=after(LEASE - 1))
    assert queue.lease(engine, LEASE, now=after(2 * LEASE - 2)) is None
    assert queue.done(engine, held)


def test_a_request_given_back_waits_at_once_and_its_attempt_does_not_count(engine: sa.Engine) -> None:
    queue.put(engine, "a")
    for _ in range(2 * queue.MAX_ATTEMPTS):
        held = leased(engine)
        assert held.attempts == 1
        assert queue.release(engine, held)
    assert queue.counts(engine) == {"waiting": 1}


def test_a_failed_request_waits_twice_as_long_each_time_and_is_dead_after_the_last(engine: sa.Engine) -> None:
    number = queue.put(engine, "a")
    moment, delay = NOW, queue.FIRST_DELAY
    for attempt in range(1, queue.MAX_ATTEMPTS + 1):
        held = leased(engine, moment)
        assert held.attempts == attempt
        assert queue.fail(engine, held, f"failure {attempt}", now=moment)
        assert row_of(engine, number)["error"] == f"failure {attempt}"
        if attempt < queue.MAX_ATTEMPTS:
            assert queue.lease(engine, LEASE, now=moment + delay - timedelta(seconds=1)) is None
            moment, delay = moment + delay, 2 * delay
    assert queue.counts(engine) == {"dead": 1}
    assert queue.lease(engine, LEASE, now=moment + timedelta(days=9)) is None


def test_no_delay_is_longer_than_the_longest(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "LONGEST_DELAY", timedelta(seconds=7))
    queue.put(engine, "a")
    for _ in range(3):
        held = leased(engine, after(3600))
        queue.fail(engine, held, "again", now=NOW)
    assert row_of(engine, held.request_id)["leased_until"] == after(7)


def test_what_can_never_succeed_is_dead_at_once(engine: sa.Engine) -> None:
    queue.put(engine, "a")
    assert queue.fail(engine, leased(engine), "no such user", permanent=True)
    assert queue.counts(engine) == {"dead": 1}
    queue.put(engine, "a")
    assert queue.counts(engine) == {"dead": 1, "waiting": 1}


def test_what_kills_every_worker_is_dead_after_the_last_attempt(engine: sa.Engine) -> None:
    number = queue.put(engine, "a")
    queue.put(engine, "b", priority=queue.PRIORITY_REFRESH)
    moment = NOW
    for _ in range(queue.MAX_ATTEMPTS):
        assert leased(engine, moment).user_id == "a"
        moment += timedelta(seconds=LEASE)
    assert leased(engine, moment).user_id == "b"
    assert queue.counts(engine) == {"dead": 1, "leased": 1}
    row = row_of(engine, number)
    assert row["error"] == "its worker died or hung at every attempt"
    assert row["finished_at"] == moment


def test_success_forgets_the_error_of_an_earlier_attempt(engine: sa.Engine) -> None:
    number = queue.put(engine, "a")
    queue.fail(engine, leased(engine), "Flickr was down", now=NOW)
    queue.done(engine, leased(engine, after(3600)))
    assert row_of(engine, number)["error"] is None


def fail(engine: sa.Engine, held: queue.Lease) -> bool:
    return queue.fail(engine, held, "failed", now=NOW)


class QueueMachine(RuleBasedStateMachine):
    """Workers that ask, lease, lose and settle in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        metadata.create_all(self.engine)
        self.now = NOW
        self.held: list[queue.Lease] = []
        self.owner: dict[int, str] = {}

    def teardown(self) -> None:
        self.engine.dispose()

    @rule(user=st.sampled_from("abc"), priority=st.sampled_from([queue.PRIORITY_PERSON, queue.PRIORITY_REFRESH]))
    def put(self, user: str, priority: int) -> None:
        queue.put(self.engine, user, priority=priority)

    @rule()
    def lease(self) -> None:
        held = queue.lease(self.engine, LEASE, now=self.now)
        if held is not None:
            for other in self.held:
                if other.token == self.owner.get(held.request_id):
                    assert other.until <= self.now
            self.owner[held.request_id] = held.token
            self.held.append(held)

    @rule(seconds=st.sampled_from([1, 30, 61, 700]))
    def pass_time(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), settle=st.sampled_from([queue.done, queue.release, fail]))
    def settle(self, data: st.DataObject, settle: Callable[[sa.Engine, queue.Lease], bool]) -> None:
        held = data.draw(st.sampled_from(self.held))
        settled = settle(self.engine, held)
        assert settled == (self.owner.get(held.request_id) == held.token)
        if settled:
            del self.owner[held.request_id]

    @invariant()
    def one_request_of_a_user_is_open(self) -> None:
        query = (
            sa.select(sa.func.count()).where(pull_requests.c.state.in_(queue.OPEN)).group_by(pull_requests.c.user_id)
        )
        with self.engine.connect() as connection:
            assert all(count == 1 for (count,) in connection.execute(query))

    @invariant()
    def nothing_is_tried_too_often(self) -> None:
        with self.engine.connect() as connection:
            assert (connection.scalar(sa.select(sa.func.max(pull_requests.c.attempts))) or 0) <= queue.MAX_ATTEMPTS


QueueMachine.TestCase.settings = hypothesis_settings(max_examples=20, stateful_step_count=25, deadline=None)
test_in_any_order_a_request_has_one_worker = QueueMachine.TestCase


WORKER = """
import sys
from features.database import open_database
from pipelines import queue
engine = open_database(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
while (held := queue.lease(engine, 60)) is not None:
    print(held.request_id, flush=True)
    assert queue.done(engine, held)
"""

DYING_WORKER = """
import os, signal, sys
from features.database import open_database
from pipelines import queue
held = queue.lease(open_database(sys.argv[1]), 1.0)
print(held.request_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_two_processes_never_get_the_same_request(settings: Settings, engine: sa.Engine) -> None:
    asked = {queue.put(engine, f"user {number}") for number in range(60)}
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, settings.database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for worker in workers:
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    got = [[int(line) for line in worker.communicate(timeout=60)[0].split()] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert all(got)
    assert sorted(got[0] + got[1]) == sorted(asked)
    assert queue.counts(engine) == {"done": 60}


def test_the_request_of_a_killed_worker_comes_back(settings: Settings, engine: sa.Engine) -> None:
    number = queue.put(engine, "a")
    killed = subprocess.run(
        [sys.executable, "-c", DYING_WORKER, settings.database_url], capture_output=True, text=True, check=False
    )
    assert (killed.returncode, killed.stdout) == (-9, f"{number}\n")
    again = open_database(settings.database_url)
    held = queue.lease(again, LEASE, now=datetime.now(UTC) + timedelta(seconds=1))
    again.dispose()
    assert held is not None
    assert (held.request_id, held.attempts) == (number, 2)
