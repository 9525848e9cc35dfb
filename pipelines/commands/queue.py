"""The commands `queue stats`, `queue dead`, `queue redrive` and `queue create`: what waits, and what nobody could do.

Alike for both backends; what an operator does about dead letters should not depend on where they lie.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.queue.messages import Queue

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]

SHOWN = 200
"""Characters of a body that are shown: poison can be long."""

queue = typer.Typer(help="The queue of pulls: what waits, and its dead letters.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(queue, name="queue")


@queue.command()
def stats(as_json: Json = False) -> None:
    """How many pulls wait, by priority, are worked on, and are dead."""
    import orjson
    from rich.console import Console
    from rich.table import Table

    with _opened() as opened:
        depth = opened.depth()
    waiting = {priority.name.lower(): count for priority, count in depth.waiting.items()}
    if as_json:
        told = {"waiting": waiting, "leased": depth.leased, "dead": depth.dead, "oldest_seconds": depth.oldest_seconds}
        typer.echo(orjson.dumps(told))
        return
    table = Table("pulls")
    table.add_column("number", justify="right")
    for name, count in waiting.items():
        table.add_row(f"waiting: {name}", f"{count:,}")
    table.add_row("worked on", f"{depth.leased:,}")
    table.add_row("dead", f"{depth.dead:,}")
    Console().print(table)
    if depth.oldest_seconds:
        typer.echo(f"The oldest has waited for {depth.oldest_seconds:,.0f} s.")


@queue.command()
def dead(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The most that are shown.")] = 50,
    as_json: Json = False,
) -> None:
    """The dead letters: messages that nobody works on any more, and why."""
    import orjson

    with _opened() as opened:
        letters = opened.dead(limit)
    if as_json:
        shown = [
            {
                "message_id": letter.message_id,
                "priority": letter.priority.name.lower(),
                "reason": letter.reason,
                "created_at": letter.created_at,
                "buried_at": letter.buried_at,
                "bytes": len(letter.body.encode()),
                "body": _short(letter.body),
            }
            for letter in letters
        ]
        typer.echo(orjson.dumps({"dead": shown}))
        return
    if not letters:
        typer.echo("There are no dead letters.")
    for letter in letters:
        typer.echo(f"{letter.message_id}  {letter.buried_at:%Y-%m-%d %H:%M:%S} UTC  {letter.reason}")
        typer.echo(f"    {letter.priority.name.lower()}, {len(letter.body.encode()):,} bytes: {_short(letter.body)}")


@queue.command()
def redrive(
    message_ids: Annotated[list[str] | None, typer.Argument(metavar="[MESSAGE_ID]...")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters.")] = False,
    as_json: Json = False,
) -> None:
    """Make dead letters wait again, their attempts forgotten: those named, or --all."""
    import orjson

    from features.errors import InvalidInputError, NotFoundError

    named = set(message_ids or ())
    if bool(named) == everything:
        raise InvalidInputError("name either dead letters (`photo-recommender queue dead` lists them) or --all")
    with _opened() as opened:
        redriven = opened.redrive(None if everything else sorted(named))
    typer.echo(orjson.dumps({"redriven": redriven}) if as_json else f"Waiting again: {redriven:,}.")
    if missing := len(named) - redriven if named else 0:
        raise NotFoundError(f"{missing} of those named are no dead letters: `photo-recommender queue dead` lists them")


@queue.command()
def create(as_json: Json = False) -> None:
    """Create the queues that are missing in SQS, for an emulator or a first try; Terraform does it for good."""
    import orjson

    from features.settings import get_settings
    from pipelines.queue.messages import SQS_SCHEME
    from pipelines.queue.sqs_calls import Sqs

    settings = get_settings()
    if not settings.queue_url.startswith(SQS_SCHEME):
        with _opened():  # says what is wrong with any other address
            created = []
            said = "The queue is a table of the SQL database: nothing needs to be created."
    else:
        created = Sqs(settings.queue_url.removeprefix(SQS_SCHEME)).create(settings.lease_seconds)
        said = f"Created: {', '.join(created)}." if created else "All queues exist."
    typer.echo(orjson.dumps({"created": created}) if as_json else said)


@contextmanager
def _opened() -> Iterator[Queue]:
    from features.database import open_database
    from features.settings import get_settings
    from pipelines.queue.messages import open_queue

    settings = get_settings()
    engine = open_database(settings.database_url)
    try:
        yield open_queue(settings, engine)
    finally:
        engine.dispose()


def _short(body: str) -> str:
    return body if len(body) <= SHOWN else f"{body[:SHOWN]}…"
