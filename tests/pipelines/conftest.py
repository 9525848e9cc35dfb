"""A running sandbox: the real server in a process of its own over a small world, that world, and clients of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import flickrapi
import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from features.lake import Lake
from features.online import OnlineFeatures
from features.settings import Settings
from pipelines.flickr import calls as flickr_calls
from pipelines.flickr.client import Flickr, FlickrToken, open_flickr
from pipelines.pull.workplace import Workplace
from pipelines.queue.messages import open_queue
from pipelines.sandbox.oauth import CONSUMER_KEY, CONSUMER_SECRET
from pipelines.sandbox.world import World, WorldConfig, generate_world

SMALL = WorldConfig(users=60, photos=900, favorites=4_000, seed=3)
OPTIONS = ("--users", "60", "--photos", "900", "--favorites", "4000", "--seed", "3")
PROGRAM = (
    "import typer; from pipelines.sandbox import commands; app = typer.Typer(pretty_exceptions_enable=False); "
    "commands.register(app); app()"
)


@dataclass(frozen=True)
class RunningSandbox:
    url: str
    process: subprocess.Popen[str]
    http: httpx.Client = field(default_factory=httpx.Client)

    @property
    def rest_url(self) -> str:
        return f"{self.url}/services/rest/"

    def get(self, path: str) -> Any:
        return self.http.get(f"{self.url}{path}").raise_for_status().json()

    def put(self, path: str, document: object) -> httpx.Response:
        return self.http.put(f"{self.url}{path}", json=document)

    def faults(self, *rules: dict[str, object], seed: int = 0) -> None:
        self.put("/sandbox/faults", {"seed": seed, "rules": list(rules)}).raise_for_status()

    def clock(self, setting: str) -> None:
        self.put("/sandbox/clock", {"clock": setting}).raise_for_status()

    def outcomes(self, method: str) -> dict[str, int]:
        """How often that method was called until now, by outcome."""
        return dict(self.get("/sandbox/calls")["methods"].get(method, {}))

    def calls(self, method: str) -> int:
        return sum(self.outcomes(method).values())

    def call(self, method: str, **parameters: object) -> httpx.Response:
        """An unsigned call, as with a key alone."""
        fields = {"method": method, "api_key": CONSUMER_KEY, "format": "json", "nojsoncallback": 1, **parameters}
        return self.http.get(self.rest_url, params=fields, timeout=10)

    def listed(self, user_id: str) -> list[tuple[str, str, int]]:
        """(photo, owner, unix seconds) of a user's favorites, newest first: those of one page that holds them all."""
        answer = self.call("flickr.favorites.getPublicList", user_id=user_id, per_page=500).json()["photos"]
        assert answer["pages"] <= 1
        return [(photo["id"], photo["owner"], int(photo["date_faved"])) for photo in answer["photo"]]

    def flickr(self, token: flickrapi.auth.FlickrAccessToken | None = None, **options: object) -> flickrapi.FlickrAPI:
        """`flickrapi` itself, pointed here."""
        options = {"format": "parsed-json", "store_token": False, "timeout": 10, **options}
        client = flickrapi.FlickrAPI(CONSUMER_KEY, CONSUMER_SECRET, token=token, **options)
        client.REST_URL = self.rest_url
        for step in ("REQUEST_TOKEN", "ACCESS_TOKEN", "AUTHORIZE"):
            setattr(client.flickr_oauth, f"{step}_URL", f"{self.url}/services/oauth/{step.lower()}")
        client.flickr_oauth.token = token
        return client

    def sign_in(self, user_id: str, perms: str = "write") -> flickrapi.FlickrAPI:
        """`flickrapi` after the whole OAuth dance as that user."""
        client = self.flickr()
        client.get_request_token(oauth_callback="http://localhost/callback")
        address = httpx.URL(client.auth_url(perms=perms))
        form = {**address.params, "user_id": user_id, "decision": "allow"}
        location = httpx.URL(self.http.post(address.copy_with(query=None), data=form).headers["location"])
        client.get_access_token(location.params["oauth_verifier"])
        return client

    def token(self, user_id: str, perms: str = "write") -> FlickrToken:
        """What the consent of that user gives our own client."""
        access = self.sign_in(user_id, perms).token_cache.token
        return FlickrToken(access.token, access.token_secret)


def command_line(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *OPTIONS, "--port", "0", "--folder", str(folder), *options]


@contextmanager
def run_sandbox(folder: Path, *options: str) -> Iterator[RunningSandbox]:
    process = subprocess.Popen(command_line(folder, *options), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "ready" in line, f"the sandbox did not start: {line!r}"
        yield RunningSandbox(line.split()[5], process)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="session")
def start_sandbox() -> Callable[..., Any]:
    """Starts one more sandbox: `with start_sandbox(folder, *options) as sandbox`."""
    return run_sandbox


@pytest.fixture(scope="session")
def sandbox_command() -> Callable[..., list[str]]:
    """The command line that starts a sandbox: `sandbox_command(folder, *options)`."""
    return command_line


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with run_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def world(shared_sandbox: RunningSandbox) -> World:
    """The world that the server has."""
    end = datetime.fromisoformat(shared_sandbox.get("/sandbox/health")["world"]["end"])
    return generate_world(replace(SMALL, end=end))


@pytest.fixture(scope="session")
def avid(world: World) -> str:
    """A user with more than a hundred favorites, whom no test changes."""
    return world.user_ids[int(np.argsort(np.diff(world.favorites.first))[-3])]


@pytest.fixture
def sandbox(shared_sandbox: RunningSandbox, world: World) -> Iterator[RunningSandbox]:
    """The one server of this session, well-behaved; its time stands still, so that nobody favors anything meanwhile.

    Who changes favorites puts them back: the other tests compare them with the world's.
    """
    shared_sandbox.faults()
    shared_sandbox.clock(world.config.end.isoformat())
    yield shared_sandbox
    shared_sandbox.faults()


@pytest.fixture
def sandbox_settings(settings: Settings, shared_sandbox: RunningSandbox) -> Settings:
    """The settings of a process whose Flickr is the sandbox."""
    url = shared_sandbox.url
    return settings.model_copy(
        update={
            "flickr_key": CONSUMER_KEY,
            "flickr_secret": SecretStr(CONSUMER_SECRET),
            "flickr_rest_url": shared_sandbox.rest_url,
            "flickr_oauth_url": f"{url}/services/oauth",
            "flickr_site_url": url,
            "sandbox_url": url,
            "flickr_attempts": 3,
            "flickr_timeout": 10.0,
            "flickr_calls_per_hour": 1_000_000,
            "flickr_calls_per_second": 1_000_000,
            "breaker_failures": 1_000_000,
            "commit_seconds": 0.2,
        }
    )


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backing off takes no time; what a Retry-After asks for is waited for all the same."""
    monkeypatch.setattr(flickr_calls, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(flickr_calls, "LONGEST_WAIT", 0.002)


@pytest.fixture
def flickr(sandbox: RunningSandbox, sandbox_settings: Settings, quick_retries: None) -> Flickr:
    """The client, with the key alone."""
    return open_flickr(sandbox_settings)


@pytest.fixture
def place(lake: Lake, engine: sa.Engine, sandbox_settings: Settings) -> Workplace:
    """What a worker has at hand: the test's lake and database, an embedded queue, online features in SQLite."""
    online = OnlineFeatures(sandbox_settings)
    return Workplace(lake, engine, open_queue(sandbox_settings, engine), sandbox_settings, online)
