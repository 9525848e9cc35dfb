"""Files of favorites, read in batches: Parquet, CSV and JSON lines become columns under our names.

Nothing is judged here but the file itself: whether it can be read, and has the columns that are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq

from features.errors import InvalidInputError

REQUIRED = ("user_id", "photo_id")
IDS = (*REQUIRED, "owner_id")
COLUMNS = (*IDS, "faved_at", "title", "image_url", "page_url", "width", "height", "tags", "owner_name")

BATCH_ROWS = 131_072
BLOCK_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class RawRows:
    """Some rows of the file, as it has them, under our names (those that the file has), in its types.

    malformed: what stands where a row should be and can't be read as one.
    """

    columns: pa.Table
    malformed: Sequence[str] = ()

    @property
    def count(self) -> int:
        return int(self.columns.num_rows) + len(self.malformed)


@dataclass(frozen=True)
class FavoritesFile:
    """An opened file: how many rows it says it has (0: it doesn't say), and its rows, to be read once."""

    rows: int
    batches: Iterator[RawRows]


def open_favorites(path: Path, renamed: Mapping[str, str]) -> FavoritesFile:
    """Open a file by its ending; `renamed`: the file's name of a column → ours.

    Raises InvalidInputError (field `file`, `map`, or the column's name), here or while the batches are read.
    """
    openers: dict[str, Callable[[Path, Mapping[str, str]], FavoritesFile]] = {
        ".parquet": _open_parquet,
        ".csv": _open_csv,
        ".jsonl": _open_json_lines,
        ".ndjson": _open_json_lines,
    }
    opener = openers.get(path.suffix.lower())
    if opener is None:
        raise InvalidInputError(f"{path}: not a file of a kind known here ({', '.join(openers)})", field="file")
    for column in renamed.values():
        if column not in COLUMNS:
            raise InvalidInputError(f"{column!r} is no column; there are {', '.join(COLUMNS)}", field="map")
    if len(set(renamed.values())) < len(renamed):
        raise InvalidInputError("two of the file's columns are mapped to the same one", field="map")
    try:
        opened = opener(path, renamed)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    return FavoritesFile(opened.rows, _readable(path, opened.batches))


def _readable(path: Path, batches: Iterator[RawRows]) -> Iterator[RawRows]:
    try:
        yield from batches
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InvalidInputError:
    if isinstance(error, OSError) and error.strerror:
        return InvalidInputError(f"{path} can't be read: {error.strerror}", field="file")
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return InvalidInputError(f"{path} is no readable {path.suffix.lower()[1:]} file: {first}", field="file")


def _chosen(path: Path, there: Sequence[str], renamed: Mapping[str, str]) -> dict[str, str]:
    """Our name → the file's, of each column to read. Raises InvalidInputError for one that should be there."""
    missing = [name for name in renamed if name not in there]
    if missing:
        raise InvalidInputError(
            f"{path} has no column {missing[0]!r}, which is mapped; it has {', '.join(there)}", field="map"
        )
    chosen = {ours: theirs for theirs, ours in renamed.items()}
    for name in COLUMNS:
        if name not in chosen and name in there and name not in renamed:
            chosen[name] = name
    for name in REQUIRED:
        if name not in chosen:
            raise InvalidInputError(
                f"{path} has no column {name!r}; it has {', '.join(there) or 'none'}. "
                f"Say which it is: --map COLUMN={name}",
                field=name,
            )
    return chosen


def _open_parquet(path: Path, renamed: Mapping[str, str]) -> FavoritesFile:
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    chosen = _chosen(path, schema.names, renamed)
    for name in IDS:
        kind = schema.field(chosen[name]).type if name in chosen else pa.string()
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_integer(inner) or _is_text(inner)):
            raise InvalidInputError(
                f"{path}: column {chosen[name]!r} is {kind}; ids are text or whole numbers", field=name
            )

    def batches() -> Iterator[RawRows]:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(chosen.values())):
            table = pa.Table.from_batches([batch])
            yield RawRows(pa.table({ours: table.column(theirs) for ours, theirs in chosen.items()}))

    return FavoritesFile(file.metadata.num_rows, batches())


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    ) or pa.types.is_binary(kind)


def _open_csv(path: Path, renamed: Mapping[str, str]) -> FavoritesFile:
    malformed: list[str] = []

    def skip(row: pv.InvalidRow) -> str:
        malformed.append(row.text)
        return "skip"

    parsing = pv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip)
    # One thread: else it could be a later batch's rows that are found malformed by the time a batch is handed over.
    reading = pv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)
    with pv.open_csv(path, read_options=reading, parse_options=parsing) as header:
        chosen = _chosen(path, header.schema.names, renamed)
    malformed.clear()
    # Bytes rather than text: one value that is no UTF-8 must not cost the others of its block.
    converting = pv.ConvertOptions(
        include_columns=list(chosen.values()),
        column_types={name: pa.binary() for name in chosen.values()},
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )

    def batches() -> Iterator[RawRows]:
        with pv.open_csv(path, read_options=reading, parse_options=parsing, convert_options=converting) as file:
            for batch in file:
                found = tuple(malformed)
                malformed.clear()
                yield RawRows(pa.Table.from_batches([batch]).rename_columns(list(chosen)), found)
            if malformed:
                yield RawRows(_as_table([], list(chosen)), tuple(malformed))

    return FavoritesFile(0, batches())


def _open_json_lines(path: Path, renamed: Mapping[str, str]) -> FavoritesFile:
    """By `orjson`, line by line: pyarrow's reader gives a whole file up for one line, or for an id that is a number."""
    lines = path.open("rb")
    first = list(islice(lines, BATCH_ROWS))
    there: dict[str, None] = {}
    for line in first:
        there.update(dict.fromkeys(_record(line) or ()))
    if not there and any(line.strip() for line in first):
        lines.close()
        raise InvalidInputError(f"{path} is no readable jsonl file: none of its first lines is a record", field="file")
    chosen = _chosen(path, list(there), renamed)
    for name in COLUMNS:  # a record may have a column that none of the first ones has
        if name not in chosen and name not in renamed:
            chosen[name] = name

    def batches() -> Iterator[RawRows]:
        with lines:
            batch = first
            while batch:
                yield _raw(batch, chosen)
                batch = list(islice(lines, BATCH_ROWS))

    return FavoritesFile(0, batches())


def _raw(lines: Sequence[bytes], chosen: Mapping[str, str]) -> RawRows:
    records, malformed = [], []
    for line in lines:
        if not line.strip():
            continue
        record = _record(line)
        if record is None or not all(_is_id(record.get(chosen[name])) for name in IDS):
            malformed.append(line.decode("utf-8", "replace").strip())
        else:
            records.append(record)
    return RawRows(_as_table(records, chosen), malformed)


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _is_id(value: object) -> bool:
    return value is None or isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def _as_table(records: Sequence[Mapping[str, Any]], chosen: Mapping[str, str] | Sequence[str]) -> pa.Table:
    names = chosen if isinstance(chosen, Mapping) else dict.fromkeys(chosen, "")
    return pa.table(
        {
            ours: pa.array([_as_text(record.get(theirs)) for record in records], pa.string())
            for ours, theirs in names.items()
        }
    )


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
