"""How far a person's pull is: true at every stage, and over when it says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from features.database import pull_progress
from pipelines.pull.parts import finish_parts, replace_parts
from pipelines.pull.progress import Progress, begin_progress, open_progress, open_pulls, read_progress, update_progress
from pipelines.queue.requests import Priority

USER = "7@N01"


def asked(engine: sa.Engine, user_id: str = USER) -> None:
    open_progress(engine, user_id, priority=Priority.PERSON, neighbors=True, correlation_id="c")


def began_ago(engine: sa.Engine, seconds: float) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(pull_progress).values(started_at=datetime.now(UTC) - timedelta(seconds=seconds)))


def test_nothing_is_known_of_who_was_never_pulled(engine: sa.Engine) -> None:
    asked(engine, "somebody else")
    assert read_progress(engine, USER) == Progress(USER, "unknown", 0, 0, 0, 0.0, None, None)


def test_it_goes_from_queued_to_done(engine: sa.Engine) -> None:
    asked(engine)
    assert read_progress(engine, USER).stage == "queued"
    begin_progress(engine, USER)
    assert read_progress(engine, USER).stage == "favorites"
    replace_parts(engine, USER, ["a", "b", "c", "d"])
    update_progress(engine, USER, "neighbors", favorites=120)
    finish_parts(engine, {"a": True})
    progress = read_progress(engine, USER)
    assert (progress.stage, progress.made, progress.finished, progress.favorites) == ("neighbors", 4, 1, 120)
    assert progress.coverage == 0.25
    finish_parts(engine, {"b": True, "c": True, "d": False})
    update_progress(engine, USER, "done")
    progress = read_progress(engine, USER)
    assert (progress.stage, progress.finished, progress.coverage, progress.eta_seconds) == ("done", 4, 0.75, 0.0)


def test_a_redelivered_request_for_favorites_does_not_set_it_back(engine: sa.Engine) -> None:
    asked(engine)
    update_progress(engine, USER, "neighbors", favorites=3)
    begin_progress(engine, USER)
    assert read_progress(engine, USER).stage == "neighbors"


def test_parts_of_an_earlier_pull_are_not_told_before_the_neighbors_are_known(engine: sa.Engine) -> None:
    replace_parts(engine, USER, ["a"])
    finish_parts(engine, {"a": True})
    asked(engine)
    assert (read_progress(engine, USER).made, read_progress(engine, USER).finished) == (0, 0)


def test_the_time_left_is_what_parts_took_so_far(engine: sa.Engine) -> None:
    asked(engine)
    replace_parts(engine, USER, ["a", "b", "c", "d"])
    update_progress(engine, USER, "neighbors")
    assert read_progress(engine, USER).eta_seconds is None
    finish_parts(engine, {"a": True})
    began_ago(engine, 20)
    assert read_progress(engine, USER).eta_seconds == pytest.approx(60, abs=2)


def test_the_time_left_is_at_least_what_the_budget_takes(engine: sa.Engine) -> None:
    asked(engine)
    replace_parts(engine, USER, [f"{n}" for n in range(301)])
    update_progress(engine, USER, "neighbors")
    finish_parts(engine, {"0": True})
    began_ago(engine, 0.1)
    left = read_progress(engine, USER, calls_left=100, calls_per_hour=3_600)
    assert left.eta_seconds == pytest.approx(200, abs=2)
    assert (read_progress(engine, USER, calls_left=300, calls_per_hour=3_600).eta_seconds or 0) < 60


@pytest.mark.parametrize("stage", ["done", "failed"])
def test_what_is_over_stays_over(engine: sa.Engine, stage: str) -> None:
    asked(engine)
    assert update_progress(engine, USER, stage)  # type: ignore[arg-type]
    assert not update_progress(engine, USER, "neighbors")
    assert read_progress(engine, USER).stage == stage
    assert open_pulls(engine, {USER}) == {}


def test_a_failed_pull_says_why(engine: sa.Engine) -> None:
    asked(engine)
    update_progress(engine, USER, "failed", error="Flickr knows no such user")
    assert read_progress(engine, USER).error == "Flickr knows no such user"
