"""One page for Prometheus: what a process counts itself, and the state that all of them share, read when asked."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY, Counter
from prometheus_client.parser import text_string_to_metric_families

from features.database import pull_progress
from features.errors import ConfigurationError
from features.settings import Settings
from pipelines.budget.windows import Purpose, open_budget
from pipelines.flickr.client import open_flickr
from pipelines.flickr.errors import KeyInvalidError
from pipelines.operation import metrics
from pipelines.operation.metrics import serve_metrics
from pipelines.operation.presence import present
from pipelines.queue.messages import Queue, open_queue
from pipelines.queue.requests import Kind, Priority, PullRequest

Page = dict[str, dict[tuple[str, ...], float]]


def read(port: int, most_seconds: float = 10.0) -> Page:
    """Each metric of ours: its values by those of its labels, these in the order of their names."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=most_seconds)
    answer.raise_for_status()
    page: Page = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            name = sample.name.removeprefix("photo_recommender_")
            page.setdefault(name, {})[tuple(sample.labels.values())] = sample.value
    return page


@pytest.fixture
def queue(settings: Settings, engine: sa.Engine) -> Queue:
    return open_queue(settings, engine)


@pytest.fixture
def served(settings: Settings, free_port: Callable[[], int]) -> Settings:
    """The settings with a port to serve metrics on."""
    return settings.model_copy(update={"metrics_port": free_port(), "flickr_calls_per_hour": 100})


@pytest.fixture
def page(served: Settings, engine: sa.Engine, queue: Queue) -> Iterator[Callable[[], Page]]:
    with serve_metrics(served, engine, queue) as port:
        assert port == served.metrics_port
        yield lambda: read(served.metrics_port)


def request(user_id: str, priority: Priority) -> PullRequest:
    return PullRequest(user_id=user_id, kind=Kind.FAVORITES, reason="test", priority=priority)


def test_the_queue_is_told_by_priority_with_leases_dead_letters_and_age(page: Callable[[], Page], queue: Queue) -> None:
    queue.put([request(f"{n}@N01", Priority.PERSON) for n in range(2)])
    queue.put([request(f"{n}@N02", Priority.REFRESH) for n in range(3)])
    held, poison = queue.receive(2, 0)
    queue.bury(poison, "odd")
    now = page()
    assert now["queue_waiting"] == {("person",): 0, ("neighbor",): 0, ("refresh",): 3, ("anonymous",): 0}
    assert (now["queue_leased"], now["queue_dead"]) == ({(): 1}, {(): 1})
    assert 0 < now["queue_oldest_seconds"][()] < 60
    queue.done([held])
    assert page()["queue_leased"] == {(): 0}


def test_the_budget_is_told_by_purpose_and_method(page: Callable[[], Page], served: Settings) -> None:
    for _ in range(3):
        assert open_budget(served).take(Purpose.ANONYMOUS, "flickr.people.getInfo") == 0.0
    now = page()
    assert now["budget_spent"] == {("flickr.people.getInfo", "anonymous"): 3}
    assert now["budget_left"] == {("person",): 97, ("refresh",): 80, ("anonymous",): 7}
    assert set(now["budget_paused_seconds"].values()) == {0}


def test_a_pause_that_flickr_asked_for_is_told_with_its_reason(page: Callable[[], Page], served: Settings) -> None:
    open_budget(served).pause(120)
    paused = page()["budget_paused_seconds"]
    assert 100 < paused.pop(("throttled",)) <= 120
    assert set(paused.values()) == {0}


def test_a_key_that_flickr_refuses_raises_the_alarm(
    sandbox_settings: Settings, sandbox: Any, engine: sa.Engine, queue: Queue, free_port: Callable[[], int]
) -> None:
    settings = sandbox_settings.model_copy(update={"metrics_port": free_port()})
    revoked = settings.model_copy(update={"flickr_key": "revoked"})
    with serve_metrics(settings, engine, queue):
        assert read(settings.metrics_port)["flickr_trouble"] == {("unavailable",): 0, ("key_invalid",): 0}
        with pytest.raises(KeyInvalidError):
            open_flickr(revoked).person("1@N01")
        now = read(settings.metrics_port)
        assert now["flickr_trouble"] == {("unavailable",): 0, ("key_invalid",): 1}
        assert now["budget_paused_seconds"]["key_invalid",] > 0


def test_workers_and_schedulers_at_work_are_counted(page: Callable[[], Page], engine: sa.Engine) -> None:
    with present(engine, "worker"), present(engine, "worker"):
        assert page()["workers"] == {("worker",): 2, ("scheduler",): 0}


def test_pulls_that_have_not_ended_are_counted(page: Callable[[], Page], engine: sa.Engine) -> None:
    now = datetime.now(UTC)
    rows = [
        {"user_id": f"{n}@N01", "stage": stage, "priority": 0, "asked_at": now, "updated_at": now, "finished_at": end}
        for n, (stage, end) in enumerate([("queued", None), ("neighbors", None), ("done", now), ("failed", now)])
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(pull_progress), rows)
    assert page()["open_pulls"] == {(): 2}


def test_what_the_process_counts_itself_stands_beside_it(page: Callable[[], Page]) -> None:
    counter = Counter("photo_recommender_of_a_test", "Only here.")
    try:
        counter.inc(3)
        assert page()["of_a_test_total"] == {(): 3}
    finally:
        REGISTRY.unregister(counter)


# What is not well


def test_a_part_that_fails_is_named_and_the_others_are_shown(page: Callable[[], Page], engine: sa.Engine) -> None:
    assert page()["scrape_errors"] == {("queue",): 0, ("budget",): 0, ("workers",): 0, ("pulls",): 0}
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE workers RENAME TO lost"))
    now = page()
    assert now["scrape_errors"] == {("queue",): 0, ("budget",): 0, ("workers",): 1, ("pulls",): 0}
    assert "workers" not in now
    assert now["queue_dead"] == {(): 0}
    with engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE lost RENAME TO workers"))
    assert page()["scrape_errors"]["workers",] == 0


@pytest.fixture
def stopping_redis(free_port: Callable[[], int], tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A redis-server of the test's own, to stop."""
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen(["/usr/bin/redis-server", *options], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    yield f"redis://127.0.0.1:{port}/0", server
    server.kill()
    server.wait(10)


def test_a_redis_that_hangs_or_is_gone_costs_its_own_part_alone(
    served: Settings,
    engine: sa.Engine,
    queue: Queue,
    stopping_redis: tuple[str, subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(metrics, "READ_SECONDS", 1.0)
    url, server = stopping_redis
    settings = served.model_copy(update={"budget_url": url})
    with serve_metrics(settings, engine, queue):
        assert read(settings.metrics_port)["budget_left"]["person",] == 100
        os.kill(server.pid, signal.SIGSTOP)
        for _ in range(3):
            hanging = read(settings.metrics_port, most_seconds=4)
            assert hanging["scrape_errors"]["budget",] == 1
            assert hanging["queue_dead"] == {(): 0}
        # Scrapes do not pile up behind what hangs.
        assert sum(thread.name == "metrics-budget" for thread in threading.enumerate()) == 1
        server.kill()
        server.wait(10)
        assert read(settings.metrics_port)["scrape_errors"]["budget",] == 1


# The port


def test_with_port_zero_nothing_is_served(settings: Settings, engine: sa.Engine, queue: Queue) -> None:
    before = threading.active_count()
    with serve_metrics(settings, engine, queue) as port:
        assert port is None
        assert threading.active_count() == before


def test_a_port_that_is_taken_is_told_with_the_setting_to_change(
    page: Callable[[], Page], served: Settings, engine: sa.Engine, queue: Queue
) -> None:
    with pytest.raises(ConfigurationError, match=f"PHOTO_RECOMMENDER_METRICS_PORT={served.metrics_port}"):
        serve_metrics(served, engine, queue).__enter__()
    assert page()["queue_dead"] == {(): 0}


def test_afterwards_the_port_is_free_and_the_state_is_read_no_more(
    served: Settings, engine: sa.Engine, queue: Queue
) -> None:
    for _ in range(2):
        with serve_metrics(served, engine, queue):
            assert "queue_dead" in read(served.metrics_port)
    with pytest.raises(httpx.ConnectError):
        read(served.metrics_port)
    assert not [family for family in REGISTRY.collect() if family.name == "photo_recommender_queue_dead"]
