"""Ids of files as columns: made comparable between files, numbered, and written back in the type that was read.

Files name users and items by whole numbers of any width, text or bytes, and two files of one data set need not agree
on the width; a number and a text that looks like it are different ids, unless both stand in text files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.errors import InvalidInputError
from training.catalog import Ids
from training.keys import Rows

WHOLE, TEXT, BYTES = "whole numbers", "text", "bytes"


@dataclass(frozen=True)
class IdColumn:
    """A column of ids, without nulls. `origin` names it in messages; `field`: the file's role; `plain`: from text.

    In a text file the id `7` may be a number or text: the other files of the data set decide.
    """

    ids: pa.Array
    origin: str
    field: str
    plain: bool = False


def kind_of(ids_type: pa.DataType) -> str:
    """What ids of this type are, whatever their width: two kinds can't be compared."""
    types = pa.types
    if types.is_dictionary(ids_type):
        return kind_of(ids_type.value_type)
    if types.is_integer(ids_type) or types.is_floating(ids_type):
        return WHOLE
    if types.is_string(ids_type) or types.is_large_string(ids_type) or types.is_string_view(ids_type):
        return TEXT
    if types.is_binary(ids_type) or types.is_large_binary(ids_type) or types.is_fixed_size_binary(ids_type):
        return BYTES
    return str(ids_type)


def comparable(ids: pa.Array) -> pa.Array:
    """The ids in the one type of their kind: int64 (uint64 where it must be), large_string, large_binary."""
    if pa.types.is_dictionary(ids.type):
        ids = ids.dictionary_decode()
    kind = kind_of(ids.type)
    if kind == TEXT:
        return ids.cast(pa.large_string())
    if kind == BYTES:
        return ids.cast(pa.large_binary())
    if kind != WHOLE or ids.type == pa.int64():
        return ids
    try:
        return ids.cast(pa.int64())
    except pa.ArrowInvalid:  # the upper half of uint64
        return ids


def unified(columns: Sequence[IdColumn]) -> list[pa.Array]:
    """The columns' ids in one type, so that equal ids are equal.

    Raises InvalidInputError (field: the role of the file that differs from the first one).
    """
    found = [comparable(column.ids) for column in columns]
    kinds = [kind_of(ids.type) for ids in found]
    if set(kinds) == {WHOLE, TEXT} and all(
        column.plain for column, kind in zip(columns, kinds, strict=True) if kind == WHOLE
    ):
        return [ids.cast(pa.large_string()) for ids in found]
    for column, kind in zip(columns, kinds, strict=True):
        if kind != kinds[0]:
            raise InvalidInputError(
                f"{column.origin} holds {kind} ({column.ids.type}), but {columns[0].origin} {kinds[0]} "
                f"({columns[0].ids.type}); write the ids of all files in one type",
                field=column.field,
            )
    if pa.uint64() in {ids.type for ids in found}:
        for place, column in enumerate(columns):
            try:
                found[place] = found[place].cast(pa.uint64())
            except pa.ArrowInvalid as error:
                raise InvalidInputError(
                    f"{column.origin} holds ids below 0, and another file some of 2⁶³ and above: no type has both",
                    field=column.field,
                ) from error
    return found


def common_type(columns: Sequence[IdColumn], wide: pa.DataType) -> pa.DataType:
    """The type in which ids are written back: that of the columns, or if they differ, of what `unified` made (wide)."""
    first = columns[0].ids.type
    if all(column.ids.type == first for column in columns) and kind_of(first) == kind_of(wide):
        return first
    return {pa.large_string(): pa.string(), pa.large_binary(): pa.binary()}.get(wide, wide)


def objects(ids: pa.Array) -> Ids:
    """The ids as Python scalars, (n,)."""
    result: NDArray[np.object_] = np.empty(len(ids), dtype=object)
    result[:] = comparable(ids).to_pylist()
    return result


def written_back(ids: Sequence[object] | Ids, ids_type: pa.DataType) -> pa.Array:
    """Ids that `objects` gave, as a column of the type that was read."""
    if pa.types.is_dictionary(ids_type):
        return written_back(ids, ids_type.value_type).dictionary_encode()
    if kind_of(ids_type) == WHOLE:
        wide = pa.uint64() if ids_type == pa.uint64() else pa.int64()
        return pa.array(list(ids), wide).cast(ids_type)
    return pa.array(list(ids), ids_type)


def numbered(ids: pa.Array) -> tuple[pa.Array, Rows]:
    """The distinct ids, ascending, and the place of each id among them, int64 (n,)."""
    encoded = comparable(ids).dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    places: Rows = np.empty(len(order), dtype=np.int64)
    places[order.to_numpy()] = np.arange(len(order))
    return encoded.dictionary.take(order), places[encoded.indices.to_numpy()]
