"""Interactions and contacts from anybody's files, as columns that can be relied on.

Ids stay in the type read, so that lists can be written back in it; what is read in another way than it stands there
(a guessed column, milliseconds) is noted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from training.evaluation.columns import Source, combined, open_source
from training.keys import Rows

USER, ITEM, CONTACT = ("user_id", "user"), ("photo_id", "item_id", "item"), ("contact_id",)
TIMESTAMP, VALUE, OWNER = ("timestamp", "event_timestamp", "faved_at"), ("value",), ("owner_id",)
OPTIONAL = {"time": TIMESTAMP, "value": VALUE, "owner": OWNER}

UNITS = ((1e17, "nanoseconds", 10**9), (1e14, "microseconds", 10**6), (1e11, "milliseconds", 10**3))
"""From which size on a time can't be seconds (1e11 is the year 5138), and what it must be then."""


@dataclass(frozen=True)
class Pairs:
    """Rows of a file, (n,) each: who did it to which item.

    users, items, owners: ids in the type read, without nulls (but an owner may be unknown: null). timestamps: int64,
    unix seconds. values: float64, finite; above 0 a favorite, below 0 a dismissal, 0 neither; None: all are favorites.
    plain: from a text file, whose whole numbers may as well be text. notes: what was read otherwise than it stands.
    """

    users: pa.Array
    items: pa.Array
    timestamps: pa.Array | None = None
    values: NDArray[np.float64] | None = None
    owners: pa.Array | None = None
    plain: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.users)

    @property
    def favorites(self) -> NDArray[np.bool_]:
        """Which rows are favorites, bool (n,)."""
        return np.ones(len(self), dtype=bool) if self.values is None else self.values > 0

    @property
    def dismissals(self) -> NDArray[np.bool_]:
        """Which rows are dismissals, bool (n,)."""
        return np.zeros(len(self), dtype=bool) if self.values is None else self.values < 0

    @property
    def times(self) -> Rows:
        """Unix seconds, int64 (n,); 0 where the file has none."""
        if self.timestamps is None:
            return np.zeros(len(self), dtype=np.int64)
        seconds: Rows = self.timestamps.to_numpy()
        return seconds

    def where(self, chosen: NDArray[np.bool_], notes: tuple[str, ...] = ()) -> Pairs:
        """The chosen rows (bool (n,)), with other notes."""
        mask = pa.array(chosen)
        timestamps, owners = (c if c is None else c.filter(mask) for c in (self.timestamps, self.owners))
        values = None if self.values is None else self.values[chosen]
        return Pairs(self.users.filter(mask), self.items.filter(mask), timestamps, values, owners, self.plain, notes)


@dataclass(frozen=True)
class Follows:
    """Who follows whom: ids in the type read, (n,), without nulls. plain, notes: as in `Pairs`."""

    followers: pa.Array
    followed: pa.Array
    plain: bool = False
    notes: tuple[str, ...] = ()


def read_pairs(path: Path, role: str) -> Pairs:
    """Interactions: user and item, by name or else the first two columns; optionally time, value and owner_id.

    A time is a number (seconds since 1970, or the finer unit that its size says), a timestamp, a date or ISO text.
    Raises InvalidInputError (field `role`) with the file, and where it can, the column and the first row at fault.
    """
    source = open_source(path, role)
    columns, notes = source.pick({"user": USER, "item": ITEM}, [*TIMESTAMP, *VALUE, *OWNER])
    columns |= {what: name for what, names in OPTIONAL.items() for name in reversed(names) if name in source.names}
    table = source.read(
        list(columns.values()), [columns[what] for what in ("user", "item", "owner") if what in columns]
    )
    timestamps = values = owners = None
    if "time" in columns:
        timestamps = _seconds(source, columns["time"], combined(table.column(columns["time"])), notes)
    if "value" in columns:
        values = _values(source, columns["value"], combined(table.column(columns["value"])), notes)
    if "owner" in columns:
        owners = source.ids(columns["owner"], table.column(columns["owner"]), optional=True)
    users, items = (source.ids(columns[what], table.column(columns[what])) for what in ("user", "item"))
    return Pairs(users, items, timestamps, values, owners, source.plain, tuple(notes))


def read_contacts(path: Path, role: str = "contacts") -> Follows:
    """Who follows whom: user_id and contact_id, or else the first two columns. Raises as `read_pairs`."""
    source = open_source(path, role)
    columns, notes = source.pick({"user": USER, "contact": CONTACT}, [])
    table = source.read(list(columns.values()), list(columns.values()))
    followers, followed = (source.ids(columns[what], table.column(columns[what])) for what in ("user", "contact"))
    return Follows(followers, followed, source.plain, tuple(notes))


def _seconds(source: Source, name: str, times: pa.Array, notes: list[str]) -> pa.Array:
    """int64, unix seconds."""
    source.refuse(name, times, pc.is_null(times))
    types = pa.types
    if types.is_string(times.type) or types.is_large_string(times.type):
        times = _parsed(source, name, times)
    if types.is_temporal(times.type):
        try:
            micros = times.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
        except pa.ArrowException as error:
            raise source.wrong(f"column {name!r} is {times.type}, which is no point in time") from error
        return pa.array(micros.to_numpy() // 1_000_000)
    numbers = _numbers(source, name, times)
    whole = times.cast(pa.int64()) if types.is_integer(times.type) and times.type != pa.uint64() else None
    seconds = np.floor(numbers).astype(np.int64) if whole is None else whole.to_numpy()
    typical = float(np.median(np.abs(numbers)))
    for least, unit, divisor in UNITS:
        if typical >= least:
            notes.append(f"column {name!r} was read as {unit} since 1970, by its size")
            return pa.array(seconds // divisor)
    return pa.array(seconds)


def _parsed(source: Source, name: str, times: pa.Array) -> pa.Array:
    for zone in (None, "UTC"):
        try:
            return times.cast(pa.timestamp("us", tz=zone))
        except pa.ArrowInvalid:
            continue
    raise source.wrong(f"column {name!r} is text that is not all dates and times as in ISO 8601 ({times[0]} in row 1)")


def _values(source: Source, name: str, values: pa.Array, notes: list[str]) -> NDArray[np.float64]:
    source.refuse(name, values, pc.is_null(values))
    numbers = _numbers(source, name, values)
    neither = int(np.count_nonzero(numbers == 0))
    if neither:
        notes.append(f"{neither} rows with the {name} 0, neither favorite nor dismissal, were left out")
    liked = numbers[numbers > 0]
    if len(liked) and liked.min() < liked.max():
        notes.append(f"every {name} above 0 counts as one favorite, whatever its size")
    return numbers


def _numbers(source: Source, name: str, values: pa.Array) -> NDArray[np.float64]:
    """float64, all finite."""
    types = pa.types
    if not (types.is_integer(values.type) or types.is_floating(values.type) or types.is_decimal(values.type)):
        raise source.wrong(f"column {name!r} is {values.type}, where numbers are needed")
    numbers: NDArray[np.float64] = values.cast(pa.float64(), safe=False).to_numpy()
    source.refuse(name, values, pa.array(~np.isfinite(numbers)))
    return numbers
