"""Which users to refresh next: pure functions over arrays, from what is known of each user to a plan of due times.

A refresh is worth the new favorites that it is expected to find, times the walls that use them. Intervals minimize the
total time that such favorites stay unseen, under a budget of calls and with nobody over the longest interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.settings import Settings

HALF_LIFE_DAYS = 30.0
"""After so many days an observation of somebody's favoriting counts half: people change."""

PAGE = 500
"""Favorites that one call lists."""

SWEEP_PAGE = 450
"""What a page of the sweep moves on by, at least: pages overlap, and favorites are added while it goes on."""

CONTACTS_A_DAY = 0.1
"""New contacts a day that somebody's wall would use: it only orders contacts among favorites when calls are short."""

LEAST_USERS = 20
"""With fewer users observed, the prior is the fallback."""

_DAY = 86_400.0
_MINUTE_DAYS = 1 / 1_440
_DECAY = math.log(2) / HALF_LIFE_DAYS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """Rates of favoriting (favorites a day) among users: Gamma(shape, days); `days` is also how many days it weighs."""

    shape: float
    days: float


FALLBACK = Prior(0.25, 1.0)


@dataclass(frozen=True)
class Table:
    """What the plan is made from: parallel, one entry a user. Times are unix seconds, NaN for never.

    walls: (n,) how many active people's walls use the user's favorites; users of none need not be in it.
    person: (n,) whether the user is such a person, whose contacts are needed, too.
    """

    user_ids: Sequence[str]
    favorites_pulled_at: Floats  # (n,)
    contacts_pulled_at: Floats  # (n,)
    favorites: NDArray[np.int64]  # (n,) how many there are
    rate_favorites: Floats  # (n,) see `observe`
    rate_days: Floats  # (n,)
    walls: Floats  # (n,)
    person: NDArray[np.bool_]  # (n,)


@dataclass(frozen=True)
class Bounds:
    """Days between two refreshes of a user: at least and at most; and days within which the sweep sees every page."""

    shortest: float
    longest: float
    sweep: float

    @classmethod
    def from_settings(cls, settings: Settings) -> Bounds:
        return cls(settings.refresh_min_minutes * _MINUTE_DAYS, settings.refresh_max_hours / 24, settings.sweep_days)


@dataclass(frozen=True)
class Plan:
    """Everything that will be due, by time: m entries, the favorites of each used user and the contacts of each person.

    Of the n users of the table: `rates` (favorites a day) and `interval_days` (inf: no wall uses the user).
    `calls_per_day` is what the plan takes; `short_calls_per_day` what is missing to keep even the longest intervals,
    0.0 when all fits.
    """

    rows: NDArray[np.int64]  # (m,) rows of the table
    contacts: NDArray[np.bool_]  # (m,) contacts rather than favorites
    due_at: Floats  # (m,) unix seconds, ascending; -inf for what was never pulled
    overdue_at: Floats  # (m,) when the longest interval is over
    worth_a_day: Floats  # (m,) new favorites × walls that a day of waiting adds
    pulled_at: Floats  # (m,) unix seconds; NaN for never
    rates: Floats  # (n,)
    interval_days: Floats  # (n,)
    prior: Prior
    calls_per_day: float
    short_calls_per_day: float

    def due(self, now: datetime) -> NDArray[np.int64]:
        """The entries that are due, those worth most first."""
        entries = np.arange(np.searchsorted(self.due_at, now.timestamp(), side="right"))
        return entries[np.argsort(-self.worth(entries, now), kind="stable")]

    def worth(self, entries: NDArray[np.int64], now: datetime) -> Floats:
        """New favorites × walls that pulling each of these entries now is expected to bring."""
        waited = (now.timestamp() - self.pulled_at[entries]) / _DAY
        longest = (self.overdue_at - self.due_at)[entries] / _DAY
        never = np.where(np.isfinite(longest), longest, HALF_LIFE_DAYS)
        return np.asarray(self.worth_a_day[entries] * np.where(np.isnan(waited), never, waited))

    def overdue(self, now: datetime) -> int:
        """How many entries have waited longer than the longest interval."""
        return int((self.overdue_at < now.timestamp()).sum())

    def next_due(self, now: datetime) -> float | None:
        """When the next entry that is not due yet will be (unix seconds); None when there is none."""
        place = int(np.searchsorted(self.due_at, now.timestamp(), side="right"))
        return float(self.due_at[place]) if place < len(self.due_at) else None


def observe(rate_favorites: float, rate_days: float, new: int, days: float) -> tuple[float, float]:
    """Add an observation, `new` favorites in the `days` just past, to what is known of a user's rate.

    Both numbers are sums over the past in which what is t days old has the weight 2^(-t/30): of favorites, and of days.
    """
    if days <= 0:
        return rate_favorites + new, rate_days
    decay = math.exp(-_DECAY * days)
    weight_days = -math.expm1(-_DECAY * days) / _DECAY
    # Nobody knows when within those days they were: each has their mean weight.
    return rate_favorites * decay + new * weight_days / days, rate_days * decay + weight_days


def history_rate(faved_at: NDArray[np.int64], now: datetime) -> tuple[float, float]:
    """(rate_favorites, rate_days) from the dates of a user's favorites, unix seconds in any order, by the same weights.

    The days observed begin with the oldest favorite, which therefore does not count; without any, nothing is known.
    """
    if len(faved_at) == 0:
        return 0.0, 0.0
    ages = np.maximum(now.timestamp() - faved_at, 0.0) / _DAY
    span = float(ages.max())
    weights = np.exp(-_DECAY * ages)
    return float(weights.sum() - math.exp(-_DECAY * span)), -math.expm1(-_DECAY * span) / _DECAY


def gamma_prior(rate_favorites: Floats, rate_days: Floats) -> Prior:
    """The Gamma distribution of rates among users, by the method of moments (empirical Bayes).

    Users weigh as they were observed. Of the variance between their rates, what counting favorites of a Poisson process
    makes by itself is taken off. The fallback, where too few are observed or they do not differ by more than that.
    """
    seen = rate_days > 0
    days, favorites = rate_days[seen], rate_favorites[seen]
    total = float(days.sum())
    mean = float(favorites.sum()) / total if total > 0 else 0.0
    if len(days) < LEAST_USERS or mean <= 0:
        return FALLBACK
    between = float((days * (favorites / days - mean) ** 2).sum()) / total - mean * len(days) / total
    if between <= 0:
        return FALLBACK
    weight = float(np.clip(mean / between, 0.1, 365.0))
    return Prior(mean * weight, weight)


def posterior_rates(prior: Prior, rate_favorites: Floats, rate_days: Floats) -> Floats:
    """(n,) mean of the Gamma posterior, favorites a day: (a + favorites) / (b + days)."""
    return np.asarray((prior.shape + rate_favorites) / (prior.days + rate_days))


def sweep_gap_days(favorites: NDArray[np.int64], sweep_days: float) -> Floats:
    """(n,) days within which a user's sweep has to look at its next page, so that all are seen within `sweep_days`."""
    return np.asarray(sweep_days / (favorites // SWEEP_PAGE + 1))


def longest_days(favorites: NDArray[np.int64], bounds: Bounds) -> Floats:
    """(n,) the longest interval of each user.

    A refresh looks at a page of the sweep when half of the gap is over, so that refreshes twice a gap keep to it.
    """
    return np.minimum(bounds.longest, sweep_gap_days(favorites, bounds.sweep) / 2)


def intervals(worth_a_day: Floats, shortest: float, longest: Floats, calls_per_day: float) -> Floats:
    """(n,) days T between refreshes that minimize Σ worth·T/2 subject to Σ 1/T ≤ calls_per_day and the bounds.

    The mean new favorite waits T/2 to be seen. T = √(μ/worth) within the bounds; μ is found by bisection. Refreshes
    that do not fit even at the longest intervals get these. Bounds that cross: the longest counts.

    The square-root law for the total delay of new items: Sia, Cho & Cho, "Efficient Monitoring Algorithm for Fast News
    Alerts" (IEEE TKDE 19(7), 2007). Why refreshes must not be in proportion to the rate of change: Cho & Garcia-Molina,
    "Effective page refresh policies for Web crawlers" (ACM TODS 28(4), 2003, doi:10.1145/958942.958945). With values as
    well, for the share of fresh answers rather than the delay: Azar et al., "Tractable near-optimal policies for
    crawling" (PNAS 115(32), 2018, doi:10.1073/pnas.1801519115).
    """
    least = np.minimum(max(shortest, _MINUTE_DAYS), longest)
    if len(worth_a_day) == 0 or float((1 / longest).sum()) >= calls_per_day:
        return longest.copy()
    if float((1 / least).sum()) <= calls_per_day:
        return least
    with np.errstate(divide="ignore"):
        root = 1 / np.sqrt(worth_a_day)
    finite = np.isfinite(root)
    low = float((least[finite] / root[finite]).min(initial=1.0))
    high = float((longest[finite] / root[finite]).max(initial=1.0))
    while high / low > 1 + 1e-7:
        middle = math.sqrt(low * high)
        if float((1 / np.clip(root * middle, least, longest)).sum()) <= calls_per_day:
            high = middle
        else:
            low = middle
    return np.asarray(np.clip(root * high, least, longest))


def plan(now: datetime, table: Table, bounds: Bounds, calls_per_day: float) -> Plan:
    """When everybody is due, for `calls_per_day` of refreshes. A million users take about a second.

    A refresh is one call whatever its interval. What does not depend on the intervals comes off the budget first: pages
    of new favorites, pages of the sweep beyond the first, contacts.
    """
    prior = gamma_prior(table.rate_favorites, table.rate_days)
    rates = posterior_rates(prior, table.rate_favorites, table.rate_days)
    used = np.flatnonzero(table.walls > 0)
    persons = np.flatnonzero(table.person)
    worth, longest = rates[used] * table.walls[used], longest_days(table.favorites[used], bounds)
    fixed = (
        float(rates[used].sum()) / PAGE
        + _sweep_calls_per_day(table.favorites[used], bounds.sweep)
        + len(persons) / bounds.longest
    )
    days = intervals(worth, bounds.shortest, longest, calls_per_day - fixed)
    interval_days = np.full(len(table.user_ids), np.inf)
    interval_days[used] = days

    rows = np.concatenate([used, persons])
    contacts = np.arange(len(rows)) >= len(used)
    pulled_at = np.concatenate([table.favorites_pulled_at[used], table.contacts_pulled_at[persons]])
    due_at = pulled_at + np.concatenate([days, np.full(len(persons), bounds.longest)]) * _DAY
    overdue_at = pulled_at + np.concatenate([longest, np.full(len(persons), bounds.longest)]) * _DAY
    due_at[np.isnan(due_at)] = -np.inf
    order = np.argsort(due_at, kind="stable")
    taken = fixed + float((1 / days).sum())
    return Plan(
        rows=rows[order],
        contacts=contacts[order],
        due_at=due_at[order],
        overdue_at=overdue_at[order],
        worth_a_day=np.concatenate([worth, np.full(len(persons), CONTACTS_A_DAY)])[order],
        pulled_at=pulled_at[order],
        rates=rates,
        interval_days=interval_days,
        prior=prior,
        calls_per_day=taken,
        short_calls_per_day=max(0.0, taken - calls_per_day),
    )


def _sweep_calls_per_day(favorites: NDArray[np.int64], sweep_days: float) -> float:
    """At most: a page from half of the gap on. The first page of a round stands for the listing and costs nothing."""
    pages = favorites // SWEEP_PAGE + 1
    return float(((1 - 1 / pages) * 2 / sweep_gap_days(favorites, sweep_days)).sum())
