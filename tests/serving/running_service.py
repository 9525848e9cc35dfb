"""The service as a process: what `photo-recommender serve` starts, until it is ready, and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

import httpx
import pytest

from features.settings import PREFIX, Settings
from serving.commands import serve as commands

READY_SECONDS, STOP_SECONDS = 150.0, 20.0


@dataclass(frozen=True)
class Service:
    """A service that is ready. key: what it asks services for."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    key: str

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30)

    def post(self, path: str, body: object, **options: str | None) -> httpx.Response:
        """`key=…` for another key, None for none; a service without a key is asked without one."""
        key = options.get("key", self.key)
        headers = {} if not key else {"Authorization": f"Bearer {key}"}
        return httpx.post(f"{self.url}{path}", json=body, headers=headers, timeout=30)

    def stop(self) -> float:
        """SIGTERM; how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_SECONDS)
        return time.monotonic() - began


def is_ready(service: Service) -> bool:
    try:
        return service.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def what_serve_starts(port: int) -> tuple[list[str], dict[str, str]]:
    """(command, environment) in whose favor `photo-recommender serve --port …` gives its process up."""
    with pytest.MonkeyPatch.context() as patch:
        execve = Mock()
        patch.setattr(os, "execve", execve)
        commands.serve(host="127.0.0.1", port=port)
    _, command, environment = execve.call_args.args
    return command, environment


@contextmanager
def running(
    settings: Settings, port: int, bento: str | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Service]:
    """The service of these settings, ready. bento: run this one instead of the working tree's."""
    log = settings.home.parent / "service.log"
    command, variables = what_serve_starts(port)
    if bento is not None:
        command[command.index("serving.service:PhotoRecommender")] = bento
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=variables | settings.environment() | {f"{PREFIX}PORT": str(port)} | dict(environment or {}),
            cwd=log.parent if bento is not None else None,
            start_new_session=True,
        )
    service = Service(f"http://127.0.0.1:{port}", process, log, settings.api_key.get_secret_value())
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not is_ready(service):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield service
    finally:
        if process.poll() is None:
            service.stop()
