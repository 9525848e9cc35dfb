"""The commands of this package: `features` (build, apply, materialize) and `lake` (what it holds).

Heavy libraries are imported by the command that needs them: a help text must not wait for Feast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from features.batch import BuiltFeatures

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]

features = typer.Typer(help="Batch features: build them from the lake, put them online.", invoke_without_command=True)
lake = typer.Typer(help="The lake: the durable memory of interactions.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.add_typer(features, name="features")
    app.add_typer(lake, name="lake")


@features.callback()
def everything(context: typer.Context, as_json: Json = False) -> None:
    """Without a sub-command: apply the repository, build and materialize."""
    if context.invoked_subcommand is None:
        built = _build()
        _say(built, _materialize(built), as_json)


@features.command()
def build(as_json: Json = False) -> None:
    """Compute every feature table from the lake, as a new build."""
    _say(_build(), None, as_json)


@features.command()
def apply() -> None:
    """Bring Feast's registry and the online store in line with the definitions (`feast apply`)."""
    from features.feast_registry import apply_repository
    from features.settings import get_settings

    apply_repository(get_settings())
    typer.echo("The feature repository is applied.")


@features.command()
def materialize(as_json: Json = False) -> None:
    """Write the current build into the online store."""
    from features.batch import BuiltFeatures
    from features.builds import Builds
    from features.errors import NotFoundError
    from features.settings import get_settings

    builds = Builds(get_settings().lake_uri)
    current = builds.current()
    if current is None:
        raise NotFoundError(f"no features were built below {builds.uri} yet: run `photo-recommender features build`")
    built = BuiltFeatures(current, builds.uri, fresh=False)
    _say(built, _materialize(built), as_json)


@lake.command()
def stats(as_json: Json = False) -> None:
    """The version and the number of rows of each table, and what the interactions add up to."""
    import orjson
    from rich.console import Console
    from rich.table import Table

    from features.lake import open_lake
    from features.schema import INTERACTIONS, TABLES
    from features.settings import get_settings
    from features.state import STATE_COLUMNS, interaction_state

    held = open_lake(get_settings())
    versions = held.versions()
    rows = {
        name: held.scan(TABLES[name], columns=TABLES[name].schema.names[:1], version=version).num_rows
        for name, version in versions.items()
    }
    state = interaction_state(held.scan(INTERACTIONS, columns=STATE_COLUMNS))
    totals = {
        "users": len(state.favorites.column("user_id").unique()),
        "favorites": state.favorites.num_rows,
        "dismissed_photos": state.dismissed_photos.num_rows,
        "dismissed_people": state.dismissed_people.num_rows,
    }
    if as_json:
        tables = {name: {"version": version, "rows": rows[name]} for name, version in versions.items()}
        typer.echo(orjson.dumps({"uri": held.uri, "tables": tables, "state": totals}))
        return
    table = Table("table", "version", "rows", title=held.uri)
    for name, version in versions.items():
        table.add_row(name, str(version), f"{rows[name]:,}")
    console = Console()
    console.print(table)
    console.print(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in totals.items()))


def _build() -> BuiltFeatures:
    from features.batch import build_features
    from features.lake import open_lake
    from features.progress import progress_bars
    from features.settings import get_settings

    settings = get_settings()
    with progress_bars() as report:
        return build_features(
            open_lake(settings), settings, progress=lambda _, done, total: report("build features", done, total)
        )


def _materialize(built: BuiltFeatures) -> dict[str, int]:
    from features.online import materialize as write_online
    from features.progress import progress_bars
    from features.settings import get_settings

    with progress_bars() as report:
        return write_online(get_settings(), built, lambda view, done, total: report(f"online {view}", done, total))


def _say(built: BuiltFeatures, online: dict[str, int] | None, as_json: bool) -> None:
    import orjson

    if as_json:
        answer = {"version": built.version, "fresh": built.fresh, "rows": built.rows, "online": online}
        typer.echo(orjson.dumps(answer))
        return
    typer.echo(f"Build {built.version}: " + ("new." if built.fresh else "still current, nothing changed in the lake."))
    if online is not None:
        typer.echo(", ".join(f"{view} {rows:,}" for view, rows in online.items()) + " rows online.")
