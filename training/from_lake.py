"""From the lake's log to numbered interactions, and from a person's state to the same numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.arrays import flat
from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS
from features.sorting import ascending
from features.state import STATE_COLUMNS, InteractionState, coded, dated_contacts, interaction_state
from features.user_state import UserState
from training.catalog import Catalog, Ids, UserIds
from training.interactions import NOBODY, Contacts, Events, History, Interactions, dismissals_beside
from training.keys import Rows, among, distinct
from training.shares import largest_shares, shares_of_people, whole

ROWS_AT_ONCE = 2_000_000
"""Of a larger table the columns are read one after another: slower where there are many files, with less memory."""


def history_of(catalog: Catalog, state: UserState, followed: UserIds | None = None) -> History:
    """A person's state in catalog rows; a dismissed person's photos that are not favorites are negatives too.

    followed: the users whose rows contacts are; without them there are none.
    """
    contacts = NOBODY if followed is None else followed.rows(state.contacts).astype(np.int32)
    favorites = catalog.rows(state.favorite_ids)
    of_people, person = catalog.rows_of_owners(state.dismissed_people)
    people_times = np.asarray(state.dismissed_people_times, dtype=np.int64)
    return History.of(
        favorites,
        np.asarray(state.favorite_times, dtype=np.int64),
        np.concatenate([catalog.rows(state.dismissed_ids), of_people]),
        np.concatenate([np.asarray(state.dismissed_times, dtype=np.int64), people_times[person]]),
        contacts[contacts >= 0],
        np.concatenate(
            [whole(len(state.dismissed_ids)), shares_of_people(distinct(favorites[favorites >= 0]), of_people, person)]
        ),
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
    """The log of interactions and the version of the table that it is (−1: there is no table yet).

    Its strings are dictionaries. A large table is read by the column, so that no more than one is ever held as text.
    """
    view = lake.at(INTERACTIONS, version)
    names = list(STATE_COLUMNS)
    with view.guarded():
        scans = [[name] for name in names] if view.rows > ROWS_AT_ONCE else [names]
        columns = [_encoded(column) for scan in scans for column in view.dataset.to_table(columns=scan).itercolumns()]
    return pa.table(columns, names=names), -1 if view.version is None else view.version


def _encoded(column: pa.ChunkedArray) -> pa.Array:
    return flat(column.dictionary_encode() if pa.types.is_string(column.type) else column)


def load_interactions(lake: Lake, version: int | None = None, as_of: datetime | None = None) -> Interactions:
    """The lake's interactions as of a table version and a moment (default: the newest, everything)."""
    log, found = load_log(lake, version)
    return build_interactions(log, as_of=as_of, lake_versions={INTERACTIONS.name: found})


def load_contacts(lake: Lake, version: int | None = None) -> tuple[pa.Table, int]:
    """Who follows whom (user_id, contact_id, first_seen), and the version of the table that says so (−1: there is no
    table yet)."""
    found = lake.version(CONTACTS) if version is None else version
    return dated_contacts(lake.scan(CONTACTS, version=found)), -1 if found is None else found


def contacts_until(follows: pa.Table, cut: datetime) -> pa.Table:
    """Of such follows those that do not come after the cut, as far as anybody can tell.

    What was first seen later began later if the user's contacts had been seen before. Of a user whose contacts were
    first seen after the cut all are kept: when they began is not known.
    """
    users = coded(follows.column("user_id"))[1]
    seen = _seconds(follows.column("first_seen"))
    earliest = np.full(int(users.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(earliest, users, seen)
    moment = int(cut.timestamp())
    return follows.filter(pa.array((seen <= moment) | (earliest[users] > moment)))


def with_contacts(interactions: Interactions, follows: pa.Table, version: int) -> Interactions:
    """The same, with those of the follows that are between its users; version: that of the table `contacts`."""
    users = pa.array(interactions.user_ids, pa.string())
    followers, followed = (_rows_in(users, follows.column(name)) for name in ("user_id", "contact_id"))
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
    user_ids, users = _numbered(state.favorites.column("user_id"))
    photo_ids, photos = _numbered(state.favorites.column("photo_id"))
    degrees = np.bincount(photos, minlength=len(photo_ids))
    order = np.argsort(-degrees, kind="stable")
    row = np.empty(len(order), dtype=np.int64)
    row[order] = np.arange(len(order))
    photos, photo_ids = row[photos], photo_ids.take(pa.array(order))
    catalog = Catalog(_objects(photo_ids), _owners_of(photos, state.favorites.column("owner_id"), len(photo_ids)))
    favorites = _events(users * len(catalog) + photos, _seconds(state.favorites.column("faved_at")), catalog)
    dismissals = _dismissal_events(state, user_ids, photo_ids, catalog, favorites)
    newest = max((int(events.times.max()) for events in (favorites, dismissals) if len(events)), default=0)
    return Interactions(_objects(user_ids), catalog, favorites, dismissals, newest, lake_versions or {})


def temporal_split(log: pa.Table, cut: datetime, until: datetime | None = None) -> Split:
    """What the log said at `cut`, and the favorites that came after it and hold at `until` (default: in the end).

    Only events up to the cut enter `train`, so nothing later leaks into it: not even a later unfavorite.
    """
    train = build_interactions(log, as_of=cut)
    moment = int(cut.timestamp())
    later = interaction_state(log, as_of=until).favorites
    later = later.filter(pc.greater(later.column("faved_at"), pa.scalar(cut, later.schema.field("faved_at").type)))
    users = _rows_in(pa.array(train.user_ids, pa.string()), later.column("user_id"))
    photos = _rows_in(pa.array(train.catalog.photo_ids, pa.string()), later.column("photo_id"))
    known = (users >= 0) & (photos >= 0)
    keys = distinct(users[known] * max(train.n_photos, 1) + photos[known])
    for events in (train.favorites, train.dismissals):
        keys = keys[~among(keys, _keys(events, train.n_photos))]
    test = Events.of_keys(keys, np.empty(0, dtype=np.int64), max(train.n_photos, 1))
    test_users, starts = np.unique(test.users, return_index=True)
    lists = np.split(test.photos, starts[1:]) if len(test_users) else []
    return Split(moment, train, test_users, lists, len(test) / later.num_rows if later.num_rows else 0.0)


def _owners_of(photos: Rows, owner_ids: pa.ChunkedArray, n_photos: int) -> Ids:
    """The owner of each photo, (n_photos,), from rows that name a photo and its owner."""
    owners, owner = _numbered(owner_ids)
    # Every row of a photo names the same owner: the smallest name makes the choice certain where a source errs.
    smallest = np.full(n_photos, len(owners), dtype=np.int64)
    np.minimum.at(smallest, photos, owner)
    return _objects(owners)[smallest]


def _dismissal_events(
    state: InteractionState, user_ids: pa.Array, photo_ids: pa.Array, catalog: Catalog, favorites: Events
) -> Events:
    """Negatives of users who have favorites, on photos of the catalog; the others could teach a model nothing."""
    by_photo, by_person = state.dismissed_photos, state.dismissed_people
    theirs, person = catalog.rows_of_owners(_objects(by_person.column("owner_id")))
    users = np.concatenate(
        [_rows_in(user_ids, by_photo.column("user_id")), _rows_in(user_ids, by_person.column("user_id"))[person]]
    )
    photos = np.concatenate([_rows_in(photo_ids, by_photo.column("photo_id")), theirs])
    times = np.concatenate(
        [_seconds(by_photo.column("dismissed_at")), _seconds(by_person.column("dismissed_at"))[person]]
    )
    favored, dismissed = _keys(favorites, len(catalog)), users * len(catalog) + photos
    of_people = slice(by_photo.num_rows, None)
    shares = np.concatenate([whole(by_photo.num_rows), shares_of_people(favored, dismissed[of_people], person)])
    known = (users >= 0) & (photos >= 0)
    keys, newest = dismissals_beside(favored, dismissed[known], times[known])
    largest = largest_shares(keys, dismissed[known], shares[known])
    return Events.of_keys(keys, newest, max(len(catalog), 1), largest)


def _events(keys: Rows, times: Rows, catalog: Catalog) -> Events:
    keys, order = ascending(keys)
    return Events.of_keys(keys, times[order], max(len(catalog), 1))


def _keys(events: Events, n_photos: int) -> Rows:
    return events.users.astype(np.int64) * n_photos + events.photos


def _objects(column: pa.Array | pa.ChunkedArray) -> Ids:
    return np.asarray(column.to_pylist(), dtype=object)


def _numbered(column: pa.ChunkedArray) -> tuple[pa.Array, Rows]:
    """The distinct ids that occur, ascending, and the place of each row's id among them."""
    values, code = coded(column)
    used = np.bincount(code, minlength=len(values)) > 0
    order = pc.sort_indices(values).to_numpy()
    order = order[used[order]]
    place = np.empty(len(values), dtype=np.int64)
    place[order] = np.arange(len(order))
    return values.take(pa.array(order)), place[code]


def _rows_in(ids: pa.Array, column: pa.ChunkedArray) -> Rows:
    """The place of each row's id in `ids` (distinct), −1 where it is not there."""
    values, code = coded(column)
    places = pc.fill_null(pc.index_in(values, ids), -1).to_numpy()
    rows: Rows = places[code].astype(np.int64)
    return rows


def _seconds(column: pa.ChunkedArray) -> Rows:
    seconds: Rows = column.cast(pa.int64()).to_numpy() // 1_000_000
    return seconds


def utc(seconds: int) -> datetime:
    """Unix seconds as an aware datetime."""
    return datetime.fromtimestamp(seconds, tz=UTC)
