"""The job that turns the lake into batch features: a new build of every feature table, then one switch of the pointer.

The tables are computed by pure functions on whole columns (snapshots, histories, neighbors); here they meet the lake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.actions import RELAY_APPLICATION
from features.arrays import flat
from features.builds import Build, Builds, new_version
from features.feature_tables import (
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
from features.neighbors import Exclusions, neighbor_candidates, neighbor_candidates_for, neighbor_scores
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, TIMESTAMP, USERS
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
    rows: dict[str, int] = {}
    tables = _tables(lake, versions, settings, moment)
    for done, (name, compute) in enumerate(tables.items(), start=1):
        table = compute()
        builds.write(version, name, table)
        rows[name] = table.num_rows
        if progress is not None:
            progress(name, done, len(tables))
    build = Build(version, moment, versions, parameters, rows)
    builds.publish(build)
    builds.prune(datetime.now(UTC))
    return BuiltFeatures(build, builds.uri, fresh=True)


def _tables(
    lake: Lake, versions: dict[str, int], settings: Settings, now: datetime
) -> dict[str, Callable[[], pa.Table]]:
    """What computes each table, from the lake at `versions`; rows that happen after `now` count for none."""
    interactions = lake.scan(INTERACTIONS, columns=STATE_COLUMNS, version=versions.get(INTERACTIONS.name))
    follows = lake.scan(CONTACTS, version=versions.get(CONTACTS.name))
    photos = newest(lake.scan(PHOTOS, version=versions.get(PHOTOS.name)), PHOTOS.key, ("created_timestamp",))
    users = newest(lake.scan(USERS, version=versions.get(USERS.name)), USERS.key, ("created_timestamp",))
    state = interaction_state(interactions, as_of=now)
    until = pc.less_equal(follows.column("event_timestamp"), pa.scalar(now, TIMESTAMP))
    contacts = current_contacts(follows.filter(until))
    watermark = lake.applied(INTERACTIONS, RELAY_APPLICATION, versions.get(INTERACTIONS.name))
    excluded = Exclusions(
        state.dismissed_photos, state.dismissed_people, contacts.rename_columns(["user_id", "owner_id"])
    )
    days = settings.feature_history_days
    return {
        USER_SNAPSHOT.name: lambda: user_snapshots(state, contacts, watermark, now),
        USER_ACTIVITY.name: lambda: user_activity(interactions, follows, now, days),
        USER_CARD.name: lambda: user_cards(users, now),
        PHOTO_CARD.name: lambda: photo_cards(photos, users, now),
        PHOTO_POPULARITY.name: lambda: photo_popularity(interactions, photos, now, days),
        NEIGHBOR_CANDIDATES.name: lambda: neighbor_candidates(
            state.favorites,
            excluded,
            now,
            photos=settings.neighbor_photos,
            people=settings.neighbor_people,
            max_neighbors=settings.pull_max_neighbors,
        ),
        POPULAR: lambda: popular(state.favorites, photos, now),
    }


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
    best = np.argsort(-scores, kind="stable")[:POPULAR_KEPT]
    best = best[scores[best] >= 0]
    owners = flat(favorites.column("owner_id")).take(pa.array(first[best]))
    return pa.Table.from_arrays(
        [encoded.dictionary.take(pa.array(best)), owners, pa.array(scores[best])], schema=POPULAR_SCHEMA
    )


def popular_photos(settings: Settings, limit: int = 1000) -> PopularPhotos:
    """The most popular photos of the current build, best first; none when nothing was built yet.

    Reads two small files of the lake: not for each request.
    """
    rows = Builds(settings.lake_uri).read(POPULAR, POPULAR_SCHEMA).head(limit)
    return PopularPhotos(*(tuple(rows.column(name).to_pylist()) for name in POPULAR_SCHEMA.names))
