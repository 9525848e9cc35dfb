"""What people did with the photos on their walls, by the model that ranked them: rates of faves and dismissals.

An action counts for the model that showed the person the photo last before it, if that was at most a day before. So
only photos count that were shown at least a day ago: all of them had the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import binomtest

from features.lake import Lake, open_lake
from features.schema import IMPRESSIONS, INTERACTIONS, TIMESTAMP, Kind, Source
from features.settings import Settings
from training import tracking
from training.tracking.online import log_online, trainings_of

WITHIN = timedelta(days=1)
"""So long after a photo was shown an action on it counts."""

DAYS = 28
"""What was shown within so many days is measured; while a challenger shares walls, since it does, for both alike."""

CONFIDENCE = 0.95

_MEASURE = f"""
WITH shown AS (
    SELECT user_id, photo_id, coalesce(model, model_version) AS model, min(shown_at) AS began
    FROM impressions LEFT JOIN trainings ON trainings.version = impressions.model_version
    WHERE user_id <> '' AND model_version <> '' AND own_wall IS DISTINCT FROM false
    GROUP BY ALL
), spans AS (
    SELECT *, least(began + $within, lead(began) OVER (PARTITION BY user_id, photo_id ORDER BY began, model)) AS ended
    FROM shown
), outcomes AS (
    SELECT spans.model, spans.user_id, spans.photo_id, spans.began,
        arg_max(kind, event_timestamp) FILTER (kind IN ('{Kind.FAVORITE}', '{Kind.UNFAVORITE}')) AS favored,
        arg_max(kind, event_timestamp) FILTER (kind IN ('{Kind.DISMISS_PHOTO}', '{Kind.UNDISMISS_PHOTO}')) AS dismissed
    FROM spans LEFT JOIN actions ON actions.user_id = spans.user_id AND actions.photo_id = spans.photo_id
        AND actions.event_timestamp >= spans.began AND actions.event_timestamp < spans.ended
    WHERE spans.began <= $until - $within
    GROUP BY ALL
)
SELECT model, count(DISTINCT user_id), count(*), count(*) FILTER (favored = '{Kind.FAVORITE}'),
    count(*) FILTER (dismissed = '{Kind.DISMISS_PHOTO}'), min(began), max(began)
FROM outcomes GROUP BY model
"""  # noqa: S608  (names of ours alone)


@dataclass(frozen=True)
class Online:
    """What was measured of one model. users: to whom it showed anything; shown: photos that a user was shown, each
    counted once; faves, dismissals: those of them that the user faved or dismissed on the site and left so."""

    users: int
    shown: int
    faves: int
    dismissals: int
    first_shown: datetime
    last_shown: datetime

    def metrics(self) -> dict[str, float]:
        """As MLflow takes them: the counts, the rates with their intervals (Wilson 1927, at 95 %; moments as unix
        seconds). The intervals take a person's photos for independent, and so are somewhat too narrow."""
        result: dict[str, float] = {"users": self.users, "shown": self.shown}
        for name, count in (("fave_rate", self.faves), ("dismissal_rate", self.dismissals)):
            interval = binomtest(count, self.shown).proportion_ci(CONFIDENCE, "wilson")
            result[name] = count / self.shown
            result |= {f"{name}_low": float(interval.low), f"{name}_high": float(interval.high)}
        return result | {"first_shown": self.first_shown.timestamp(), "last_shown": self.last_shown.timestamp()}

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        moments = {name: getattr(self, name).isoformat() for name in ("first_shown", "last_shown")}
        return {**asdict(self), **self.metrics(), **moments}


def measure(
    impressions: pa.Table, actions: pa.Table, until: datetime, of_training: Mapping[str, str] | None = None
) -> dict[str, Online]:
    """{model version: what came of its walls}, of the signed-in people who were shown anything on their own walls.

    impressions, actions: rows of those tables of the lake, the latter's those of the site; until: the end of what they
    hold. of_training: {version: the version that it is counted for}; others are counted for themselves.
    """
    counted = of_training or {}
    trainings = {"version": pa.array(counted.keys(), pa.string()), "model": pa.array(counted.values(), pa.string())}
    connection = duckdb.connect()
    try:
        connection.register("impressions", _in_microseconds(impressions, "shown_at"))
        connection.register("actions", _in_microseconds(actions, "event_timestamp"))
        connection.register("trainings", pa.table(trainings))
        found = connection.execute(_MEASURE, {"within": _microseconds(WITHIN), "until": _moment(until)}).fetchall()
    finally:
        connection.close()
    return {
        model: Online(users, shown, faves, dismissals, _utc(first), _utc(last))
        for model, users, shown, faves, dismissals, first, last in found
    }


def measure_online(settings: Settings, now: datetime | None = None) -> dict[str, Online]:
    """Measure what the lake holds, and log it to the runs of those versions that are still registered.

    Returns {version of a training: what came of its walls and its minor versions'}. Raises DependencyError.
    """
    now = now or datetime.now(UTC)
    versions = tracking.list_versions(settings)
    challenges = [version.challenging_since for version in versions if version.is_challenging]
    since = datetime.fromisoformat(challenges[0]) if challenges else now - timedelta(days=DAYS)
    impressions, actions = _read(open_lake(settings), since)
    found = measure(impressions, actions, now, trainings_of(versions))
    for version in versions:
        if version.version in found and version.run_id:
            log_online(settings, version.run_id, found[version.version].metrics())
    return found


def _read(lake: Lake, since: datetime) -> tuple[pa.Table, pa.Table]:
    """The impressions and the site's actions on photos since then."""
    moment, site = pa.scalar(since, TIMESTAMP), pc.field("source") == str(Source.SITE)
    impressions = lake.scan(
        IMPRESSIONS,
        columns=["user_id", "photo_id", "model_version", "own_wall", "shown_at"],
        where=pc.field("shown_at") >= moment,
    )
    actions = lake.scan(
        INTERACTIONS,
        columns=["user_id", "photo_id", "kind", "event_timestamp"],
        # A row is ingested after what it tells of: whole partitions are left unread.
        where=(pc.field("ingest_date") >= pa.scalar(since.date())) & site & (pc.field("event_timestamp") >= moment),
    )
    return impressions, actions


def _in_microseconds(table: pa.Table, column: str) -> pa.Table:
    """With the moments as whole numbers: DuckDB's own need its time zones for any sum."""
    place = table.schema.get_field_index(column)
    return table.set_column(place, column, table.column(column).cast(pa.int64()))


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _moment(moment: datetime) -> int:
    return _microseconds(moment - datetime.fromtimestamp(0, UTC))


def _utc(microseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
