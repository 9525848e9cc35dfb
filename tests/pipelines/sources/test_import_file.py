"""A file of favorites in the lake: what its rows mean, and that each of them is accounted for."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.errors import InvalidInputError
from features.lake import Lake
from features.schema import INTERACTIONS, PHOTOS, USERS
from features.settings import Settings
from pipelines.sources.import_file import import_file
from tests.pipelines.sources.conftest import NOON, Import, Row, a_row, favorites, quarantined, write


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_a_row_becomes_a_favorite_with_its_photo_and_owner(
    bring: Import, lake: Lake, tmp_path: Path, ending: str
) -> None:
    details = {
        "title": "Dunes, “at dawn”\nII",
        "image_url": "https://example.com/1.jpg",
        "page_url": "https://example.com/1",
        "width": 640,
        "height": 480,
        "tags": "sand light",
        "owner_name": "Zoë",
    }
    report = bring(write(tmp_path / f"f.{ending}", [a_row(**details)]), namespace="imgur")
    (row,) = lake.scan(INTERACTIONS).to_pylist()
    assert (row["user_id"], row["photo_id"], row["owner_id"]) == ("imgur:u1", "imgur:p1", "imgur:o1")
    assert (row["kind"], row["source"], row["event_timestamp"], row["faved_at"]) == ("favorite", "file", NOON, NOON)
    (photo,) = lake.scan(PHOTOS).to_pylist()
    assert {name: photo[name] for name in details if name != "owner_name"} == {
        name: value for name, value in details.items() if name != "owner_name"
    }
    assert (photo["photo_id"], photo["owner_id"]) == ("imgur:p1", "imgur:o1")
    (user,) = lake.scan(USERS).to_pylist()
    assert (user["user_id"], user["name"]) == ("imgur:o1", "Zoë")
    assert (report.rows, report.added, report.photos, report.users, report.rejected) == (1, 1, 1, 1, {})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01T14:00:00+02:00", NOON),
        ("2024-05-01 12:00:00", NOON),
        ("2024-05-01T12:00:00.250Z", NOON + timedelta(milliseconds=250)),
        ("2024-05-01", NOON.replace(hour=0)),
        ("1714564800", NOON),
        ("1714564800.5", NOON + timedelta(milliseconds=500)),
    ],
)
def test_a_date_is_iso_8601_or_unix_seconds_and_utc_unless_it_says_otherwise(
    bring: Import, lake: Lake, tmp_path: Path, text: str, moment: datetime
) -> None:
    bring(write(tmp_path / "f.csv", [a_row(faved_at=text)]))
    assert favorites(lake) == {("u1", "p1"): moment}


@pytest.mark.parametrize(
    "column",
    [
        pa.array([NOON.replace(tzinfo=None)], pa.timestamp("ns")),
        pa.array([NOON], pa.timestamp("ms", tz="Europe/Berlin")),
        pa.array([int(NOON.timestamp())], pa.int32()),
        pa.array([NOON.timestamp()], pa.float64()),
        pa.array(["2024-05-01T12:00:00Z"]).dictionary_encode(),
    ],
    ids=lambda column: str(column.type),
)
def test_a_date_of_any_type_that_parquet_has_is_understood(
    bring: Import, lake: Lake, tmp_path: Path, column: pa.Array
) -> None:
    rows = pa.table({"user_id": ["u1"], "photo_id": pa.array([7], pa.int64()), "faved_at": column})
    pq.write_table(rows, tmp_path / "f.parquet")
    bring(tmp_path / "f.parquet")
    assert favorites(lake) == {("u1", "7"): NOON}


def test_a_favorite_without_a_date_happened_when_the_file_was_written(
    bring: Import, lake: Lake, tmp_path: Path
) -> None:
    path = write(tmp_path / "f.csv", [{"user_id": "u1", "photo_id": "p1"}])
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    bring(path)
    (row,) = lake.scan(INTERACTIONS).to_pylist()
    assert (row["event_timestamp"], row["faved_at"]) == (NOON, None)


def test_an_owner_who_is_not_told_is_the_one_whom_the_lake_knows_else_somebody_of_that_photo_alone(
    bring: Import, lake: Lake, tmp_path: Path
) -> None:
    bring(write(tmp_path / "known.csv", [a_row(photo_id="p1", image_url="https://example.com/1.jpg")]))
    bring(write(tmp_path / "f.csv", [{"user_id": "u2", "photo_id": "p1"}, {"user_id": "u2", "photo_id": "p2"}]))
    owners = {(row["user_id"], row["photo_id"]): row["owner_id"] for row in lake.scan(INTERACTIONS).to_pylist()}
    assert owners == {("u1", "p1"): "o1", ("u2", "p1"): "o1", ("u2", "p2"): "unknown:p2"}


def test_details_that_make_no_sense_count_as_not_given(bring: Import, lake: Lake, tmp_path: Path) -> None:
    good = a_row(photo_id="p1", image_url="https://example.com/1.jpg", page_url="javascript:alert(1)", width="wide")
    bad = a_row(photo_id="p2", image_url="data:image/png;base64,AA==", title="Dunes")
    report = bring(write(tmp_path / "f.jsonl", [good, bad]))
    (photo,) = lake.scan(PHOTOS).to_pylist()
    assert (photo["photo_id"], photo["page_url"], photo["width"], photo["title"]) == ("p1", "", None, "")
    assert (report.added, report.rejected) == (2, {})


def test_a_favorite_that_the_file_has_twice_is_one_with_the_later_date(
    bring: Import, lake: Lake, tmp_path: Path
) -> None:
    rows = [a_row(faved_at="2024-05-01T12:00:00Z"), a_row(faved_at=""), a_row(faved_at="2023-01-01")]
    report = bring(write(tmp_path / "f.csv", rows))
    assert (report.rows, report.added, report.repeats) == (3, 1, 2)
    assert lake.scan(INTERACTIONS).column("faved_at").to_pylist() == [NOON]


def test_a_dry_run_says_what_is_wrong_and_writes_nothing(bring: Import, lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [a_row(), a_row(), a_row(user_id="")])
    report = bring(path, dry_run=True)
    assert (report.rows, report.good, report.repeats, report.rejected) == (3, 1, 1, {"user_id is missing": 1})
    assert lake.versions() == {}


def test_columns_of_other_names_are_mapped(bring: Import, lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path / "f.parquet", [{"who": 1, "item_id": 2, "user_id": 9}])
    bring(path, renamed={"who": "user_id", "item_id": "photo_id"})
    assert set(favorites(lake)) == {("1", "2")}
    for renamed, words in (
        ({"nobody": "user_id"}, "has no column 'nobody', which is mapped"),
        ({"who": "liker"}, "'liker' is no column"),
        ({"who": "user_id", "item_id": "user_id"}, "mapped to the same one"),
    ):
        with pytest.raises(InvalidInputError, match=words) as caught:
            bring(path, renamed=renamed)
        assert caught.value.field == "map"


ids = st.sampled_from(["", " ", "a", "b", "ü", "日本", "x" * 65, "c\x00d", "é\u200d"])
dates = st.sampled_from(["", "2020-01-01", "2021-06-01T10:00:00+02:00", "1600000000", "soon", "2099-01-01", "-5"])
messy = st.fixed_dictionaries({"user_id": ids, "photo_id": ids, "owner_id": ids, "faved_at": dates})


def judged(row: Row) -> tuple[str, str, datetime | None] | None:
    """What a row means, told row by row: the rule in plain Python; None for no favorite."""
    user, photo, owner = (row[name].strip() for name in ("user_id", "photo_id", "owner_id"))
    if not user or not photo or len(photo) > 64 or "\x00" in user + photo + owner or user == owner:
        return None
    moments = {
        "": None,
        "2020-01-01": datetime(2020, 1, 1, tzinfo=UTC),
        "2021-06-01T10:00:00+02:00": datetime(2021, 6, 1, 8, tzinfo=UTC),
        "1600000000": datetime.fromtimestamp(1600000000, UTC),
    }
    return (user, photo, moments[row["faved_at"]]) if row["faved_at"] in moments else None


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=st.lists(messy, min_size=1, max_size=40), ending=st.sampled_from(["parquet", "csv", "jsonl"]))
def test_every_row_is_accounted_for_and_the_state_is_what_the_rows_mean_one_by_one(
    settings: Settings, engine: sa.Engine, tmp_path_factory: pytest.TempPathFactory, rows: list[Row], ending: str
) -> None:
    folder = tmp_path_factory.mktemp("import")
    path = write(folder / f"f.{ending}", rows)
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    lake = Lake(str(folder / "lake"))
    report = import_file(settings, lake, engine, path)
    expected: dict[tuple[str, str], datetime | None] = {}
    for favorite in filter(None, map(judged, rows)):
        user, photo, moment = favorite
        known = expected.setdefault((user, photo), moment)
        if moment is not None and (known is None or moment > known):
            expected[user, photo] = moment
    assert favorites(lake) == {pair: moment or NOON for pair, moment in expected.items()}
    assert report.rows == len(rows) == report.added + report.known + report.repeats + sum(report.rejected.values())
    assert sum(report.rejected.values()) == len(quarantined(lake)) == sum(judged(row) is None for row in rows)
    again = import_file(settings, lake, engine, path)
    assert (again.added, again.known) == (0, report.added)


@pytest.mark.skipif("PHOTO_RECOMMENDER_DATA" not in os.environ, reason="PHOTO_RECOMMENDER_DATA is not set")
def test_a_real_data_set_comes_in_whole(bring: Import, lake: Lake) -> None:
    path = Path(os.environ["PHOTO_RECOMMENDER_DATA"]) / "flickr" / "favorites.parquet"
    sample = pq.read_table(path, columns=["user_id", "photo_id"])
    report = bring(path, namespace="sample")
    assert (report.rows, report.added, report.repeats, report.rejected) == (sample.num_rows, sample.num_rows, 0, {})
    rows = lake.scan(INTERACTIONS, columns=("user_id", "photo_id"))
    for name in ("user_id", "photo_id"):
        assert len(rows.column(name).unique()) == len(sample.column(name).unique())
