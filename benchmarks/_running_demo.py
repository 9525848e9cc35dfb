"""A demo that is up, for what measures or photographs the site: the command as people run it, until it serves.

Its world is the demo's own, or a small one to try a script with; a home that is kept is taken up where it was left.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, sync_playwright

LAST_LINE = "Ctrl-C stops everything"
READY_SECONDS, STOP_SECONDS = 400.0, 60.0
SMALL = ("--users", "120", "--photos", "800", "--favorites", "8000")


@dataclass(frozen=True)
class RunningDemo:
    """home: the folder of its state; url, sandbox_url: where its website and its sandbox answer."""

    home: Path
    url: str
    sandbox_url: str

    def people(self, limit: int = 5_000) -> list[dict[str, Any]]:
        """The sandbox's people: the visitors, whom nobody has pulled yet, then those with most favorites."""
        answer = httpx.get(f"{self.sandbox_url}/sandbox/people", params={"limit": limit}, timeout=60)
        return list(answer.raise_for_status().json())

    def pulled(self) -> list[str]:
        """Ids of people whose walls are ranked by the model, those with most favorites first."""
        return [person["user_id"] for person in self.people() if not person["visitor"]]

    def visitors(self) -> list[str]:
        return [person["user_id"] for person in self.people() if person["visitor"]]


def demo_options(parser: argparse.ArgumentParser) -> None:
    """What every script that runs a demo can be asked for."""
    parser.add_argument("--small", action="store_true", help="a small world: quicker, and no measurement")
    parser.add_argument("--home", type=Path, help="keep the demo's state there")


@contextmanager
def running_demo(arguments: argparse.Namespace, port: int) -> Iterator[RunningDemo]:
    """The demo on `port` and the two ports after it, up. Raises RuntimeError, with what it printed, when it ends."""
    with tempfile.TemporaryDirectory() as folder:
        home = arguments.home or Path(folder) / "demo"
        command = [sys.executable, "-m", "photo_recommender", "demo", "--home", str(home), "--port", str(port)]
        command += ["--sandbox-port", str(port + 1), "--mlflow-port", str(port + 2)]
        command += SMALL if arguments.small else ()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            _wait(process)
            yield RunningDemo(home, f"http://localhost:{port}", f"http://127.0.0.1:{port + 1}")
        finally:
            process.terminate()
            process.wait(STOP_SECONDS)


def _wait(process: subprocess.Popen[str]) -> None:
    lines: list[str] = []

    def read() -> None:
        assert process.stdout is not None
        lines.extend(process.stdout)

    threading.Thread(target=read, daemon=True).start()
    deadline = time.monotonic() + READY_SECONDS
    while not any(LAST_LINE in line for line in lines):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the demo did not come up:\n" + "".join(lines))
        time.sleep(0.2)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"],
        )
        yield browser
        browser.close()
