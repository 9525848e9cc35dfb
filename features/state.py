"""The state rule: what the lake's append-only rows say together, at a moment.

Two axes that do not touch each other: favorite/unfavorite per (user, photo), and dismissal per (user, photo) and per
(user, person). On each, the newest row by `(event_timestamp, created_timestamp)` decides. Repeats change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.arrays import flat
from features.schema import INTERACTIONS, Kind
from features.sorting import ascending

ORDER = ("event_timestamp", "created_timestamp")


@dataclass(frozen=True)
class InteractionState:
    """What holds, one row a fact.

    favorites: user_id, photo_id, owner_id, faved_at (Flickr's date where known, else the event's);
    dismissed_photos: user_id, photo_id, owner_id, dismissed_at; dismissed_people: user_id, owner_id, dismissed_at.
    """

    favorites: pa.Table
    dismissed_photos: pa.Table
    dismissed_people: pa.Table


def newest(rows: pa.Table, keys: Sequence[str], order: Sequence[str] = ORDER) -> pa.Table:
    """The newest row of each key by `order`; of rows equal in `order` too, the one that came last in `rows`.

    They keep the order that they have in `rows`.
    """
    codes = [coded(rows.column(key))[1] for key in keys]
    places = _newest_of(np.arange(rows.num_rows), codes, [_microseconds(rows.column(name)) for name in order])
    return rows.filter(_mask(places, rows.num_rows))


def coded(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int32]]:
    """A column's distinct values (and perhaps some that it lacks), and the place of each row's value, int32 (n,)."""
    encoded = _piece(column).dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy(zero_copy_only=False)


def _microseconds(column: pa.ChunkedArray) -> NDArray[np.int64]:
    microseconds: NDArray[np.int64] = _piece(column.cast(pa.int64())).to_numpy()
    return microseconds


def _piece(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece, which is a copy only where there are several."""
    return column.chunk(0) if column.num_chunks == 1 else flat(column)


def _mask(places: NDArray[np.int64], n: int) -> pa.Array:
    mask = np.zeros(n, dtype=bool)
    mask[places] = True
    return pa.array(mask)


def _newest_of(
    places: NDArray[np.int64], codes: Sequence[NDArray[np.integer]], times: Sequence[NDArray[np.int64]]
) -> NDArray[np.int64]:
    """Which of n places hold the newest row of their key: one sort of n numbers, one more of the few keys that repeat.

    places: ascending; codes and times: of all rows, at these places or not.
    """
    keys, order = ascending(_one_number([code[places] for code in codes]))
    _, repeats = _ends(keys)
    keys, order = keys[repeats], order[repeats]
    rows = places[order]
    by_time = np.lexsort((rows, *(time[rows] for time in reversed(times)), keys))
    last, _ = _ends(keys[by_time])
    newest_there = np.ones(len(places), dtype=bool)
    newest_there[order[by_time][~last]] = False
    return places[newest_there]


def _ends(ascending: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each number, whether it is the last of its equals, and whether it has any."""
    last = np.ones(len(ascending), dtype=bool)
    last[:-1] = ascending[1:] != ascending[:-1]
    repeats = ~last
    repeats[1:] |= ~last[:-1]
    return last, repeats


def _one_number(codes: Sequence[NDArray[np.integer]]) -> NDArray[np.int64]:
    """A number for each row, the same for rows with the same codes only."""
    key = codes[0].astype(np.int64)
    for code in codes[1:]:
        span = int(code.max(initial=0)) + 1
        if int(key.max(initial=0)) >= np.iinfo(np.int64).max // span - 1:
            key = np.unique(key, return_inverse=True)[1]  # the product would not fit
        key = key * span + code
    return key


def interaction_state(rows: pa.Table, *, as_of: datetime | None = None) -> InteractionState:
    """The state that rows of the table `interactions` (any users, any order, repeats allowed) add up to.

    Columns needed: user_id, photo_id, owner_id, kind, event_timestamp, created_timestamp, faved_at; strings may be
    dictionaries, and stay so. With `as_of`, only events up to and including that moment count. The facts keep the
    order of the rows that they come from.
    """
    codes = {name: coded(rows.column(name))[1] for name in ("user_id", "photo_id", "owner_id")}
    kinds, kind = coded(rows.column("kind"))
    names = kinds.to_pylist()
    times = [_microseconds(rows.column(name)) for name in ORDER]
    counts = np.ones(rows.num_rows, dtype=bool)
    if as_of is not None:
        moment = pa.scalar(as_of, INTERACTIONS.schema.field(ORDER[0]).type)
        counts = flat(pc.less_equal(rows.column(ORDER[0]), moment)).to_numpy(zero_copy_only=False)

    def axis(positive: Kind, negative: Kind, keys: Sequence[str], columns: Sequence[str]) -> pa.Table:
        positives = np.array([name == positive for name in names], dtype=bool)
        either = np.array([name in (positive, negative) for name in names], dtype=bool)
        places = _newest_of(np.flatnonzero(either[kind] & counts), [codes[key] for key in keys], times)
        return rows.select(columns).filter(_mask(places[positives[kind[places]]], rows.num_rows))

    pair, dismissed = ("user_id", "photo_id"), "dismissed_at"
    favorites = axis(Kind.FAVORITE, Kind.UNFAVORITE, pair, [*pair, "owner_id", "faved_at", ORDER[0]])
    photos = axis(Kind.DISMISS_PHOTO, Kind.UNDISMISS_PHOTO, pair, [*pair, "owner_id", ORDER[0]])
    person = ("user_id", "owner_id")
    people = axis(Kind.DISMISS_USER, Kind.UNDISMISS_USER, person, [*person, ORDER[0]])
    faved_at = pc.coalesce(favorites.column("faved_at"), favorites.column(ORDER[0]))
    return InteractionState(
        favorites=favorites.select([*pair, "owner_id"]).append_column("faved_at", faved_at),
        dismissed_photos=photos.rename_columns([*pair, "owner_id", dismissed]),
        dismissed_people=people.rename_columns([*person, dismissed]),
    )


STATE_COLUMNS = ("user_id", "photo_id", "owner_id", "kind", "event_timestamp", "created_timestamp", "faved_at")
"""The columns of `interactions` that the state needs."""


def current_contacts(rows: pa.Table) -> pa.Table:
    """user_id, contact_id of everybody who is followed, from rows of the table `contacts`."""
    return dated_contacts(rows).drop_columns("first_seen")


def dated_contacts(rows: pa.Table) -> pa.Table:
    """The same with first_seen: when a pull first told of it. When the user began to follow, Flickr never tells."""
    decided = newest(rows, ("user_id", "contact_id"))
    followed = decided.filter(pc.equal(decided.column("kind"), "follow"))
    return followed.select(["user_id", "contact_id", "event_timestamp"]).rename_columns(
        ["user_id", "contact_id", "first_seen"]
    )
