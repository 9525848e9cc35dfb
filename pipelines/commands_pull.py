"""The commands `pull` (one user, now), `worker` (whatever the queue holds) and `budget` (what calls were spent on)."""

from __future__ import annotations

import json
import signal
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.flickr import Person
    from pipelines.pull import PullReport

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("pull")(pull)
    app.command("worker")(worker)
    app.command("budget")(budget)


def pull(
    user: Annotated[str, typer.Argument(help="A Flickr NSID, address or name.")],
    neighbors: Annotated[
        bool, typer.Option("--neighbors", help="The favorites of the owners of the user's favorites, too.")
    ] = False,
    as_json: Json = False,
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
    from pipelines.flickr import Purpose, open_flickr
    from pipelines.worker import Worker

    settings = get_settings()
    configure_logging(settings)
    flickr = partial(open_flickr, settings, None)
    flickr(Purpose.REFRESH)  # a missing key is told at once
    engine = open_database(settings.database_url)
    working = Worker(open_lake(settings), engine, flickr, OnlineFeatures(settings), settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: working.stop())
    try:
        working.run(concurrency)
    finally:
        engine.dispose()


def budget(as_json: Json = False) -> None:
    """What the calls of the last hour were spent on, and how many each purpose may still take."""
    from rich.console import Console
    from rich.table import Table

    from features.settings import get_settings
    from pipelines.budget import Limits, Purpose, open_budget

    settings = get_settings()
    limits = Limits(settings.flickr_calls_per_hour, settings.flickr_calls_per_second)
    spent = open_budget(settings).spent()
    left = limits.per_hour - sum(spent.values())
    shares = {
        purpose: {
            "spent": spent[purpose],
            "limit": limits.of(purpose),
            "left": max(0, min(left, limits.of(purpose) - spent[purpose])),
        }
        for purpose in Purpose
    }
    if as_json:
        typer.echo(json.dumps({"calls_per_hour": limits.per_hour, "spent": sum(spent.values()), "purposes": shares}))
        return
    typer.echo(f"Flickr calls of the last hour: {sum(spent.values()):,} of {limits.per_hour:,} allowed")
    table = Table("purpose")
    for name in ("spent", "limit", "left"):
        table.add_column(name, justify="right")
    for purpose, share in shares.items():
        table.add_row(purpose, *(f"{number:,}" for number in share.values()))
    Console().print(table)


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
