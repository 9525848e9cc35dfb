"""A file's columns, found by name or place and checked: Parquet, CSV and TSV, with the file, column and row in errors.

Whatever can't be read as it stands is refused, since a guess would end as a wrong number in a report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.dataset as ds

from features.errors import InvalidInputError
from training.evaluation.ids import TEXT, kind_of
from training.keys import Rows

PARQUET = ".parquet"
DELIMITERS = {".csv": ",", ".tsv": "\t", ".csv.gz": ",", ".tsv.gz": "\t"}
ENDINGS = (PARQUET, *DELIMITERS)

NO_NUMBER = ("NaN", "nan", "NA", "NULL", "null", "None")
"""How files of numbers write a missing one; in a column of text these are ids like any other."""


@dataclass(frozen=True)
class Source:
    """An opened file: its columns' names, and its role (train, test, …), which is the `field` of errors."""

    path: Path
    role: str
    names: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """Whether it is a text file, which knows no types."""
        return _ending(self.path) != PARQUET

    def wrong(self, problem: str) -> InvalidInputError:
        return InvalidInputError(f"{self.path} {problem}", field=self.role)

    def pick(self, wanted: Mapping[str, Sequence[str]], others: Sequence[str]) -> tuple[dict[str, str], list[str]]:
        """The column of each meaning, and notes on those that were guessed.

        A column has one of the names of its meaning (the first of them that is there), else it is the first one that
        means nothing else (`others`: names with another meaning). Raises InvalidInputError.
        """
        named = {meaning: name for meaning, names in wanted.items() for name in reversed(names) if name in self.names}
        if self.plain and not named and any(_is_number(name) for name in self.names):
            raise self.wrong(f"needs a first line with the columns' names; it has {', '.join(self.names[:4])}")
        for name in self.names:
            if self.names.count(name) > 1:
                raise self.wrong(f"has two columns {name!r}")
        free = [name for name in self.names if name not in {*named.values(), *others} and not is_index(name)]
        missing = [meaning for meaning in wanted if meaning not in named]
        if len(free) < len(missing):
            names = " or ".join(map(repr, wanted[missing[len(free)]]))
            raise self.wrong(f"has no column {names}; it has {', '.join(self.names) or 'none'}")
        guessed = dict(zip(missing, free, strict=False))
        notes = [f"column {name!r} was taken for the {meaning}" for meaning, name in guessed.items()]
        return {**named, **guessed}, notes

    def read(self, columns: Sequence[str], ids: Sequence[str]) -> pa.Table:
        """These columns; `ids` are those of them whose text stays as it is written. Raises InvalidInputError."""
        try:
            if not self.plain:
                table = ds.dataset(self.path, format="parquet").to_table(columns=list(columns))
            else:
                converting = pv.ConvertOptions(
                    include_columns=list(columns),
                    column_types={name: pa.string() for name in ids},
                    null_values=["", *NO_NUMBER],
                )
                table = pv.read_csv(self.path, parse_options=_parsing(self.path), convert_options=converting)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(self.path, self.role, error) from error
        if not len(table):
            raise self.wrong("has no rows")
        return table

    def ids(
        self, name: str, column: pa.Array | pa.ChunkedArray, *, optional: bool = False, rows: Rows | None = None
    ) -> pa.Array:
        """A column of ids in its type; in text files, whole numbers are int64 (or uint64).

        Raises InvalidInputError for a missing or empty id (`optional`: it becomes null), and for one that is neither
        text nor a number that its type holds exactly. `rows`: which row of the file each is in, if not its place.
        """
        ids = combined(column)
        if self.plain:
            ids = ids_of_text(ids)
        flat = ids.dictionary_decode() if pa.types.is_dictionary(ids.type) else ids
        if pa.types.is_nested(flat.type):
            raise self.wrong(f"column {name!r} is {ids.type}; an id is one number or text")
        if kind_of(flat.type) == TEXT:
            flat = flat.cast(pa.large_string())
            flat = pc.if_else(pc.equal(pc.binary_length(flat), 0), pa.scalar(None, flat.type), flat)
        elif pa.types.is_floating(flat.type) and optional:
            flat = pc.if_else(pc.is_nan(flat), pa.scalar(None, flat.type), flat)
        if not optional:
            self.refuse(name, flat, pc.is_null(flat), rows=rows)
        if pa.types.is_floating(flat.type):
            exact = 2.0 ** (np.finfo(flat.type.to_pandas_dtype()).nmant + 1)
            numbers = pc.fill_null(flat, 0).to_numpy().astype(np.float64)
            wrong = ~(np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) <= exact))
            why = f"; an id is text or a whole number, in {flat.type} up to {exact:.0f}"
            self.refuse(name, flat, pa.array(wrong), why, rows)
        return flat if optional else ids

    def refuse(self, name: str, values: pa.Array, wrong: pa.Array, why: str = "", rows: Rows | None = None) -> None:
        """Raise InvalidInputError that names the first of the wrong values (bool, as long), if there is one."""
        at = pc.index(wrong, True).as_py()
        if at >= 0:
            value, row = values[at].as_py(), at if rows is None else rows[at]
            raise self.wrong(f"has {'no value' if value is None else value} in column {name!r}, row {row + 1}{why}")


def open_source(path: Path, role: str) -> Source:
    """Open a file by its ending.

    Raises InvalidInputError (field `role`): there is none, its ending is unknown, or it can't be read.
    """
    if _ending(path) not in ENDINGS:
        raise InvalidInputError(f"{path}: not a file of a kind known here ({', '.join(ENDINGS)})", field=role)
    try:
        if _ending(path) == PARQUET:
            return Source(path, role, tuple(ds.dataset(path, format="parquet").schema.names))
        with pv.open_csv(path, parse_options=_parsing(path)) as file:
            return Source(path, role, tuple(file.schema.names))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, role, error) from error


def ids_of_text(ids: pa.Array) -> pa.Array:
    """Text as numbers if all of it is whole numbers, written as numbers are (`7`, never `007`); else as it is."""
    numbers = pc.if_else(pc.is_in(ids, value_set=pa.array(["", *NO_NUMBER], ids.type)), pa.scalar(None, ids.type), ids)
    if numbers.null_count == len(numbers):
        return ids
    for whole in (pa.int64(), pa.uint64()):
        try:
            found = numbers.cast(whole)
        except pa.ArrowInvalid:
            continue
        if pc.all(pc.equal(found.cast(ids.type), numbers)).as_py():
            return found
    return ids


def combined(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column in one piece."""
    if isinstance(column, pa.Array):
        return column
    if pa.types.is_string(column.type) and column.nbytes >= 2**31:  # more than its offsets can count
        column = column.cast(pa.large_string())
    return column.combine_chunks()


def _ending(path: Path) -> str:
    return "".join(suffix.lower() for suffix in path.suffixes[-2 if path.suffix.lower() == ".gz" else -1 :])


def _parsing(path: Path) -> pv.ParseOptions:
    return pv.ParseOptions(delimiter=DELIMITERS[_ending(path)])


def _is_number(name: str) -> bool:
    try:
        float(name)
    except ValueError:
        return False
    return True


def is_index(name: str) -> bool:
    """Whether the column is row numbers that a data frame left behind."""
    return not name or name.startswith(("Unnamed:", "__index_level_"))


def _unreadable(path: Path, role: str, error: Exception) -> InvalidInputError:
    if isinstance(error, OSError) and error.strerror:
        return InvalidInputError(f"{path} can't be read: {error.strerror}", field=role)
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return InvalidInputError(f"{path} is no readable {_ending(path)[1:]} file: {first}", field=role)
