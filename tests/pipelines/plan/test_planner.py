"""The planner: how often somebody favors, what a refresh is worth, and intervals that fit the budget."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.settings import Settings
from pipelines.plan import planner
from pipelines.plan.planner import Bounds, Prior, Table

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = 86_400.0
BOUNDS = Bounds(shortest=2 / 24, longest=7.0, sweep=30.0)

worths = arrays.arrays(np.float64, st.integers(1, 30), elements=st.floats(1e-6, 1e5))
days_of_waiting = st.floats(0.01, 200)


def table(walls: list[float], **columns: object) -> Table:
    """Users who were pulled a day ago and are known to make a favorite a day each, where nothing else is said."""
    n = len(walls)
    usual: dict[str, object] = {
        "user_ids": [f"{row}@N01" for row in range(n)],
        "favorites_pulled_at": np.full(n, NOW.timestamp() - DAY),
        "contacts_pulled_at": np.full(n, np.nan),
        "favorites": np.full(n, 100),
        "rate_favorites": np.full(n, 40.0),
        "rate_days": np.full(n, 40.0),
        "walls": np.array(walls, dtype=np.float64),
        "person": np.zeros(n, dtype=np.bool_),
    }
    return Table(**{**usual, **columns})  # type: ignore[arg-type]


@given(worths, st.floats(0.5, 1e4))
def test_intervals_keep_the_budget_wherever_even_the_longest_do(worth: np.ndarray, calls: float) -> None:
    longest = np.full(len(worth), 7.0)
    assume((1 / longest).sum() < calls)
    days = planner.intervals(worth, 2 / 24, longest, calls)
    assert (1 / days).sum() <= calls * (1 + 1e-9)


@given(worths, st.floats(0.5, 1e4))
def test_the_budget_is_used_up_unless_everybody_is_at_the_shortest_interval(worth: np.ndarray, calls: float) -> None:
    longest = np.full(len(worth), 7.0)
    assume((1 / longest).sum() < calls)
    days = planner.intervals(worth, 2 / 24, longest, calls)
    assert (1 / days).sum() >= 0.999 * calls or np.allclose(days, 2 / 24)


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(
            arrays.arrays(np.float64, n, elements=st.floats(0, 1e5)),
            arrays.arrays(np.float64, n, elements=st.floats(0.02, 30)),
        )
    ),
    st.floats(0, 10),
    st.floats(0, 1e6),
)
def test_nobody_waits_longer_than_the_longest_or_shorter_than_the_shortest_interval(
    users: tuple[np.ndarray, np.ndarray], shortest: float, calls: float
) -> None:
    worth, longest = users
    days = planner.intervals(worth, shortest, longest, calls)
    assert (days <= longest * (1 + 1e-12)).all()
    assert (days >= np.minimum(shortest, longest) * (1 - 1e-12)).all()


@given(worths, st.floats(0.5, 1e4))
def test_who_is_worth_more_never_waits_longer(worth: np.ndarray, calls: float) -> None:
    days = planner.intervals(worth, 2 / 24, np.full(len(worth), 7.0), calls)
    assert (np.diff(days[np.argsort(worth)]) <= 1e-9).all()


@given(worths, st.floats(0.5, 1e4), st.integers(0, 2**32 - 1))
def test_no_other_intervals_of_the_same_calls_leave_favorites_unseen_for_less_time(
    worth: np.ndarray, calls: float, seed: int
) -> None:
    longest = np.full(len(worth), 7.0)
    assume((1 / longest).sum() < calls)
    days = planner.intervals(worth, 2 / 24, longest, calls)
    other = np.clip(days * np.exp(np.random.default_rng(seed).normal(0, 0.3, len(days))), 2 / 24, longest)
    assume((1 / other).sum() <= (1 / days).sum())
    assert (worth * days).sum() <= (worth * other).sum() * (1 + 1e-6)


def test_four_times_the_worth_is_refreshed_twice_as_often() -> None:
    days = planner.intervals(np.array([1.0, 4.0]), 0.001, np.full(2, 100.0), 3.0)
    assert days == pytest.approx([1.0, 0.5], rel=1e-6)


def test_when_even_the_longest_intervals_need_more_calls_they_are_kept_and_the_lack_is_told() -> None:
    plan = planner.plan(NOW, table([1.0] * 70), BOUNDS, calls_per_day=4.0)
    assert plan.interval_days == pytest.approx(np.full(70, 7.0))
    assert plan.short_calls_per_day == pytest.approx(10 + 70 / 500 - 4, rel=1e-3)
    assert planner.plan(NOW, table([1.0] * 70), BOUNDS, calls_per_day=11.0).short_calls_per_day == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=20), st.floats(1, 1e5))
def test_whom_no_active_persons_wall_uses_is_never_due(walls: list[int], calls: float) -> None:
    plan = planner.plan(NOW, table([float(count) for count in walls]), BOUNDS, calls)
    assert set(plan.rows) == set(np.flatnonzero(walls))
    assert np.isinf(plan.interval_days[np.array(walls) == 0]).all()


@given(st.lists(days_of_waiting, min_size=1, max_size=20), st.floats(0, 1e4))
def test_everybody_is_due_before_the_longest_interval_is_over(waited: list[float], calls: float) -> None:
    pulled_at = NOW.timestamp() - np.array(waited) * DAY
    users = table([1.0] * len(waited), favorites_pulled_at=pulled_at)
    due = set(planner.plan(NOW, users, BOUNDS, calls).due(NOW))
    plan = planner.plan(NOW, users, BOUNDS, calls)
    assert {plan.rows[entry] for entry in due} >= set(np.flatnonzero(np.array(waited) >= 7.0))
    assert plan.overdue(NOW) == (np.array(waited) > 7.0).sum()


def test_what_is_due_comes_in_the_order_of_its_worth() -> None:
    users = table([1.0, 50.0, 5.0], favorites_pulled_at=NOW.timestamp() - np.array([8.0, 8.0, 9.0]) * DAY)
    plan = planner.plan(NOW, users, BOUNDS, calls_per_day=0.1)
    assert plan.rows[plan.due(NOW)].tolist() == [1, 2, 0]
    assert plan.worth(plan.due(NOW), NOW)[0] == pytest.approx(8 * 50 * plan.rates[1])


def test_the_next_due_time_is_that_of_the_first_who_is_not_due_yet() -> None:
    users = table([1.0, 1.0], favorites_pulled_at=NOW.timestamp() - np.array([8.0, 3.0]) * DAY)
    plan = planner.plan(NOW, users, BOUNDS, calls_per_day=0.1)
    assert plan.next_due(NOW) == pytest.approx(NOW.timestamp() + 4 * DAY)
    assert planner.plan(NOW, table([0.0]), BOUNDS, 10.0).next_due(NOW) is None


def test_who_was_never_pulled_is_due_at_once() -> None:
    plan = planner.plan(NOW, table([1.0, 1.0], favorites_pulled_at=np.array([np.nan, NOW.timestamp()])), BOUNDS, 10.0)
    assert plan.rows[plan.due(NOW)].tolist() == [0]
    assert plan.worth(plan.due(NOW), NOW)[0] > 0


def test_the_contacts_of_people_are_due_once_in_the_longest_interval() -> None:
    contacts = NOW.timestamp() - np.array([8.0, 6.0, 8.0]) * DAY
    users = table([1.0] * 3, contacts_pulled_at=contacts, person=np.array([True, True, False]))
    plan = planner.plan(NOW, users, BOUNDS, calls_per_day=3.0)
    due = [entry for entry in plan.due(NOW) if plan.contacts[entry]]
    assert plan.rows[due].tolist() == [0]
    assert plan.contacts.sum() == 2


def test_a_user_of_many_pages_is_refreshed_so_often_that_the_sweep_sees_them_all() -> None:
    """A page is looked at at the first refresh after half of the gap: the next one comes before the gap is over."""
    favorites = np.array([0, 449, 450, 5_000, 50_000])
    longest = planner.longest_days(favorites, BOUNDS)
    assert longest == pytest.approx([7.0, 7.0, 7.0, 30 / 12 / 2, 30 / 112 / 2])
    pages_of_500 = favorites // 500 + 1
    gap = planner.sweep_gap_days(favorites, BOUNDS.sweep)
    assert (pages_of_500 * gap <= 30.0).all()
    assert (gap / 2 + longest <= gap * (1 + 1e-12)).all()


def test_bounds_are_those_of_the_settings() -> None:
    settings = Settings(_env_file=None, refresh_min_minutes=60, refresh_max_hours=48, sweep_days=10)  # type: ignore[call-arg]
    assert Bounds.from_settings(settings) == Bounds(pytest.approx(1 / 24), 2.0, 10.0)


def test_a_rate_that_goes_on_is_estimated_as_it_is_whatever_the_steps() -> None:
    for step in (0.1, 1.0, 7.0):
        favorites, days = 0.0, 0.0
        for _ in range(round(200 / step)):
            favorites, days = planner.observe(favorites, days, new=0, days=step / 2)
            favorites, days = planner.observe(favorites, days, new=round(step * 10), days=step / 2)
        assert favorites / days == pytest.approx(10.0, rel=0.1)


@given(st.floats(0, 20), st.floats(0, 40), st.floats(0, 40))
def test_days_observed_in_two_steps_or_in_one_count_the_same(before: float, first: float, second: float) -> None:
    once = planner.observe(3.0, before, 0, first + second)
    twice = planner.observe(*planner.observe(3.0, before, 0, first), 0, second)
    assert once == pytest.approx(twice)


def test_after_a_half_life_an_observation_counts_half() -> None:
    favorites, _ = planner.observe(10.0, 5.0, 0, planner.HALF_LIFE_DAYS)
    assert favorites == pytest.approx(5.0)


@given(st.lists(st.integers(0, 300 * 86_400), min_size=1, max_size=60))
def test_a_history_weighs_its_favorites_as_if_each_had_been_observed_when_it_was_made(ages: list[int]) -> None:
    now = int(NOW.timestamp())
    found = planner.history_rate(np.array([now - age for age in ages], dtype=np.int64), NOW)
    favorites, days, last = 0.0, 0.0, max(ages)
    for age in sorted(ages, reverse=True)[1:]:
        favorites, days = planner.observe(favorites, days, 0, (last - age) / DAY)
        favorites, last = favorites + 1, age
    assert found == pytest.approx(planner.observe(favorites, days, 0, last / DAY))


def test_without_any_favorite_nothing_is_known_of_a_rate() -> None:
    assert planner.history_rate(np.array([], dtype=np.int64), NOW) == (0.0, 0.0)


def test_the_prior_is_found_again_from_users_who_were_drawn_from_it() -> None:
    rng = np.random.default_rng(5)
    days = rng.uniform(5, 40, 40_000)
    counts = rng.poisson(rng.gamma(0.5, 1 / 2.0, 40_000) * days).astype(np.float64)
    prior = planner.gamma_prior(counts, days)
    assert prior.shape == pytest.approx(0.5, rel=0.1)
    assert prior.days == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize(
    ("favorites", "days"),
    [
        ([], []),
        ([0.0] * 50, [10.0] * 50),
        ([3.0] * 50, [10.0] * 50),
        ([1.0, 9.0], [10.0, 10.0]),
        ([0.0] * 50, [0.0] * 50),
    ],
)
def test_where_users_tell_nothing_of_their_spread_the_prior_is_the_fallback(
    favorites: list[float], days: list[float]
) -> None:
    assert planner.gamma_prior(np.array(favorites), np.array(days)) == planner.FALLBACK


def test_the_rate_of_who_is_hardly_observed_is_the_priors_and_of_who_is_well_observed_their_own() -> None:
    rates = planner.posterior_rates(Prior(1.0, 2.0), np.array([0.0, 4_000.0]), np.array([0.0, 1_000.0]))
    assert rates == pytest.approx([0.5, 4.0], rel=0.01)


def test_a_hundred_thousand_users_are_planned_within_a_second() -> None:
    rng, n = np.random.default_rng(1), 100_000
    users = table(
        [float(count) for count in rng.geometric(0.1, n)],
        rate_favorites=rng.gamma(0.3, 60.0, n),
        favorites_pulled_at=NOW.timestamp() - rng.uniform(0, 7, n) * DAY,
    )
    began = time.process_time()
    plan = planner.plan(NOW, users, BOUNDS, calls_per_day=60_000.0)
    assert len(plan.due(NOW)) > 0
    assert time.process_time() - began < 1.0
    assert plan.calls_per_day == pytest.approx(60_000, rel=1e-3)
