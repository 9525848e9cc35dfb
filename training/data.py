"""From the lake's log to numbered users, photos and events, and from a person's state to the same numbers.

Training and serving number photos in the same catalog and clean histories by the same rule, so that a user who joined
a second ago is scored as one of the training set would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.lake import Lake
from features.schema import INTERACTIONS
from features.state import STATE_COLUMNS, InteractionState, interaction_state
from features.user_state import UserState

Ids = NDArray[np.object_]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Catalog:
    """The photos a model knows, most favorited first (ties by id): a photo's row here is its row in every array.

    photo_ids, owner_ids: str objects, (n_photos,); photo_ids are distinct.
    """

    photo_ids: Ids
    owner_ids: Ids

    def __len__(self) -> int:
        return len(self.photo_ids)

    @cached_property
    def _photos(self) -> pd.Index[str]:
        return _index(self.photo_ids)

    @cached_property
    def _owners(self) -> tuple[pd.Index[str], Rows, Rows]:
        codes, owners = pd.factorize(self.owner_ids)
        by_owner = np.argsort(codes, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(owners)))])
        return _index(np.asarray(owners)), by_owner, offsets

    def rows(self, photo_ids: Sequence[str] | Ids) -> Rows:
        """Each photo's row, −1 for a photo that the catalog does not hold."""
        return _places(self._photos, photo_ids)

    def rows_of_owners(self, owner_ids: Sequence[str] | Ids) -> tuple[Rows, Rows]:
        """All photos of these owners: (rows, positions), `positions[i]` being the place in `owner_ids` of row i's."""
        owners, by_owner, offsets = self._owners
        codes = _places(owners, owner_ids)
        positions = np.flatnonzero(codes >= 0)
        starts, stops = offsets[codes[positions]], offsets[codes[positions] + 1]
        return by_owner[ranges(starts, stops)], np.repeat(positions, stops - starts)


def _index(ids: Sequence[str] | Ids) -> pd.Index[str]:
    index: pd.Index[str] = pd.Index(np.asarray(ids, dtype=object), dtype=object)
    return index


def _places(index: pd.Index[str], ids: Sequence[str] | Ids) -> Rows:
    places: Rows = index.get_indexer(_index(ids)).astype(np.int64)
    return places


def ranges(starts: Rows, stops: Rows) -> Rows:
    """`concatenate([arange(a, b) for a, b in zip(starts, stops)])` without the loop; no range may be negative."""
    lengths = stops - starts
    total = int(lengths.sum())
    result: Rows = np.arange(total, dtype=np.int64) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
    return result


@dataclass(frozen=True)
class History:
    """What one user did, in catalog rows; each photo at most once, favorites first.

    photo_rows int32 (n,); times int64 (n,), unix seconds; positive bool (n,): favorite or dismissal.
    """

    photo_rows: NDArray[np.int32]
    times: NDArray[np.int64]
    positive: NDArray[np.bool_]

    @classmethod
    def of(cls, favorites: Rows, faved: Rows, dismissed: Rows, dismissed_at: Rows) -> History:
        """A clean history from rows and times; rows of −1 (photos that the catalog does not hold) are left out."""
        favorites, faved = newest_of_each(favorites[favorites >= 0], faved[favorites >= 0])
        dismissed, dismissed_at = dismissals_beside(favorites, dismissed[dismissed >= 0], dismissed_at[dismissed >= 0])
        return cls(
            photo_rows=np.concatenate([favorites, dismissed]).astype(np.int32),
            times=np.concatenate([faved, dismissed_at]).astype(np.int64),
            positive=np.arange(len(favorites) + len(dismissed)) < len(favorites),
        )

    @property
    def favorites(self) -> NDArray[np.int32]:
        """Rows of the favorites."""
        return self.photo_rows[self.positive]


def newest_of_each(keys: Rows, times: Rows) -> tuple[Rows, Rows]:
    """The distinct keys, ascending, each with its newest time."""
    order = np.lexsort((times, keys))
    keys, times = keys[order], times[order]
    last = np.ones(len(keys), dtype=bool)
    last[:-1] = keys[1:] != keys[:-1]
    return keys[last], times[last]


def dismissals_beside(favorites: Rows, dismissed: Rows, times: Rows) -> tuple[Rows, Rows]:
    """Dismissals that count as negatives: distinct, newest time, without those that are favorites as well.

    A photo can be both (two axes): the favorite says what the user likes, the dismissal only that it shall not be
    shown. Keys may be rows of one user or `user · n_photos + row` of all.
    """
    keys, newest = newest_of_each(dismissed, times)
    keep = ~np.isin(keys, favorites)
    return keys[keep], newest[keep]


def history_of(catalog: Catalog, state: UserState) -> History:
    """A person's state in catalog rows; a dismissed person's photos that are not favorites are negatives too."""
    of_people, person = catalog.rows_of_owners(state.dismissed_people)
    people_times = np.asarray(state.dismissed_people_times, dtype=np.int64)
    return History.of(
        catalog.rows(state.favorite_ids),
        np.asarray(state.favorite_times, dtype=np.int64),
        np.concatenate([catalog.rows(state.dismissed_ids), of_people]),
        np.concatenate([np.asarray(state.dismissed_times, dtype=np.int64), people_times[person]]),
    )


@dataclass(frozen=True)
class Events:
    """Who did it to which photo and when: rows int32 (n,), unix seconds int64 (n,); sorted by user, then photo."""

    users: NDArray[np.int32]
    photos: NDArray[np.int32]
    times: NDArray[np.int64]

    @classmethod
    def of_keys(cls, keys: Rows, times: Rows, n_photos: int) -> Events:
        """From ascending keys `user · n_photos + photo`."""
        return cls((keys // n_photos).astype(np.int32), (keys % n_photos).astype(np.int32), times.astype(np.int64))

    def __len__(self) -> int:
        return len(self.users)

    def offsets(self, n_users: int) -> Rows:
        """(n_users + 1,): the events of user u are those from offsets[u] up to offsets[u + 1]."""
        return np.searchsorted(self.users, np.arange(n_users + 1)).astype(np.int64)


@dataclass(frozen=True)
class Interactions:
    """Everything a model learns from: users and photos with at least one favorite, and the events between them.

    user_ids: (n_users,), ascending. favorites and dismissals share no (user, photo) pair. `data_until`: unix seconds
    of the newest event. `lake_versions`: which version of which table was read.
    """

    user_ids: Ids
    catalog: Catalog
    favorites: Events
    dismissals: Events
    data_until: int
    lake_versions: dict[str, int] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_photos(self) -> int:
        return len(self.catalog)

    @cached_property
    def photo_degrees(self) -> NDArray[np.int64]:
        """How many users favorited each photo, (n_photos,)."""
        return np.bincount(self.favorites.photos, minlength=self.n_photos)

    @cached_property
    def user_degrees(self) -> NDArray[np.int64]:
        """How many favorites each user has, (n_users,)."""
        return np.bincount(self.favorites.users, minlength=self.n_users)

    @cached_property
    def _offsets(self) -> tuple[Rows, Rows]:
        return self.favorites.offsets(self.n_users), self.dismissals.offsets(self.n_users)

    def history(self, user: int) -> History:
        """What the user of that row did."""
        parts = [
            (events.photos[offsets[user] : offsets[user + 1]], events.times[offsets[user] : offsets[user + 1]])
            for events, offsets in zip((self.favorites, self.dismissals), self._offsets, strict=True)
        ]
        rows, times = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return History(rows, times, np.arange(len(rows)) < len(parts[0][0]))


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
    return _places(_index(ids), _objects(column))


def _seconds(column: pa.ChunkedArray) -> Rows:
    seconds: Rows = column.cast(pa.int64()).to_numpy() // 1_000_000
    return seconds


def utc(seconds: int) -> datetime:
    """Unix seconds as an aware datetime."""
    return datetime.fromtimestamp(seconds, tz=UTC)
