"""The shared sandbox as its own tests want it, and what one that can't start says."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def sandbox(shared_sandbox: Any) -> Any:
    """The one server of this session, well-behaved and at the present time."""
    shared_sandbox.faults()
    shared_sandbox.clock("live")
    return shared_sandbox


@pytest.fixture
def refusal(sandbox_command: Callable[..., list[str]]) -> Callable[..., str]:
    """What a sandbox that can't start writes on standard error: `refusal(folder, *options)`."""

    def run(folder: Path, *options: str) -> str:
        ended = subprocess.run(
            sandbox_command(folder, *options), capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode != 0
        return ended.stderr

    return run
