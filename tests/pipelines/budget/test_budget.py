"""The budget of Flickr calls, on SQLite and on Redis: no window ever holds more than its limit, whoever asks."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.errors import ConfigurationError, DependencyError
from features.settings import Settings
from pipelines.budget.breaker import Reason
from pipelines.budget.redis_windows import RedisBudget
from pipelines.budget.sqlite_windows import SqliteBudget
from pipelines.budget.windows import HOUR, LONGEST_PAUSE, SHARES, Budget, Limits, Purpose, open_budget

INFO, LIST = "flickr.people.getInfo", "flickr.favorites.getPublicList"
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
    assert [budget.take(Purpose.PERSON, INFO) for _ in range(5)] == [0.0] * 5
    assert HOUR - 60 < budget.take(Purpose.PERSON, INFO) <= HOUR + 1


def test_a_refused_call_takes_nothing(make: Make) -> None:
    budget = make(Limits(per_hour=3, per_second=100))
    for _ in range(10):
        budget.take(Purpose.PERSON, INFO)
    assert budget.spent()[Purpose.PERSON] == {INFO: 3}


def test_it_tells_what_was_spent_on_what(make: Make) -> None:
    budget = make(Limits(per_hour=100, per_second=100))
    for purpose, method in [(Purpose.PERSON, INFO), (Purpose.REFRESH, LIST), (Purpose.REFRESH, LIST)]:
        budget.take(purpose, method)
    assert make(Limits(100, 100)).spent() == {
        Purpose.PERSON: {INFO: 1},
        Purpose.REFRESH: {LIST: 2},
        Purpose.ANONYMOUS: {},
    }


def test_what_is_left_is_what_the_hour_and_the_share_have_room_for(make: Make) -> None:
    budget = make(Limits(per_hour=10, per_second=100))
    assert [budget.left(purpose) for purpose in Purpose] == [10, 8, 1]
    for _ in range(5):
        budget.take(Purpose.PERSON, INFO)
    assert [budget.left(purpose) for purpose in Purpose] == [5, 5, 1]
    budget.take(Purpose.ANONYMOUS, INFO)
    for _ in range(9):
        budget.take(Purpose.REFRESH, INFO)
    assert [budget.left(purpose) for purpose in Purpose] == [0, 0, 0]


def test_a_burst_is_spread_over_the_seconds(make: Make) -> None:
    budget = make(Limits(per_hour=1_000, per_second=4))
    taken: list[float] = []
    while len(taken) < 10:
        wait = budget.take(Purpose.PERSON, INFO)
        if wait:
            assert wait <= 1.0
            time.sleep(wait)
        else:
            taken.append(time.monotonic())
    # Redis measures by its own clock, and a call is taken a moment before it is noted here.
    assert all(later - earlier > 0.9 for earlier, later in zip(taken, taken[4:], strict=False))


def test_work_that_nobody_waits_for_leaves_a_fifth_to_people(make: Make) -> None:
    budget = make(Limits(per_hour=50, per_second=1_000))
    assert sum(budget.take(Purpose.REFRESH, LIST) == 0.0 for _ in range(60)) == 40
    assert sum(budget.take(Purpose.PERSON, LIST) == 0.0 for _ in range(60)) == 10


def test_what_anonymous_visitors_ask_for_has_a_tenth(make: Make) -> None:
    budget = make(Limits(per_hour=50, per_second=1_000))
    assert sum(budget.take(Purpose.ANONYMOUS, LIST) == 0.0 for _ in range(20)) == 5
    assert budget.spent() == {Purpose.PERSON: {}, Purpose.REFRESH: {}, Purpose.ANONYMOUS: {LIST: 5}}


def test_all_who_open_it_share_it(make: Make) -> None:
    limits = Limits(per_hour=40, per_second=10_000)
    budgets = [make(limits) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        taken = sum(pool.map(lambda n: budgets[n % 4].take(Purpose.PERSON, INFO) == 0.0, range(120)))
    assert taken == 40
    assert make(limits).spent()[Purpose.PERSON] == {INFO: 40}


def test_processes_together_never_take_more_than_the_limit(address: str) -> None:
    program = (
        "import sys\n"
        "from pipelines.budget.windows import Limits, Purpose, _open\n"
        "budget = _open(sys.argv[1], Limits(100, 100_000))\n"
        "print(sum(budget.take(Purpose.PERSON, 'flickr.people.getInfo') == 0.0 for _ in range(60)))\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, address], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert sum(int(child.communicate(timeout=60)[0]) for child in children) == 100


def test_a_pause_holds_for_all_and_takes_nothing(make: Make) -> None:
    limits = Limits(per_hour=10, per_second=100)
    make(limits).pause(30)
    other = make(limits)
    assert 29 < other.take(Purpose.PERSON, INFO) <= 30
    pause = other.paused()
    assert pause is not None
    assert pause.reason is Reason.THROTTLED
    assert 29 < pause.seconds <= 30
    assert other.left(Purpose.PERSON) == 10


def test_a_pause_never_shortens_a_longer_one(make: Make) -> None:
    budget = make(Limits(per_hour=10, per_second=100))
    budget.pause(60)
    budget.pause(5)
    budget.pause(0)
    assert 59 < budget.take(Purpose.PERSON, INFO) <= 60
    budget.pause(90)
    assert 89 < budget.take(Purpose.PERSON, INFO) <= 90


def test_a_pause_ends_by_itself(make: Make) -> None:
    budget = make(Limits(per_hour=10, per_second=100))
    budget.pause(0.2)
    time.sleep(budget.take(Purpose.PERSON, INFO))
    assert budget.take(Purpose.PERSON, INFO) == 0.0
    assert budget.paused() is None


def test_a_pause_beyond_reason_is_cut_to_an_hour(make: Make) -> None:
    budget = make(Limits(per_hour=10, per_second=100))
    budget.pause(float("inf"))
    assert LONGEST_PAUSE - 1 < budget.take(Purpose.PERSON, INFO) <= LONGEST_PAUSE


Steps = list[tuple[float, Purpose]]
STEPS = st.lists(st.tuples(st.floats(0, 900), st.sampled_from(list(Purpose))), min_size=1, max_size=120)


def most_in_a_window(taken: list[float], seconds: float) -> int:
    return max((sum(at - seconds < moment <= at for moment in taken) for at in taken), default=0)


def assert_within(limits: Limits, taken: list[tuple[float, Purpose]]) -> None:
    assert most_in_a_window([at for at, _ in taken], HOUR) <= limits.per_hour
    assert most_in_a_window([at for at, _ in taken], 1.0) <= limits.per_second
    for purpose in Purpose:
        share = max(1, int(limits.per_hour * SHARES[purpose]))
        assert most_in_a_window([at for at, spent_on in taken if spent_on == purpose], HOUR) <= share


@given(steps=STEPS)
@hypothesis_settings(max_examples=30, deadline=None)
def test_no_sliding_hour_or_second_ever_holds_more_than_the_limits(
    tmp_path_factory: pytest.TempPathFactory, steps: Steps
) -> None:
    now = [1_000_000.0]
    limits = Limits(per_hour=12, per_second=3)
    budget = SqliteBudget(tmp_path_factory.mktemp("budget") / "budget.db", limits, clock=lambda: now[0])
    taken: list[tuple[float, Purpose]] = []
    for pause, purpose in steps:
        now[0] += pause if pause > 300 else pause / 1_000
        wait = budget.take(purpose, INFO)
        if wait:
            now[0] += wait
            wait = budget.take(purpose, INFO)
        if wait == 0.0:
            taken.append((now[0], purpose))
    assert_within(limits, taken)


@given(steps=STEPS)
@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_sliding_hour_holds_more_in_redis_either(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, steps: Steps
) -> None:
    now = [1_000_000.0]
    clock = SimpleNamespace(time=lambda: now[0])
    monkeypatch.setattr("limits.storage.redis.time", clock)
    monkeypatch.setattr("pipelines.budget.redis_windows.time", clock)
    redis.Redis.from_url(redis_url).flushdb()
    limits = Limits(per_hour=12, per_second=1_000)  # Redis forgets a second by its own clock
    budget = RedisBudget(redis_url, limits)
    taken: list[tuple[float, Purpose]] = []
    for pause, purpose in steps:
        now[0] += pause
        if budget.take(purpose, INFO) == 0.0:
            taken.append((now[0], purpose))
    assert_within(limits, taken)


@given(steps=STEPS, set_back=st.lists(st.tuples(st.integers(0, 119), st.floats(0, 10_000)), max_size=5))
@hypothesis_settings(max_examples=30, deadline=None)
def test_a_clock_that_is_set_back_neither_blocks_nor_lets_more_through(
    tmp_path_factory: pytest.TempPathFactory, steps: Steps, set_back: list[tuple[int, float]]
) -> None:
    real, offset = [1_000_000.0], [0.0]
    limits = Limits(per_hour=12, per_second=3)
    path = tmp_path_factory.mktemp("budget") / "budget.db"
    budget = SqliteBudget(path, limits, clock=lambda: real[0] + offset[0])
    taken: list[tuple[float, Purpose]] = []
    for number, (pause, purpose) in enumerate(steps):
        real[0] += pause if pause > 300 else pause / 1_000
        offset[0] -= sum(seconds for place, seconds in set_back if place == number)
        wait = budget.take(purpose, INFO)
        assert wait <= HOUR
        if wait == 0.0:
            taken.append((real[0], purpose))
    assert_within(limits, taken)


def test_a_pause_outlives_a_clock_that_is_set_back_by_no_more_than_its_length(tmp_path: Path) -> None:
    now = [50_000.0]
    budget = SqliteBudget(tmp_path / "budget.db", Limits(10, 10), clock=lambda: now[0])
    budget.pause(60)
    now[0] -= 40_000
    assert budget.take(Purpose.PERSON, INFO) == 60
    now[0] += 60
    assert budget.take(Purpose.PERSON, INFO) == 0.0


def test_waiting_as_long_as_it_says_is_enough(tmp_path: Path) -> None:
    now = [5_000.0]
    budget = SqliteBudget(tmp_path / "budget.db", Limits(2, 10), clock=lambda: now[0])
    for _ in range(2):
        assert budget.take(Purpose.PERSON, INFO) == 0.0
        now[0] += 60
    now[0] += budget.take(Purpose.PERSON, INFO)
    assert budget.take(Purpose.PERSON, INFO) == 0.0


def test_a_file_from_before_methods_were_counted_keeps_its_hour(tmp_path: Path) -> None:
    path = tmp_path / "budget.db"
    old = sqlite3.connect(path)
    old.executescript(
        "CREATE TABLE calls (at REAL NOT NULL, purpose TEXT NOT NULL);"
        "CREATE TABLE spent (purpose TEXT PRIMARY KEY, calls INTEGER NOT NULL) WITHOUT ROWID;"
    )
    old.execute("INSERT INTO calls VALUES (?, 'refresh')", (time.time(),))
    old.execute("INSERT INTO spent VALUES ('refresh', 1)")
    old.commit()
    old.close()
    for _ in range(2):
        budget = SqliteBudget(path, Limits(2, 10))
        assert budget.spent()[Purpose.REFRESH] == {"unknown": 1}
    assert [budget.take(Purpose.PERSON, INFO) == 0.0 for _ in range(2)] == [True, False]


def test_a_budget_that_can_not_be_reached_is_a_failing_dependency(free_port: Callable[[], int]) -> None:
    budget = RedisBudget(f"redis://:secret@127.0.0.1:{free_port()}/0", Limits(10, 10))
    for ask in (
        lambda: budget.take(Purpose.PERSON, INFO),
        lambda: budget.left(Purpose.PERSON),
        lambda: budget.failed(0.0),
        lambda: budget.pause(1),
        budget.spent,
        budget.paused,
    ):
        with pytest.raises(DependencyError) as failed:
            ask()
        assert "secret" not in failed.value.message


def test_an_address_of_another_kind_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="PHOTO_RECOMMENDER_BUDGET_URL"):
        open_budget(settings.model_copy(update={"budget_url": "memcached://localhost"}))
