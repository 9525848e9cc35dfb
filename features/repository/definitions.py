"""The feature repository: entities, sources, views and services, as `feast apply` reads them.

One file on purpose: Feast imports each file below this folder by itself, so objects imported from one file into
another would be there twice. Names and types come from `features/feature_tables.py`.
"""

from __future__ import annotations

import pyarrow as pa
from feast import Entity, FeatureService, FeatureView, Field, Project, ValueType
from feast.data_source import DataSource
from feast.types import Array, FeastType, Float64, Int32, Int64, String, UnixTimestamp

from features.feast_registry import PROJECT
from features.feature_tables import (
    FEATURE_TABLES,
    NEIGHBOR_CANDIDATES,
    PHOTO_CARD,
    PHOTO_POPULARITY,
    USER_ACTIVITY,
    USER_CARD,
    USER_SNAPSHOT,
    FeatureTable,
)
from features.lake_store import LakeSource

DESCRIPTION = "Photos to look at and people to follow, learned from Flickr favorites"

project = Project(name=PROJECT, description=DESCRIPTION)

user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING, description="A Flickr account, by NSID.")
photo = Entity(name="photo", join_keys=["photo_id"], value_type=ValueType.STRING, description="A Flickr photo, by id.")
ENTITIES = [user, photo]

# The log itself: training reads the interaction matrix from it directly, as a matrix is no feature vector.
interactions = LakeSource(
    table="lake/interactions", timestamp_field="event_timestamp", description="Who favorited or dismissed what, when."
)
contacts = LakeSource(table="lake/contacts", timestamp_field="event_timestamp", description="Who follows whom.")
impressions = LakeSource(table="lake/impressions", timestamp_field="shown_at", description="What was shown to whom.")
photos = LakeSource(
    table="lake/photos",
    timestamp_field="created_timestamp",
    created_timestamp_column="",
    description="Photos as pulled.",
)
users = LakeSource(
    table="lake/users", timestamp_field="created_timestamp", created_timestamp_column="", description="Users as pulled."
)


def _type(kind: pa.DataType) -> FeastType:
    if pa.types.is_list(kind):
        return Array(_type(kind.value_type))
    if pa.types.is_timestamp(kind):
        return UnixTimestamp
    return {pa.string(): String, pa.int64(): Int64, pa.int32(): Int32, pa.float64(): Float64}[kind]


def _view(table: FeatureTable, source: LakeSource) -> FeatureView:
    return FeatureView(
        name=table.name,
        entities=[{"user": user, "photo": photo}[table.entity]],
        schema=[
            Field(name=name, dtype=_type(table.schema.field(name).type)) for name in (table.join_key, *table.features)
        ],
        source=source,
        online=True,
        description=table.description,
    )


_built = {
    table.name: LakeSource(
        table=f"features/{table.name}", timestamp_field="event_timestamp", description=table.description
    )
    for table in FEATURE_TABLES
}

user_snapshot = _view(USER_SNAPSHOT, _built["user_snapshot"])
user_activity = _view(USER_ACTIVITY, _built["user_activity"])
user_card = _view(USER_CARD, _built["user_card"])
photo_card = _view(PHOTO_CARD, _built["photo_card"])
photo_popularity = _view(PHOTO_POPULARITY, _built["photo_popularity"])
neighbor_candidates = _view(NEIGHBOR_CANDIDATES, _built["neighbor_candidates"])

# One service a consumer: what it reads is named here, and nowhere else.
wall = FeatureService(
    name="wall",
    features=[user_snapshot, neighbor_candidates],
    description="What ranking a person's wall starts from.",
)
card = FeatureService(name="card", features=[photo_card], description="What a page shows of its photos.")
people = FeatureService(name="people", features=[user_card], description="What a page shows of people.")
training = FeatureService(
    name="training",
    features=[user_activity, photo_popularity],
    description="A user's activity and a photo's popularity at a moment: for point-in-time joins over pairs.",
)

SOURCES: list[DataSource] = [interactions, contacts, impressions, photos, users, *_built.values()]
VIEWS = [user_snapshot, user_activity, user_card, photo_card, photo_popularity, neighbor_candidates]
SERVICES = [wall, card, people, training]
