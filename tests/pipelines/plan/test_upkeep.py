"""Upkeep: few files, however many commits, nothing older than it is kept, and a training when one is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from features.database import shown
from features.errors import DependencyError
from features.lake import Lake
from features.schema import IMPRESSIONS, Kind
from features.settings import Settings
from pipelines.plan.upkeep import (
    forget_impressions,
    take_new_photos,
    tidy_lake,
    train_if_due,
    upkeep,
)
from pipelines.shown import KEPT, Repetition, Showing, note_shown
from tests.training.conftest import append_to

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def show(lake: Lake, at: datetime, *photo_ids: str) -> None:
    common = {"user_id": "12@N01", "rank": 0, "model_version": "1", "variant": "", "shown_at": at}
    rows = [{"photo_id": photo_id, "created_timestamp": at, **common} for photo_id in photo_ids]
    lake.append(IMPRESSIONS, pa.Table.from_pylist(rows, schema=IMPRESSIONS.schema))


def held(lake: Lake) -> list[str]:
    return sorted(lake.scan(IMPRESSIONS).column("photo_id").to_pylist())


def test_many_commits_become_one_file_and_a_commit_that_was_repeated_counts_once(lake: Lake) -> None:
    for number in range(8):
        show(lake, NOW, str(number))
    show(lake, NOW, "7")
    tidy_lake(lake, 7)
    assert held(lake) == [str(number) for number in range(8)]
    assert len(lake.at(IMPRESSIONS).files) == 1


def test_what_was_shown_long_ago_is_forgotten_and_the_rest_stays(lake: Lake) -> None:
    forget_impressions(lake, NOW)  # before anything was shown
    second = timedelta(seconds=1)
    show(lake, NOW - KEPT - second, "old")
    show(lake, NOW - KEPT + second, "kept")
    show(lake, NOW, "new")
    tidy_lake(lake, 7)
    forget_impressions(lake, NOW)
    assert held(lake) == ["kept", "new"]


def test_the_scheduler_forgets_daily_what_walls_showed_long_ago(
    settings: Settings, engine: sa.Engine, lake: Lake
) -> None:
    now = datetime.now(UTC)
    for photo_id, at in (("old", now - KEPT - timedelta(minutes=1)), ("kept", now - KEPT + timedelta(minutes=1))):
        note_shown(engine, [Showing("12@N01", photo_id, at)], Repetition())
    (job,) = [job for job in upkeep(settings, engine, lake) if job.name == "forget_shown"]
    assert job.every == timedelta(days=1)
    job.run()
    with engine.connect() as connection:
        assert connection.scalars(sa.select(shown.c.photo_id)).all() == ["kept"]


@pytest.mark.parametrize(("setting", "name"), [("retrain_check_hours", "train"), ("fresh_photos_hours", "new_photos")])
@pytest.mark.parametrize(("hours", "runs"), [(2.5, [timedelta(hours=2.5)]), (0.0, [])])
def test_the_scheduler_trains_and_takes_new_photos_as_often_as_set_or_never(
    settings: Settings, engine: sa.Engine, lake: Lake, setting: str, name: str, hours: float, runs: list[timedelta]
) -> None:
    jobs = upkeep(settings.model_copy(update={setting: hours}), engine, lake)
    assert [job.every for job in jobs if job.name == name] == runs
    assert {"tidy_lake", "verify_photos"} <= {job.name for job in jobs}


def test_what_became_of_new_photos_is_logged(settings: Settings) -> None:
    with capture_logs() as logs:
        take_new_photos(settings)
    (entry,) = [entry for entry in logs if entry["event"] == "new_photos_taken"]
    assert entry["said"].startswith("skipped: there is no champion yet")


def test_what_came_of_walls_is_measured_daily_and_logged(settings: Settings, engine: sa.Engine, lake: Lake) -> None:
    (job,) = [job for job in upkeep(settings, engine, lake) if job.name == "measure_models"]
    assert job.every == timedelta(days=1)
    with capture_logs() as logs:
        job.run()
    (entry,) = [entry for entry in logs if entry["event"] == "models_measured"]
    assert entry["said"].startswith("nothing to measure")


def test_why_no_training_was_needed_is_logged_and_kept(settings: Settings) -> None:
    with capture_logs() as logs:
        train_if_due(settings)
    (entry,) = [entry for entry in logs if entry["event"] == "train_if_due"]
    assert entry["said"] == "skipped: the lake holds no interactions yet"
    assert entry["said"] in (settings.home / "logs" / "train.log").read_text()


def test_a_training_that_fails_fails_the_job_with_its_reason(settings: Settings, lake: Lake) -> None:
    append_to(lake, [("ann", "a", "ben", Kind.FAVORITE, 0)])
    database = settings.home / "mlflow" / "mlflow.db"
    database.parent.mkdir()
    database.write_bytes(b"no database at all" * 100)
    with pytest.raises(DependencyError, match=r"`train --if-due` failed: error: MLflow at .* can't be used"):
        train_if_due(settings)
