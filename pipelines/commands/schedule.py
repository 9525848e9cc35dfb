"""The command `schedule`: the process that asks for refreshes; with `--once`, what is due now and why."""

from __future__ import annotations

import json
import signal
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import sqlalchemy as sa

    from features.settings import Settings
    from pipelines.plan.planner import Plan, Table

LINES = 30
"""Of what is due, so much is shown on a terminal."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("schedule")(schedule)


def schedule(
    once: Annotated[
        bool, typer.Option("--once", help="Plan once, print what is due and why, and ask for nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: print one JSON object.")] = False,
) -> None:
    """Ask for refreshes when they are due, until SIGTERM or Ctrl-C. Of several such processes one is active."""
    from features.database import open_database
    from features.errors import InvalidInputError
    from features.logs import configure_logging
    from features.settings import get_settings

    if as_json and not once:
        raise InvalidInputError("--json goes with --once", field="--json")
    settings = get_settings()
    configure_logging(settings, level=30 if once else 20)
    engine = open_database(settings.database_url)
    try:
        if once:
            _print_due(settings, engine, as_json)
        else:
            _run(settings, engine)
    finally:
        engine.dispose()


def _run(settings: Settings, engine: sa.Engine) -> None:
    from features.lake import open_lake
    from pipelines.operation.metrics import serve_metrics
    from pipelines.operation.presence import present
    from pipelines.plan.schedule import run
    from pipelines.plan.upkeep import upkeep
    from pipelines.queue.messages import open_queue

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    queue = open_queue(settings, engine)
    with serve_metrics(settings, engine, queue), present(engine, "scheduler"):
        run(settings, engine, queue, upkeep(settings, engine, open_lake(settings)), stop)


def _print_due(settings: Settings, engine: sa.Engine, as_json: bool) -> None:
    from pipelines.budget.windows import Limits
    from pipelines.plan import planner
    from pipelines.plan.schedule import calls_per_day, people_spent
    from pipelines.plan.table import read_table

    now = datetime.now(UTC)
    limits = Limits(settings.flickr_calls_per_hour, settings.flickr_calls_per_second)
    calls = calls_per_day(limits, people_spent(settings))
    table = read_table(engine, now, settings.inactive_days)
    plan = planner.plan(now, table, planner.Bounds.from_settings(settings), calls)
    due = [_describe(int(entry), plan, table, now) for entry in plan.due(now)]
    next_due = plan.next_due(now)
    summary = {
        "users": int((table.walls > 0).sum()),
        "due": len(due),
        "overdue": plan.overdue(now),
        "next_due": None if next_due is None else datetime.fromtimestamp(next_due, UTC).isoformat(timespec="seconds"),
        "calls_per_day": round(calls),
        "planned_calls_per_day": round(plan.calls_per_day),
        "missing_calls_per_day": round(plan.short_calls_per_day),
    }
    if as_json:
        typer.echo(json.dumps({**summary, "requests": due}))
        return
    _print_table(summary, due)


def _describe(entry: int, plan: Plan, table: Table, now: datetime) -> dict[str, Any]:
    import numpy as np

    row = plan.rows[entry]
    pulled_at, contacts = plan.pulled_at[entry], bool(plan.contacts[entry])
    never = bool(np.isnan(pulled_at))
    return {
        "user_id": table.user_ids[row],
        "kind": "contacts" if contacts else "favorites",
        "walls": int(table.walls[row]),
        "favorites_a_day": round(float(plan.rates[row]), 3),
        "worth": round(float(plan.worth(np.array([entry]), now)[0]), 3),
        "pulled_at": None if never else datetime.fromtimestamp(pulled_at, UTC).isoformat(timespec="seconds"),
        "waited_hours": None if never else round((now.timestamp() - float(pulled_at)) / 3_600, 1),
        "interval_hours": None if never else round(float(plan.due_at[entry] - pulled_at) / 3_600, 1),
        "overdue": bool(plan.overdue_at[entry] < now.timestamp()),
    }


def _print_table(summary: dict[str, Any], due: list[dict[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as RichTable

    typer.echo(
        f"{summary['users']:,} users whom walls need; {summary['due']:,} refreshes are due, {summary['overdue']:,} of "
        f"them past the longest interval; the plan takes {summary['planned_calls_per_day']:,} of "
        f"{summary['calls_per_day']:,} calls a day"
    )
    if summary["missing_calls_per_day"]:
        typer.secho(
            f"warning: even the longest intervals need {summary['missing_calls_per_day']:,} calls a day more: what is "
            "worth least waits longer",
            err=True,
            fg=typer.colors.YELLOW,
        )
    if due:
        grid = RichTable(box=SIMPLE_HEAD)
        for name in ("user", "what", "why"):
            grid.add_column(name, no_wrap=True)
        for name in ("waited h", "interval h", "a day", "walls", "worth"):
            grid.add_column(name, justify="right")
        for line in due[:LINES]:
            grid.add_row(line["user_id"], line["kind"], _why(line), *_numbers(line))
        typer.echo("worth: favorites a day × walls that use them × days waited")
        Console().print(grid)
        if len(due) > LINES:
            typer.echo(f"… and {len(due) - LINES:,} more; --json lists all")
    if summary["next_due"]:
        typer.echo(f"the next one will be due at {summary['next_due']}")


def _why(line: dict[str, Any]) -> str:
    if line["pulled_at"] is None:
        return "never pulled"
    return "overdue" if line["overdue"] else "due"


def _numbers(line: dict[str, Any]) -> tuple[str, ...]:
    hours = ("–" if line[name] is None else f"{line[name]:,.1f}" for name in ("waited_hours", "interval_hours"))
    return (*hours, f"{line['favorites_a_day']:,.2f}", f"{line['walls']:,}", f"{line['worth']:,.2f}")
