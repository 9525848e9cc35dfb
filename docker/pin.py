"""Pins what is built on by what it is, not by what it is called: images by digest, actions of workflows by revision.

`make pin` asks the registries and GitHub and rewrites the lines below in place; the tag stays beside what it stood for,
so that the next run can renew it. `--check` asks nobody and names what is not pinned: delivery begins with it.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
FILES = ("docker/*.Dockerfile", "compose.yaml", "bentofile.yaml", ".github/workflows/*.yml")

GITHUB = "https://github.com"
DOCKER_HUB = "registry-1.docker.io"
MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""An index before an image of one architecture: its digest is right on every machine."""

IMAGE = re.compile(
    r"^(?P<before>\s*(?:FROM |COPY --from=|image: |base_image: |- image: )\"?)"
    r"(?P<name>[a-z0-9][a-z0-9.:/_-]*):(?P<tag>[\w.-]+)(?P<pin>@sha256:[0-9a-f]{64})?",
    re.MULTILINE,
)
ACTION = re.compile(
    r"^(?P<before>\s*(?:- )?uses: )(?P<name>[\w.-]+/[\w.-]+)(?P<path>[\w./-]*)@(?P<ref>[\w.-]+)(?: # (?P<tag>\S+))?$",
    re.MULTILINE,
)
REVISION = re.compile(r"[0-9a-f]{40}")

Found = re.Match[str]


def is_ours(name: str) -> bool:
    """Whether an image is made here: it has no digest before it is pushed."""
    return name.startswith("photo-recommender")


def unpinned(text: str) -> Iterator[str]:
    """What a file builds on by name only."""
    for found in IMAGE.finditer(text):
        if not found["pin"] and not is_ours(found["name"]):
            yield f"{found['name']}:{found['tag']}"
    for found in ACTION.finditer(text):
        if not REVISION.fullmatch(found["ref"]):
            yield f"{found['name']}{found['path']}@{found['ref']}"


def pinned(text: str, digest: Callable[[str, str], str], revision: Callable[[str, str], str]) -> str:
    """The file with everything pinned anew. digest(image, tag) and revision(repository, tag) say to what."""

    def image(found: Found) -> str:
        if is_ours(found["name"]):
            return found[0]
        return f"{found['before']}{found['name']}:{found['tag']}@{digest(found['name'], found['tag'])}"

    def action(found: Found) -> str:
        tag = found["tag"] or found["ref"]
        return f"{found['before']}{found['name']}{found['path']}@{revision(found['name'], tag)} # {tag}"

    return ACTION.sub(action, IMAGE.sub(image, text))


def digest_of(image: str, tag: str, *, scheme: str = "https") -> str:
    """The digest of an image's tag, `sha256:…`, as its registry says. Raises httpx.HTTPError, ValueError."""
    host, name = _registry(image)
    url = f"{scheme}://{host}/v2/{name}/manifests/{tag}"
    headers = {"Accept": ", ".join(MANIFESTS)}
    with httpx.Client(timeout=30, follow_redirects=True) as client:
        answer = client.head(url, headers=headers)
        if answer.status_code == 401:
            headers["Authorization"] = f"Bearer {_token(client, answer.headers.get('WWW-Authenticate', ''))}"
            answer = client.head(url, headers=headers)
        answer.raise_for_status()
    digest = answer.headers.get("Docker-Content-Digest", "")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        raise ValueError(f"{url} answers {digest!r}, no digest")
    return str(digest)


def _registry(image: str) -> tuple[str, str]:
    """Host and name: `python` is docker.io's library/python, `public.ecr.aws/x/y` says its host."""
    first, _, rest = image.partition("/")
    if rest and ("." in first or ":" in first):
        return first, rest
    return DOCKER_HUB, image if rest else f"library/{image}"


def _token(client: httpx.Client, challenge: str) -> str:
    """What anybody may have: `Bearer realm="…",service="…",scope="…"` says where."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if "realm" not in asked:
        raise ValueError(f"the registry wants {challenge!r}, no token")
    answer = client.get(asked.pop("realm"), params=asked)
    answer.raise_for_status()
    return str(answer.json()["token"])


def revision_of(repository: str, tag: str, *, host: str = GITHUB) -> str:
    """The commit that a tag or branch of a repository stands for. Raises ValueError where there is none."""
    listed = subprocess.run(
        ["git", "ls-remote", f"{host}/{repository}", f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}", f"refs/heads/{tag}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    named = {name: commit for commit, name in (line.split("\t") for line in listed.splitlines())}
    # A tag with a message is an object of its own; ^{} is the commit that it is on.
    for name in (f"refs/tags/{tag}^{{}}", f"refs/tags/{tag}", f"refs/heads/{tag}"):
        if name in named:
            return named[name]
    raise ValueError(f"{host}/{repository} has no tag {tag}")


def main() -> None:
    """Rewrite the files, or with --check name what is not pinned (exit status 1)."""
    parser = argparse.ArgumentParser(description="Pin images by digest and actions by revision.")
    parser.add_argument("--check", action="store_true", help="only name what is not pinned")
    check = parser.parse_args().check
    missing = 0
    for file in (file for pattern in FILES for file in sorted(ROOT.glob(pattern))):
        text = file.read_text(encoding="utf-8")
        if check:
            for name in unpinned(text):
                print(f"{file.relative_to(ROOT)}: {name} is not pinned: run make pin", file=sys.stderr)  # noqa: T201
                missing += 1
            continue
        try:
            file.write_text(pinned(text, digest_of, revision_of), encoding="utf-8")
        except (httpx.HTTPError, ValueError, OSError, subprocess.SubprocessError) as error:
            sys.exit(f"error: {file.relative_to(ROOT)} stays as it is: {error}")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
