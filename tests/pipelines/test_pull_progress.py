"""What a page is told of a pull, from the request that waits to the last neighbor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from features.database import pull_progress
from pipelines import queue
from pipelines.progress import Progress, read_progress, start_progress, update_progress

USER = "7@N01"


def started(engine: sa.Engine) -> queue.Lease:
    """The pull of the user, taken from the queue and begun."""
    queue.put(engine, USER)
    held = queue.lease(engine, 60)
    assert held is not None
    start_progress(engine, USER)
    return held


def stage(engine: sa.Engine) -> str:
    return read_progress(engine, USER).stage


def test_a_user_nobody_asked_for_is_unknown(engine: sa.Engine) -> None:
    queue.put(engine, "somebody else")
    assert read_progress(engine, USER) == Progress(USER, "unknown", 0, 0, 0, 0.0, None, None)


def test_a_request_is_queued_until_its_worker_says_more(engine: sa.Engine) -> None:
    queue.put(engine, USER)
    assert stage(engine) == "queued"
    queue.lease(engine, 60)
    assert stage(engine) == "queued"
    start_progress(engine, USER)
    assert stage(engine) == "favorites"


def test_stages_and_counts_are_the_workers_last_words(engine: sa.Engine) -> None:
    started(engine)
    update_progress(engine, USER, "contacts", favorites=120)
    update_progress(engine, USER, "neighbors", made=40, finished=10, coverage=0.25)
    progress = read_progress(engine, USER)
    assert (progress.stage, progress.favorites) == ("neighbors", 120)
    assert (progress.made, progress.finished, progress.coverage) == (40, 10, 0.25)


def test_the_time_left_goes_by_the_neighbors_done(engine: sa.Engine) -> None:
    began = datetime.now(UTC)
    started(engine)
    assert read_progress(engine, USER).eta_seconds is None
    update_progress(engine, USER, "neighbors", made=40, finished=0)
    assert read_progress(engine, USER).eta_seconds is None
    update_progress(engine, USER, "neighbors", made=40, finished=10)
    assert read_progress(engine, USER, now=began + timedelta(seconds=20)).eta_seconds == pytest.approx(60, abs=15)
    update_progress(engine, USER, "done", finished=40)
    assert read_progress(engine, USER).eta_seconds == 0


def test_a_pull_without_a_request_of_its_own_shows_too(engine: sa.Engine) -> None:
    start_progress(engine, USER)
    assert stage(engine) == "favorites"
    update_progress(engine, USER, "done", favorites=3)
    assert stage(engine) == "done"


def test_what_is_done_stays_done_until_it_is_asked_for_again(engine: sa.Engine) -> None:
    held = started(engine)
    update_progress(engine, USER, "done", favorites=120, coverage=1.0)
    queue.done(engine, held)
    assert stage(engine) == "done"
    queue.put(engine, USER)
    assert stage(engine) == "queued"
    queue.lease(engine, 60)
    assert stage(engine) == "queued"
    start_progress(engine, USER)
    assert stage(engine) == "favorites"


def test_a_pull_is_done_before_its_request_is_closed(engine: sa.Engine) -> None:
    started(engine)
    update_progress(engine, USER, "done", favorites=120)
    assert stage(engine) == "done"


def test_a_new_pull_forgets_the_counts_but_not_the_coverage_that_still_holds(engine: sa.Engine) -> None:
    started(engine)
    update_progress(engine, USER, "failed", made=40, finished=20, favorites=120, coverage=0.5, error="Flickr was down")
    start_progress(engine, USER)
    progress = read_progress(engine, USER)
    assert (progress.made, progress.finished, progress.favorites, progress.error) == (0, 0, 0, None)
    assert progress.coverage == 0.5


def test_a_failure_says_why(engine: sa.Engine) -> None:
    held = started(engine)
    update_progress(engine, USER, "failed", error="Flickr knows no such user")
    queue.fail(engine, held, "Flickr knows no such user", permanent=True)
    progress = read_progress(engine, USER)
    assert (progress.stage, progress.error, progress.eta_seconds) == ("failed", "Flickr knows no such user", 0.0)


def test_a_failed_attempt_that_will_be_repeated_is_queued_again(engine: sa.Engine) -> None:
    held = started(engine)
    update_progress(engine, USER, "failed", error="Flickr was down")
    queue.fail(engine, held, "Flickr was down")
    progress = read_progress(engine, USER)
    assert (progress.stage, progress.error) == ("queued", None)
    queue.lease(engine, 60, now=datetime.now(UTC) + timedelta(hours=1))
    assert stage(engine) == "queued"


@pytest.mark.parametrize("got_far", [False, True])
def test_a_request_that_died_with_its_workers_is_failed(engine: sa.Engine, got_far: bool) -> None:
    queue.put(engine, USER)
    moment = datetime.now(UTC)
    for _ in range(queue.MAX_ATTEMPTS):
        assert queue.lease(engine, 60, now=moment)
        if got_far:
            start_progress(engine, USER)
        moment += timedelta(seconds=61)
    assert queue.lease(engine, 60, now=moment) is None
    progress = read_progress(engine, USER)
    assert (progress.stage, progress.error) == ("failed", "its worker died or hung at every attempt")


def test_users_do_not_see_each_others_progress(engine: sa.Engine) -> None:
    started(engine)
    queue.put(engine, "8@N01")
    update_progress(engine, USER, "neighbors", made=2, finished=1)
    assert read_progress(engine, "8@N01").stage == "queued"
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(pull_progress)) == 1
