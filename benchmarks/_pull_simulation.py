"""The simulated clock of `pull_economy`: what each policy of pulling calls, and when it learns of each favorite.

Everything that the code decides is decided by the code itself: the planner's intervals and rates, the sweep's steps.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from pipelines.plan import planner
from pipelines.pull import sweep
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import OVERLAP
from pipelines.sandbox.world import NEVER, World

DAY, HOUR = 86_400.0, 3_600.0
DAYS = 30
PAGE = sweep.PAGE
CONTACTS_PAGE = 1_000

Array = NDArray[np.float64]


@dataclass(frozen=True)
class People:
    """Users 0…n of the world, each with a wall: whom it uses, and every favorite that a listing could show."""

    now: float  # unix seconds: where the simulation begins
    neighbors: list[NDArray[np.int64]]  # of each wall, at most 300, without the person
    walls: Array  # (n,) how many walls use each user, the own one included
    contact_calls: NDArray[np.int64]  # (n,) calls of one listing of the contacts
    faved_at: list[list[int]]  # of each user, ascending
    unfaved_at: list[list[int]]  # parallel; NEVER for those that stay

    @property
    def n(self) -> int:
        return len(self.walls)


@dataclass
class Outcome:
    """What 30 days of a policy came to."""

    calls: Array  # (n,) for each user's favorites
    contact_calls: Array  # (n,)
    delays: Array  # (m,) hours between a favorite and its being known
    weights: Array  # (m,) walls for which it is
    users: NDArray[np.int64]  # (m,) whose favorite it is
    gaps: Array  # (n,) the longest time between two refreshes of each user, days
    deletions: Array  # days until each deletion was found; inf: not found

    @property
    def calls_per_day(self) -> float:
        return float((self.calls.sum() + self.contact_calls.sum()) / DAYS)

    @property
    def mean_delay(self) -> float:
        """Hours, over favorites and the walls that use them."""
        return float(np.average(self.delays, weights=self.weights))

    @property
    def median_delay(self) -> float:
        """Hours, likewise."""
        order = np.argsort(self.delays)
        passed = np.cumsum(self.weights[order])
        return float(self.delays[order][np.searchsorted(passed, passed[-1] / 2)])

    def wall_delays(self, people: People) -> Array:
        """Mean hours that each wall waits for a favorite; of those walls that have any."""
        total = np.bincount(self.users, self.delays, people.n)
        count = np.bincount(self.users, minlength=people.n)
        rows = [np.append(people.neighbors[row], row) for row in range(people.n)]
        counts = np.array([count[mine].sum() for mine in rows])
        return np.array([total[mine].sum() for mine in rows])[counts > 0] / counts[counts > 0]

    def split(self, people: People) -> Array:
        """(n,) calls a wall and day: those for a user are shared by the walls that use the user."""
        share = self.calls / people.walls
        own = np.array([share[row] + share[people.neighbors[row]].sum() for row in range(people.n)])
        return (own + self.contact_calls) / DAYS


def people_of(world: World, most_neighbors: int) -> People:
    """Everybody but the visitors; neighbors are the owners of most of somebody's favorites at the world's end."""
    n, now, faves = world.config.users, world.config.end.timestamp(), world.favorites
    neighbors, faved_at, unfaved_at = [], [], []
    for row in range(n):
        mine = slice(int(faves.first[row]), int(faves.first[row + 1]))
        times, ends = faves.faved_at[mine][::-1], faves.unfaved_at[mine][::-1]
        standing = (times <= now) & (ends > now)
        owners, counts = np.unique(world.photo_owner[faves.photo[mine][::-1][standing]], return_counts=True)
        most = owners[np.argsort(-counts, kind="stable")][:most_neighbors].astype(np.int64)
        neighbors.append(most[(most < n) & (most != row)])
        faved_at.append([int(moment) for moment in times])
        unfaved_at.append([int(moment) for moment in ends])
    walls = np.bincount(np.concatenate(neighbors), minlength=n) + 1.0
    contacts = np.diff(world.contacts.indptr)[:n]
    return People(now, neighbors, walls, contacts // CONTACTS_PAGE + 1, faved_at, unfaved_at)


class Puller:
    """Refreshes users as `pipelines/pull/fetch.py` does, and counts the calls; all were pulled before it begins."""

    def __init__(self, people: People, pulled_at: Array, swept_at: Array, sweep_days: float) -> None:
        self._people = people
        self._sweep_days = sweep_days
        self.calls = np.zeros(people.n)
        self.user_ids = [str(row) for row in range(people.n)]
        self.delays: list[float] = []
        self.users: list[int] = []
        self.gaps = np.zeros(people.n)
        self.pulled_at = pulled_at.copy()
        self.rate_favorites, self.rate_days = np.zeros(people.n), np.zeros(people.n)
        self._known: list[dict[int, float]] = []  # deletable favorites in the lake, by place: when deleted
        self._found: list[tuple[float, float]] = []  # (when deleted, days until it was found)
        self._seen = np.zeros(people.n, dtype=np.int64)  # places of the user's favorites that were looked at
        self.cursors: list[Cursor] = []
        for row in range(people.n):
            times, ends, at = people.faved_at[row], people.unfaved_at[row], pulled_at[row]
            seen = bisect_right(times, at)
            listed = [place for place in range(seen) if ends[place] > at]
            moments = np.array([times[place] for place in listed], dtype=np.int64)
            self._seen[row] = seen
            self._known.append({place: ends[place] for place in listed if ends[place] != NEVER})
            self.rate_favorites[row], self.rate_days[row] = planner.history_rate(moments, _moment(at))
            newest = None if not listed else _moment(int(moments[-1]))
            moved = _moment(min(at, swept_at[row]))
            cursor = Cursor(self.user_ids[row], newest_faved_at=newest, favorites=len(listed), sweep_moved_at=moved)
            self.cursors.append(cursor)
        self.favorites = np.array([cursor.favorites for cursor in self.cursors], dtype=np.int64)

    def refresh(self, row: int, now: float) -> None:
        """One refresh of one user, at that time."""
        people, cursor = self._people, self.cursors[row]
        times, ends = people.faved_at[row], people.unfaved_at[row]
        moment = _moment(now)
        since = None if cursor.newest_faved_at is None else cursor.newest_faved_at - OVERLAP
        step, calls = None, 0
        if sweep.is_due(cursor, moment, self._sweep_days):
            step, cursor = self._sweep(row, cursor, moment)
            calls = 1
        upto = bisect_right(times, now)
        if step is None or not step.reaches(since):
            first = 0 if since is None else bisect_left(times, since.timestamp())
            calls += sum(ends[place] > now for place in range(first, upto)) // PAGE + 1
        new = 0
        for place in range(int(self._seen[row]), upto):
            if ends[place] > now:
                new += 1
                self.delays.append((now - times[place]) / HOUR)
                self.users.append(row)
                cursor = replace(cursor, newest_faved_at=_moment(times[place]))
                if ends[place] != NEVER:
                    self._known[row][place] = ends[place]
        self._seen[row] = upto
        days = (now - self.pulled_at[row]) / DAY
        self.rate_favorites[row], self.rate_days[row] = planner.observe(
            self.rate_favorites[row], self.rate_days[row], new, days
        )
        if new and (step is None or not step.from_newest):
            cursor = replace(cursor, favorites=cursor.favorites + new)
        self.gaps[row] = max(self.gaps[row], days)
        self.pulled_at[row], self.favorites[row] = now, cursor.favorites
        self.calls[row] += calls
        self.cursors[row] = cursor

    def _sweep(self, row: int, cursor: Cursor, now: datetime) -> tuple[sweep.Step, Cursor]:
        times, ends = self._people.faved_at[row], self._people.unfaved_at[row]
        until = (cursor.sweep_until or now).timestamp()
        listed = [place for place in range(bisect_right(times, until)) if ends[place] > now.timestamp()]
        page = [times[place] for place in listed[: -PAGE - 1 : -1]]
        step = sweep.step(cursor, now, page, len(listed))
        after = -np.inf if step.window.after is None else step.window.after.timestamp()
        for place, deleted_at in list(self._known[row].items()):
            if deleted_at <= now.timestamp() and after < times[place] <= until:
                del self._known[row][place]
                self._found.append((deleted_at, (now.timestamp() - deleted_at) / DAY))
        count = len(listed) if cursor.sweep_until is None else cursor.favorites
        return step, replace(cursor, favorites=count, sweep_until=step.next_until, sweep_moved_at=now)

    def deletions(self, until: float) -> Array:
        """Days until each deletion before that time was found; inf for those not found."""
        missed = [(deleted_at, np.inf) for known in self._known for deleted_at in known.values()]
        return np.array([days for at, days in [*self._found, *missed] if self._people.now < at <= until])


def simulate(
    people: People, policy: Callable[[datetime, planner.Table], Array], bounds: planner.Bounds, days: int = DAYS
) -> Outcome:
    """Run a policy, which says once an hour how many days each user is to wait; it begins as if it had always run."""
    rng = np.random.default_rng(7)
    start, everybody = people.now, np.arange(people.n)
    swept_at = start - rng.uniform(0, bounds.sweep / 2, people.n) * DAY
    first = Puller(people, np.full(people.n, start), swept_at, bounds.sweep)
    waits = policy(_moment(start), _table(people, first))
    puller = Puller(people, start - rng.uniform(0, 1, people.n) * waits * DAY, swept_at, bounds.sweep)
    for hour in range(days * 24):
        begin, end = start + hour * HOUR, start + (hour + 1) * HOUR
        waits = policy(_moment(begin), _table(people, puller))
        due_at = np.maximum(puller.pulled_at + waits * DAY, begin)
        while len(due := everybody[due_at < end]):
            for row in due:
                puller.refresh(int(row), float(due_at[row]))
            due_at[due] += waits[due] * DAY
        if hour == DAYS * 24 - 1:
            calls, delays, users = puller.calls.copy(), np.array(puller.delays), np.array(puller.users)
    gaps = np.maximum(puller.gaps, (start + days * DAY - puller.pulled_at) / DAY)
    return Outcome(
        calls=calls,
        contact_calls=people.contact_calls * DAYS / bounds.longest,
        delays=delays,
        weights=people.walls[users],
        users=users,
        gaps=gaps,
        deletions=puller.deletions(start + DAYS * DAY),
    )


def ours(bounds: planner.Bounds, calls_per_day: float) -> Callable[[datetime, planner.Table], Array]:
    """The planner, with that budget."""
    return lambda now, table: planner.plan(now, table, bounds, calls_per_day).interval_days


def round_robin(people: People, bounds: planner.Bounds, calls_per_day: float) -> Callable[..., Array]:
    """Shared and incremental, too, but everybody after the same time, within the same longest interval."""

    def waits(_now: datetime, table: planner.Table) -> Array:
        contacts = people.contact_calls.sum() / bounds.longest
        longest = planner.longest_days(table.favorites, bounds)
        same = people.n / max(calls_per_day - contacts, 1.0)
        return np.asarray(np.clip(same, bounds.shortest, longest))

    return waits


def ancestor(people: People, hours: float) -> Outcome:
    """Every wall by itself: all pages of the user and of each neighbor, and the contacts, every so many hours."""
    rng, counts = np.random.default_rng(7), np.zeros(people.n)
    for day in range(DAYS):
        noon = people.now + (day + 0.5) * DAY
        for row in range(people.n):
            times, ends = people.faved_at[row], people.unfaved_at[row]
            standing = sum(ends[place] > noon for place in range(bisect_right(times, noon)))
            counts[row] += standing // PAGE + 1
    rounds = 24 / hours
    calls = np.array([counts[row] + counts[people.neighbors[row]].sum() for row in range(people.n)]) * rounds
    phase = rng.uniform(0, hours, people.n)
    delays = []
    for row, owners in enumerate(people.neighbors):
        for user in (row, *owners):
            times = np.array(people.faved_at[user], dtype=np.float64)
            new = times[(times > people.now) & (times <= people.now + DAYS * DAY)]
            delays.append((phase[row] - (new - people.now) / HOUR) % hours)
    waited = np.concatenate(delays)
    return Outcome(
        calls=calls,
        contact_calls=people.contact_calls * rounds * DAYS,
        delays=waited,
        weights=np.ones(len(waited)),
        users=np.empty(0, dtype=np.int64),
        gaps=np.full(people.n, hours / 24),
        deletions=np.empty(0),
    )


def _table(people: People, puller: Puller) -> planner.Table:
    return planner.Table(
        user_ids=puller.user_ids,
        favorites_pulled_at=puller.pulled_at,
        contacts_pulled_at=puller.pulled_at,
        favorites=puller.favorites,
        rate_favorites=puller.rate_favorites,
        rate_days=puller.rate_days,
        walls=people.walls,
        person=np.ones(people.n, dtype=np.bool_),
    )


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
