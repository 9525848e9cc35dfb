"""The commands `pull` (one user, now) and `worker` (whatever the queue holds)."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from features.progress import Report
    from pipelines.pull.progress import Progress
    from pipelines.pull.worker import Worker
    from pipelines.pull.workplace import Workplace

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]

LOOK_SECONDS = 0.2


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("pull")(pull)
    app.command("worker")(worker)


def pull(
    user: Annotated[str, typer.Argument(help="A Flickr NSID, address or name.")],
    neighbors: Annotated[
        bool, typer.Option("--neighbors", help="The favorites of the owners of the user's favorites, too.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Leave the work to the workers that run, and only watch.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Users pulled at once.")] = 6,
    as_json: Json = False,
) -> None:
    """Pull a user's favorites and contacts into the lake, and the user's features online. Again: only what is new."""
    from features.errors import DependencyError
    from features.logs import configure_logging
    from features.progress import progress_bars
    from features.settings import get_settings
    from pipelines.flickr.client import open_flickr
    from pipelines.operation.presence import at_work
    from pipelines.pull.ask import ask_for_person
    from pipelines.relay import drain

    settings = get_settings()
    configure_logging(settings, level=30)
    flickr = open_flickr(settings)
    person = flickr.find_user(user)
    place = _workplace()
    try:
        drain(place.engine, place.lake)
        ask_for_person(place.engine, place.queue, person.user_id, reason="command", neighbors=neighbors)
        if watch and not at_work(place.engine, datetime.now(UTC))["worker"]:
            typer.secho("no worker is at work: start one with `photo-recommender worker`", err=True, fg="yellow")
        began = time.monotonic()
        with progress_bars() as report:
            follow = partial(_follow, place, person.user_id, report)
            ended = follow(lambda: True) if watch else _work(place, concurrency, follow)
        seconds = time.monotonic() - began
    finally:
        place.engine.dispose()
    if ended.stage == "failed":
        raise DependencyError(f"{person.name} ({person.user_id}) could not be pulled: {ended.error}")
    if as_json:
        typer.echo(json.dumps({**asdict(ended), "seconds": round(seconds, 3)}))
        return
    wall = f"; {ended.finished:,} neighbors, {ended.coverage:.0%} of their favorites in the lake" if neighbors else ""
    typer.echo(f"{person.name} ({person.user_id}): {ended.favorites:,} favorites{wall}; {seconds:.1f} s")


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Requests worked on at once.")] = 4,
) -> None:
    """Work on the queue of pulls and relay the site's actions into the lake, until SIGTERM or Ctrl-C."""
    from features.logs import configure_logging
    from features.settings import get_settings
    from pipelines.operation.metrics import serve_metrics
    from pipelines.operation.presence import present

    settings = get_settings()
    configure_logging(settings)
    place = _workplace()
    working = _worker(place)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: working.stop())
    try:
        with present(place.engine, "worker"), serve_metrics(settings, place.engine, place.queue):
            working.run(concurrency)
    finally:
        place.engine.dispose()


def _workplace() -> Workplace:
    from features.database import open_database
    from features.lake import open_lake
    from features.online import OnlineFeatures
    from features.settings import get_settings
    from pipelines.pull.workplace import Workplace
    from pipelines.queue.messages import open_queue

    settings = get_settings()
    engine = open_database(settings.database_url)
    return Workplace(open_lake(settings), engine, open_queue(settings, engine), settings, OnlineFeatures(settings))


def _worker(place: Workplace) -> Worker:
    from pipelines.flickr.client import open_flickr
    from pipelines.pull.worker import Worker

    return Worker(place, partial(open_flickr, place.settings, None))


def _work(place: Workplace, concurrency: int, follow: Callable[[Callable[[], bool]], Progress]) -> Progress:
    """Work on the queue in this process until the pull that is followed has ended."""
    working = _worker(place)
    thread = threading.Thread(target=working.run, args=(concurrency,), name="worker")
    thread.start()
    try:
        return follow(thread.is_alive)
    finally:
        working.stop()
        thread.join()


def _follow(place: Workplace, user_id: str, report: Report, goes_on: Callable[[], bool]) -> Progress:
    """Show how far the pull is until it has ended. Raises DependencyError when the work on it has stopped."""
    from features.errors import DependencyError
    from pipelines.pull.progress import FINAL, read_progress

    while True:
        now = read_progress(place.engine, user_id)
        if now.made:
            report("neighbors", now.finished, now.made)
        if now.stage in FINAL:
            return now
        if not goes_on():
            raise DependencyError("the pull has stopped: see the messages above, then run the same command again")
        time.sleep(LOOK_SECONDS)
