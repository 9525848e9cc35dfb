"""The Flickr sandbox in a process of its own, to sign in with and to look people up at."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from pipelines.sandbox.oauth import CONSUMER_KEY

SANDBOX = (
    "import typer; from pipelines.sandbox import commands; app = typer.Typer(pretty_exceptions_enable=False); "
    "commands.register(app); app()"
)


@dataclass(frozen=True)
class Sandbox:
    """The Flickr sandbox, running, with people and photos of its own."""

    url: str
    people: list[str]

    def faults(self, *rules: dict[str, object]) -> None:
        """Misbehave by these rules from now on; without any, behave."""
        httpx.put(f"{self.url}/sandbox/faults", json={"seed": 0, "rules": rules}).raise_for_status()

    def call(self, method: str, **parameters: str) -> Any:
        fields = {"method": method, "api_key": CONSUMER_KEY, "format": "json", "nojsoncallback": "1", **parameters}
        return httpx.get(f"{self.url}/services/rest/", params=fields, timeout=10).json()

    def favorites(self, user_id: str) -> list[str]:
        listed = self.call("flickr.favorites.getPublicList", user_id=user_id, per_page="500")
        return [photo["id"] for photo in listed["photos"].get("photo", ())]

    def photos_for(self, user_id: str, count: int) -> list[tuple[str, str]]:
        """(photo, owner) of photos that are not the user's and that the user has not favorited."""
        mine, found = set(self.favorites(user_id)), {}
        for person in self.people:
            listed = self.call("flickr.favorites.getPublicList", user_id=person, per_page="50")
            for photo in listed["photos"].get("photo", ()):
                if photo["id"] not in mine and photo["owner"] != user_id:
                    found[photo["id"]] = photo["owner"]
            if len(found) >= count:
                return list(found.items())[:count]
        raise AssertionError("the sandbox has too few photos")

    def consent(self, authorize_url: str, user_id: str, decision: str = "allow") -> str:
        """What the person does at Flickr; the address on our site that Flickr sends the browser to."""
        address = httpx.URL(authorize_url)
        form = {**address.params, "user_id": user_id, "decision": decision}
        sent_to = httpx.URL(httpx.post(address.copy_with(query=None), data=form).headers["location"])
        return sent_to.raw_path.decode()


@contextmanager
def run_sandbox(folder: Path) -> Iterator[Sandbox]:
    options = ("--users", "30", "--photos", "400", "--favorites", "1000", "--seed", "3", "--port", "0")
    command = [sys.executable, "-c", SANDBOX, *options, "--folder", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "ready" in line, f"the sandbox did not start: {line!r}"
        url = line.split()[5]
        people = httpx.get(f"{url}/sandbox/people", params={"limit": 20}).json()
        yield Sandbox(url, [person["user_id"] for person in people])
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
