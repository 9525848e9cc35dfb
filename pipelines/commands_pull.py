"""The commands `pull` (one user, now) and `worker` (whatever the queue holds)."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.flickr import Person
    from pipelines.pull import PullReport


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("pull")(pull)
    app.command("worker")(worker)


def pull(
    user: Annotated[str, typer.Argument(help="A Flickr NSID, address or name.")],
    neighbors: Annotated[
        bool, typer.Option("--neighbors", help="The favorites of the owners of the user's favorites, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """Pull a user's favorites and contacts into the lake, and the user's features online. Again: only what is new."""
    from features.database import open_database
    from features.lake import open_lake
    from features.logs import configure_logging
    from features.online import OnlineFeatures
    from features.progress import progress_bars
    from features.settings import get_settings
    from pipelines.flickr import open_flickr
    from pipelines.pull import Puller
    from pipelines.relay import drain

    settings = get_settings()
    configure_logging(settings, level=30)
    flickr = open_flickr(settings)
    person = flickr.find_user(user)
    engine, lake = open_database(settings.database_url), open_lake(settings)
    try:
        drain(engine, lake)
        puller = Puller(lake, engine, flickr, settings, OnlineFeatures(settings))
        with progress_bars() as report:
            pulled = puller.pull_person(person.user_id, neighbors=neighbors, progress=report)
    finally:
        engine.dispose()
    if as_json:
        typer.echo(json.dumps({"user_id": person.user_id, **asdict(pulled)}))
    else:
        _say(person, pulled)


def worker(
    concurrency: Annotated[int, typer.Option(min=1, max=32, help="Pulls worked on at once.")] = 2,
) -> None:
    """Work on the queue of pulls and relay the site's actions into the lake, until SIGTERM or Ctrl-C."""
    from features.database import open_database
    from features.lake import open_lake
    from features.logs import configure_logging
    from features.online import OnlineFeatures
    from features.settings import get_settings
    from pipelines.flickr import open_flickr
    from pipelines.worker import Worker

    settings = get_settings()
    configure_logging(settings)
    flickr = open_flickr(settings)
    engine = open_database(settings.database_url)
    working = Worker(open_lake(settings), engine, flickr, OnlineFeatures(settings), settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: working.stop())
    try:
        working.run(concurrency)
    finally:
        engine.dispose()


def _say(person: Person, pulled: PullReport) -> None:
    added = pulled.added
    typer.echo(
        f"{person.name} ({person.user_id}): {pulled.favorites:,} favorites listed, {added.interactions:,} of them new; "
        f"{added.photos:,} photos, {added.users:,} users, {added.contacts:,} contacts new or changed; "
        f"{pulled.calls:,} calls in {pulled.seconds:.1f} s"
    )
    if pulled.fresh:
        typer.echo(f"{pulled.fresh:,} neighbors were pulled a short while ago and were skipped")
    if pulled.missing:
        typer.echo(f"{len(pulled.missing):,} neighbors are no longer on Flickr")
    for user_id, reason in pulled.failed.items():
        typer.secho(f"warning: {user_id} could not be pulled: {reason}", err=True, fg=typer.colors.YELLOW)
