"""The commands `train` and `models`: learn a new model, and say which one is champion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pipelines.train_job import TrainReport
    from training.tracking import RegisteredVersion

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("train")(train)
    models = typer.Typer(no_args_is_help=True, help="The registered models: list, promote, rollback.")
    models.command("list")(list_models)
    models.command("promote")(promote)
    models.command("rollback")(rollback)
    app.add_typer(models, name="models")


def train(as_json: Json = False) -> None:
    """Train on the lake, evaluate, and make the result champion if it passes the gate."""
    from features.errors import DependencyError
    from features.logs import configure_logging
    from features.progress import progress_bars
    from features.settings import get_settings
    from pipelines import train_job

    settings = get_settings()
    configure_logging(settings, level=30)
    with progress_bars() as report:
        trained = train_job.train(settings, progress=report)
    if as_json:
        _print_json(trained.as_dict())
    else:
        _print_report(trained)
    if trained.version is None:
        raise DependencyError(f"the model was not registered and lies in {trained.bundle}: {trained.problems[0]}")


def list_models(as_json: Json = False) -> None:
    """The registered versions, newest first."""
    from features.settings import get_settings
    from training.tracking import list_versions

    versions = list_versions(get_settings())
    if as_json:
        _print_json([_as_json(version) for version in versions])
        return
    if not versions:
        typer.echo("no model is registered yet: `photo-recommender train` makes the first")
        return
    table = _table("version", "alias", "kind", "gate", "created", "reason")
    for version in versions:
        created = f"{version.created_at:%Y-%m-%d %H:%M}"
        aliases = ", ".join(version.aliases)
        table.add_row(version.version, aliases, version.kind, version.gate, created, version.gate_reason)
    _print_table(table)


def promote(
    version: Annotated[str, typer.Argument(help="Its number, as in `models list`.")], as_json: Json = False
) -> None:
    """Make a registered version champion, whatever the gate said."""
    from features.settings import get_settings
    from training import tracking

    _print_champion(tracking.promote(get_settings(), version), as_json)


def rollback(as_json: Json = False) -> None:
    """Make the champion before the current one champion again."""
    from features.settings import get_settings
    from training import tracking

    _print_champion(tracking.rollback(get_settings()), as_json)


def _print_report(trained: TrainReport) -> None:
    if trained.metrics:
        from pipelines.tables import metrics_table

        _print_table(metrics_table("Held-out favorites, ranked among all photos", trained.metrics, trained.kind))
    for problem in trained.problems:
        typer.secho(f"warning: {problem}", err=True, fg=typer.colors.YELLOW)
    if trained.skipped:
        typer.echo(f"skipped: {trained.reason}")
    elif trained.version is not None:
        alias = "champion" if trained.passed else "challenger"
        typer.echo(f"version {trained.version} ({trained.kind}) is {alias}: {trained.reason}")


def _print_champion(chosen: RegisteredVersion, as_json: bool) -> None:
    if as_json:
        _print_json(_as_json(chosen))
    else:
        typer.echo(f"version {chosen.version} ({chosen.kind}) is champion")


def _as_json(version: RegisteredVersion) -> dict[str, Any]:
    return {**vars(version), "created_at": version.created_at.isoformat()}


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=2))


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table()
    for column in columns:
        table.add_column(column)
    return table


def _print_table(table: Any) -> None:
    from rich.console import Console

    Console().print(table)
