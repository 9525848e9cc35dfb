"""Child processes end with the job that started them, however it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from features.errors import ConfigurationError, DependencyError
from pipelines.processes import children, require_free_port

SERVER = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state != "Z"


def test_a_child_is_up_when_waited_for_and_gone_when_the_context_ends(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with children(tmp_path) as processes:
        child = processes.start("files", [*SERVER, str(port)], {})
        child.wait_until_healthy(f"http://127.0.0.1:{port}/", 20)
        assert alive(child.process.pid)
    assert not alive(child.process.pid)


def test_a_child_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    with children(tmp_path) as processes:
        child = processes.start("broken", [sys.executable, "-c", "raise SystemExit('no such world')"], {})
        with pytest.raises(DependencyError, match="broken ended with status 1: no such world"):
            child.wait_until_healthy("http://127.0.0.1:9/", 20)


@pytest.fixture
def start_job(tmp_path: Path, free_port: Callable[[], int]) -> Callable[..., tuple[subprocess.Popen[str], int]]:
    """Starts a job with a child that serves: the job, and the child's process id. Options are Popen's."""
    port = free_port()
    job = tmp_path / "job.py"
    job.write_text(
        textwrap.dedent(f"""
        import time
        from pathlib import Path
        from pipelines.processes import children
        with children(Path({str(tmp_path)!r})) as processes:
            child = processes.start("files", {[*SERVER, str(port)]!r}, {{}})
            child.wait_until_healthy("http://127.0.0.1:{port}/", 20)
            print(child.process.pid, flush=True)
            time.sleep(60)
        """)
    )

    def start(**options: Any) -> tuple[subprocess.Popen[str], int]:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        process = subprocess.Popen(
            [sys.executable, str(job)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
            **options,
        )
        assert process.stdout
        return process, int(process.stdout.readline())

    return start


def dies(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_child_dies_with_its_job(start_job: Callable[..., Any], number: int) -> None:
    job, child = start_job()
    with job:
        job.send_signal(number)
        assert job.wait(20) != 0
    assert dies(child)


def test_a_job_that_a_script_started_in_the_background_can_be_interrupted(start_job: Callable[..., Any]) -> None:
    job, child = start_job(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    with job:
        job.send_signal(signal.SIGINT)
        assert job.wait(20) != 0
    assert dies(child)


def test_a_used_port_is_named_with_the_option_that_changes_it() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"port {port} .* choose another with --port"):
            require_free_port("127.0.0.1", port, "--port")
