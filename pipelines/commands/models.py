"""The commands `models`: which versions are registered, how two of them differ and fare, which one is champion, which
shares walls with it, and how photos that came since get into it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from training.tracking import RegisteredVersion

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Version = Annotated[str, typer.Argument(help="Its number, as in `models list`, or an alias.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    models = typer.Typer(no_args_is_help=True, help="The registered models, and which of them rank walls.")
    models.command("list")(list_models)
    models.command("compare")(compare)
    models.command("promote")(promote)
    models.command("rollback")(rollback)
    models.command("challenge")(challenge)
    models.command("measure")(measure)
    models.command("freshen")(freshen)
    models.command("fetch")(fetch)
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
    """Two versions side by side: gate, parameters that differ, metrics, what came of their walls, dates."""
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
    if comparison.a.online and comparison.b.online and not comparison.same_walls:
        typer.echo("their walls are of different days: `models challenge` lets two models rank walls of the same")


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


def challenge(
    version: Annotated[str | None, typer.Argument(help="Its number, as in `models list`.")] = None,
    off: Annotated[bool, typer.Option("--off", help="End it: all walls are the champion's again.")] = False,
    as_json: Json = False,
) -> None:
    """Put a version beside the champion: it ranks CHALLENGER_SHARE percent of the people's walls."""
    from features.errors import InvalidInputError
    from features.settings import get_settings
    from training import tracking

    settings = get_settings()
    if off == (version is not None):
        raise InvalidInputError("name the version that challenges the champion, or give --off", field="version")
    chosen = tracking.challenge(settings, version) if version is not None else tracking.end_challenge(settings)
    if as_json:
        _print_json(_as_json(chosen))
    elif off:
        typer.echo(f"version {chosen.version} ({chosen.kind}) no longer challenges the champion")
    else:
        share = f"{settings.challenger_share:g} % of the people's walls, as CHALLENGER_SHARE says here"
        typer.echo(f"version {chosen.version} ({chosen.kind}) challenges the champion: it ranks {share}")


def measure(as_json: Json = False) -> None:
    """What people did with the photos that each model showed them, measured now and noted in MLflow."""
    from features.logs import configure_logging
    from features.settings import get_settings
    from pipelines.online_metrics import measure_online

    settings = get_settings()
    configure_logging(settings, level=30)
    found = measure_online(settings)
    if as_json:
        _print_json({version: online.as_dict() for version, online in found.items()})
    elif not found:
        typer.echo("nothing to measure: no photo was shown to a signed-in person by a model and at least a day ago")
    else:
        from pipelines.comparison_tables import online_table

        _print_tables(online_table({f"version {version}": online.metrics() for version, online in found.items()}))
        shown = ", ".join(f"{online.shown:,} of version {version}" for version, online in found.items())
        typer.echo(f"photos measured: {shown}")


def fetch(
    version: Version, folder: Annotated[Path, typer.Argument(help="Where to put it; must not exist yet.")]
) -> None:
    """Copy a version's bundle into a folder: to look at it, or to bake it into the Bento (MODEL_FLOOR)."""
    from features.errors import InvalidInputError
    from features.settings import get_settings
    from training import tracking

    settings = get_settings()
    if folder.exists():
        raise InvalidInputError(f"{folder} exists already: name a folder that does not", field="folder")
    chosen = tracking.version_named(settings, version)
    shutil.copytree(tracking.bundle_folder(settings, chosen), folder)
    typer.echo(f"version {chosen.version} ({chosen.kind}) is in {folder}")


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
