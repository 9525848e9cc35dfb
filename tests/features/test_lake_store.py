"""The offline store: Delta tables by their log, feature tables of the current build, and only what a query needs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import ibis
import pytest
from deltalake import DeltaTable

from features.batch import build_features
from features.errors import ConfigurationError
from features.feast_registry import open_store
from features.feature_tables import FEATURE_TABLES
from features.lake import Lake
from features.lake_store import SCHEMAS, LakeOfflineStore, LakeSource, open_dataset
from features.schema import INTERACTIONS, TABLES
from features.settings import Settings

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def test_every_table_of_the_lake_and_of_a_build_can_be_a_source() -> None:
    assert set(SCHEMAS) == {f"lake/{name}" for name in TABLES} | {f"features/{table.name}" for table in FEATURE_TABLES}


def test_a_source_survives_the_registry() -> None:
    source = LakeSource(table="lake/contacts", timestamp_field="event_timestamp", description="who follows whom")
    again = LakeSource.from_proto(source.to_proto())
    assert again == source
    assert hash(again) == hash(source)
    assert again != LakeSource(table="lake/users", timestamp_field="created_timestamp", created_timestamp_column="")


def test_an_unknown_table_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="lake/interactions"):
        LakeSource(table="lake/nothing", timestamp_field="event_timestamp")


def test_a_table_that_does_not_exist_yet_is_empty(settings: Settings) -> None:
    for table, schema in SCHEMAS.items():
        assert open_dataset(settings.lake_uri, table).to_table() == schema.empty_table()


def test_rows_that_the_log_has_removed_are_not_read(small_lake: Lake) -> None:
    DeltaTable(small_lake.table_uri(INTERACTIONS)).delete("user_id = 'a'")
    users = open_dataset(small_lake.uri, "lake/interactions").to_table().column("user_id").unique()
    assert sorted(users.to_pylist()) == ["b", "c"]


def test_feature_tables_are_those_of_the_current_build(small_lake: Lake, settings: Settings, now: datetime) -> None:
    build_features(small_lake, settings, now=now)
    before = open_dataset(small_lake.uri, "features/user_snapshot").to_table()
    build_features(small_lake, settings, now=now + timedelta(days=1))
    after = open_dataset(small_lake.uri, "features/user_snapshot").to_table()
    assert after.column("event_timestamp")[0].as_py() - before.column("event_timestamp")[0].as_py() == timedelta(days=1)


def test_a_query_opens_only_the_files_that_can_hold_its_rows(small_lake: Lake) -> None:
    wanted = date(2026, 3, 20)
    for path in Path(small_lake.table_uri(INTERACTIONS)).rglob("*.parquet"):
        if f"ingest_date={wanted}" not in str(path):
            path.unlink()
    rows = ibis.memtable(open_dataset(small_lake.uri, "lake/interactions"))
    assert rows.filter(rows.ingest_date == wanted).select("photo_id").to_pyarrow().to_pylist() == [{"photo_id": "c1"}]
    with pytest.raises(FileNotFoundError):
        open_dataset(small_lake.uri, "lake/interactions").to_table()


@pytest.mark.parametrize("table", ["lake/interactions", "features/user_activity"])
def test_a_query_reads_only_the_columns_it_needs(
    table: str, small_lake: Lake, settings: Settings, now: datetime
) -> None:
    build_features(small_lake, settings, now=now)
    rows = ibis.memtable(open_dataset(small_lake.uri, table))
    query = rows.filter(rows.user_id == "needle").select("user_id", "event_timestamp")
    connection = ibis.duckdb.connect()
    connection._register_in_memory_tables(query)
    plan = connection.con.execute("EXPLAIN " + str(ibis.to_sql(query, dialect="duckdb"))).fetchall()[0][1]
    scan = plan[plan.index("ARROW_SCAN") :]
    assert "needle" in scan
    assert not any(name in scan for name in SCHEMAS[table].names if name not in ("user_id", "event_timestamp"))


@pytest.mark.parametrize("place", ["folder", "s3"])
def test_feast_pulls_the_latest_row_of_each_entity(
    place: str, request: pytest.FixtureRequest, settings: Settings, small_lake: Lake, now: datetime
) -> None:
    if place == "s3":
        uri = f"{request.getfixturevalue('s3')}/{settings.home.parent.name}"
        settings = settings.model_copy(update={"lake_uri": uri})
        copy = Lake(uri)
        for table in TABLES.values():
            copy.append(table, small_lake.scan(table))
    build_features(Lake(settings.lake_uri), settings, now=now)
    store = open_store(settings)
    job = LakeOfflineStore.pull_latest_from_table_or_query(
        config=store.config,
        data_source=LakeSource(table="features/photo_popularity", timestamp_field="event_timestamp"),
        join_key_columns=["photo_id"],
        feature_name_columns=["favorites_total"],
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
        start_date=LONG_AGO,
        end_date=now,
    )
    totals = {row["photo_id"]: row["favorites_total"] for row in job.to_arrow().to_pylist()}
    assert totals == {"b1": 1, "b2": 2, "c1": 2, "c2": 1, "x1": 2, "x2": 1}


def test_feast_pulls_the_log_as_it_is(small_lake: Lake, settings: Settings, now: datetime) -> None:
    job = LakeOfflineStore.pull_all_from_table_or_query(
        config=open_store(settings).config,
        data_source=LakeSource(table="lake/interactions", timestamp_field="event_timestamp"),
        join_key_columns=["user_id"],
        feature_name_columns=["photo_id", "kind"],
        timestamp_field="event_timestamp",
        start_date=datetime(2026, 3, 21, tzinfo=UTC),
        end_date=now,
    )
    assert sorted(job.to_df()["kind"]) == ["dismiss_photo", "dismiss_user"]


def test_feasts_own_materialize_fills_the_same_rows(small_lake: Lake, settings: Settings) -> None:
    from features.feast_registry import apply_repository
    from features.online import OnlineFeatures
    from features.snapshots import user_states

    build_features(small_lake, settings)
    apply_repository(settings)
    store = open_store(settings)
    store.materialize(LONG_AGO, datetime.now(UTC), feature_views=["user_snapshot", "photo_card"])
    online = OnlineFeatures(settings)
    (fresh,) = user_states(small_lake, ["a"])
    found = online.user_state("a")
    assert (found.favorite_ids, found.dismissed_ids, found.contacts) == (
        fresh.favorite_ids,
        fresh.dismissed_ids,
        fresh.contacts,
    )
    assert online.photo_cards(["b1"])["b1"].title == "photo b1"


def test_features_are_not_written_through_feast(settings: Settings) -> None:
    store = open_store(settings)
    with pytest.raises(ConfigurationError, match="features build"):
        LakeOfflineStore.offline_write_batch(store.config, None, INTERACTIONS.schema.empty_table(), None)
