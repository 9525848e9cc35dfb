"""Starting and ending the rig's worker processes from the test's side."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

START_SECONDS = 120.0


@dataclass(frozen=True)
class Job:
    """A worker: its environment, what strikes it, and how the queue deceives it.

    steals: every lease of a first attempt runs out at once, so that another worker gets the same message; doubles:
    each message is put twice. hour: seconds of the budget's sliding hour. page: favorites on a page.
    """

    environment: dict[str, str]
    log: str
    notes: str
    dooms: list[dict[str, Any]] = field(default_factory=list)
    steals: bool = False
    doubles: bool = False
    concurrency: int = 3
    hour: float = 3_600.0
    page: int = 500


class Zygote:
    """The process that forks workers. Use from one thread."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._statuses: dict[int, int] = {}
        threading.Thread(target=self._read, daemon=True).start()
        self._answers.get(timeout=START_SECONDS)

    def start(self, job: Job) -> int:
        """The process id of a new worker."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(job)) + "\n")
        self._process.stdin.flush()
        while True:
            answer = self._answers.get(timeout=START_SECONDS)
            if "status" not in answer:
                return int(answer["pid"])
            self._statuses[answer["pid"]] = answer["status"]

    def status(self, pid: int) -> int | None:
        """How a worker ended (0: by itself, 9: killed), None while it lives."""
        with suppress(queue.Empty):
            while True:
                answer = self._answers.get_nowait()
                self._statuses[answer["pid"]] = answer["status"]
        return self._statuses.get(pid)

    def end(self, pid: int, number: signal.Signals = signal.SIGKILL, seconds: float = 30.0) -> int:
        """Send that signal, unless it has ended, and wait for the end; the status."""
        if self.status(pid) is None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while (status := self.status(pid)) is None:
            if time.monotonic() > deadline:
                for last in (signal.SIGUSR1, signal.SIGKILL):
                    with suppress(ProcessLookupError):
                        os.kill(pid, last)
                    time.sleep(0.1)
                raise TimeoutError(f"the worker {pid} did not end within {seconds} s of {number.name}")
            time.sleep(0.005)
        return status

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(json.loads(line))


@contextmanager
def run_zygote() -> Iterator[Zygote]:
    command = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PHOTO_RECOMMENDER_LOG_FORMAT": "json"}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield Zygote(process)
    finally:
        process.kill()
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with suppress(OSError):
                stream.close()
