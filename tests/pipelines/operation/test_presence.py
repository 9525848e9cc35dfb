"""Who is at work is counted while its process lives, and no longer than a minute after it was killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import structlog

from features.database import metadata, open_database, workers
from features.settings import Settings
from pipelines.operation import presence
from pipelines.operation.presence import at_work, new_worker_id, present

PROGRAM = """
import sys, time
from features.database import open_database
from pipelines.operation.presence import present
with present(open_database(sys.argv[1]), "worker") as worker_id:
    print(worker_id, flush=True)
    time.sleep(60)
"""


def now() -> datetime:
    return datetime.now(UTC)


def rows(engine: sa.Engine) -> dict[str, datetime]:
    """When each was seen last."""
    with engine.connect() as connection:
        return {row.worker_id: row.seen_at for row in connection.execute(sa.select(workers))}


def add(engine: sa.Engine, worker_id: str, seen: timedelta) -> None:
    moment = now() - seen
    with engine.begin() as connection:
        connection.execute(
            sa.insert(workers).values(worker_id=worker_id, kind="worker", started_at=moment, seen_at=moment)
        )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_each_kind_is_counted_while_it_is_at_work(engine: sa.Engine) -> None:
    assert at_work(engine, now()) == {"worker": 0, "scheduler": 0}
    with present(engine, "worker"), present(engine, "worker"), present(engine, "scheduler"):
        assert at_work(engine, now()) == {"worker": 2, "scheduler": 1}
    assert at_work(engine, now()) == {"worker": 0, "scheduler": 0}
    assert rows(engine) == {}


def test_an_end_by_failure_is_an_end(engine: sa.Engine) -> None:
    with pytest.raises(ValueError, match="odd"), present(engine, "worker"):
        raise ValueError("odd")
    assert rows(engine) == {}


def test_ids_are_distinct_fit_their_column_and_name_the_process() -> None:
    ids = {new_worker_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(worker_id) <= 64 and f"-{os.getpid()}-" in worker_id for worker_id in ids)


def test_a_row_is_renewed_while_the_process_lives(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "RENEW_SECONDS", 0.02)
    with present(engine, "worker") as worker_id:
        first = rows(engine)[worker_id]
        until(lambda: rows(engine)[worker_id] > first)


def test_who_was_forgotten_by_mistake_comes_back(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "RENEW_SECONDS", 0.02)
    with present(engine, "worker") as worker_id:
        with engine.begin() as connection:
            connection.execute(sa.delete(workers))
        until(lambda: worker_id in rows(engine))


def test_a_killed_process_counts_for_a_minute_and_its_row_goes_with_the_next_renewal(
    engine: sa.Engine, settings: Settings
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, settings.database_url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    killed = process.stdout.readline().strip()
    process.kill()
    process.wait(10)
    process.stdout.close()
    assert list(rows(engine)) == [killed]
    assert at_work(engine, now())["worker"] == 1
    assert at_work(engine, now() + timedelta(seconds=61))["worker"] == 0
    with engine.begin() as connection:
        connection.execute(sa.update(workers).values(seen_at=now() - timedelta(seconds=61)))
    with present(engine, "scheduler") as scheduler:
        assert list(rows(engine)) == [scheduler]


def test_who_was_seen_less_than_a_minute_ago_is_left_alone(engine: sa.Engine) -> None:
    add(engine, "another", timedelta(seconds=50))
    with present(engine, "worker"):
        assert at_work(engine, now())["worker"] == 2
    assert list(rows(engine)) == ["another"]


def test_a_database_in_trouble_stops_nobody_and_is_logged(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "RENEW_SECONDS", 0.02)
    engine = open_database(settings.database_url)
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE workers RENAME TO lost"))
    with structlog.testing.capture_logs() as entries:
        with present(engine, "worker"):
            until(lambda: len(entries) > 2)
            with engine.begin() as connection:
                connection.execute(sa.text("ALTER TABLE lost RENAME TO workers"))
            until(lambda: at_work(engine, now())["worker"] == 1)
        with present(engine, "worker"):
            metadata.drop_all(engine, [workers])
    engine.dispose()
    assert {entry["event"] for entry in entries} == {"presence_not_renewed", "presence_not_removed"}
    assert all(entry["log_level"] == "warning" and "workers" in entry["reason"] for entry in entries)


def test_no_thread_is_left_behind(engine: sa.Engine) -> None:
    with present(engine, "worker"):
        assert "presence" in {thread.name for thread in threading.enumerate()}
    assert "presence" not in {thread.name for thread in threading.enumerate()}
