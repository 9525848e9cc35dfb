"""The rolling sweep: page by page it finds what was deleted, all of it, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.plan.planner import Bounds, longest_days, sweep_gap_days
from pipelines.pull import sweep
from pipelines.pull.cursors import Cursor
from pipelines.pull.sweep import Window

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


def cursor(**changes: object) -> Cursor:
    return replace(Cursor("1@N01", newest_faved_at=NOW, favorites=1_200), **changes)  # type: ignore[arg-type]


class Walk:
    """A whole sweep over a list of times, in pages of five; who is looked for is held but not listed."""

    def __init__(self, listed: list[int], held: list[int], start: Cursor) -> None:
        self.steps = 0
        self.judged: list[int] = []
        self.missing: list[int] = []
        now = start
        while True:
            self.steps += 1
            until = int(now.sweep_until.timestamp()) if now.sweep_until else SECONDS
            reachable = sorted((at for at in listed if at <= until), reverse=True)
            page = reachable[: sweep.PAGE]
            step = sweep.step(now, NOW, page, len(reachable))
            after = step.window.after.timestamp() if step.window.after else float("-inf")
            inside = [at for at in held if after < at <= step.window.until.timestamp()]
            self.judged += inside
            self.missing += [at for at in inside if at not in page]
            if step.next_until is None:
                return
            assert step.next_until < (now.sweep_until or NOW) or now.sweep_until is None
            now = replace(now, sweep_until=step.next_until)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PAGE", 5)


@given(
    ages=st.lists(st.integers(0, 10**6), unique=True, max_size=60),
    deleted=st.sets(st.integers(0, 59)),
)
def test_a_sweep_finds_everything_that_was_deleted_and_nothing_else(ages: list[int], deleted: set[int]) -> None:
    # Apart by more than the edge, so that no page ends within it.
    held = [SECONDS - 100 * age for age in ages]
    gone = [at for place, at in enumerate(held) if place in deleted]
    walk = Walk([at for at in held if at not in gone], held, cursor())
    assert sorted(set(walk.missing)) == sorted(gone)
    assert set(walk.judged) == set(held)
    assert walk.steps <= len(held) // 4 + 2


@given(ages=st.lists(st.integers(0, 300), max_size=60))
def test_favorites_made_at_the_same_moment_are_never_taken_for_deleted(ages: list[int]) -> None:
    held = [SECONDS - age for age in ages]
    assert Walk(held, held, cursor()).missing == []


def test_the_first_window_reaches_up_to_now_and_the_last_one_to_the_first_favorite() -> None:
    only = sweep.step(cursor(), NOW, [SECONDS - 60, SECONDS - 600], 2)
    assert only == sweep.Step(Window(None, NOW), None, from_newest=True)
    assert only.reaches(None)


def test_a_page_that_is_not_the_last_ends_a_little_after_its_oldest_favorite() -> None:
    step = sweep.step(cursor(), NOW, [SECONDS - 100 * place for place in range(5)], 40)
    end = NOW - timedelta(seconds=400) + sweep.EDGE
    assert (step.window, step.next_until) == (Window(end, NOW), end)


def test_a_short_page_is_not_the_last_while_more_is_promised() -> None:
    step = sweep.step(cursor(), NOW, [SECONDS - 100, SECONDS - 200], 40)
    assert step.next_until is not None


def test_an_empty_page_is_the_end() -> None:
    until = NOW - timedelta(days=3)
    step = sweep.step(cursor(sweep_until=until), NOW, [], 0)
    assert (step.window, step.next_until) == (Window(None, until), None)


def test_of_somebody_with_too_many_favorites_only_what_is_kept_is_swept() -> None:
    oldest = NOW - timedelta(seconds=350)
    step = sweep.step(cursor(oldest_faved_at=oldest), NOW, [SECONDS - 100 * place for place in range(5)], 40)
    assert (step.window, step.next_until) == (Window(oldest, NOW), None)


def test_a_page_that_reaches_behind_the_cursor_saves_the_listing() -> None:
    step = sweep.step(cursor(), NOW, [SECONDS - 100 * place for place in range(5)], 40)
    assert step.reaches(NOW - timedelta(seconds=300))
    assert not step.reaches(NOW - timedelta(seconds=500))
    assert not step.reaches(None)
    later = sweep.step(cursor(sweep_until=NOW), NOW, [SECONDS - 100 * place for place in range(5)], 40)
    assert not later.reaches(NOW - timedelta(seconds=300))


@pytest.mark.parametrize(
    ("days_since", "favorites", "due"),
    [(4.9, 1_000, False), (5.1, 1_000, True), (14.9, 5, False), (15.1, 5, True), (14.9, 0, False)],
)
def test_the_more_pages_the_more_often_one_is_due(days_since: float, favorites: int, due: bool) -> None:
    now = cursor(favorites=favorites, sweep_moved_at=NOW - timedelta(days=days_since))
    assert sweep.is_due(now, NOW, sweep_days=30.0) is due


def test_who_has_no_favorites_has_nothing_to_sweep() -> None:
    assert not sweep.is_due(Cursor("1@N01", favorites_pulled_at=NOW), NOW, sweep_days=30.0)


def test_a_refresh_in_time_keeps_every_page_within_the_days() -> None:
    """Whatever the interval of refreshes up to the planner's longest, pages are looked at in time."""
    favorites, sweep_days = 1_000, 30.0
    gap = float(sweep_gap_days(np.array(favorites), sweep_days))
    bounds = Bounds(shortest=0.0, longest=365.0, sweep=sweep_days)
    longest = float(longest_days(np.array([favorites]), bounds)[0])
    for interval in (0.1, 1.0, 0.4 * longest, 0.9 * longest, longest):
        now, moved, looks = NOW, NOW, []
        while now < NOW + timedelta(days=90):
            now += timedelta(days=interval)
            if sweep.is_due(cursor(favorites=favorites, sweep_moved_at=moved), now, sweep_days):
                looks.append((now - moved).total_seconds() / 86_400)
                moved = now
        assert max(looks) <= gap + 1e-6
