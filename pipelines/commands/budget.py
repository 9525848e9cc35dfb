"""The command `budget`: what the calls of the last hour were spent on, what is left, and what holds calls back."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.budget.windows import Budget, Limits


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("budget")(budget)


def budget(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """What the calls of the last hour were spent on, how many each purpose may still make, and whether they wait."""
    from features.settings import get_settings
    from pipelines.budget.windows import limits_of, open_budget

    settings = get_settings()
    report = report_of(open_budget(settings), limits_of(settings))
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _print(report)


def report_of(budget: Budget, limits: Limits) -> dict[str, Any]:
    """`paused` is null or {"seconds", "until" (ISO 8601, UTC), "reason"}; `purposes` by name {"spent", "limit", "left",
    "methods": calls by method}."""
    from pipelines.budget.windows import Purpose

    spent, pause = budget.spent(), budget.paused()
    until = None if pause is None else datetime.now(UTC) + timedelta(seconds=pause.seconds)
    return {
        "calls_per_hour": limits.per_hour,
        "spent": sum(sum(methods.values()) for methods in spent.values()),
        "paused": None if pause is None or until is None else {**asdict(pause), "until": until.isoformat()},
        "key_invalid": budget.breaker().key_invalid,
        "purposes": {
            purpose.value: {
                "spent": sum(spent[purpose].values()),
                "limit": limits.of(purpose),
                "left": budget.left(purpose),
                "methods": spent[purpose],
            }
            for purpose in Purpose
        },
    }


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from pipelines.budget.breaker import WORDS, Reason

    purposes = report["purposes"]
    typer.echo(f"Flickr calls of the last hour: {report['spent']:,} of {report['calls_per_hour']:,} allowed")
    table = Table("method")
    for name in (*purposes, "all"):
        table.add_column(name, justify="right")
    for method in sorted({method for share in purposes.values() for method in share["methods"]}):
        counts = [share["methods"].get(method, 0) for share in purposes.values()]
        table.add_row(method.removeprefix("flickr."), *(f"{count:,}" for count in (*counts, sum(counts))))
    table.add_section()
    for row in ("spent", "limit", "left"):
        table.add_row(row, *(f"{share[row]:,}" for share in purposes.values()))
    Console().print(table)
    pause = report["paused"]
    if pause:
        until = datetime.fromisoformat(pause["until"]).strftime("%H:%M:%S UTC")
        typer.secho(
            f"paused for {pause['seconds']:.0f} s, until {until}: {WORDS[pause['reason']]}", fg=typer.colors.YELLOW
        )
    elif report["key_invalid"]:
        typer.secho(f"{WORDS[Reason.KEY_INVALID]}; the next call tries it", fg=typer.colors.YELLOW)
