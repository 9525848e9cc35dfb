"""One pull, the same lake in the end, whatever the lake, the queue, the budget and the online features are kept in.

The workers are the command itself. `PULL_MATRIX=full` takes every combination (`make stack-test`); else each backend
once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest
import redis
from pull_rig.judge import judge
from pull_rig.sandbox import Sandbox
from pull_rig.stage import Stage

from features.online import OnlineFeatures
from pipelines.pull.ask import ask_for_person
from pipelines.pull.progress import read_progress

pytestmark = pytest.mark.timeout(600)

BACKENDS = (("folder", "s3"), ("sql", "sqs"), ("sqlite", "redis"))
EACH_ONCE = tuple(zip(*BACKENDS, strict=True))
COMBINATIONS = tuple(product(*BACKENDS)) if os.environ.get("PULL_MATRIX") == "full" else EACH_ONCE

WORKER = [sys.executable, "-m", "photo_recommender", "worker", "--concurrency", "2"]
SECONDS = 120.0

Backends = dict[str, object]


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def backends(request: pytest.FixtureRequest) -> Backends:
    """The settings of one combination; budget and online features go together."""
    lake, queue, budget = request.param
    settings: Backends = {}
    if lake == "s3":
        settings["lake_uri"] = f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"
    if queue == "sqs":
        settings["queue_url"] = request.getfixturevalue("sqs")
    if budget == "redis":
        address = request.getfixturevalue("redis_url")
        with redis.Redis.from_url(address) as client:
            client.flushdb()
        settings |= {"budget_url": address, "online_store": address}
    return settings


@pytest.fixture
def stage(backends: Backends, sandbox: Sandbox, template: Path, tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path / "home", None, sandbox, template, **backends)
    yield stage
    stage.close()


@pytest.fixture
def start_worker(stage: Stage) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts the command; no worker outlives the context that it is used in."""

    @contextmanager
    def start(number: int = 1) -> Iterator[list[subprocess.Popen[bytes]]]:
        environment = {**os.environ, **stage.settings.environment()}
        with (stage.home / "log").open("ab") as log:
            workers = [subprocess.Popen(WORKER, env=environment, stderr=log) for _ in range(number)]
        try:
            yield workers
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()

    return start  # type: ignore[return-value]


def test_one_worker_is_killed_one_is_stopped_and_a_third_completes_the_lake(
    stage: Stage, start_worker: Callable[..., Iterator[list[subprocess.Popen[bytes]]]], sandbox: Sandbox
) -> None:
    truth = sandbox.clock(sandbox.world.config.end)
    person = max(truth.people(), key=lambda one: len(truth.neighbors(one)))
    ask_for_person(stage.engine, stage.queue, person, reason="visit")
    sandbox.faults({"kind": "hang", "seconds": 0.4})
    try:
        with start_worker(2) as (killed, stopped):  # type: ignore[attr-defined]
            stage.wait(lambda: read_progress(stage.engine, person).finished > 1, SECONDS)
            killed.kill()
            stopped.send_signal(signal.SIGTERM)
            assert stopped.wait(30) == 0, stage.log()
    finally:
        sandbox.faults()
    left = read_progress(stage.engine, person)
    assert left.finished < left.made
    with start_worker() as (third,):  # type: ignore[attr-defined]
        stage.wait(lambda: stage.is_over([person]), SECONDS)
        third.send_signal(signal.SIGTERM)
        assert third.wait(30) == 0, stage.log()
    verdict = judge(stage.lake, stage.engine, truth, [person])
    assert verdict.is_right, verdict
    candidates = OnlineFeatures(stage.settings).neighbor_candidates(person)
    assert candidates is not None
    assert candidates.coverage == 1.0
