"""The commands `models`: which versions are registered, how two of them differ, which one is champion, and how photos
that came since get into it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from training.tracking import RegisteredVersion

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Version = Annotated[str, typer.Argument(help="Its number, as in `models list`, or an alias.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    models = typer.Typer(no_args_is_help=True, help="The registered models: list, compare, promote, rollback, freshen.")
    models.command("list")(list_models)
    models.command("compare")(compare)
    models.command("promote")(promote)
    models.command("rollback")(rollback)
    models.command("freshen")(freshen)
    app.add_typer(models, name="models")


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
    from pipelines.tables import versions_table

    _print_tables(versions_table(versions))


def compare(
    a: Annotated[str, typer.Argument(help="A version's number or alias: `champion`, `challenger`.")],
    b: Annotated[str, typer.Argument(help="Another.")],
    as_json: Json = False,
) -> None:
    """Two versions side by side: gate, parameters that differ, metrics, lake versions, dates."""
    from features.settings import get_settings
    from training.tracking import compare_versions

    comparison = compare_versions(get_settings(), a, b)
    if as_json:
        _print_json(comparison.as_dict())
        return
    from pipelines.comparison_tables import comparison_tables

    _print_tables(*comparison_tables(comparison))
    if not comparison.same_split:
        typer.echo("measured on different held-out days: the differences are of the days, too, not of the models alone")


def promote(version: Version, as_json: Json = False) -> None:
    """Make a registered version champion, whatever the gate said."""
    from features.settings import get_settings
    from training import tracking

    _print_champion(tracking.promote(get_settings(), version), as_json)


def rollback(as_json: Json = False) -> None:
    """Make the champion before the current one champion again."""
    from features.settings import get_settings
    from training import tracking

    _print_champion(tracking.rollback(get_settings()), as_json)


def freshen(as_json: Json = False) -> None:
    """Take photos that came since the training into the champion, as a minor version."""
    from features.logs import configure_logging
    from features.settings import get_settings
    from pipelines import new_photos

    settings = get_settings()
    configure_logging(settings, level=30)
    report = new_photos.freshen(settings)
    if as_json:
        _print_json(report.as_dict())
    elif report.version is None:
        typer.echo(f"skipped: {report.reason}")
    else:
        typer.echo(f"version {report.version} is champion: {report.reason}")


def _print_champion(chosen: RegisteredVersion, as_json: bool) -> None:
    if as_json:
        _print_json(_as_json(chosen))
    else:
        typer.echo(f"version {chosen.version} ({chosen.kind}) is champion")


def _as_json(version: RegisteredVersion) -> dict[str, Any]:
    return {**vars(version), "created_at": version.created_at.isoformat()}


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, indent=2))


def _print_tables(*tables: Any) -> None:
    from rich.console import Console

    for table in tables:
        Console().print(table)
