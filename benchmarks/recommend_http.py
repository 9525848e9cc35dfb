"""Requests a second of `POST /recommend` over HTTP, beside the plain service of the same libraries, on the same data.

Both with one worker a core, over the same factors and the same Redis, asked for the same people in the same run. Ours
reads every card anew (`CARD_SECONDS=0`), as two hundred people would find all of theirs kept, which is beside it.
The value is the lowest ratio to the plain service tuned, over concurrency 1, 8 and 32, with reasons and without.
`--photos 20000 --photos 1000000` measures more sizes, `--keep FOLDER` keeps what was trained.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _http_load import Load, get, measure, post
from _reporting import finish
from _serving_world import Kind, ServingWorld, made_world

from features.settings import PREFIX
from pipelines.processes import Children, children

PROMISED = 200_000
RATIO, P99_ALONE, P99_OF_EIGHT = 1.5, 25.0, 60.0
CONCURRENCIES = (1, 8, 32)
WORKERS = 2
OURS, TUNED, DEFAULTS = 3_301, 3_302, 3_303
REDIS = 3_300
RECOMMEND = "/recommend"


def requests_of(world: ServingWorld, explain: bool) -> list[bytes]:
    return [post(RECOMMEND, {"user_id": user_id, "explain": explain}) for user_id in world.user_ids]


def pages_of(world: ServingWorld) -> list[bytes]:
    return [get(f"/api/users/{user_id}/recommendations") for user_id in world.user_ids]


@contextmanager
def ours(started: Children, world: ServingWorld, more: Mapping[str, str] | None = None) -> Iterator[int]:
    """Our service, as `photo-recommender serve` starts it; more: of its environment."""
    workers = {f"{PREFIX}WORKERS": str(WORKERS), f"{PREFIX}PORT": str(OURS)}
    environment = {**world.settings.environment(), **workers, **(more or {})}
    command = [sys.executable, "-m", "photo_recommender", "serve", "--port", str(OURS)]
    service = started.start("ours", command, environment)
    service.wait_until_healthy(f"http://127.0.0.1:{OURS}/readyz")
    yield OURS
    service.stop()


@contextmanager
def plain(started: Children, world: ServingWorld, *, tuned: bool) -> Iterator[int]:
    """The plain service; tuned, it gets as many workers as ours."""
    port = TUNED if tuned else DEFAULTS
    tuning = {
        "BENTOML_CONFIG_OPTIONS": f"services.plain.workers={WORKERS}",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    environment = {
        **world.settings.environment(),
        **(tuning if tuned else {}),
        "PLAIN_TUNED": "yes" if tuned else "no",
        "PLAIN_BUNDLE": str(world.factors),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1])]),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    command = [sys.executable, "-m", "bentoml", "serve", "_plain_service:Plain", "--port", str(port)]
    service = started.start("tuned" if tuned else "defaults", command, environment)
    service.wait_until_healthy(f"http://127.0.0.1:{port}/readyz")
    yield port
    service.stop()


def loads(port: int, requests: list[bytes], seconds: float) -> dict[int, Load]:
    """By concurrency. Every worker has answered some requests before, which is not measured."""
    measure(port, requests, 8, 3.0)
    return {concurrency: measure(port, requests, concurrency, seconds) for concurrency in CONCURRENCIES}


def at_size(started: Children, world: ServingWorld, seconds: float, beside: bool) -> dict[str, dict[int, Load]]:
    found = {}
    with ours(started, world, {f"{PREFIX}CARD_SECONDS": "0"}) as port:
        for explain in (True, False):
            found[f"ours{'' if explain else ' without reasons'}"] = loads(port, requests_of(world, explain), seconds)
        found["ours, the page's route"] = loads(port, pages_of(world), seconds)
    if beside:
        with ours(started, world) as port:
            for explain in (True, False):
                name = f"ours, cards kept{'' if explain else ' without reasons'}"
                found[name] = loads(port, requests_of(world, explain), seconds)
    if beside:
        with plain(started, world, tuned=True) as port:
            for explain in (True, False):
                name = f"plain, tuned{'' if explain else ' without reasons'}"
                found[name] = loads(port, requests_of(world, explain), seconds)
        with plain(started, world, tuned=False) as port:
            found["plain, defaults without reasons"] = loads(port, requests_of(world, False), seconds)
    for name, load in found.items():
        for concurrency, one in load.items():
            print(f"{len(world.user_ids)} users · {name} · {concurrency} at once: {one.rounded()}", file=sys.stderr)
    return found


def described(found: Mapping[str, Mapping[int, Load]]) -> dict[str, Any]:
    return {name: {str(at): one.rounded() for at, one in load.items()} for name, load in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, action="append", help="further sizes beside 200,000, ours alone")
    parser.add_argument("--kind", action="append", choices=["als", "blend"], help="champions; default: both")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--keep", type=Path, help="a folder for what was trained")
    arguments = parser.parse_args()
    kinds: list[Kind] = arguments.kind or ["als", "blend"]
    details: dict[str, Any] = {}
    ratios: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary, children(Path(temporary) / "logs") as started:
        folder = arguments.keep or Path(temporary)
        for photos in [PROMISED, *(arguments.photos or [])]:
            for kind in kinds:
                world = made_world(folder, REDIS, photos, kind, started)
                found = at_size(started, world, arguments.seconds, beside=photos == PROMISED and kind == "als")
                details[f"{photos} photos, {kind}"] = described(found)
                if photos == PROMISED and kind == "als":
                    ratios = ratios_of(found)
                    alone, of_eight = found["ours"][1], found["ours"][8]
                world.redis.stop()
    details["ratios"] = {name: round(ratio, 2) for name, ratio in ratios.items()}
    value = min(ratio for name, ratio in ratios.items() if name.startswith("tuned"))
    answered = all(
        set(one["statuses"]) == {"200"}
        for size in details.values()
        for load in size.values()
        if isinstance(load, dict)
        for one in load.values()
    )
    bars = {
        "ratio_at_least": RATIO,
        "p99_ms_alone_at_most": P99_ALONE,
        "p99_ms_of_eight_at_most": P99_OF_EIGHT,
        "p99_ms_alone": round(alone.p99, 1),
        "p99_ms_of_eight": round(of_eight.p99, 1),
        "every_request_answered": answered,
    }
    ok = value >= RATIO and alone.p99 <= P99_ALONE and of_eight.p99 <= P99_OF_EIGHT and answered
    finish("recommend_http", value, "times the plain service's requests/s", "higher", RATIO, bars | details, ok=ok)


def ratios_of(found: Mapping[str, Mapping[int, Load]]) -> dict[str, float]:
    pairs = {
        "tuned, with reasons": ("ours", "plain, tuned"),
        "tuned, without reasons": ("ours without reasons", "plain, tuned without reasons"),
        "defaults, without reasons": ("ours without reasons", "plain, defaults without reasons"),
    }
    return {
        f"{name}, {at} at once": found[mine][at].requests_per_second / found[theirs][at].requests_per_second
        for name, (mine, theirs) in pairs.items()
        for at in CONCURRENCIES
    }


if __name__ == "__main__":
    main()
