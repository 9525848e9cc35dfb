"""The job that turns the lake into batch features: a new build of every feature table, then one switch of the pointer.

The tables are computed by pure functions on whole columns (snapshots, histories, neighbors); here they meet the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.actions import RELAY_APPLICATION
from features.arrays import flat
from features.builds import Build, Builds, new_version
from features.feature_tables import (
    FEATURE_TABLES,
    NEIGHBOR_CANDIDATES,
    PHOTO_CARD,
    PHOTO_POPULARITY,
    POPULAR_SCHEMA,
    USER_ACTIVITY,
    USER_CARD,
    USER_SNAPSHOT,
    NeighborCandidates,
    PopularPhotos,
)
from features.histories import photo_popularity, user_activity
from features.lake import Lake
from features.lake_parts import bounds_of, in_parts
from features.neighbors import (
    Catalog,
    Exclusions,
    candidate_tables,
    neighbor_candidates_for,
    neighbor_scores,
    photos_and_owners,
    world_of,
)
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, TIMESTAMP, USERS, Kind
from features.settings import Settings
from features.snapshots import user_snapshots, user_states
from features.state import STATE_COLUMNS, current_contacts, interaction_state, newest

__all__ = [
    "POPULAR",
    "BuiltFeatures",
    "NeighborCandidates",
    "PopularPhotos",
    "build_features",
    "neighbor_candidates_for",
    "neighbor_scores",
    "photo_cards",
    "popular_photos",
    "user_cards",
    "user_states",
]

POPULAR = "popular"
TABLES = {table.name: table.schema for table in FEATURE_TABLES} | {POPULAR: POPULAR_SCHEMA}
_SOURCES = (INTERACTIONS, PHOTOS, USERS, CONTACTS)
POPULAR_KEPT = 5_000
POPULAR_HALF_LIFE_DAYS = 30.0
STALE_AFTER = timedelta(hours=6)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class BuiltFeatures:
    """The build that is current now. `fresh`: it was made by this call; otherwise nothing had changed."""

    build: Build
    uri: str
    fresh: bool

    @property
    def version(self) -> str:
        return self.build.version

    @property
    def built_at(self) -> datetime:
        return self.build.built_at

    @property
    def rows(self) -> dict[str, int]:
        return self.build.rows


def build_features(
    lake: Lake, settings: Settings, *, now: datetime | None = None, progress: Progress | None = None
) -> BuiltFeatures:
    """Compute every feature table from the lake and make the new build current.

    Nothing is done (`fresh=False`) when the lake and the settings are those of the current build and it is younger than
    six hours. `now`: the moment that the features are of. `progress(table, done, tables)` is called after each table.
    Raises StorageFullError, DependencyError.
    """
    builds = Builds(lake.uri)
    moment = now or datetime.now(UTC)
    versions = lake.versions()
    parameters = {
        "history_days": settings.feature_history_days,
        "photos": settings.neighbor_photos,
        "people": settings.neighbor_people,
        "max_neighbors": settings.pull_max_neighbors,
    }
    current = builds.current()
    if (
        current is not None
        and (current.lake_versions, current.parameters) == (versions, parameters)
        and timedelta(0) <= moment - current.built_at < STALE_AFTER
    ):
        return BuiltFeatures(current, builds.uri, fresh=False)
    version = new_version(moment)
    rows = dict.fromkeys(TABLES, 0)
    done: list[str] = []

    def finished(name: str) -> None:
        done.append(name)
        if progress is not None:
            progress(name, len(done), len(TABLES))

    with ExitStack() as stack:
        appends = {name: stack.enter_context(builds.writing(version, name, TABLES[name])) for name in TABLES}

        def append(name: str, table: pa.Table) -> None:
            appends[name](table)
            rows[name] += table.num_rows

        _build(lake, versions, settings, moment, append, finished)
    build = Build(version, moment, versions, parameters, rows)
    builds.publish(build)
    builds.prune(datetime.now(UTC))
    return BuiltFeatures(build, builds.uri, fresh=True)


def _build(
    lake: Lake,
    versions: dict[str, int],
    settings: Settings,
    now: datetime,
    append: Callable[[str, pa.Table], None],
    finished: Callable[[str], None],
) -> None:
    """Compute each table, from the lake at `versions`; rows that happen after `now` count for none.

    What is said of photos comes from parts of the log by photo, what is said of users from parts by user: no more than
    a part is held, beside the ids and pairs of all favorites as numbers, and the names of all users.
    """
    log, photos, users, follows = (lake.at(table, versions.get(table.name)) for table in _SOURCES)
    names = newest(users.scan(), USERS.key, ("created_timestamp",))
    append(USER_CARD.name, user_cards(names, now))
    finished(USER_CARD.name)

    everybody = pa.array([], pa.string())
    favorited: list[tuple[pa.Array, pa.Array]] = []
    popular_parts = [POPULAR_SCHEMA.empty_table()]
    bounds = bounds_of([log, photos], "photo_id")
    about_favorites = pc.field("kind").isin([Kind.FAVORITE, Kind.UNFAVORITE])
    with (
        in_parts(log, "photo_id", bounds, STATE_COLUMNS, about_favorites) as logs,
        in_parts(photos, "photo_id", bounds, PHOTOS.schema.names) as cards,
    ):
        for rows, seen in zip(logs, cards, strict=True):
            known = newest(seen, PHOTOS.key, ("created_timestamp",))
            append(PHOTO_CARD.name, photo_cards(known, names, now))
            append(PHOTO_POPULARITY.name, photo_popularity(rows, known, now, settings.feature_history_days))
            favorites = interaction_state(rows, as_of=now).favorites
            popular_parts.append(popular(favorites, known, now))
            everybody = pa.concat_arrays([everybody, flat(favorites.column("user_id"))]).unique()
            favorited.append(photos_and_owners(favorites))
    append(POPULAR, most_popular(pa.concat_tables(popular_parts)))
    for name in (PHOTO_CARD.name, PHOTO_POPULARITY.name, POPULAR):
        finished(name)

    watermark = lake.applied(INTERACTIONS, RELAY_APPLICATION, versions.get(INTERACTIONS.name))
    bounds = bounds_of([log, follows], "user_id")
    catalog = Catalog.of(everybody, *(pa.concat_arrays(parts) for parts in zip(*favorited, strict=True)))
    with (
        in_parts(log, "user_id", bounds, STATE_COLUMNS) as logs,
        in_parts(follows, "user_id", bounds, CONTACTS.schema.names) as followed,
    ):
        world = world_of(catalog, _users(zip(logs, followed, strict=True), watermark, settings, now, append))
    finished(USER_SNAPSHOT.name)
    finished(USER_ACTIVITY.name)

    tables = candidate_tables(
        world,
        now,
        photos=settings.neighbor_photos,
        people=settings.neighbor_people,
        max_neighbors=settings.pull_max_neighbors,
    )
    for table in tables:
        append(NEIGHBOR_CANDIDATES.name, table)
    finished(NEIGHBOR_CANDIDATES.name)


def _users(
    parts: Iterable[tuple[pa.Table, pa.Table]],
    watermark: int,
    settings: Settings,
    now: datetime,
    append: Callable[[str, pa.Table], None],
) -> Iterator[tuple[pa.Table, Exclusions]]:
    """For each part of users: their two tables are appended, their favorites and exclusions returned."""
    for rows, follows in parts:
        state = interaction_state(rows, as_of=now)
        contacts = current_contacts(
            follows.filter(pc.less_equal(follows.column("event_timestamp"), pa.scalar(now, TIMESTAMP)))
        )
        append(USER_SNAPSHOT.name, user_snapshots(state, contacts, watermark, now))
        append(USER_ACTIVITY.name, user_activity(rows, follows, now, settings.feature_history_days))
        yield (
            state.favorites,
            Exclusions(
                state.dismissed_photos, state.dismissed_people, contacts.rename_columns(["user_id", "owner_id"])
            ),
        )


def user_cards(users: pa.Table, now: datetime) -> pa.Table:
    """The table `user_card`, from one row a user of `users`."""
    columns = [users.column(name) for name in ("user_id", *USER_CARD.features)]
    moment = pa.repeat(pa.scalar(now, TIMESTAMP), users.num_rows)
    return pa.Table.from_arrays([*columns, moment, users.column("created_timestamp")], schema=USER_CARD.schema)


def photo_cards(photos: pa.Table, users: pa.Table, now: datetime) -> pa.Table:
    """The table `photo_card`, from one row a photo and one row a user; an owner without a row is called by the id."""
    owners = photos.column("owner_id")
    names = flat(users.column("name")).take(flat(pc.index_in(owners, users.column("user_id"))))
    known = photos.append_column("owner_name", pc.coalesce(names, flat(owners)))
    columns = [
        known.column(name).cast(PHOTO_CARD.schema.field(name).type) for name in ("photo_id", *PHOTO_CARD.features)
    ]
    moment = pa.repeat(pa.scalar(now, TIMESTAMP), photos.num_rows)
    return pa.Table.from_arrays([*columns, moment, photos.column("created_timestamp")], schema=PHOTO_CARD.schema)


def popular(favorites: pa.Table, photos: pa.Table, now: datetime) -> pa.Table:
    """The table `popular`: score = Σ over a photo's favorites of 2^(−age / 30 days), gone photos left out.

    favorites: photo_id, owner_id, faved_at; photos: photo_id, gone_at. At most `POPULAR_KEPT` rows, best first.
    """
    encoded = flat(favorites.column("photo_id")).dictionary_encode()
    photo = np.asarray(encoded.indices, dtype=np.int64)
    faved = flat(favorites.column("faved_at")).cast(pa.int64()).to_numpy()
    age = np.maximum(0.0, now.timestamp() - faved / 1e6) / 86_400
    scores = np.bincount(photo, weights=np.exp2(-age / POPULAR_HALF_LIFE_DAYS), minlength=len(encoded.dictionary))
    gone = photos.filter(pc.is_valid(photos.column("gone_at"))).column("photo_id")
    scores[pc.is_in(encoded.dictionary, flat(gone)).to_numpy(zero_copy_only=False)] = -1.0
    first = np.zeros(len(scores), dtype=np.int64)
    first[photo] = np.arange(len(photo))
    shown = np.flatnonzero(scores >= 0)
    owners = flat(favorites.column("owner_id")).take(pa.array(first[shown]))
    return most_popular(
        pa.Table.from_arrays(
            [encoded.dictionary.take(pa.array(shown)), owners, pa.array(scores[shown])], schema=POPULAR_SCHEMA
        )
    )


def most_popular(rows: pa.Table) -> pa.Table:
    """The best `POPULAR_KEPT` rows of a table `popular`; of equal scores the lower id comes first."""
    order = pc.sort_indices(rows, sort_keys=[("score", "descending"), ("photo_id", "ascending")])
    return rows.take(order[:POPULAR_KEPT])


def popular_photos(settings: Settings, limit: int = 1000) -> PopularPhotos:
    """The most popular photos of the current build, best first; none when nothing was built yet.

    Reads two small files of the lake: not for each request.
    """
    rows = Builds(settings.lake_uri).read(POPULAR, POPULAR_SCHEMA).head(limit)
    return PopularPhotos(*(tuple(rows.column(name).to_pylist()) for name in POPULAR_SCHEMA.names))
