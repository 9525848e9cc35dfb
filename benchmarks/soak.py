"""Minutes of ordinary trouble at 70 % of capacity: models swap, Redis restarts, people dismiss, and nobody is refused.

The value is errors + lost dismissals. `ok` also asks for no growth of memory or threads after the first quarter, and
for a p99 in the last quarter that is near that of the first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import sqlalchemy as sa
from _http_load import answer_of, measure, post
from _reporting import finish
from _serving_world import ServingWorld, made_world, restart_redis
from recommend_http import ours

from features.actions import actions_after
from features.database import accounts, open_database
from features.settings import PREFIX
from pipelines.processes import Children, children
from serving.accounts.sessions import COOKIE, open_session
from training.gate import Decision
from training.tracking import TrainingRun, promote

PHOTOS = 20_000
REDIS = 3_320
LOADED = 0.7
SWAP_EVERY, RESTART_EVERY, DISMISS_EVERY, SAMPLE_EVERY = 20.0, 60.0, 0.5, 5.0
GROWTH = 1.10
STEADY = 1.5
"""The last quarter's p99 over the first one's."""


@dataclass
class Seen:
    """What was observed. answers: (second, milliseconds, status, degraded); memory, threads: of all workers."""

    answers: list[tuple[float, float, int, bool]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    threads: list[tuple[float, int]] = field(default_factory=list)
    dismissed: dict[str, set[str]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)


def capacity(port: int, world: ServingWorld) -> float:
    """Requests a second that eight callers get answered."""
    requests = [post("/recommend", {"user_id": user_id}) for user_id in world.user_ids]
    measure(port, requests, 8, 3.0)
    return measure(port, requests, 8, 10.0).requests_per_second


IDLE_SECONDS = 60.0
"""A connection that was idle for longer is not used again, as a load balancer does it."""

Connection = tuple[float, asyncio.StreamReader, asyncio.StreamWriter]
"""When it was used last, and its two ends."""


async def asks(port: int, world: ServingWorld, seen: Seen, rate: float, ends: float) -> None:
    """One request every 1 ÷ rate seconds, whether the last one is answered or not, without an HTTP library: what the
    asking costs is taken from the service."""
    began, number, pending = time.monotonic(), 0, set[asyncio.Task[None]]()
    free: list[Connection] = []
    while (now := time.monotonic()) < ends:
        task = asyncio.create_task(ask(port, free, world.user_ids[number % len(world.user_ids)], seen, began))
        pending.add(task)
        task.add_done_callback(pending.discard)
        number += 1
        await asyncio.sleep(max(0.0, began + number / rate - now))
    await asyncio.gather(*pending)
    for *_, writer in free:
        writer.close()


async def ask(port: int, free: list[Connection], user_id: str, seen: Seen, began: float) -> None:
    sent = time.monotonic()
    dismissed = set(seen.dismissed.get(user_id, ()))
    try:
        reader, writer = await connection(port, free)
        writer.write(post("/recommend", {"user_id": user_id}))
        status, body = await answer_of(reader)
        free.append((time.monotonic(), reader, writer))
    except (OSError, asyncio.IncompleteReadError) as error:
        status, body = "0", json.dumps({"error": {"code": type(error).__name__}}).encode()
    took = 1_000 * (time.monotonic() - sent)
    seen.answers.append((sent - began, took, int(status), b'"degraded":true' in body))
    if status != "200":
        seen.failures[f"recommend {status} {json.loads(body)['error']['code']}"] += 1
    elif dismissed and dismissed.intersection(photo["photo_id"] for photo in json.loads(body)["photos"]):
        seen.failures["a dismissed photo came back"] += 1


async def connection(port: int, free: list[Connection]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while free:
        used, reader, writer = free.pop()
        if time.monotonic() - used < IDLE_SECONDS:
            return reader, writer
        writer.close()
    return await asyncio.open_connection("127.0.0.1", port)


async def dismisses(client: httpx.AsyncClient, world: ServingWorld, seen: Seen, ends: float) -> None:
    """One person after the other dismisses the first photo of their wall."""
    engine = open_database(world.settings.database_url)
    with engine.begin() as connection:
        now = datetime.now(UTC)
        known = set(connection.scalars(sa.select(accounts.c.user_id)))
        rows = [
            {"user_id": user_id, "name": user_id, "created_at": now}
            for user_id in world.user_ids
            if user_id not in known
        ]
        if rows:
            connection.execute(sa.insert(accounts), rows)
    number = 0
    while time.monotonic() < ends:
        user_id = world.user_ids[number % len(world.user_ids)]
        number += 1
        token, session = open_session(engine, user_id=user_id)
        wall = await client.get(f"/api/users/{user_id}/recommendations", params={"limit": 1})
        if wall.status_code == 200 and (photos := wall.json()["photos"]):
            photo_id = photos[0]["photo_id"]
            answer = await client.put(
                f"/api/me/dismissals/photos/{photo_id}",
                headers={
                    "Cookie": f"{COOKIE}={token}",
                    "X-CSRF-Token": session.csrf_token,
                    "Sec-Fetch-Site": "same-origin",
                },
            )
            if answer.status_code == 200:
                seen.dismissed.setdefault(user_id, set()).add(photo_id)
                seen.happened["dismissals"] += 1
            else:
                seen.failures[f"dismiss {answer.status_code} {answer.json()['error']['code']}"] += 1
        await asyncio.sleep(DISMISS_EVERY)
    engine.dispose()


async def swaps(world: ServingWorld, seen: Seen, ends: float) -> None:
    """The champion changes between two versions."""
    versions = ["1", "2"]
    while time.monotonic() + SWAP_EVERY < ends:
        await asyncio.sleep(SWAP_EVERY)
        seen.happened["swaps"] += 1
        await asyncio.to_thread(promote, world.settings, versions[seen.happened["swaps"] % 2])


async def restarts(world: ServingWorld, started: Children, seen: Seen, ends: float) -> None:
    """Redis goes away for three seconds, and comes back with what it held."""
    redis = world.redis
    while time.monotonic() + RESTART_EVERY < ends:
        await asyncio.sleep(RESTART_EVERY)
        redis = await asyncio.to_thread(restart_redis, world, redis, REDIS, started, 3.0)
        seen.happened["restarts of Redis"] += 1


async def samples(root: int, seen: Seen, began: float, ends: float) -> None:
    while time.monotonic() < ends:
        processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
        second = time.monotonic() - began
        seen.memory.append((second, sum(p.memory_full_info().uss for p in processes) / 2**20))
        seen.threads.append((second, sum(p.num_threads() for p in processes)))
        await asyncio.sleep(SAMPLE_EVERY)


async def everything(
    port: int, world: ServingWorld, started: Children, seconds: float, rate: float, root: int
) -> tuple[Seen, dict[str, Any]]:
    seen = Seen()
    began = time.monotonic()
    ends = began + seconds
    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=limits) as client:
        await asyncio.gather(
            asks(port, world, seen, rate, ends),
            dismisses(client, world, seen, ends),
            swaps(world, seen, ends),
            restarts(world, started, seen, ends),
            samples(root, seen, began, ends),
        )
        status = (await client.get("/api/status")).json()
    return seen, status


def lost(world: ServingWorld, seen: Seen) -> int:
    """Dismissals that were answered with 200 and are not in SQL."""
    engine = open_database(world.settings.database_url)
    missing = 0
    for user_id, photo_ids in seen.dismissed.items():
        recorded = {action.photo_id for action in actions_after(engine, user_id, -1)}
        missing += len(photo_ids - recorded)
    engine.dispose()
    return missing


def p99(answers: Sequence[tuple[float, float, int, bool]], begin: float, end: float) -> float:
    took = [took for second, took, _, _ in answers if begin <= second < end]
    return float(np.percentile(took, 99)) if took else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--keep", type=Path, help="a folder for what was trained")
    arguments = parser.parse_args()
    seconds = 60.0 * arguments.minutes
    with tempfile.TemporaryDirectory() as temporary, children(Path(temporary) / "logs") as started:
        world = made_world(arguments.keep or Path(temporary), REDIS, PHOTOS, "als", started)
        run = TrainingRun(world.settings, "the other champion")
        run.register(world.factors, Decision(True, "als", "the other"), "soak")
        run.finish("FINISHED")
        with ours(started, world, {f"{PREFIX}MODEL_POLL_SECONDS": "2"}) as port:
            rate = LOADED * capacity(port, world)
            root = next(c.pid for c in psutil.Process().children() if c.pid != world.redis.process.pid)
            seen, status = asyncio.run(everything(port, world, started, seconds, rate, root))
        missing = lost(world, seen)
    quarter = seconds / 4
    early, late = p99(seen.answers, 0, quarter), p99(seen.answers, 3 * quarter, seconds + 60)
    after = [one for second, one in seen.memory if second > quarter]
    memory = (float(np.median(after[: len(after) // 3])), float(np.median(after[-(len(after) // 3) :])))
    counted = [one for second, one in seen.threads if second > quarter]
    details = {
        "requests": len(seen.answers),
        "requests_per_second": round(rate, 1),
        "degraded": sum(degraded for *_, degraded in seen.answers),
        "happened": dict(seen.happened),
        "failures": dict(seen.failures),
        "lost_dismissals": missing,
        "p99_ms": {"first_quarter": round(early, 1), "last_quarter": round(late, 1), "at_most_times": STEADY},
        "uss_mib": {"before": round(memory[0]), "after": round(memory[1]), "at_most_times": GROWTH},
        "threads": {"least": min(counted), "most": max(counted), "last": counted[-1]},
        "model_at_the_end": status["model"],
    }
    print(json.dumps(details, indent=2), file=sys.stderr)
    value = sum(seen.failures.values()) + missing
    ok = value == 0 and memory[1] <= GROWTH * memory[0] and late <= STEADY * early and counted[-1] <= 1.1 * counted[0]
    finish("soak", value, "errors + lost dismissals", "lower", 0, details, ok=ok)


if __name__ == "__main__":
    main()
