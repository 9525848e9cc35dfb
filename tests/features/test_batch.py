"""The build job: what each table of a build holds, when it is skipped, and that its moment is kept to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from features import lake_parts, neighbor_ranking
from features.batch import (
    POPULAR,
    STALE_AFTER,
    BuiltFeatures,
    build_features,
    photo_cards,
    popular,
    popular_photos,
)
from features.builds import Builds
from features.feature_tables import FEATURE_TABLES, POPULAR_SCHEMA, FeatureTable
from features.histories import photo_popularity, user_activity
from features.lake import Lake
from features.neighbors import Exclusions, neighbor_candidates
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, USERS
from features.settings import Settings
from features.snapshots import user_snapshots
from features.state import current_contacts, interaction_state

InteractionRows = Callable[[Sequence[tuple[str, str, str, str, datetime]]], pa.Table]


def rows(lake: Lake, name: str) -> list[dict[str, object]]:
    tables: dict[str, FeatureTable] = {table.name: table for table in FEATURE_TABLES}
    found: list[dict[str, object]] = Builds(lake.uri).read(name, tables[name].schema).to_table().to_pylist()
    return found


@pytest.fixture
def built(small_lake: Lake, settings: Settings, now: datetime) -> BuiltFeatures:
    return build_features(small_lake, settings, now=now)


def test_every_table_is_built_with_its_schema(small_lake: Lake, built: BuiltFeatures) -> None:
    assert built.fresh
    assert set(built.rows) == {table.name for table in FEATURE_TABLES} | {POPULAR}
    for table in FEATURE_TABLES:
        found = Builds(small_lake.uri).read(table.name, table.schema).to_table()
        assert found.num_rows == built.rows[table.name] > 0
        assert found.schema == table.schema


def test_cards_hold_what_a_page_shows(small_lake: Lake, built: BuiltFeatures) -> None:
    cards = {row["photo_id"]: row for row in rows(small_lake, "photo_card")}
    assert cards["b1"]["owner_name"] == "user b"
    assert cards["x1"]["owner_name"] == "x"
    assert cards["b1"]["title"] == "photo b1"
    assert [row["name"] for row in rows(small_lake, "user_card")] == ["user a", "user b", "user c"]


def test_the_newest_row_of_a_photo_and_of_its_owner_counts(small_lake: Lake, settings: Settings, now: datetime) -> None:
    newer = small_lake.scan(PHOTOS).to_pylist()[0]
    newer |= {"title": "renamed", "created_timestamp": newer["created_timestamp"] + timedelta(days=1)}
    small_lake.append(PHOTOS, pa.Table.from_pylist([newer], schema=PHOTOS.schema))
    owner = {"user_id": "b", "name": "Bea", "created_timestamp": now}
    small_lake.append(USERS, pa.Table.from_pylist([owner], schema=USERS.schema))
    build_features(small_lake, settings, now=now)
    (card,) = (row for row in rows(small_lake, "photo_card") if row["photo_id"] == newer["photo_id"])
    assert (card["title"], card["owner_name"]) == ("renamed", "Bea")


def test_candidates_leave_out_dismissals_and_contacts(small_lake: Lake, built: BuiltFeatures) -> None:
    (mine,) = (row for row in rows(small_lake, "neighbor_candidates") if row["user_id"] == "a")
    assert mine["photo_ids"] == ["x1", "c2"]
    assert mine["people_ids"] == ["c"]
    assert mine["coverage"] == 1.0


def log_at_random(n: int, seed: int, interaction_rows: InteractionRows) -> pa.Table:
    """n rows of a handful of people on one another's photos, of every kind, in no order and with repeats."""
    random = np.random.default_rng(seed)
    kinds = random.choice(["favorite"] * 8 + ["unfavorite", "dismiss_photo", "undismiss_photo", "dismiss_user"], n)
    rows = []
    numbers = random.integers(0, [12, 12, 6, 600], (n, 4)).tolist()
    for kind, (user, owner, photo, hour) in zip(kinds, numbers, strict=True):
        about = "" if kind == "dismiss_user" else f"{owner:02}ü{photo}"
        moment = datetime(2026, 3, 5, tzinfo=UTC) + timedelta(hours=hour)
        rows.append((f"{user:02}", about, f"{owner:02}", str(kind), moment))
    return interaction_rows(rows)


@pytest.mark.parametrize("seed", range(3))
def test_a_build_in_many_parts_is_the_build_of_the_whole_log(
    seed: int,
    small_lake: Lake,
    settings: Settings,
    now: datetime,
    interaction_rows: InteractionRows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The definition of each table is a function of all rows; a build applies it to some users or photos at a time."""
    small_lake.append(INTERACTIONS, log_at_random(700, seed, interaction_rows))
    log, photos, follows = (small_lake.scan(table) for table in (INTERACTIONS, PHOTOS, CONTACTS))
    state, contacts = interaction_state(log, as_of=now), current_contacts(follows)
    excluded = Exclusions(
        state.dismissed_photos, state.dismissed_people, contacts.rename_columns(["user_id", "owner_id"])
    )
    expected = {
        "user_snapshot": user_snapshots(state, contacts, -1, now),
        "user_activity": user_activity(log, follows, now, settings.feature_history_days),
        "photo_card": photo_cards(photos, small_lake.scan(USERS), now),
        "photo_popularity": photo_popularity(log, photos, now, settings.feature_history_days),
        "neighbor_candidates": neighbor_candidates(
            state.favorites, excluded, now, photos=9, people=5, max_neighbors=settings.pull_max_neighbors
        ),
        POPULAR: popular(state.favorites, photos, now),
    }
    monkeypatch.setattr(lake_parts, "ROWS_A_PART", 50)
    monkeypatch.setattr(lake_parts, "ROWS_AT_ONCE", 64)
    monkeypatch.setattr(neighbor_ranking, "ENTRIES_AT_ONCE", 200)
    build_features(small_lake, settings.model_copy(update={"neighbor_photos": 9, "neighbor_people": 5}), now=now)
    for name, table in expected.items():
        found = Builds(small_lake.uri).read(name, table.schema).to_table()
        assert found.num_rows > 5
        by_id = [(column, "ascending") for column in (table.schema.names[0], "event_timestamp")]
        if name != POPULAR:
            found, table = found.sort_by(by_id), table.sort_by(by_id)
        assert found == table, name


def test_nothing_is_done_while_the_lake_is_unchanged(
    small_lake: Lake, settings: Settings, built: BuiltFeatures
) -> None:
    again = build_features(small_lake, settings, now=built.built_at + timedelta(hours=1))
    assert not again.fresh
    assert again.build == built.build


@pytest.mark.parametrize("change", ["lake", "settings", "age"])
def test_a_change_of_the_lake_of_the_settings_or_old_age_makes_a_new_build(
    change: str, small_lake: Lake, settings: Settings, built: BuiltFeatures, interaction_rows: InteractionRows
) -> None:
    later = built.built_at + timedelta(minutes=1)
    if change == "lake":
        small_lake.append(INTERACTIONS, interaction_rows([("b", "c1", "c", "favorite", built.built_at)]))
    elif change == "settings":
        settings = settings.model_copy(update={"neighbor_photos": 1})
    else:
        later = built.built_at + STALE_AFTER
    again = build_features(small_lake, settings, now=later)
    assert again.fresh
    assert again.version > built.version


def test_events_after_the_builds_moment_count_for_none(small_lake: Lake, settings: Settings) -> None:
    build_features(small_lake, settings, now=datetime(2026, 3, 10, tzinfo=UTC))
    (mine,) = (row for row in rows(small_lake, "user_snapshot") if row["user_id"] == "a")
    assert mine["favorite_ids"] == ["b1", "b2"]
    assert mine["dismissed_ids"] == []
    assert mine["contacts"] == ["b"]


def test_an_empty_lake_builds_empty_tables(lake: Lake, settings: Settings) -> None:
    built = build_features(lake, settings)
    assert set(built.rows.values()) == {0}
    assert popular_photos(settings).photo_ids == ()


def test_popular_photos_are_weighted_by_recency(small_lake: Lake, settings: Settings, built: BuiltFeatures) -> None:
    found = popular_photos(settings)
    days = {"c1": (11.125, 25.125), "x1": (26.125, 24.125)}
    expected = {photo: sum(2 ** (-age / 30) for age in ages) for photo, ages in days.items()}
    scores = dict(zip(found.photo_ids, found.scores, strict=True))
    assert {photo: scores[photo] for photo in days} == pytest.approx(expected)
    assert list(found.scores) == sorted(found.scores, reverse=True)
    assert found.owner_ids[found.photo_ids.index("x1")] == "x"
    assert len(popular_photos(settings, limit=2).photo_ids) == 2


def test_gone_photos_are_not_popular(small_lake: Lake, settings: Settings, now: datetime) -> None:
    gone = small_lake.scan(PHOTOS).to_pylist()[0]
    gone |= {"gone_at": now, "created_timestamp": now}
    small_lake.append(PHOTOS, pa.Table.from_pylist([gone], schema=PHOTOS.schema))
    build_features(small_lake, settings, now=now)
    assert gone["photo_id"] not in popular_photos(settings).photo_ids


def test_nothing_is_popular_before_the_first_build(settings: Settings) -> None:
    assert popular_photos(settings).photo_ids == ()
    assert POPULAR_SCHEMA.names == ["photo_id", "owner_id", "score"]


def test_progress_is_told_after_each_table(small_lake: Lake, settings: Settings, now: datetime) -> None:
    told: list[tuple[int, int]] = []
    build_features(small_lake, settings, now=now, progress=lambda _, done, total: told.append((done, total)))
    assert told == [(n, 7) for n in range(1, 8)]
