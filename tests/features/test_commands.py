"""The commands `features` and `lake`: what they print, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from features import commands
from features.errors import NotFoundError, SchemaError
from features.lake import Lake
from features.online import OnlineFeatures
from features.schema import INTERACTIONS, QUARANTINE, USERS
from features.settings import Settings, get_settings


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[typer.Typer]:
    monkeypatch.setenv("PHOTO_RECOMMENDER_HOME", str(settings.home))
    get_settings.cache_clear()
    app = typer.Typer()
    commands.register(app)
    yield app
    get_settings.cache_clear()


def run(app: typer.Typer, *arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_features_builds_and_materializes(app: typer.Typer, small_lake: Lake, settings: Settings) -> None:
    first = json.loads(run(app, "features", "--json"))
    assert first["fresh"] is True
    assert first["online"]["user_snapshot"] == first["rows"]["user_snapshot"] == 3
    assert OnlineFeatures(settings).user_state("a").favorite_ids == ("b1", "b2", "c1")
    second = json.loads(run(app, "features", "build", "--json"))
    assert (second["fresh"], second["version"], second["online"]) == (False, first["version"], None)


def test_features_says_in_words_what_it_did(app: typer.Typer, small_lake: Lake) -> None:
    assert "new" in run(app, "features")
    assert "nothing changed" in run(app, "features", "build")
    assert "user_snapshot 3" in run(app, "features", "materialize")
    assert "applied" in run(app, "features", "apply")


def test_materialize_without_a_build_says_what_to_run(app: typer.Typer) -> None:
    with pytest.raises(NotFoundError, match="features build"):
        run(app, "features", "materialize")


def test_lake_stats_count_rows_and_what_they_add_up_to(app: typer.Typer, small_lake: Lake) -> None:
    told = json.loads(run(app, "lake", "stats", "--json"))
    view = small_lake.at(INTERACTIONS)
    assert told["tables"]["interactions"] == {
        "version": view.version,
        "rows": 11,
        "files": len(view.files),
        "bytes": view.bytes,
    }
    assert view.bytes > 0
    assert told["state"] == {"users": 3, "favorites": 9, "dismissed_photos": 1, "dismissed_people": 1}
    assert "interactions" in run(app, "lake", "stats")


def test_an_empty_lake_has_empty_stats(app: typer.Typer, settings: Settings) -> None:
    told = json.loads(run(app, "lake", "stats", "--json"))
    assert told["tables"] == {}
    assert told["state"]["favorites"] == 0


def test_compact_says_what_it_did_to_each_table(app: typer.Typer, small_lake: Lake) -> None:
    more = small_lake.scan(USERS)
    small_lake.append(USERS, more)
    told = json.loads(run(app, "lake", "compact", "--table", "users", "--json"))["tables"]
    assert list(told) == ["users"]
    assert (told["users"]["files_after"], told["users"]["repeats_removed"]) == (1, more.num_rows)
    assert "repeats removed" in run(app, "lake", "compact")
    assert small_lake.at(USERS).rows == more.num_rows


def test_compact_names_the_tables_there_are_when_it_is_asked_for_another(app: typer.Typer) -> None:
    with pytest.raises(SchemaError, match="'favorites'; it has interactions, photos"):
        run(app, "lake", "compact", "--table", "favorites")


def test_vacuum_deletes_what_compaction_left(app: typer.Typer, small_lake: Lake) -> None:
    files = len(small_lake.at(USERS).files)
    run(app, "lake", "compact")
    told = json.loads(run(app, "lake", "vacuum", "--json"))
    assert told["retention_days"] == 7
    assert told["files_deleted"]["users"] == 0
    assert json.loads(run(app, "lake", "vacuum", "--retention-days", "0", "--json"))["files_deleted"]["users"] == files
    assert "files deleted" in run(app, "lake", "vacuum")


def test_quarantine_counts_by_reason_and_shows_the_newest(app: typer.Typer, settings: Settings) -> None:
    assert "Nothing" in run(app, "lake", "quarantine")
    now = datetime(2026, 11, 1, tzinfo=UTC)
    reasons = ["photo_id is empty", "photo_id is empty", "faved_at lies ahead"]
    rows = [
        {
            "source": "flickr",
            "subject_id": f"user {n}",
            "reason": reason,
            "payload": '{"id": "[red]"}',
            "created_timestamp": now + timedelta(hours=n),
            "ingest_date": now.date(),
        }
        for n, reason in enumerate(reasons)
    ]
    Lake(settings.lake_uri).append(QUARANTINE, pa.Table.from_pylist(rows))
    told = json.loads(run(app, "lake", "quarantine", "--limit", "1", "--json"))
    assert told["rows"] == 3
    assert told["reasons"][0] == {"source": "flickr", "reason": "photo_id is empty", "rows": 2}
    assert [row["subject_id"] for row in told["newest"]] == ["user 2"]
    printed = run(app, "lake", "quarantine")
    assert "faved_at lies ahead" in printed
    assert '{"id": "[red]"}' in printed
