"""The command `backtest`: the settings' models at several moments of the lake's past."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.evaluation.rolling import Backtest, Interval


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("backtest")(backtest)


def backtest(
    splits: Annotated[int, typer.Option(min=1, max=100, help="How many periods, one after the other.")] = 4,
    days: Annotated[float, typer.Option(min=0.01, help="How long each of them is.")] = 7.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """Fit each model at several moments of the past and rank what came after; nothing is registered."""
    from datetime import UTC, datetime

    from features.errors import NotFoundError
    from features.lake import open_lake
    from features.progress import progress_bars
    from features.settings import get_settings
    from training.evaluation import rolling
    from training.from_lake import build_interactions, load_log, utc
    from training.models.recipes import MODELS, Recipe

    settings = get_settings()
    rows, version = load_log(open_lake(settings))
    everything = build_interactions(rows, as_of=datetime.now(UTC))
    if len(everything.favorites) == 0:
        raise NotFoundError(
            f"the lake at {settings.lake_uri} holds no favorite to learn from: `photo-recommender pull USER` first"
        )
    recipes = {kind: Recipe.from_settings(settings, kind) for kind in MODELS}
    until = utc(everything.data_until)
    with progress_bars() as report:
        found = rolling.backtest(rows, recipes, until=until, days=days, n=splits, seed=settings.seed, progress=report)
    if as_json:
        typer.echo(json.dumps({**found.as_dict(), "days": days, "lake_version": version}))
    else:
        _print(found, days)


def _print(found: Backtest, days: float) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"NDCG@20 on {days:g} days after each cut, with 95 % intervals", title_justify="left")
    for column in ("cut", "users", "favorites"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in found.overall:
        table.add_column(name, justify="right", no_wrap=True)
    for split in found.splits:
        cells = [_text(split.ndcg.get(name)) for name in found.overall]
        table.add_row(split.cut[:16].replace("T", " "), f"{split.users:,}", f"{split.favorites:,}", *cells)
    table.add_section()
    table.add_row("all", f"{found.users:,}", "", *(_text(interval) for interval in found.overall.values()))
    Console().print(table)
    for name, interval in found.ahead.items():
        surely = "surely" if interval["low"] > 0 else "perhaps"
        typer.echo(
            f"{found.best} is {surely} ahead of {name}: {interval['mean']:+.4f}, "
            f"95 % interval {interval['low']:+.4f} to {interval['high']:+.4f}"
        )


def _text(interval: Interval | None) -> str:
    return "–" if interval is None else f"{interval['mean']:.4f} ({interval['low']:.4f}–{interval['high']:.4f})"
