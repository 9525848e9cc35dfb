"""The commands `erase USER` and `lake takedown PHOTO`: for people who want to be gone, or something of theirs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from features.commands import lake as lake_commands

if TYPE_CHECKING:
    from features.settings import Settings
    from pipelines.privacy.erasure import Erased

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]


def register(app: typer.Typer) -> None:
    """Adds `erase` to the application and `takedown` to its group `lake`."""
    app.command("erase")(erase)
    lake_commands.command("takedown")(takedown)


def takedown(
    photo: Annotated[str, typer.Argument(help="The photo's id: the number in the address of its page.")],
    reason: Annotated[str, typer.Option(help="Who asked, when: kept with the tombstone.")] = "",
    as_json: Json = False,
) -> None:
    """Take a photo off every wall at once, and its title and addresses out of the lake. Again: nothing more."""
    from features.database import open_database
    from features.lake import open_lake
    from features.online import OnlineFeatures
    from features.settings import get_settings
    from pipelines.privacy.takedown import take_down

    settings = get_settings()
    engine = open_database(settings.database_url)
    try:
        done = take_down(engine, open_lake(settings), OnlineFeatures(settings), photo, note=reason)
    finally:
        engine.dispose()
    if as_json:
        typer.echo(json.dumps(asdict(done)))
        return
    typer.echo(
        f"Photo {photo} " + ("is taken down: no wall shows it any more." if done.new else "was taken down before.")
    )
    if not done.known:
        typer.echo("Nothing was held of it. Should a pull list it, it is kept out.")
        return
    rows, were = ("1 row", "was") if done.rows == 1 else (f"{done.rows:,} rows", "were")
    typer.echo(
        f"{rows} of the lake's table photos {were} removed and one without content is there, online too. "
        + _old_files(settings)
    )


def erase(
    user: Annotated[str, typer.Argument(help="The user's NSID, like 12037949754@N01.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    as_json: Json = False,
) -> None:
    """Erase a user from every store, keep them from coming back, and look whether nothing is left.

    Exits with 4 when something is: what was under way may have written it. Running it again goes on.
    """
    from features.database import open_database
    from features.errors import InvalidInputError
    from features.lake import open_lake
    from features.online import OnlineFeatures
    from features.progress import progress_bars
    from features.settings import get_settings
    from pipelines.privacy.erasure import Eraser

    if "@N" not in user or len(user) > 128:
        raise InvalidInputError(f"{user!r} is no Flickr NSID; it looks like 12037949754@N01", field="user")
    if not yes:
        typer.confirm(f"Erase {user} for good?", abort=True, err=True)
    settings = get_settings()
    engine = open_database(settings.database_url)
    try:
        with progress_bars() as report:
            erased = Eraser(settings, engine, open_lake(settings), OnlineFeatures(settings)).erase(user, report)
    finally:
        engine.dispose()
    if as_json:
        typer.echo(json.dumps({**asdict(erased), "complete": erased.complete}))
    else:
        _say(erased, settings)
    _fail_if_incomplete(erased)


def _say(erased: Erased, settings: Settings) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("store", title=f"Erasure of {erased.user_id}", title_justify="left")
    table.add_column("removed", justify="right")
    table.add_column("found again", justify="right")
    for store in sorted(erased.left.keys() | erased.removed.keys()):
        # What does not name the user by itself (sign-ins of their sessions) can't be looked for afterwards.
        found = f"{erased.left[store]:,}" if store in erased.left else ""
        table.add_row(store, f"{erased.removed.get(store, 0):,}", found)
    Console().print(table)
    typer.echo("A keyed hash is kept, so that nobody's pull brings the user back; signing in again lifts that.")
    typer.echo(_old_files(settings))
    typer.echo(
        "Trained models name the user (whom they learned from, whose photos they know) until the next training "
        "replaces the champion; older versions stay in MLflow until they are deleted there."
    )
    if settings.queue_url:
        typer.echo("A message about the user that is still in the queue is dropped by the worker that receives it.")


def _old_files(settings: Settings) -> str:
    return (
        f"Files of the lake that earlier versions were made of go with the first vacuum after "
        f"{settings.lake_retention_days:g} days."
    )


def _fail_if_incomplete(erased: Erased) -> None:
    from features.errors import DependencyError

    if not erased.complete:
        found = ", ".join(f"{store}: {rows}" for store, rows in erased.left.items() if rows)
        raise DependencyError(
            f"{erased.user_id} is not erased everywhere yet ({found}): something was writing meanwhile; run it again"
        )
