"""What refreshes may use of the budget: their share, or what people leave of the hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from features.settings import Settings
from pipelines.budget.windows import Limits, Purpose, open_budget
from pipelines.plan import schedule


def test_refreshes_get_their_share_or_what_people_leave_of_the_hour() -> None:
    limits = Limits(1_000, 10)
    assert schedule.calls_per_day(limits, 0.0) == 24 * 800
    assert schedule.calls_per_day(limits, 150.0) == 24 * 800
    assert schedule.calls_per_day(limits, 500.0) == 24 * 500
    assert schedule.calls_per_day(limits, 2_000.0) == 0


def test_what_people_use_is_averaged_over_some_hours() -> None:
    people, now = schedule.People(), datetime.now(UTC)
    assert people.mean(now, 100) == 100
    assert people.mean(now + timedelta(minutes=5), 1_000) == pytest.approx(112, abs=1)
    assert people.mean(now + timedelta(days=2), 1_000) == pytest.approx(1_000, abs=1)


def test_calls_that_people_cause_are_counted_and_refreshes_are_not(settings: Settings) -> None:
    budget = open_budget(settings)
    for purpose in (Purpose.PERSON, Purpose.PERSON, Purpose.ANONYMOUS, Purpose.REFRESH):
        assert budget.take(purpose, "flickr.favorites.getPublicList") == 0.0
    assert schedule.people_spent(settings) == 3
