"""The circuit breaker: when Flickr fails too often nobody calls, then one call is tried, and one success ends it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines.budget.breaker import KEY_SECONDS, LONGEST_SECONDS, LOOK_SECONDS, Breaker, Reason, Rules, load_breaker
from pipelines.budget.redis_windows import RedisBudget
from pipelines.budget.sqlite_windows import SqliteBudget
from pipelines.budget.windows import Budget, Limits, Pause, Purpose

INFO = "flickr.people.getInfo"
RULES = Rules(failures=3, seconds=30.0, trial_seconds=25.0)


class Clock:
    """A SQLite budget under a clock that the test turns."""

    def __init__(self, folder: Path, rules: Rules = RULES) -> None:
        self.now = 1_000_000.0
        self._path, self._limits = folder / "budget.db", Limits(1_000, 1_000, rules)
        self.budget = self.another()

    def another(self) -> SqliteBudget:
        return SqliteBudget(self._path, self._limits, clock=lambda: self.now)

    def take(self) -> float:
        return self.budget.take(Purpose.REFRESH, INFO)

    def open(self) -> None:
        for _ in range(RULES.failures):
            assert self.take() == 0.0
            self.budget.failed(0.0)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture(params=["sqlite", "redis"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Rules], Budget]:
    """Opens the same budget anew, as another process would, by the real clock."""
    if request.param == "sqlite":
        return lambda rules: SqliteBudget(tmp_path / "budget.db", Limits(1_000, 1_000, rules))
    url: str = request.getfixturevalue("redis_url")
    redis.Redis.from_url(url).flushdb()
    return lambda rules: RedisBudget(url, Limits(1_000, 1_000, rules))


def test_it_opens_for_all_after_so_many_failures_in_a_row(make: Callable[[Rules], Budget]) -> None:
    one, other = make(RULES), make(RULES)
    for budget in (one, other, one):
        assert budget.take(Purpose.PERSON, INFO) == 0.0
        budget.failed(0.0)
    for budget in (one, other):
        assert 29 < budget.take(Purpose.PERSON, INFO) <= 30
        pause = budget.paused()
        assert pause is not None
        assert pause.reason is Reason.UNAVAILABLE
        assert budget.spent()[Purpose.PERSON] == {INFO: 3}


def test_a_success_between_failures_begins_the_count_anew(make: Callable[[Rules], Budget]) -> None:
    one, other = make(RULES), make(RULES)
    for budget in (one, one):
        assert budget.take(Purpose.PERSON, INFO) == 0.0
        budget.failed(0.0)
    assert other.take(Purpose.PERSON, INFO) == 0.0
    other.succeeded(0.0)
    assert one.failed(0.0).failures == 1
    assert one.take(Purpose.PERSON, INFO) == 0.0


def test_of_all_who_ask_after_the_pause_one_is_let_through(make: Callable[[Rules], Budget]) -> None:
    rules = Rules(failures=1, seconds=0.05)
    budgets = [make(rules) for _ in range(4)]
    budgets[0].take(Purpose.PERSON, INFO)
    budgets[0].failed(0.0)
    while (pause := budgets[1].paused()) is not None:
        assert pause.seconds <= 0.05
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda n: budgets[n % 4].take(Purpose.PERSON, INFO), range(16)))
    assert waits.count(0.0) == 1
    assert max(waits) <= LOOK_SECONDS


def test_the_success_of_the_trial_lets_all_call_again(clock: Clock) -> None:
    clock.open()
    clock.now += 30
    assert clock.take() == 0.0
    assert clock.another().take(Purpose.PERSON, INFO) == LOOK_SECONDS
    clock.now += 0.2
    clock.budget.succeeded(0.2)
    assert clock.another().take(Purpose.PERSON, INFO) == 0.0
    assert clock.budget.breaker() == Breaker()


def test_each_trial_that_fails_doubles_the_pause_up_to_ten_minutes(clock: Clock) -> None:
    clock.open()
    pauses = []
    for _ in range(8):
        wait = clock.take()
        pauses.append(wait)
        clock.now += wait
        assert clock.take() == 0.0
        clock.budget.failed(0.0)
    assert pauses == [30, 60, 120, 240, 480, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


def test_a_trial_whose_process_died_is_followed_by_another(clock: Clock) -> None:
    clock.open()
    clock.now += 30
    assert clock.take() == 0.0
    clock.now += RULES.trial_seconds - 0.5
    assert clock.take() == 0.5
    clock.now += 0.5
    assert clock.take() == 0.0


@pytest.mark.parametrize("well", [True, False])
def test_a_call_that_began_before_it_opened_says_nothing(clock: Clock, well: bool) -> None:
    clock.open()
    before = clock.budget.breaker()
    clock.now += 20
    if well:
        clock.budget.succeeded(after=25)
    else:
        clock.budget.failed(after=25)
    assert clock.budget.breaker() == before


def test_a_pause_that_flickr_asked_for_outlasts_a_success(clock: Clock) -> None:
    clock.open()
    clock.budget.pause(100)
    clock.now += 30
    clock.budget.succeeded(0.0)
    assert clock.take() == 70
    assert clock.budget.paused() == Pause(70, Reason.THROTTLED)


def test_a_refused_key_stops_all_at_once_for_minutes_and_stays_so_until_a_call_succeeds(clock: Clock) -> None:
    assert clock.take() == 0.0
    clock.budget.failed(0.0, key_invalid=True)
    assert clock.another().paused() == Pause(KEY_SECONDS, Reason.KEY_INVALID)
    clock.now += KEY_SECONDS
    assert clock.take() == 0.0
    assert clock.budget.failed(0.0).key_invalid  # a bad gateway says nothing of the key
    assert clock.take() == KEY_SECONDS
    clock.now += KEY_SECONDS
    assert clock.take() == 0.0
    clock.budget.succeeded(0.0)
    assert not clock.budget.breaker().key_invalid


def test_a_clock_that_is_set_back_does_not_hold_it_open_for_longer(clock: Clock) -> None:
    clock.open()
    clock.now -= 100_000
    assert clock.take() == 30
    clock.now += 30
    assert clock.take() == 0.0
    clock.now -= 100_000
    assert clock.take() <= 30
    clock.now += 30
    assert clock.take() == 0.0


@given(
    events=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["succeeds", "fails", "key", "dies"]), st.floats(0.0, 0.9)),
            st.tuples(st.just("waits"), st.floats(0.0, 700.0)),
        ),
        max_size=60,
    )
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_whatever_happens_an_open_one_lets_one_call_through_per_trial_and_never_blocks_for_good(
    events: list[tuple[str, float]],
) -> None:
    now, breaker = 1_000.0, Breaker()
    last_trial = None
    for event, seconds in events:
        if event == "waits":
            now += seconds
            continue
        wait = breaker.wait(now, RULES)
        assert 0.0 <= wait <= LONGEST_SECONDS
        if wait:
            continue
        if breaker.openings:
            assert now >= breaker.opened_at + breaker.seconds
            assert last_trial is None or now >= last_trial + RULES.trial_seconds or breaker.opened_at >= last_trial
            last_trial = now
        breaker = load_breaker(breaker.tried(now).dump())
        now += seconds
        if event == "succeeds":
            breaker = breaker.succeeded(now, seconds)
            assert breaker == Breaker()
        elif event != "dies":
            breaker = breaker.failed(now, seconds, RULES, key_invalid=event == "key")
            assert (breaker.openings > 0) == (breaker.failures >= RULES.failures or breaker.key_invalid)
    while wait := breaker.wait(now, RULES):
        now += wait
    assert breaker.tried(now).succeeded(now, 0.0) == Breaker()
