"""What was really visible reaches the lake: in batches, bounded, and without anybody waiting for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from features.database import shown
from features.lake import Lake
from features.schema import IMPRESSIONS
from features.settings import Settings
from pipelines.privacy.suppression import Suppression
from pipelines.shown import note_shown
from serving.impressions import KEPT_BATCHES, Impression, Impressions

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ANNA, BEN = "12@N01", "13@N01"
ROWS = 5


@pytest.fixture
def patient(settings: Settings) -> Settings:
    """Settings by which nothing is committed for its age, only for its number."""
    return settings.model_copy(update={"impressions_seconds": 3600.0, "impressions_rows": ROWS})


@pytest.fixture
def buffer(patient: Settings, engine: sa.Engine) -> Impressions:
    """A buffer whose thread has not been started: it commits when it is told to."""
    return Impressions(patient, engine, Suppression(patient, engine))


@pytest.fixture
def running(buffer: Impressions) -> Iterator[Impressions]:
    buffer.start()
    yield buffer
    buffer.stop()


@pytest.fixture
def broken_lake(settings: Settings, engine: sa.Engine) -> Path:
    """A file lies where the lake's folder would be; the test takes it away."""
    path = Path(settings.lake_uri)  # in the home that the database has made
    path.write_text("in the way")
    return path


def seen(*photo_ids: object, user_id: str = ANNA, at: datetime = NOW) -> list[Impression]:
    return [Impression(user_id, str(photo_id), rank, "7", "", at) for rank, photo_id in enumerate(photo_ids)]


def held(lake: Lake) -> list[str]:
    """The photos of the lake's rows."""
    return sorted(lake.scan(IMPRESSIONS).column("photo_id").to_pylist())


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def dropped(reason: str = "full") -> float:
    return REGISTRY.get_sample_value("photo_recommender_impressions_dropped_total", {"reason": reason}) or 0.0


# Batches


def test_a_commit_holds_all_that_was_added_since_the_last_one_as_it_was(buffer: Impressions, lake: Lake) -> None:
    buffer.add([Impression(ANNA, "1", 4, "7", "calm", NOW, own_wall=True)])
    buffer.add([Impression("", "2", 0, "", "", NOW)])
    buffer.flush()
    assert lake.version(IMPRESSIONS) == 1  # 0 is the table without rows
    rows = {row.pop("photo_id"): row for row in lake.scan(IMPRESSIONS).to_pylist()}
    for row in rows.values():
        assert NOW < row.pop("created_timestamp") <= datetime.now(UTC)
    assert rows == {
        "1": {"user_id": ANNA, "rank": 4, "model_version": "7", "variant": "calm", "shown_at": NOW, "own_wall": True},
        "2": {"user_id": "", "rank": 0, "model_version": "", "variant": "", "shown_at": NOW, "own_wall": None},
    }


def test_a_photo_counts_once_for_each_user_and_batch_and_the_first_time_counts(buffer: Impressions, lake: Lake) -> None:
    later = NOW + timedelta(seconds=5)
    buffer.add([*seen("1", "1"), *seen("1", user_id=BEN)])
    buffer.add(seen("2", "1", at=later))
    buffer.flush()
    rows = sorted((row["user_id"], row["photo_id"], row["shown_at"]) for row in lake.scan(IMPRESSIONS).to_pylist())
    assert rows == [(ANNA, "1", NOW), (ANNA, "2", later), (BEN, "1", NOW)]
    buffer.add(seen("1", at=later))
    buffer.flush()
    assert held(lake) == ["1", "1", "1", "2"]


def test_nothing_is_committed_while_there_is_nothing(buffer: Impressions, lake: Lake) -> None:
    buffer.flush()
    assert lake.version(IMPRESSIONS) is None


def test_so_many_rows_are_committed_at_once_and_fewer_wait(running: Impressions, lake: Lake) -> None:
    running.add(seen(*range(ROWS - 1)))
    time.sleep(0.2)
    assert lake.version(IMPRESSIONS) is None
    running.add(seen("last"))
    wait_for(lambda: len(held(lake)) == ROWS)


def test_few_rows_are_committed_when_they_have_waited_long_enough(
    settings: Settings, engine: sa.Engine, lake: Lake
) -> None:
    quick = settings.model_copy(update={"impressions_seconds": 0.2})
    buffer = Impressions(quick, engine, Suppression(quick, engine))
    buffer.start()
    try:
        for photo_id in ("1", "2"):
            buffer.add(seen(photo_id))
            wait_for(lambda photo_id=photo_id: photo_id in held(lake))  # type: ignore[misc]
    finally:
        buffer.stop()


def test_stopping_commits_what_waits_and_ends_the_thread(buffer: Impressions, lake: Lake, logs: list[Any]) -> None:
    buffer.start()
    buffer.add(seen("1"))
    buffer.stop()
    assert held(lake) == ["1"]
    assert "impressions" not in {thread.name for thread in threading.enumerate()}
    assert logs == []


# What walls go by


def remembered(engine: sa.Engine) -> dict[tuple[str, str], int]:
    """On how many visits each photo was shown to each user, as walls know it."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(shown.c.user_id, shown.c.photo_id, shown.c.visits))
        return {(user_id, photo_id): visits for user_id, photo_id, visits in rows}


def test_only_what_was_on_ones_own_wall_is_remembered_for_it(buffer: Impressions, engine: sa.Engine) -> None:
    for photo_id, user_id, own_wall in (("1", ANNA, True), ("2", ANNA, False), ("3", ANNA, None), ("4", "", False)):
        buffer.add([Impression(user_id, photo_id, 0, "7", "", NOW, own_wall)])
    buffer.flush()
    assert remembered(engine) == {(ANNA, "1"): 1}


def test_a_photo_seen_on_anothers_wall_first_is_still_remembered_for_ones_own(
    buffer: Impressions, engine: sa.Engine, lake: Lake
) -> None:
    for own_wall in (False, True):
        buffer.add([Impression(ANNA, "1", 0, "7", "", NOW, own_wall)])
    buffer.flush()
    assert remembered(engine) == {(ANNA, "1"): 1}
    assert held(lake) == ["1", "1"]


def test_what_is_committed_again_as_the_lake_was_away_counts_as_one_visit(
    buffer: Impressions, engine: sa.Engine, lake: Lake, broken_lake: Path
) -> None:
    buffer.add([Impression(ANNA, "1", 0, "7", "", NOW, own_wall=True)])
    buffer.flush()
    assert remembered(engine) == {(ANNA, "1"): 1}
    broken_lake.unlink()
    buffer.flush()
    assert (remembered(engine), held(lake)) == ({(ANNA, "1"): 1}, ["1"])


def test_a_database_that_takes_nothing_keeps_the_batch_for_both(
    buffer: Impressions, engine: sa.Engine, lake: Lake, logs: list[Any]
) -> None:
    buffer.add([Impression(ANNA, "1", 0, "7", "", NOW, own_wall=True)])
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE shown RENAME TO away")
    buffer.flush()
    assert (held(lake), [entry["event"] for entry in logs]) == ([], ["impressions_not_written"])
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO shown")
    buffer.flush()
    assert (remembered(engine), held(lake)) == ({(ANNA, "1"): 1}, ["1"])


# A lake in trouble


@pytest.mark.usefixtures("broken_lake")
def test_adding_waits_for_nothing_while_the_lake_is_down(running: Impressions) -> None:
    began = time.monotonic()
    for number in range(200):
        running.add(seen(number))
    assert time.monotonic() - began < 1


def test_what_a_broken_lake_does_not_take_is_kept_said_once_and_committed_when_it_is_back(
    buffer: Impressions, lake: Lake, broken_lake: Path, logs: list[Any]
) -> None:
    buffer.add(seen("1", "2"))
    buffer.flush()
    buffer.add(seen("2", "3", at=NOW + timedelta(seconds=5)))
    buffer.flush()
    assert [entry["event"] for entry in logs] == ["impressions_not_written"]
    broken_lake.unlink()
    buffer.flush()
    rows = sorted((row["photo_id"], row["shown_at"]) for row in lake.scan(IMPRESSIONS).to_pylist())
    assert rows == [("1", NOW), ("2", NOW), ("3", NOW + timedelta(seconds=5))]
    assert [entry["event"] for entry in logs[1:]] == ["impressions_written_again"]


def test_the_thread_goes_on_by_itself_when_the_lake_is_back(
    settings: Settings, engine: sa.Engine, lake: Lake, broken_lake: Path, logs: list[Any]
) -> None:
    quick = settings.model_copy(update={"impressions_seconds": 0.05})
    buffer = Impressions(quick, engine, Suppression(quick, engine))
    buffer.start()
    try:
        buffer.add(seen("1"))
        wait_for(lambda: bool(logs))
        broken_lake.unlink()
        wait_for(lambda: held(lake) == ["1"])
    finally:
        buffer.stop()


def test_of_more_than_is_kept_the_oldest_go_and_are_counted(buffer: Impressions, lake: Lake, broken_lake: Path) -> None:
    before, kept = dropped(), KEPT_BATCHES * ROWS
    for start in range(0, kept + 3, 3):
        buffer.add(seen(*range(start, start + 3)))
        buffer.flush()
    added = len(range(0, kept + 3, 3)) * 3
    assert dropped() - before == added - kept
    broken_lake.unlink()
    buffer.flush()
    assert sorted(map(int, held(lake))) == list(range(added - kept, added))


@pytest.mark.usefixtures("broken_lake")
def test_stopping_while_the_lake_is_down_says_what_is_lost(buffer: Impressions, logs: list[Any]) -> None:
    buffer.start()
    buffer.add(seen("1", "2"))
    buffer.stop()
    assert [(entry["event"], entry.get("waiting")) for entry in logs] == [
        ("impressions_not_written", None),
        ("impressions_lost", 2),
    ]


def test_a_lake_that_hangs_does_not_keep_the_service_from_ending(
    buffer: Impressions, monkeypatch: pytest.MonkeyPatch, logs: list[Any]
) -> None:
    answered = threading.Event()
    monkeypatch.setattr("serving.impressions.STOP_SECONDS", 0.1)
    monkeypatch.setattr(Lake, "append", lambda *_: answered.wait(10))
    buffer.start()
    buffer.add(seen("1"))
    buffer.stop()
    assert [(entry["event"], entry["committing"]) for entry in logs] == [("impressions_lost", True)]
    answered.set()
    wait_for(lambda: "impressions" not in {thread.name for thread in threading.enumerate()})


def put(lake: Path, state: str) -> None:
    """The lake's folder, "up" or "down": out of the way, and a file in its place."""
    aside = lake.with_name("aside")
    if state == "down" and not lake.is_file():
        if lake.exists():
            lake.rename(aside)
        lake.write_text("in the way")
    elif state == "up" and lake.is_file():
        lake.unlink()
        if aside.exists():
            aside.rename(lake)


@hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.lists(st.integers(0, 99), max_size=30), st.sampled_from(["up", "down", "flush"]))))
def test_whatever_happens_every_photo_that_was_not_dropped_arrives(
    patient: Settings, engine: sa.Engine, tmp_path_factory: pytest.TempPathFactory, events: list[list[int] | str]
) -> None:
    path = tmp_path_factory.mktemp("lake") / "lake"
    elsewhere = patient.model_copy(update={"lake_uri": str(path)})
    buffer = Impressions(elsewhere, engine, Suppression(patient, engine))
    before, added = dropped(), 0
    for number, event in enumerate(events):
        if isinstance(event, list):
            # Each of them of another user, so that none is a repetition.
            buffer.add(Impression(f"{number}@{place}", str(photo), 0, "", "", NOW) for place, photo in enumerate(event))
            added += len(event)
            assert len(buffer._waiting) <= KEPT_BATCHES * ROWS
        elif event == "flush":
            buffer.flush()
        else:
            put(path, event)
    put(path, "up")
    buffer.flush()
    rows = Lake(str(path)).scan(IMPRESSIONS)
    assert rows.num_rows == added - (dropped() - before)
    assert len(set(rows.column("user_id").to_pylist())) == rows.num_rows


# Somebody who was erased


def test_what_somebody_saw_who_was_erased_meanwhile_stays_out_of_the_lake(
    buffer: Impressions, patient: Settings, engine: sa.Engine, lake: Lake
) -> None:
    buffer.add([*seen("1"), *seen("2", user_id=BEN), *seen("3", user_id="")])
    Suppression(patient, engine).suppress(ANNA)
    buffer.flush()
    assert held(lake) == ["2", "3"]
    buffer.add([Impression(ANNA, "4", 0, "7", "", NOW, own_wall=True)])
    buffer.flush()
    assert held(lake) == ["2", "3"]
    assert remembered(engine) == {}


def test_an_erasure_in_the_middle_of_a_commit_leaves_nothing_behind(
    buffer: Impressions, patient: Settings, engine: sa.Engine, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note_after_the_erasure_has_looked(*arguments: Any) -> None:
        Suppression(patient, engine).suppress(ANNA)
        note_shown(*arguments)

    monkeypatch.setattr("serving.impressions.note_shown", note_after_the_erasure_has_looked)
    buffer.add(Impression(user_id, "1", 0, "7", "", NOW, own_wall=True) for user_id in (ANNA, BEN))
    buffer.flush()
    assert remembered(engine) == {(BEN, "1"): 1}
    assert lake.scan(IMPRESSIONS).column("user_id").to_pylist() == [BEN]
