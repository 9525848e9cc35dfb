"""From the lake's log to numbered interactions, and from a person's state to the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS
from features.state import STATE_COLUMNS, InteractionState, current_contacts, interaction_state
from features.user_state import UserState
from training.interactions import (
    NOBODY,
    Catalog,
    Contacts,
    Events,
    History,
    Ids,
    Interactions,
    Rows,
    UserIds,
    dismissals_beside,
    newest_of_each,
    row_of_each,
)


def history_of(catalog: Catalog, state: UserState, followed: UserIds | None = None) -> History:
    """A person's state in catalog rows; a dismissed person's photos that are not favorites are negatives too.

    followed: the users whose rows contacts are; without them there are none.
    """
    contacts = NOBODY if followed is None else followed.rows(state.contacts).astype(np.int32)
    of_people, person = catalog.rows_of_owners(state.dismissed_people)
    people_times = np.asarray(state.dismissed_people_times, dtype=np.int64)
    return History.of(
        catalog.rows(state.favorite_ids),
        np.asarray(state.favorite_times, dtype=np.int64),
        np.concatenate([catalog.rows(state.dismissed_ids), of_people]),
        np.concatenate([np.asarray(state.dismissed_times, dtype=np.int64), people_times[person]]),
        contacts[contacts >= 0],
    )


@dataclass(frozen=True)
class Split:
    """A temporal split: what was known at `cut`, and which favorites came after it.

    test_users int32 (m,): rows in `train` of users who favorited something new that the catalog of then held;
    test_photos: for each, those photos' rows (distinct). `reachable`: the share of all favorites after the cut
    that these are (the rest belongs to photos or users without a favorite before it).
    """

    cut: int
    train: Interactions
    test_users: NDArray[np.int32]
    test_photos: list[NDArray[np.int32]]
    reachable: float


def load_log(lake: Lake, version: int | None = None) -> tuple[pa.Table, int]:
    """The log of interactions and the version of the table that it is (−1: there is no table yet)."""
    found = lake.version(INTERACTIONS) if version is None else version
    return lake.scan(INTERACTIONS, columns=STATE_COLUMNS, version=found), -1 if found is None else found


def load_interactions(lake: Lake, version: int | None = None, as_of: datetime | None = None) -> Interactions:
    """The lake's interactions as of a table version and a moment (default: the newest, everything)."""
    log, found = load_log(lake, version)
    return build_interactions(log, as_of=as_of, lake_versions={INTERACTIONS.name: found})


def load_contacts(lake: Lake, version: int | None = None) -> tuple[pa.Table, int]:
    """Who follows whom (user_id, contact_id), and the version of the table that says so (−1: there is no table yet).

    Nobody knows when somebody was followed, only when that was first seen: a temporal split keeps all of them.
    """
    found = lake.version(CONTACTS) if version is None else version
    return current_contacts(lake.scan(CONTACTS, version=found)), -1 if found is None else found


def with_contacts(interactions: Interactions, follows: pa.Table, version: int) -> Interactions:
    """The same, with those of the follows that are between its users; version: that of the table `contacts`."""
    followers, followed = (_index_of(interactions.user_ids, follows.column(name)) for name in ("user_id", "contact_id"))
    return replace(
        interactions,
        contacts=Contacts.of(followers, followed, interactions.n_users),
        lake_versions=interactions.lake_versions | ({} if version < 0 else {CONTACTS.name: version}),
    )


def build_interactions(
    log: pa.Table, *, as_of: datetime | None = None, lake_versions: dict[str, int] | None = None
) -> Interactions:
    """Numbered interactions from rows of the log (features/schema.py, STATE_COLUMNS), in any order."""
    state = interaction_state(log, as_of=as_of)
    user_ids = _objects(pc.unique(state.favorites.column("user_id")).sort())
    catalog = _catalog(state.favorites)
    favorites = _favorite_events(state.favorites, user_ids, catalog)
    dismissals = _dismissal_events(state, user_ids, catalog, favorites)
    newest = max((int(events.times.max()) for events in (favorites, dismissals) if len(events)), default=0)
    return Interactions(user_ids, catalog, favorites, dismissals, newest, lake_versions or {})


def temporal_split(log: pa.Table, cut: datetime, until: datetime | None = None) -> Split:
    """What the log said at `cut`, and the favorites that came after it and hold at `until` (default: in the end).

    Only events up to the cut enter `train`, so nothing later leaks into it: not even a later unfavorite.
    """
    train = build_interactions(log, as_of=cut)
    moment = int(cut.timestamp())
    later = interaction_state(log, as_of=until).favorites
    later = later.filter(pc.greater(later.column("faved_at"), pa.scalar(cut, later.schema.field("faved_at").type)))
    users = _index_of(train.user_ids, later.column("user_id"))
    photos = train.catalog.rows(_objects(later.column("photo_id")))
    known = (users >= 0) & (photos >= 0)
    keys = np.unique(users[known] * max(train.n_photos, 1) + photos[known])
    seen = np.concatenate([_keys(train.favorites, train.n_photos), _keys(train.dismissals, train.n_photos)])
    test = Events.of_keys(keys[~np.isin(keys, seen)], np.empty(0, dtype=np.int64), max(train.n_photos, 1))
    test_users, starts = np.unique(test.users, return_index=True)
    lists = np.split(test.photos, starts[1:]) if len(test_users) else []
    return Split(moment, train, test_users, lists, len(test) / later.num_rows if later.num_rows else 0.0)


def _catalog(favorites: pa.Table) -> Catalog:
    counts = pc.value_counts(favorites.column("photo_id").combine_chunks())
    photos = pa.table({"photo_id": counts.field("values"), "favorites": counts.field("counts")})
    photos = photos.sort_by([("favorites", "descending"), ("photo_id", "ascending")])
    photo_ids = _objects(photos.column("photo_id"))
    # Every row of a photo names the same owner: the smallest name makes the choice certain where a source errs.
    owners = favorites.group_by("photo_id").aggregate([("owner_id", "min")])
    order = Catalog(photo_ids, photo_ids).rows(_objects(owners.column("photo_id")))
    owner_ids = np.empty(len(photo_ids), dtype=object)
    owner_ids[order] = _objects(owners.column("owner_id_min"))
    return Catalog(photo_ids, owner_ids)


def _favorite_events(favorites: pa.Table, user_ids: Ids, catalog: Catalog) -> Events:
    users = _index_of(user_ids, favorites.column("user_id"))
    photos = catalog.rows(_objects(favorites.column("photo_id")))
    keys, times = newest_of_each(users * len(catalog) + photos, _seconds(favorites.column("faved_at")))
    return Events.of_keys(keys, times, max(len(catalog), 1))


def _dismissal_events(state: InteractionState, user_ids: Ids, catalog: Catalog, favorites: Events) -> Events:
    """Negatives of users who have favorites, on photos of the catalog; the others could teach a model nothing."""
    by_photo, by_person = state.dismissed_photos, state.dismissed_people
    of_people, person = catalog.rows_of_owners(_objects(by_person.column("owner_id")))
    users = np.concatenate(
        [_index_of(user_ids, by_photo.column("user_id")), _index_of(user_ids, by_person.column("user_id"))[person]]
    )
    photos = np.concatenate([catalog.rows(_objects(by_photo.column("photo_id"))), of_people])
    times = np.concatenate(
        [_seconds(by_photo.column("dismissed_at")), _seconds(by_person.column("dismissed_at"))[person]]
    )
    known = (users >= 0) & (photos >= 0)
    keys, newest = dismissals_beside(
        _keys(favorites, len(catalog)), users[known] * len(catalog) + photos[known], times[known]
    )
    return Events.of_keys(keys, newest, max(len(catalog), 1))


def _keys(events: Events, n_photos: int) -> Rows:
    return events.users.astype(np.int64) * n_photos + events.photos


def _objects(column: pa.Array | pa.ChunkedArray) -> Ids:
    values: Ids = np.asarray(
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    )
    return values.astype(object)


def _index_of(ids: Ids, column: pa.ChunkedArray) -> Rows:
    return row_of_each(ids, _objects(column))


def _seconds(column: pa.ChunkedArray) -> Rows:
    seconds: Rows = column.cast(pa.int64()).to_numpy() // 1_000_000
    return seconds


def utc(seconds: int) -> datetime:
    """Unix seconds as an aware datetime."""
    return datetime.fromtimestamp(seconds, tz=UTC)
