"""Point-in-time joins: what was known before, at and after a moment; every row asked for comes back in its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from features.batch import build_features
from features.errors import InvalidInputError, NotFoundError
from features.feast_registry import apply_repository
from features.historical import historical_features
from features.lake import Lake
from features.settings import Settings

FEATURES = ["favorites", "neighbors", "favorites_7d", "favorites_total"]


@pytest.fixture
def store(small_lake: Lake, settings: Settings, now: datetime) -> Settings:
    build_features(small_lake, settings, now=now)
    apply_repository(settings)
    return settings


def midnight(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)


def asked(*rows: tuple[str, str, datetime]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["user_id", "photo_id", "event_timestamp"])


def test_before_at_and_after_the_moment_of_a_row(store: Settings) -> None:
    # a's second favorite, of b2, was on March 2: it shows from the end of that day on.
    moments = [midnight(3) - timedelta(microseconds=1), midnight(3), midnight(3) + timedelta(hours=5)]
    found = historical_features(store, asked(*(("a", "b2", moment) for moment in moments)), "training")
    assert found["favorites"].tolist() == [1, 2, 2]
    assert found["favorites_total"].isna().tolist() == [True, False, False]
    assert found["last_favorite_at"].tolist() == [
        pd.Timestamp("2026-03-01 09:00", tz="UTC"),
        pd.Timestamp("2026-03-02 09:00", tz="UTC"),
        pd.Timestamp("2026-03-02 09:00", tz="UTC"),
    ]


def test_the_future_is_never_seen(store: Settings) -> None:
    (row,) = historical_features(store, asked(("a", "x1", midnight(6))), "training").to_dict("records")
    assert (row["favorites"], row["favorites_total"]) == (2, 1)
    assert pd.isna(historical_features(store, asked(("a", "x1", midnight(1))), "training")["favorites"][0])


def test_unknown_entities_are_kept_and_rows_stay_in_order(store: Settings, now: datetime) -> None:
    frame = asked(
        ("nobody", "nothing", now), ("c", "x2", now), ("a", "nothing", now), ("a", "x1", midnight(2)), ("c", "x2", now)
    )
    frame.index = pd.Index([9, 3, 5, 1, 7])
    frame["label"] = [1, 2, 3, 4, 5]
    found = historical_features(store, frame, "training")
    pd.testing.assert_frame_equal(found[frame.columns.tolist()], frame)
    assert found["favorites"].tolist() == [pd.NA, 3, 3, 1, 3]
    assert found["favorites_total"].tolist() == [pd.NA, 1, pd.NA, pd.NA, 1]
    assert str(found["favorites"].dtype) == "Int64"


def test_lists_come_back_as_they_are(store: Settings, now: datetime) -> None:
    frame = pd.DataFrame({"user_id": ["a", "nobody"], "event_timestamp": [now, now]})
    found = historical_features(store, frame, "wall")
    assert list(found["favorite_ids"][0]) == ["b1", "b2", "c1"]
    assert found["watermark"].tolist() == [-1, pd.NA]


def test_a_time_without_a_zone_is_utc(store: Settings) -> None:
    frame = asked(("a", "b2", midnight(3)))
    frame["event_timestamp"] = frame["event_timestamp"].dt.tz_localize(None)
    assert historical_features(store, frame, "training")["favorites"].tolist() == [2]


def test_nothing_asked_nothing_answered(store: Settings) -> None:
    found = historical_features(store, asked(), "training")
    assert len(found) == 0
    assert set(FEATURES) <= set(found.columns)


def test_a_missing_column_or_service_is_named(store: Settings, now: datetime) -> None:
    with pytest.raises(InvalidInputError, match="photo_id"):
        historical_features(store, asked(("a", "b2", now)).drop(columns="photo_id"), "training")
    with pytest.raises(NotFoundError, match="training"):
        historical_features(store, asked(("a", "b2", now)), "nonsense")
