"""The command `import`: favorites from a file, with a report of what became of its rows.

Heavy libraries are imported by the command that needs them: a help text must not wait for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.sources.import_file import ImportReport


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("import")(import_favorites)


def import_favorites(
    file: Annotated[Path, typer.Argument(help="A .parquet, .csv or .jsonl file with user_id and photo_id.")],
    renamed: Annotated[
        str, typer.Option("--map", help="The file's columns that have other names: theirs=ours, comma separated.")
    ] = "",
    namespace: Annotated[
        str, typer.Option(help="Prefix of the file's ids, such as imgur; none for those of Flickr.")
    ] = "",
    source: Annotated[str, typer.Option(help="Under which name rejected rows are kept.")] = "file",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")] = False,
) -> None:
    """Bring the favorites of a file into the lake; a second time it adds nothing."""
    import orjson

    from features.database import open_database
    from features.lake import open_lake
    from features.progress import progress_bars
    from features.settings import get_settings
    from pipelines.sources.import_file import import_file

    settings = get_settings()
    with progress_bars() as report:
        done = import_file(
            settings,
            open_lake(settings),
            open_database(settings.database_url),
            file,
            renamed=_mapping(renamed),
            namespace=namespace,
            source=source,
            dry_run=dry_run,
            progress=report,
        )
    typer.echo(orjson.dumps(vars(done)) if as_json else _told(done))


def _mapping(text: str) -> dict[str, str]:
    """`user=user_id,photo=photo_id` as a dictionary. Raises InvalidInputError (field `map`)."""
    from features.errors import InvalidInputError

    mapping: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        theirs, equals, ours = (piece.strip() for piece in part.rpartition("="))
        if not equals or not theirs or not ours or theirs in mapping:
            raise InvalidInputError(f"--map {part!r}: write the file's column = ours, as in user=user_id", field="map")
        mapping[theirs] = ours
    return mapping


def _told(report: ImportReport) -> str:
    if report.dry_run:
        lines = [f"{report.file}: {report.rows:,} rows, {report.good:,} favorites to import; nothing was written"]
    else:
        lines = [
            f"{report.file}: {report.rows:,} rows in {report.seconds:.1f} s; {report.added:,} favorites added, "
            f"{report.known:,} known already; {report.photos:,} photos and {report.users:,} users new"
        ]
    if report.repeats:
        lines.append(f"{report.repeats:,} repeat a favorite of the file")
    for reason, rows in sorted(report.rejected.items(), key=lambda item: -item[1]):
        lines.append(f"{rows:,} rejected: {reason}")
        lines += [f"    {example[:200]}" for example in report.examples[reason]]
    if report.rejected and not report.dry_run:
        lines.append("What was rejected is kept in the lake's table quarantine.")
    return "\n".join(lines)
