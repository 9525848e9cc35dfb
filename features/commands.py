"""The commands of this package: `features` (build, apply, materialize) and `lake` (what it holds, its upkeep).

Heavy libraries are imported by the command that needs them: a help text must not wait for Feast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from features.batch import BuiltFeatures
    from features.schema import LakeTable

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
    """The version, rows, files and size of each table, and what the interactions add up to."""
    from rich.console import Console

    from features.lake import open_lake
    from features.schema import INTERACTIONS, TABLES
    from features.settings import get_settings
    from features.state import STATE_COLUMNS, interaction_state

    held = open_lake(get_settings())
    views = {name: held.at(table) for name, table in TABLES.items()}
    state = interaction_state(views[INTERACTIONS.name].scan(STATE_COLUMNS))
    totals = {
        "users": len(state.favorites.column("user_id").unique()),
        "favorites": state.favorites.num_rows,
        "dismissed_photos": state.dismissed_photos.num_rows,
        "dismissed_people": state.dismissed_people.num_rows,
    }
    tables = {
        name: {"version": view.version, "rows": view.rows, "files": len(view.files), "bytes": view.bytes}
        for name, view in views.items()
        if view.version is not None
    }
    if as_json:
        _json({"uri": held.uri, "tables": tables, "state": totals})
        return
    _table(held.uri, tables)
    Console().print(", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in totals.items()))


@lake.command("compact")
def compact_tables(
    table: Annotated[str | None, typer.Option(help="Only this table; default: every one.")] = None,
    as_json: Json = False,
) -> None:
    """Make small files few, sorted and free of repeats; writers may go on meanwhile."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from features.compaction import compact
    from features.lake import open_lake
    from features.progress import progress_bars
    from features.settings import get_settings

    held = open_lake(get_settings())
    tables = _tables(table)
    done = {}
    with progress_bars() as report:
        for n, each in enumerate(tables, start=1):
            compacted = compact(held, each, now=datetime.now(UTC))
            done[each.name] = {**asdict(compacted), "repeats_removed": compacted.repeats_removed}
            report("compact", n, len(tables))
    if as_json:
        _json({"uri": held.uri, "tables": done})
        return
    shown = ("files_before", "files_after", "repeats_removed")
    _table(held.uri, {name: {column: row[column] for column in shown} for name, row in done.items()})


@lake.command("vacuum")
def vacuum_tables(
    retention_days: Annotated[
        float | None, typer.Option(min=0, help="Keep what left a table within so many days; default: the setting.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Delete files that no version within the retention needs. 0 breaks whoever reads or writes at that moment."""
    from features.compaction import vacuum
    from features.lake import open_lake
    from features.settings import get_settings

    settings = get_settings()
    held = open_lake(settings)
    days = settings.lake_retention_days if retention_days is None else retention_days
    deleted = {each.name: vacuum(held, each, days) for each in _tables(None)}
    if as_json:
        _json({"uri": held.uri, "retention_days": days, "files_deleted": deleted})
        return
    _table(f"{held.uri}, older than {days:g} days", {name: {"files_deleted": n} for name, n in deleted.items()})


@lake.command()
def quarantine(
    limit: Annotated[int, typer.Option(min=1, help="So many of the newest rows as examples.")] = 10,
    as_json: Json = False,
) -> None:
    """Rows that did not fit their table: how many for which reason, and the newest of them."""
    from rich.console import Console

    from features.lake import open_lake
    from features.schema import QUARANTINE
    from features.settings import get_settings

    rows = open_lake(get_settings()).scan(QUARANTINE).sort_by([("created_timestamp", "descending")])
    counts = rows.group_by(["source", "reason"]).aggregate([([], "count_all")]).sort_by([("count_all", "descending")])
    reasons = [{"source": r["source"], "reason": r["reason"], "rows": r["count_all"]} for r in counts.to_pylist()]
    newest = rows.slice(0, limit).drop_columns(["ingest_date"]).to_pylist()
    if as_json:
        _json({"rows": rows.num_rows, "reasons": reasons, "newest": newest})
        return
    if not newest:
        typer.echo("Nothing is in quarantine.")
        return
    _table("rows in quarantine", {f"{r['source']}: {r['reason']}": {"rows": r["rows"]} for r in reasons})
    for row in newest:
        when = row["created_timestamp"].isoformat(timespec="seconds")
        text = f"{when} {row['source']} {row['subject_id']}: {row['reason']}\n  {row['payload']}"
        Console(soft_wrap=True).print(text, markup=False, highlight=False)


def _tables(name: str | None) -> list[LakeTable]:
    from features.schema import TABLES, table_named

    return list(TABLES.values()) if name is None else [table_named(name)]


def _json(answer: object) -> None:
    import orjson

    typer.echo(orjson.dumps(answer))


def _table(title: str, rows: Mapping[str, Mapping[str, int | None]]) -> None:
    from rich.console import Console
    from rich.table import Table

    names = list(next(iter(rows.values()), {}))
    table = Table("", *(name.replace("_", " ") for name in names), title=title)
    for name, row in rows.items():
        table.add_row(name, *(f"{row[column]:,}" for column in names))
    Console().print(table)


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
    if as_json:
        _json({"version": built.version, "fresh": built.fresh, "rows": built.rows, "online": online})
        return
    typer.echo(f"Build {built.version}: " + ("new." if built.fresh else "still current, nothing changed in the lake."))
    if online is not None:
        typer.echo(", ".join(f"{view} {rows:,}" for view, rows in online.items()) + " rows online.")
