"""A lease that one process of several holds: it lives as long as its holder, and no longer."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from features.database import leases
from features.settings import Settings
from pipelines.plan import single

HOLDER = """
import sys, threading
from features.database import open_database
from pipelines.plan import single
stop = threading.Event()
with single.hold(open_database(sys.argv[1]), "one", stop, seconds=float(sys.argv[2])) as lease:
    print("held", flush=True)
    sys.stdin.read()
"""
LEASE_SECONDS = 1.5


@pytest.fixture
def hold(settings: Settings, engine: sa.Engine) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a process that waits for the lease, says `held` when it has it, and keeps it until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLDER, settings.database_url, str(LEASE_SECONDS)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_when_the_holder_of_a_lease_is_killed_another_process_takes_over(
    hold: Callable[[], subprocess.Popen[str]], engine: sa.Engine
) -> None:
    holder = hold()
    assert read_line(holder) == "held"
    waiting = hold()
    time.sleep(2 * LEASE_SECONDS)  # far longer than the lease lasts by itself
    until = engine.connect().execute(sa.select(leases.c.until)).scalar_one()
    assert until > datetime.now(UTC), "the holder renews its lease while it lives"
    holder.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    assert read_line(waiting) == "held"
    assert time.monotonic() - killed < LEASE_SECONDS + 1.0


def test_a_lease_that_is_given_up_is_free_at_once(engine: sa.Engine) -> None:
    stop = threading.Event()
    with single.hold(engine, "one", stop) as lease:
        assert lease is not None
        assert lease.held()
    assert not lease.held()
    with engine.connect() as connection:
        assert connection.execute(sa.select(leases)).fetchall() == []


def test_a_lease_of_another_name_is_another_lease(engine: sa.Engine) -> None:
    stop = threading.Event()
    with single.hold(engine, "one", stop) as one, single.hold(engine, "two", stop) as two:
        assert one is not None
        assert two is not None


def test_a_holder_that_was_replaced_sees_it_at_its_next_renewal(engine: sa.Engine) -> None:
    with single.hold(engine, "one", threading.Event()) as lease:
        assert lease is not None
        with engine.begin() as connection:
            connection.execute(sa.update(leases).values(holder="another"))
        assert not lease.renew()
        assert not lease.held()
    with engine.connect() as connection:
        assert connection.execute(sa.select(leases.c.holder)).scalar_one() == "another"


def test_who_waits_for_a_lease_stops_waiting_when_told(engine: sa.Engine) -> None:
    stop = threading.Event()
    with single.hold(engine, "one", stop):
        threading.Timer(0.2, stop.set).start()
        began = time.monotonic()
        with single.hold(engine, "one", stop) as second:
            assert second is None
        assert time.monotonic() - began < 5
