"""A running sandbox over the rig's world, as the tests steer it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from pipelines.sandbox.oauth import CONSUMER_KEY, CONSUMER_SECRET
from pipelines.sandbox.world import World
from pull_rig.world import CONFIG, Truth, small_world


@dataclass(frozen=True)
class Sandbox:
    """The server's address and its world."""

    url: str
    world: World
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30), repr=False)
    _truths: dict[datetime, Truth] = field(default_factory=dict, repr=False)

    def get(self, path: str) -> Any:
        return self.http.get(f"{self.url}{path}").raise_for_status().json()

    def faults(self, *rules: dict[str, object], seed: int = 0) -> None:
        self.http.put(f"{self.url}/sandbox/faults", json={"seed": seed, "rules": list(rules)}).raise_for_status()

    def clock(self, moment: datetime) -> Truth:
        """Stop the time there; what stands in the world then."""
        self.http.put(f"{self.url}/sandbox/clock", json={"clock": moment.isoformat()}).raise_for_status()
        return self._truths.setdefault(moment, Truth(self.world, moment))

    def settings(self) -> dict[str, Any]:
        """The settings of a process whose Flickr this is, with a budget that does not bind."""
        return {
            "flickr_key": CONSUMER_KEY,
            "flickr_secret": SecretStr(CONSUMER_SECRET),
            "flickr_rest_url": f"{self.url}/services/rest/",
            "flickr_oauth_url": f"{self.url}/services/oauth",
            "flickr_site_url": self.url,
            "sandbox_url": self.url,
            "flickr_calls_per_hour": 1_000_000,
            "flickr_calls_per_second": 1_000_000,
        }


@contextmanager
def run_sandbox(folder: Path, hour: float = 3_600.0, second: float = 1.0) -> Iterator[Sandbox]:
    """Start one. `hour`, `second`: the seconds of the sliding windows that it counts calls in."""
    command = [sys.executable, str(Path(__file__).with_name("serve.py")), str(folder), str(hour), str(second)]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log:  # clients that are killed make it talk
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address, "the sandbox did not start"
        with httpx.Client(timeout=30) as http:
            end = datetime.fromisoformat(http.get(f"{address}/sandbox/health").json()["world"]["end"])
        sandbox = Sandbox(address, small_world(replace(CONFIG, end=end)))
        yield sandbox
        sandbox.http.close()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
