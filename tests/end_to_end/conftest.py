"""The demo as people start it: the real command, with all its processes, over a small world."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

SMALL = ("--users", "300", "--photos", "2000", "--favorites", "40000", "--seed", "7")
LAST_LINE = "Ctrl-C stops everything"
PROGRAM = [sys.executable, "-m", "photo_recommender"]


@dataclass
class RunningDemo:
    """A demo that was started, and everything that it has printed."""

    home: Path
    ports: dict[str, int]
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def url(self, name: str = "website") -> str:
        return f"http://localhost:{self.ports[name]}"

    def get(self, path: str, name: str = "website") -> Any:
        return httpx.get(f"{self.url(name)}{path}", timeout=20).raise_for_status().json()

    def wait_until(self, text: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, f"{text!r} did not come within {seconds} s: {self.output}"
            time.sleep(0.1)

    def environment(self) -> dict[str, str]:
        """What `demo.env` sets for other commands on this demo."""
        shell = f"set -a; . {self.home / 'demo.env'}; env"
        printed = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True).stdout
        return dict(line.split("=", 1) for line in printed.splitlines() if line.startswith("PHOTO_RECOMMENDER_"))

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def living_processes(home: Path) -> list[str]:
    """Command lines of processes that work in that folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (entry / "environ").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if str(home) in command or f"PHOTO_RECOMMENDER_HOME={home}" in environment:
            found.append(command)
    return found


@pytest.fixture(scope="session")
def noon() -> str:
    """A moment that stands still, so that two runs see the same favorites: noon of the day after the world's end."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (midnight + timedelta(hours=12)).isoformat()


@pytest.fixture(scope="session")
def start_demo(free_port: Callable[[], int], noon: str) -> Callable[..., RunningDemo]:
    """Starts a demo: `start_demo(home, *options, NAME=value)`."""

    def start(home: Path, *options: str, **environment: str) -> RunningDemo:
        ports = {name: free_port() for name in ("website", "sandbox", "mlflow")}
        command = [*PROGRAM, "demo", "--home", str(home), *SMALL, "--clock", noon]
        command += ["--port", str(ports["website"]), "--sandbox-port", str(ports["sandbox"])]
        command += ["--mlflow-port", str(ports["mlflow"]), *options]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "COLUMNS": "140", "PYTHONUNBUFFERED": "1", **environment},
        )
        demo = RunningDemo(home, ports, process)

        def read() -> None:
            assert process.stdout is not None
            demo.lines.extend(process.stdout)

        threading.Thread(target=read, daemon=True).start()
        return demo

    return start


@pytest.fixture(scope="session")
def demo(start_demo: Callable[..., RunningDemo], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """One demo that is up, for all tests of a file."""
    running = start_demo(tmp_path_factory.mktemp("demo") / "home")
    try:
        running.wait_until(LAST_LINE, 240)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(60)


@pytest.fixture(scope="session")
def processes_in() -> Callable[[Path], list[str]]:
    return living_processes
