"""The command `train`: learn a new model, which becomes champion if it passes the gate."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from features.settings import Settings
    from pipelines.train.job import TrainReport

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Engine(StrEnum):
    """What fits ALS."""

    IMPLICIT = "implicit"
    SPARK = "spark"
    MLLIB = "mllib"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("train")(train)


def train(
    if_due: Annotated[
        bool, typer.Option("--if-due", help="Only if there is enough new data or drift, or the champion is old.")
    ] = False,
    force: Annotated[
        str, typer.Option(help="Make the result champion whatever the gate says; say why, it is kept.")
    ] = "",
    reproduce: Annotated[
        str,
        typer.Option(help="Make an old run again (its id, or its version's number or alias) and compare."),
    ] = "",
    engine: Annotated[
        Engine | None, typer.Option(help="What fits ALS, instead of the setting ALS_ENGINE.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Train on the lake, evaluate, and make the result champion if it passes the gate."""
    from datetime import UTC, datetime

    from features.errors import DependencyError
    from features.logs import configure_logging
    from features.progress import progress_bars
    from features.settings import get_settings
    from pipelines import retrain
    from pipelines.train import job

    settings = get_settings()
    if engine is not None:
        settings = settings.model_copy(update={"als_engine": engine.value})
    configure_logging(settings, level=30)
    if reproduce:
        _reproduce(settings, reproduce, as_json)
        return
    if if_due:
        decision = retrain.due(settings, datetime.now(UTC))
        if not decision.due:
            if as_json:
                _print_json({"skipped": True, **decision.as_dict()})
            else:
                typer.echo(f"skipped: {decision.reason}")
            return
        typer.echo(decision.reason, err=True)
    with progress_bars() as report:
        trained = job.train(settings, progress=report, force=force)
    if as_json:
        _print_json(trained.as_dict())
    else:
        _print_report(trained)
    if trained.version is None:
        raise DependencyError(f"the model was not registered and lies in {trained.bundle}: {trained.problems[0]}")


def _reproduce(settings: Settings, name: str, as_json: bool) -> None:
    from features.progress import progress_bars
    from pipelines.tables import reproduction_table
    from pipelines.train.reproduce import reproduce

    with progress_bars() as report:
        made = reproduce(settings, name, report)
    if as_json:
        _print_json(made.as_dict())
        return
    _print_table(reproduction_table(made.metrics))
    rows = ", ".join(f"{table} {'as then' if same else 'NOT as then'}" for table, same in made.same_rows.items())
    then, now = (commit[:10] or "unknown" for commit in made.commits)
    typer.echo(f"rows read: {rows}")
    typer.echo(f"program: revision {then} then, {now} now")
    typer.echo(
        f"scores of version {made.version} ({made.kind}): at most {made.scores_apart:.2g} standard deviations apart"
    )
    verdict = "the same" if made.same else f"not the same: metrics up to {made.metrics_apart:.2g} apart"
    typer.echo(f"run {made.run_id} came out {verdict}")


def _print_report(trained: TrainReport) -> None:
    if trained.metrics:
        from pipelines.tables import training_table

        _print_table(training_table(trained.metrics, trained.kind))
    for problem in trained.problems:
        typer.secho(f"warning: {problem}", err=True, fg=typer.colors.YELLOW)
    if trained.skipped:
        typer.echo(f"skipped: {trained.reason}")
    elif trained.version is not None:
        alias = "champion" if trained.passed else "challenger"
        typer.echo(f"version {trained.version} ({trained.kind}) is {alias}: {trained.reason}")


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=2))


def _print_table(table: Any) -> None:
    from rich.console import Console

    Console().print(table)
