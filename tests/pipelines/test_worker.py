"""The worker: fulfils requests of the queue, survives what goes wrong with one, and gives back what it can't finish."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from features.actions import record_action
from features.database import pull_requests
from features.lake import Lake
from features.online import OnlineFeatures
from features.schema import INTERACTIONS, Kind
from features.settings import Settings
from pipelines import queue
from pipelines.flickr import Flickr
from pipelines.progress import read_progress
from pipelines.sandbox.world import World
from pipelines.worker import Worker

NOBODY = "1@N00"


def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def running(lake: Lake, engine: sa.Engine, flickr: Flickr, sandbox_settings: Settings) -> Callable[..., Any]:
    """A worker at work in a thread: `with running(concurrency) as worker`."""

    @contextmanager
    def run(concurrency: int = 1) -> Iterator[Worker]:
        worker = Worker(lake, engine, lambda _purpose: flickr, OnlineFeatures(sandbox_settings), sandbox_settings)
        thread = threading.Thread(target=worker.run, args=(concurrency,))
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            thread.join(20)
        assert not thread.is_alive()

    return run


def state_of(engine: sa.Engine, user_id: str) -> str:
    with engine.connect() as connection:
        query = sa.select(pull_requests.c.state).where(pull_requests.c.user_id == user_id)
        return str(connection.scalar(query.order_by(pull_requests.c.request_id.desc())))


def test_it_fulfils_what_waits(running: Any, engine: sa.Engine, world: World) -> None:
    visitors = world.user_ids[-2:]
    for visitor in visitors:
        queue.put(engine, visitor)
    with running(2):
        eventually(lambda: queue.counts(engine) == {"done": 2})
    for visitor in visitors:
        assert read_progress(engine, visitor).stage == "done"


def test_a_request_that_can_never_succeed_is_dead_at_once(running: Any, engine: sa.Engine) -> None:
    queue.put(engine, NOBODY)
    with running():
        eventually(lambda: state_of(engine, NOBODY) == "dead")
    progress = read_progress(engine, NOBODY)
    assert progress.stage == "failed"
    assert progress.error


def test_while_flickr_fails_a_request_waits_for_another_attempt(
    running: Any, engine: sa.Engine, sandbox: Any, world: World
) -> None:
    visitor = world.user_ids[-1]
    sandbox.faults({"kind": "bad_gateway"})
    queue.put(engine, visitor)
    with running():
        eventually(lambda: state_of(engine, visitor) == "waiting" and queue_error(engine, visitor) != "")
        assert read_progress(engine, visitor).stage == "queued"
        sandbox.faults()
        # The pause before the second attempt is over.
        with engine.begin() as connection:
            connection.execute(sa.update(pull_requests).values(leased_until=None))
        eventually(lambda: state_of(engine, visitor) == "done")


def queue_error(engine: sa.Engine, user_id: str) -> str:
    with engine.connect() as connection:
        query = sa.select(pull_requests.c.error).where(pull_requests.c.user_id == user_id)
        return str(connection.scalar(query) or "")


def test_asked_to_stop_it_gives_the_request_back(running: Any, engine: sa.Engine, sandbox: Any, avid: str) -> None:
    sandbox.faults({"kind": "hang", "seconds": 0.3})
    queue.put(engine, avid)
    with running():
        eventually(lambda: state_of(engine, avid) == "leased")
    assert state_of(engine, avid) == "waiting"


def test_it_relays_what_people_did(running: Any, engine: sa.Engine, lake: Lake) -> None:
    action = record_action(engine, user_id="u@N01", kind=Kind.DISMISS_PHOTO, photo_id="1", owner_id="o@N01")
    with running():
        eventually(lambda: lake.version(INTERACTIONS) is not None)
        eventually(lambda: lake.scan(INTERACTIONS, columns=["action_id"]).num_rows == 1)
    assert lake.scan(INTERACTIONS, columns=["action_id"]).column(0).to_pylist() == [action.action_id]


def test_what_a_killed_worker_held_is_done_by_another(
    engine: sa.Engine, sandbox: Any, sandbox_settings: Settings, avid: str
) -> None:
    queue.put(engine, avid)
    environment = {**os.environ, **sandbox_settings.environment(), "PHOTO_RECOMMENDER_LEASE_SECONDS": "1"}
    command = [sys.executable, "-m", "photo_recommender", "worker", "--concurrency", "1"]
    sandbox.faults({"kind": "hang", "seconds": 1.0})
    first = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    eventually(lambda: state_of(engine, avid) == "leased", 60)
    first.kill()
    first.wait()
    assert state_of(engine, avid) == "leased"
    sandbox.faults()
    second = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: state_of(engine, avid) == "done", 60)
        second.send_signal(signal.SIGTERM)
        assert second.wait(15) == 0
    finally:
        second.kill()
        second.wait()
