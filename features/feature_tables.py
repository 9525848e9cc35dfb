"""What each table of batch features holds, and the rows of those that a page or a worker handles one by one.

Feast's views (`features/repository`), the build (`features/batch.py`) and the online store all follow these schemas, so
that a feature has one name and one type wherever it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import pyarrow as pa

from features.schema import TIMESTAMP

TIMESTAMPS = ("event_timestamp", "created_timestamp")

NO_MOMENT = -(2**63)
"""What stands for a missing timestamp in Feast's protos: its own materialization writes NumPy's NaT."""


@dataclass(frozen=True)
class FeatureTable:
    """A table of features of one entity.

    `history`: it keeps a row a day on which a value changed, not just the newest row of each entity.
    """

    name: str
    entity: Literal["user", "photo"]
    schema: pa.Schema
    description: str
    history: bool = False

    @property
    def join_key(self) -> str:
        return f"{self.entity}_id"

    @property
    def features(self) -> list[str]:
        """The columns that are neither the key nor a timestamp."""
        return [name for name in self.schema.names if name != self.join_key and name not in TIMESTAMPS]


def _table(
    name: str,
    entity: Literal["user", "photo"],
    columns: dict[str, pa.DataType],
    description: str,
    history: bool = False,
) -> FeatureTable:
    fields = [pa.field(f"{entity}_id", pa.string(), nullable=False)]
    fields += [pa.field(column, kind) for column, kind in columns.items()]
    fields += [pa.field(column, TIMESTAMP, nullable=False) for column in TIMESTAMPS]
    return FeatureTable(name, entity, pa.schema(fields), description, history)


_STRINGS = pa.list_(pa.string())
_INTEGERS = pa.list_(pa.int64())
_FLOATS = pa.list_(pa.float64())

USER_SNAPSHOT = _table(
    "user_snapshot",
    "user",
    {
        "favorite_ids": _STRINGS,
        "favorite_owners": _STRINGS,
        "favorite_times": _INTEGERS,
        "dismissed_ids": _STRINGS,
        "dismissed_owners": _STRINGS,
        "dismissed_times": _INTEGERS,
        "dismissed_people": _STRINGS,
        "dismissed_people_times": _INTEGERS,
        "contacts": _STRINGS,
        "watermark": pa.int64(),
    },
    "Everything a user likes, dismissed and follows: complete, never capped. The lists of a group are parallel, times "
    "are unix seconds; the watermark is the newest action of the site that is contained.",
)

USER_ACTIVITY = _table(
    "user_activity",
    "user",
    {
        "favorites": pa.int64(),
        "dismissals": pa.int64(),
        "contacts": pa.int64(),
        "neighbors": pa.int64(),
        "last_favorite_at": TIMESTAMP,
    },
    "How much a user favorited, dismissed and follows, and of how many owners (neighbors), as of the end of a UTC day.",
    history=True,
)

USER_CARD = _table(
    "user_card",
    "user",
    {"name": pa.string(), "path_alias": pa.string(), "avatar_url": pa.string()},
    "What a page shows of a user.",
)

PHOTO_CARD = _table(
    "photo_card",
    "photo",
    {
        "owner_id": pa.string(),
        "owner_name": pa.string(),
        "title": pa.string(),
        "image_url": pa.string(),
        "sizes": pa.string(),
        "page_url": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "tags": pa.string(),
        "safety_level": pa.int32(),
        "uploaded_at": TIMESTAMP,
        "gone_at": TIMESTAMP,
    },
    "What a page shows of a photo; `sizes` is JSON.",
)

PHOTO_POPULARITY = _table(
    "photo_popularity",
    "photo",
    {
        "favorites_7d": pa.int64(),
        "favorites_30d": pa.int64(),
        "favorites_365d": pa.int64(),
        "favorites_total": pa.int64(),
        "uploaded_at": TIMESTAMP,
    },
    "Favorites of a photo in its last 7, 30 and 365 UTC days and in all, as of the end of a day; its age is the time "
    "since `uploaded_at`.",
    history=True,
)

NEIGHBOR_CANDIDATES = _table(
    "neighbor_candidates",
    "user",
    {
        "photo_ids": _STRINGS,
        "photo_owners": _STRINGS,
        "photo_scores": _FLOATS,
        "people_ids": _STRINGS,
        "people_scores": _FLOATS,
        "people_common": _INTEGERS,
        "coverage": pa.float64(),
    },
    "The best photos and people by the neighbor score, best first, and the share of the neighbors that was pulled.",
)

FEATURE_TABLES: tuple[FeatureTable, ...] = (
    USER_SNAPSHOT,
    USER_ACTIVITY,
    USER_CARD,
    PHOTO_CARD,
    PHOTO_POPULARITY,
    NEIGHBOR_CANDIDATES,
)

POPULAR_SCHEMA = pa.schema(
    [
        pa.field("photo_id", pa.string(), nullable=False),
        pa.field("owner_id", pa.string(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
    ]
)
"""The table `popular` of a build: photos by recent popularity, best first. Of no entity, so no view in Feast."""


@dataclass(frozen=True)
class NeighborCandidates:
    """The row of `neighbor_candidates` of one user; photo_* are parallel, people_* too, both best first."""

    user_id: str
    photo_ids: tuple[str, ...]
    photo_owners: tuple[str, ...]
    photo_scores: tuple[float, ...]
    people_ids: tuple[str, ...]
    people_scores: tuple[float, ...]
    people_common: tuple[int, ...]
    coverage: float
    updated_at: datetime


@dataclass(frozen=True)
class PhotoCard:
    """The row of `photo_card` of one photo. `sizes`: size suffix → {"url", "width", "height"}."""

    photo_id: str
    owner_id: str
    owner_name: str
    title: str
    image_url: str
    sizes: dict[str, dict[str, Any]] = field(default_factory=dict)
    page_url: str = ""
    width: int | None = None
    height: int | None = None
    tags: str | None = None
    safety_level: int | None = None
    uploaded_at: datetime | None = None
    gone_at: datetime | None = None


@dataclass(frozen=True)
class UserCard:
    """The row of `user_card` of one user."""

    user_id: str
    name: str
    path_alias: str | None = None
    avatar_url: str | None = None


@dataclass(frozen=True)
class PopularPhotos:
    """Photos by recent popularity, best first; three parallel tuples."""

    photo_ids: tuple[str, ...] = ()
    owner_ids: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
