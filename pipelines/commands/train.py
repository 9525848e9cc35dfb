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
    tune: Annotated[
        int, typer.Option(min=0, help="Search ALS's settings first, by so many trials; later trainings keep them.")
    ] = 0,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="With --tune: no trial begins after these.", show_default=False)
    ] = None,
    factors_max: Annotated[int, typer.Option(min=1, help="With --tune: factors that serving can afford.")] = 128,
    untuned: Annotated[
        bool, typer.Option("--untuned", help="ALS by the settings, whatever was found for the champion.")
    ] = False,
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
    from pipelines.train.tuning import Budget

    _check(tune, minutes, untuned, reproduce)
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
        budget = Budget(tune, minutes, factors_max) if tune else None
        trained = job.train(settings, progress=report, force=force, tune=budget, untuned=untuned)
    if as_json:
        _print_json(trained.as_dict())
    else:
        _print_report(trained)
    if trained.version is None:
        raise DependencyError(f"the model was not registered and lies in {trained.bundle}: {trained.problems[0]}")


def _check(tune: int, minutes: float | None, untuned: bool, reproduce: str) -> None:
    from features.errors import InvalidInputError

    if tune and reproduce:
        raise InvalidInputError(
            "--reproduce makes a run again as it was, without a search: leave --tune out", field="tune"
        )
    if tune and untuned:
        raise InvalidInputError("--tune searches, --untuned takes the settings: leave one of them out", field="untuned")
    if minutes is not None and not tune:
        raise InvalidInputError("--minutes bounds a search: add --tune TRIALS", field="minutes")


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
    if trained.tuned is not None:
        first, best = trained.tuned.ndcg_at_20
        found = ", ".join(f"{name} {value:.4g}" for name, value in trained.tuned.found.items())
        typer.echo(
            f"ALS as tuned by {trained.tuned.trials} trials, NDCG@20 on validation {first:.4f} to {best:.4f}: {found}"
        )
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
