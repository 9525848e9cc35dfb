"""The lake's interactions by Spark: executors read the table's own Parquet files, this process gets numbers alone.

The log is strings, some hundred bytes a row; what comes back here is 16 bytes an interaction, and each id once.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from features.lake import Lake
from features.schema import INTERACTIONS, Kind
from features.settings import Settings
from features.state import STATE_COLUMNS
from training.interactions import Catalog, Events, Ids, Interactions, dismissals_beside
from training.keys import Rows
from training.shares import Shares, largest_shares, shares_of_people, whole
from training.spark.session import spark_errors, spark_session
from training.spark.staging import Staging, spark_path, staging

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

COUNTED = pa.schema([("photo_id", pa.string()), ("favorites", pa.int64()), ("owner_id", pa.string())])
EVENT = pa.schema([("user", pa.int32()), ("photo", pa.int32()), ("seconds", pa.int64())])


def load_interactions(
    settings: Settings, lake: Lake, version: int | None = None, as_of: datetime | None = None
) -> Interactions:
    """What `from_lake.load_interactions` gives, number by number.

    One rule is decided here that is left to chance there: of rows that differ in nothing but the kind, the one that
    takes back is the newer. Raises ConfigurationError, DependencyError.
    """
    session = spark_session(settings)
    with staging(session, lake.uri) as place, spark_errors():
        log, found = read_log(session, lake, version)
        if as_of is not None:
            log = log.where(log.event_timestamp <= as_of)
        return _numbered(place, session, log, found)


def read_log(session: SparkSession, lake: Lake, version: int | None = None) -> tuple[DataFrame, int]:
    """The log (`STATE_COLUMNS`) and the version of the table that it is (−1: there is no table yet).

    The files of a version are what Delta's own log lists, and plain Parquet: no jar of Delta's is needed.
    """
    from pyspark.sql.types import StringType, StructField, StructType, TimestampType

    kinds = {True: TimestampType(), False: StringType()}
    schema = StructType(
        [
            StructField(name, kinds[pa.types.is_timestamp(INTERACTIONS.schema.field(name).type)])
            for name in STATE_COLUMNS
        ]
    )
    view = lake.at(INTERACTIONS, version)
    if view.version is None or not view.files:
        return session.createDataFrame([], schema), -1 if view.version is None else view.version
    folder = lake.table_uri(INTERACTIONS)
    paths = [spark_path(f"{folder}/{file.path}") for file in view.files]
    return session.read.schema(schema).parquet(*paths), view.version


def _numbered(place: Staging, session: SparkSession, log: DataFrame, version: int) -> Interactions:
    favorites = _axis(log, Kind.FAVORITE, Kind.UNFAVORITE, "photo_id").cache()
    user_ids, users = _users(place, session, favorites)
    catalog, photos = _photos(place, session, favorites)
    size = max(len(catalog), 1)
    faved = favorites.join(photos.select("photo_id", "photo"), "photo_id").join(users, "user_id")
    keys, times = _keys(place.collect("favorites", faved.withColumnRenamed("faved_seconds", "seconds"), EVENT), size)
    favorites.unpersist()
    order = np.argsort(keys)
    keys, times = keys[order], times[order]
    dismissals = Events.of_keys(*_dismissals(place, log, users, photos, keys, size))
    newest = max((int(found.max()) for found in (times, dismissals.times) if len(found)), default=0)
    favored = Events.of_keys(keys, times, size)
    return Interactions(user_ids, catalog, favored, dismissals, newest, {INTERACTIONS.name: version})


def _users(place: Staging, session: SparkSession, favorites: DataFrame) -> tuple[Ids, DataFrame]:
    """Ids, ascending, and the numbers by id (user_id, user) as Spark reads them."""
    ids = place.collect("ids", favorites.select("user_id").distinct(), pa.schema([("user_id", pa.string())]))
    ids = ids.sort_by("user_id")
    numbered = ids.append_column("user", _numbers(ids.num_rows))
    return _objects(ids, "user_id"), session.read.parquet(place.write("users", numbered))


def _photos(place: Staging, session: SparkSession, favorites: DataFrame) -> tuple[Catalog, DataFrame]:
    """The catalog, and its rows (photo_id, owner_id, photo) as Spark reads them."""
    from pyspark.sql import functions as F  # noqa: N812

    counted = favorites.groupBy("photo_id").agg(F.count("*").alias("favorites"), F.min("owner_id").alias("owner_id"))
    rows = place.collect("counted", counted, COUNTED)
    rows = rows.sort_by([("favorites", "descending"), ("photo_id", "ascending")])
    numbered = rows.append_column("photo", _numbers(rows.num_rows))
    catalog = Catalog(_objects(rows, "photo_id"), _objects(rows, "owner_id"))
    return catalog, session.read.parquet(place.write("photos", numbered))


def _dismissals(
    place: Staging, log: DataFrame, users: DataFrame, photos: DataFrame, favored: Rows, n_photos: int
) -> tuple[Rows, Rows, int, Shares]:
    """Keys, times, `n_photos` and shares of the negatives, as `Events.of_keys` takes them. favored: ascending keys."""
    from pyspark.sql import functions as F  # noqa: N812

    rows, owned = photos.select("photo_id", "photo"), photos.select("owner_id", "photo")
    by_photo = _axis(log, Kind.DISMISS_PHOTO, Kind.UNDISMISS_PHOTO, "photo_id").join(rows, "photo_id")
    by_person = _axis(log, Kind.DISMISS_USER, Kind.UNDISMISS_USER, "owner_id").join(owned, "owner_id")
    by_person = by_person.withColumn("dismissal", F.xxhash64("user_id", "owner_id"))
    by_photo, by_person = (
        found.join(users, "user_id").withColumnRenamed("event_seconds", "seconds") for found in (by_photo, by_person)
    )
    keys, times = _keys(place.collect("dismissed_photos", by_photo, EVENT), n_photos)
    of_people = place.collect("dismissed_people", by_person, EVENT.append(pa.field("dismissal", pa.int64())))
    people_keys, people_times = _keys(of_people, n_photos)
    _, dismissal = np.unique(of_people.column("dismissal").to_numpy(), return_inverse=True)
    shares = np.concatenate([whole(len(keys)), shares_of_people(favored, people_keys, dismissal)])
    dismissed = np.concatenate([keys, people_keys])
    negatives, newest = dismissals_beside(favored, dismissed, np.concatenate([times, people_times]))
    return negatives, newest, n_photos, largest_shares(negatives, dismissed, shares)


def _axis(log: DataFrame, positive: Kind, negative: Kind, subject: str) -> DataFrame:
    """The facts of one axis that hold, a row for each (user, subject): the rule of `features/state.py`."""
    from pyspark.sql import functions as F  # noqa: N812

    other = {"photo_id": "owner_id", "owner_id": "photo_id"}[subject]
    order = F.struct("event_timestamp", "created_timestamp", F.col("kind") == str(negative), "faved_at", other, "kind")
    on_axis = log.where(F.col("kind").isin(str(positive), str(negative)))
    newest = on_axis.groupBy("user_id", subject).agg(F.max(order).alias("newest"))
    held = newest.where(F.col("newest.kind") == str(positive))
    return held.select(
        "user_id",
        subject,
        f"newest.{other}",
        F.unix_seconds("newest.event_timestamp").alias("event_seconds"),
        F.unix_seconds(F.coalesce("newest.faved_at", "newest.event_timestamp")).alias("faved_seconds"),
    )


def _keys(events: pa.Table, n_photos: int) -> tuple[Rows, Rows]:
    """`user · n_photos + photo` and the seconds of each event."""
    users = events.column("user").to_numpy().astype(np.int64)
    return users * n_photos + events.column("photo").to_numpy(), events.column("seconds").to_numpy()


def _numbers(n: int) -> pa.Array:
    return pa.array(np.arange(n, dtype=np.int32))


def _objects(rows: pa.Table, name: str) -> Ids:
    ids: Ids = rows.column(name).to_numpy().astype(object)
    return ids
