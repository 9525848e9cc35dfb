"""Child processes of a job: started with their log in a file, waited for until healthy, and stopped whatever happens.

A child gets SIGTERM from the kernel when its parent dies, so that even `kill -9` of the job leaves nothing running.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from features.errors import ConfigurationError, DependencyError

STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Child:
    """A running process, by the name that its log and its errors carry."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until_healthy(self, url: str, seconds: float = 90.0) -> None:
        """Return once a GET of `url` succeeds. Raises DependencyError, with the log's last line, when it never does."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(httpx.TransportError):
                if httpx.get(url, timeout=5).is_success:
                    return
            if self.process.poll() is not None:
                raise DependencyError(
                    f"{self.name} ended with status {self.process.returncode}: {self._last_line()} (log: {self.log})"
                )
            if time.monotonic() > deadline:
                raise DependencyError(
                    f"{self.name} did not answer {url} within {seconds:.0f} s: {self._last_line()} (log: {self.log})"
                )
            time.sleep(0.1)

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to the whole group after a while."""
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Children:
    """The processes that one job has started."""

    def __init__(self, logs: Path, stack: ExitStack) -> None:
        self._logs = logs
        self._stack = stack

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> Child:
        """Start `command` with `environment` on top of this process's own; stopped when the context ends."""
        self._logs.mkdir(parents=True, exist_ok=True)
        log = self._logs / f"{name}.log"
        setpriv = shutil.which("setpriv")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*([setpriv, "--pdeathsig", "TERM"] if setpriv else []), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                # Ctrl-C is for the job alone, which then stops its children in order.
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._stack.callback(child.stop)
        return child


@contextmanager
def children(logs: Path) -> Iterator[Children]:
    """A place to start processes from; at the end they are stopped, the newest first. SIGTERM ends it like Ctrl-C.

    SIGINT does, too, where it came ignored, as it does to what a script starts in the background.
    """

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with ExitStack() as stack:
            yield Children(logs, stack)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def require_free_port(host: str, port: int, option: str) -> None:
    """Raises ConfigurationError, which names the option to change, when somebody listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"port {port} on {host} can't be used ({error.strerror}): stop what listens there or choose another "
                f"with {option}",
                field=option,
            ) from None
