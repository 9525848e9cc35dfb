"""Two hundred visitors at once, each of whom acts every three seconds for three minutes, on one machine with the site.

They sign in, have their favorites pulled, scroll, fave and dismiss against everything that a demo runs. The value is
errors + lost dismissals: those that were accepted and are not in the lake. `ok` also asks for a p95 of API calls.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import Any

import numpy as np
from _reporting import finish
from _running_demo import RunningDemo, demo_options, running_demo
from _site_visitor import Seen, Visitor

from features.lake import Lake
from features.schema import INTERACTIONS
from features.state import STATE_COLUMNS, interaction_state

PORT = 3_350
EVERY = 3.0
"""Seconds between what one visitor does."""

P95_MS = 300.0
RELAY_SECONDS = 60.0


async def visits(demo: RunningDemo, visitors: int, seconds: float) -> Seen:
    """All of them, from the first sign-in on; who comes when is spread evenly over `EVERY` seconds."""
    seen = Seen()
    people = [person["user_id"] for person in demo.people(limit=visitors)]
    if len(people) < visitors:
        raise SystemExit(f"error: --visitors {visitors}: the sandbox has {len(people)} people")
    began = time.monotonic()
    ends = began + seconds
    await asyncio.gather(
        *(
            Visitor(user_id, demo.url, demo.sandbox_url, seen).stay(began + EVERY * number / visitors, ends, EVERY)
            for number, user_id in enumerate(people)
        )
    )
    return seen


def lost(demo: RunningDemo, seen: Seen) -> int:
    """Accepted dismissals that the lake does not hold, after the relay had time for them."""
    lake = Lake(str(demo.home / "lake"))
    deadline = time.monotonic() + RELAY_SECONDS
    while True:
        dismissed = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS)).dismissed_photos
        held = set(zip(*(dismissed.column(name).to_pylist() for name in ("user_id", "photo_id")), strict=True))
        missing = seen.dismissed - held
        if not missing or time.monotonic() > deadline:
            return len(missing)
        time.sleep(1)


def percentiles(calls: list[tuple[str, float]]) -> dict[str, dict[str, float]]:
    """Of all calls and of each kind: how many, and their times in ms."""
    by_kind = defaultdict(list)
    for what, took in calls:
        by_kind["all"].append(took)
        by_kind[what].append(took)
    shares = {}
    for what, took in by_kind.items():
        p50, p95, p99 = np.percentile(took, [50, 95, 99]).tolist()
        shares[what] = {"calls": len(took), "p50": round(p50, 1), "p95": round(p95, 1), "p99": round(p99, 1)}
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    demo_options(parser)
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=180.0)
    arguments = parser.parse_args()
    with running_demo(arguments, PORT) as demo:
        seen = asyncio.run(visits(demo, arguments.visitors, arguments.seconds))
        missing = lost(demo, seen)
    times = percentiles(seen.calls)
    details: dict[str, Any] = {
        "visitors": arguments.visitors,
        "seconds": arguments.seconds,
        "calls_per_second": round(len(seen.calls) / arguments.seconds, 1),
        "happened": dict(seen.happened),
        "failures": dict(seen.failures),
        "lost_dismissals": missing,
        "ms": times,
        "p95_ms_at_most": P95_MS,
    }
    print(json.dumps(details, indent=2), file=sys.stderr)
    value = seen.failures.total() + missing
    ok = value == 0 and bool(seen.dismissed) and times["all"]["p95"] <= P95_MS
    finish("site_load", value, "errors + lost dismissals", "lower", 0, details, ok=ok)


if __name__ == "__main__":
    main()
