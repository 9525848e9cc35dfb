"""The snapshot of each user, out of the lake: as the table `user_snapshot` for all, as `UserState` for some.

A snapshot names the newest action of the site that it contains (the watermark): a reader adds the newer ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.actions import RELAY_APPLICATION
from features.arrays import Int64, flat
from features.feature_tables import USER_SNAPSHOT
from features.lake import Lake, one_of
from features.schema import CONTACTS, INTERACTIONS, TIMESTAMP
from features.state import STATE_COLUMNS, InteractionState, current_contacts, interaction_state
from features.user_state import UserState


def user_snapshots(state: InteractionState, contacts: pa.Table, watermark: int, now: datetime) -> pa.Table:
    """The table `user_snapshot`: a row for everybody with a favorite, a dismissal or a contact, sorted by user_id.

    `contacts`: user_id, contact_id. Lists run from the oldest to the newest. `now`: a moment before the lake was read,
    so that of two snapshots of a user the one with the later time saw at least as much.
    """
    tables = (state.favorites, state.dismissed_photos, state.dismissed_people, contacts)
    users = pa.chunked_array([chunk for table in tables for chunk in table.column("user_id").chunks], pa.string())
    users = users.unique().sort()
    favorites = _lists(state.favorites, users, ("photo_id", "owner_id", "faved_at"))
    photos = _lists(state.dismissed_photos, users, ("photo_id", "owner_id", "dismissed_at"))
    people = _lists(state.dismissed_people, users, ("owner_id", "dismissed_at"))
    followed = _lists(contacts, users, ("contact_id",))
    moment = pa.repeat(pa.scalar(now, TIMESTAMP), len(users))
    columns = [users, *favorites, *photos, *people, *followed, pa.repeat(pa.scalar(watermark), len(users))]
    return pa.Table.from_arrays([*columns, moment, moment], schema=USER_SNAPSHOT.schema)


def _lists(rows: pa.Table, users: pa.Array, columns: Sequence[str]) -> list[pa.Array]:
    """For each of `columns` one list a user, (n_users,), in the order of the last column; times become unix seconds."""
    place = flat(pc.index_in(rows.column("user_id"), users)).to_numpy().astype(np.int64)
    last = rows.column(columns[-1])
    tie = _ranks(rows.column(columns[0]))
    order = last.cast(pa.int64()).to_numpy() if pa.types.is_timestamp(last.type) else tie
    index = pa.array(np.lexsort((tie, order, place)))
    offsets = pa.array(np.concatenate(([0], np.cumsum(np.bincount(place, minlength=len(users))))), pa.int32())
    lists = []
    for name in columns:
        values = rows.column(name)
        if pa.types.is_timestamp(values.type):
            values = pc.divide(values.cast(pa.int64()), 1_000_000)
        lists.append(pa.ListArray.from_arrays(offsets, flat(values).take(index)))
    return lists


def _ranks(column: pa.ChunkedArray) -> Int64:
    """The place of each value among the sorted distinct values, (n,): sorts the few distinct ones only."""
    encoded = flat(column).dictionary_encode()
    rank = np.empty(len(encoded.dictionary), dtype=np.int64)
    rank[pc.sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(rank))
    ranks: Int64 = rank[np.asarray(encoded.indices)]
    return ranks


def states_of(snapshots: pa.Table) -> list[UserState]:
    """The rows of a table `user_snapshot` as states."""
    lists = [name for name in USER_SNAPSHOT.features if name != "watermark"]
    return [
        UserState(
            user_id=row["user_id"],
            **{name: tuple(row[name]) for name in lists},
            watermark=row["watermark"],
            updated_at=row["event_timestamp"],
        )
        for row in snapshots.to_pylist()
    ]


def user_states(lake: Lake, user_ids: Sequence[str]) -> list[UserState]:
    """What the lake holds on these users now, in their order; a user without any row gets an empty state.

    `updated_at` is the moment before the lake was read.
    """
    now = datetime.now(UTC)
    wanted = one_of("user_id", dict.fromkeys(user_ids))
    version = lake.version(INTERACTIONS)
    rows = lake.scan(INTERACTIONS, columns=STATE_COLUMNS, where=wanted, version=version)
    contacts = current_contacts(lake.scan(CONTACTS, where=wanted))
    watermark = lake.applied(INTERACTIONS, RELAY_APPLICATION, version)
    found = {s.user_id: s for s in states_of(user_snapshots(interaction_state(rows), contacts, watermark, now))}
    return [
        found.get(user_id) or UserState(user_id=user_id, watermark=watermark, updated_at=now) for user_id in user_ids
    ]
