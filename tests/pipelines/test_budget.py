"""The budget of Flickr calls, on SQLite and on Redis: no window ever holds more than its limit, whoever asks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sa
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.database import pull_requests
from features.errors import ConfigurationError, DependencyError
from features.lake import Lake
from features.online import OnlineFeatures
from features.settings import Settings, get_settings
from pipelines import flickr as flickr_module
from pipelines import queue
from pipelines.budget import (
    HOUR,
    SHARES,
    Budget,
    BudgetSpentError,
    Limits,
    Purpose,
    RedisBudget,
    SqliteBudget,
    open_budget,
)
from pipelines.commands_pull import budget
from pipelines.flickr import open_flickr
from pipelines.worker import Worker

Make = Callable[[Limits], Budget]


@pytest.fixture(params=["sqlite", "redis"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty budget is kept."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'budget.db'}"
    url: str = request.getfixturevalue("redis_url")
    redis.Redis.from_url(url).flushdb()
    return url


@pytest.fixture
def make(address: str) -> Make:
    """Opens the budget anew, as another process would."""
    if address.startswith("sqlite"):
        return lambda limits: SqliteBudget(Path(address.removeprefix("sqlite:///")), limits)
    return lambda limits: RedisBudget(address, limits)


def test_calls_are_let_through_until_the_hour_is_full(make: Make) -> None:
    budget = make(Limits(per_hour=5, per_second=100))
    assert [budget.take(Purpose.PERSON) for _ in range(5)] == [0.0] * 5
    assert HOUR - 60 < budget.take(Purpose.PERSON) <= HOUR + 1


def test_a_refused_call_takes_nothing(make: Make) -> None:
    budget = make(Limits(per_hour=3, per_second=100))
    for _ in range(10):
        budget.take(Purpose.PERSON)
    assert budget.spent()[Purpose.PERSON] == 3


def test_a_burst_is_spread_over_the_seconds(make: Make) -> None:
    budget = make(Limits(per_hour=1_000, per_second=4))
    taken: list[float] = []
    while len(taken) < 10:
        wait = budget.take(Purpose.PERSON)
        if wait:
            assert wait <= 1.0
            time.sleep(wait)
        else:
            taken.append(time.monotonic())
    # Redis measures by its own clock, and a call is taken a moment before it is noted here.
    assert all(later - earlier > 0.9 for earlier, later in zip(taken, taken[4:], strict=False))


def test_work_that_nobody_waits_for_leaves_a_fifth_to_people(make: Make) -> None:
    budget = make(Limits(per_hour=50, per_second=1_000))
    assert sum(budget.take(Purpose.REFRESH) == 0.0 for _ in range(60)) == 40
    assert sum(budget.take(Purpose.PERSON) == 0.0 for _ in range(60)) == 10


def test_what_anonymous_visitors_ask_for_has_a_tenth(make: Make) -> None:
    budget = make(Limits(per_hour=50, per_second=1_000))
    assert sum(budget.take(Purpose.ANONYMOUS) == 0.0 for _ in range(20)) == 5
    assert budget.spent() == {Purpose.PERSON: 0, Purpose.REFRESH: 0, Purpose.ANONYMOUS: 5}


def test_all_who_open_it_share_it(make: Make) -> None:
    limits = Limits(per_hour=40, per_second=10_000)
    budgets = [make(limits) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(lambda n: budgets[n % 4].take(Purpose.PERSON) == 0.0, range(120)))
    assert taken == 40
    assert make(limits).spent()[Purpose.PERSON] == 40


def test_processes_together_never_take_more_than_the_limit(address: str) -> None:
    program = (
        "import sys\n"
        "from pipelines.budget import Limits, Purpose, _open\n"
        "budget = _open(sys.argv[1], Limits(100, 100_000))\n"
        "print(sum(budget.take(Purpose.PERSON) == 0.0 for _ in range(60)))\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, address], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert sum(int(child.communicate(timeout=60)[0]) for child in children) == 100


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 900), st.sampled_from(list(Purpose))),
        min_size=1,
        max_size=120,
    )
)
@hypothesis_settings(max_examples=30, deadline=None)
def test_no_sliding_hour_or_second_ever_holds_more_than_the_limits(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[float, Purpose]]
) -> None:
    now = [1_000_000.0]
    limits = Limits(per_hour=12, per_second=3)
    budget = SqliteBudget(tmp_path_factory.mktemp("budget") / "budget.db", limits, clock=lambda: now[0])
    taken: list[tuple[float, Purpose]] = []
    for pause, purpose in steps:
        now[0] += pause if pause > 300 else pause / 1_000
        wait = budget.take(purpose)
        if wait == 0.0:
            taken.append((now[0], purpose))
        else:
            now[0] += wait
            if budget.take(purpose) == 0.0:
                taken.append((now[0], purpose))
    for at, _ in taken:
        hour = [purpose for moment, purpose in taken if at - HOUR < moment <= at]
        assert len(hour) <= limits.per_hour
        for purpose in Purpose:
            assert hour.count(purpose) <= max(1, int(limits.per_hour * SHARES[purpose]))
        assert sum(at - 1.0 < moment <= at for moment, _ in taken) <= limits.per_second


def test_waiting_as_long_as_it_says_is_enough(tmp_path: Path) -> None:
    now = [5_000.0]
    budget = SqliteBudget(tmp_path / "budget.db", Limits(2, 10), clock=lambda: now[0])
    for _ in range(2):
        assert budget.take(Purpose.PERSON) == 0.0
        now[0] += 60
    now[0] += budget.take(Purpose.PERSON)
    assert budget.take(Purpose.PERSON) == 0.0


def test_a_budget_that_can_not_be_reached_is_a_failing_dependency(free_port: Callable[[], int]) -> None:
    budget = RedisBudget(f"redis://:secret@127.0.0.1:{free_port()}/0", Limits(10, 10))
    with pytest.raises(DependencyError) as failed:
        budget.take(Purpose.PERSON)
    assert "secret" not in failed.value.message


def test_an_address_of_another_kind_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="PHOTO_RECOMMENDER_BUDGET_URL"):
        open_budget(settings.model_copy(update={"budget_url": "memcached://localhost"}))


class TestTheClient:
    def test_every_try_is_paid_for(
        self, sandbox: Any, sandbox_settings: Settings, avid: str, quick_retries: None
    ) -> None:
        sandbox.faults({"kind": "bad_gateway", "times": 2})
        before = sandbox.get("/sandbox/calls")["total"]
        open_flickr(sandbox_settings, purpose=Purpose.REFRESH).person(avid)
        assert sandbox.get("/sandbox/calls")["total"] - before == 3
        assert open_budget(sandbox_settings).spent()[Purpose.REFRESH] == 3

    def test_without_a_call_left_it_asks_nothing_of_flickr_and_says_when_there_is_one(
        self, sandbox: Any, sandbox_settings: Settings, avid: str
    ) -> None:
        client = open_flickr(sandbox_settings.model_copy(update={"flickr_calls_per_hour": 2}))
        client.person(avid)
        client.person(avid)
        before = sandbox.get("/sandbox/calls")["total"]
        with pytest.raises(BudgetSpentError) as spent:
            client.person(avid)
        assert sandbox.get("/sandbox/calls")["total"] == before
        assert HOUR - 60 < spent.value.retry_after <= HOUR

    def test_it_waits_for_a_burst_to_pass(self, sandbox: Any, sandbox_settings: Settings, avid: str) -> None:
        client = open_flickr(sandbox_settings.model_copy(update={"flickr_calls_per_second": 3}))
        began = time.monotonic()
        for _ in range(5):
            client.person(avid)
        assert time.monotonic() - began > 0.9

    def test_flickrs_own_limit_is_never_met(
        self, start_sandbox: Any, sandbox_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(flickr_module, "PATIENCE", 0.0)
        with start_sandbox(tmp_path / "strict", "--calls-per-hour", "30") as strict:
            changes = {"flickr_rest_url": strict.rest_url, "flickr_calls_per_hour": 30}
            client = open_flickr(sandbox_settings.model_copy(update=changes))
            person = strict.get("/sandbox/people")[0]["user_id"]
            with pytest.raises(BudgetSpentError):
                for _ in range(40):
                    client.person(person)
            calls = strict.get("/sandbox/calls")
        assert calls["methods"]["flickr.people.getInfo"] == {"ok": 30}


def test_a_pull_that_the_budget_stops_waits_without_losing_an_attempt(
    lake: Lake, engine: sa.Engine, sandbox: Any, sandbox_settings: Settings, avid: str
) -> None:
    poor = sandbox_settings.model_copy(update={"flickr_calls_per_hour": 4})
    worker = Worker(lake, engine, lambda purpose: open_flickr(poor, purpose=purpose), OnlineFeatures(poor), poor)
    queue.put(engine, avid, reason=Purpose.PERSON)
    thread = threading.Thread(target=worker.run, args=(1,))
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while True:
            with engine.connect() as connection:
                row = connection.execute(sa.select(pull_requests)).mappings().one()
            if row["state"] == "waiting" and row["leased_until"] is not None:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        worker.stop()
        thread.join(20)
    assert row["attempts"] == 0
    assert sum(open_budget(poor).spent().values()) == 4


def test_the_command_shows_what_was_spent_on_what(
    sandbox_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in sandbox_settings.model_copy(update={"flickr_calls_per_hour": 3_600}).environment().items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    open_budget(get_settings()).take(Purpose.REFRESH)
    budget(as_json=True)
    shown = json.loads(capsys.readouterr().out)
    budget(as_json=False)
    table = capsys.readouterr().out
    get_settings.cache_clear()
    assert shown["spent"] == 1
    assert shown["purposes"]["refresh"] == {"spent": 1, "limit": 2_880, "left": 2_879}
    assert shown["purposes"]["anonymous"] == {"spent": 0, "limit": 360, "left": 360}
    assert "1 of 3,600 allowed" in table
    assert "2,879" in table
