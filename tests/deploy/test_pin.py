"""`make pin`: images get the digest that their registry names, actions the commit of their tag; a second run renews."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

SCRIPT = Path(__file__).parents[2] / "docker" / "pin.py"
spec = importlib.util.spec_from_file_location("pin", SCRIPT)
assert spec is not None and spec.loader is not None
pin = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pin)

DIGEST = "sha256:" + "a" * 64
COMMIT = "b" * 40
TOKEN_PATH = "/token?service=here&scope=repository%3Aours%2Fimage%3Apull"

FILE = """\
FROM python:3.11-slim AS build
COPY --from=build /opt /opt
COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /bin/uv
    image: photo-recommender-worker:${TAG:-local}
    image: postgres:17-bookworm
  base_image: python:3.11-slim
      - uses: actions/checkout@v5
      - uses: github/codeql-action/upload-sarif@v3
    uses: ./.github/workflows/test.yml
"""


def pinned(text: str, digest: str = DIGEST, commit: str = COMMIT) -> str:
    result: str = pin.pinned(text, lambda image, tag: digest, lambda repository, tag: commit)
    return result


def test_what_others_made_is_pinned_and_what_we_make_is_not() -> None:
    assert pinned(FILE).splitlines() == [
        f"FROM python:3.11-slim@{DIGEST} AS build",
        "COPY --from=build /opt /opt",
        f"COPY --from=ghcr.io/astral-sh/uv:0.9@{DIGEST} /uv /bin/uv",
        "    image: photo-recommender-worker:${TAG:-local}",
        f"    image: postgres:17-bookworm@{DIGEST}",
        f"  base_image: python:3.11-slim@{DIGEST}",
        f"      - uses: actions/checkout@{COMMIT} # v5",
        f"      - uses: github/codeql-action/upload-sarif@{COMMIT} # v3",
        "    uses: ./.github/workflows/test.yml",
    ]


def test_a_second_run_renews_the_pins_by_the_tags_that_stayed() -> None:
    asked: list[tuple[str, str]] = []

    def newer(name: str, tag: str) -> str:
        asked.append((name, tag))
        return "sha256:" + "c" * 64 if "/" not in name or "uv" in name else "d" * 40

    renewed = pin.pinned(pinned(FILE), newer, newer)
    assert DIGEST not in renewed
    assert COMMIT not in renewed
    assert ("actions/checkout", "v5") in asked
    assert ("postgres", "17-bookworm") in asked


def test_what_is_not_pinned_is_named() -> None:
    assert list(pin.unpinned(FILE)) == [
        "python:3.11-slim",
        "ghcr.io/astral-sh/uv:0.9",
        "postgres:17-bookworm",
        "python:3.11-slim",
        "actions/checkout@v5",
        "github/codeql-action/upload-sarif@v3",
    ]
    assert list(pin.unpinned(pinned(FILE))) == []


@pytest.fixture
def registry() -> Iterator[str]:
    """A registry that wants a token for everything, as Docker Hub does; it knows one tag of one image."""

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"token": "of " + self.path}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            if (
                self.headers.get("Authorization")
                != "Bearer of /token?service=here&scope=repository%3Aours%2Fimage%3Apull"
            ):
                self.send_response(401)
                realm = f"http://127.0.0.1:{server.server_port}/token"
                self.send_header(
                    "WWW-Authenticate", f'Bearer realm="{realm}",service="here",scope="repository:ours/image:pull"'
                )
            elif self.path != "/v2/ours/image/manifests/1.0":
                self.send_response(404)
            else:
                assert "index" in self.headers["Accept"]
                self.send_response(200)
                self.send_header("Docker-Content-Digest", DIGEST)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_digest_is_what_the_registry_says_for_the_tag(registry: str) -> None:
    assert pin.digest_of(f"{registry}/ours/image", "1.0", scheme="http") == DIGEST


def test_a_tag_that_the_registry_does_not_know_is_an_error(registry: str) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        pin.digest_of(f"{registry}/ours/image", "2.0", scheme="http")


def test_a_revision_is_the_commit_that_a_tag_is_on(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        command = ["git", "-C", str(tmp_path / "owner" / "action"), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    (tmp_path / "owner" / "action").mkdir(parents=True)
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "one")
    git("tag", "--annotate", "--message", "a tag that is an object", "v1")
    git("tag", "v1.1")
    commit = git("rev-parse", "HEAD")
    assert git("rev-parse", "v1") != commit
    for tag in ("v1", "v1.1"):
        assert pin.revision_of("owner/action", tag, host=tmp_path.as_uri()) == commit
    with pytest.raises(ValueError, match="no tag v2"):
        pin.revision_of("owner/action", "v2", host=tmp_path.as_uri())
