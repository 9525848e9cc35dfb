"""A file of favorites in the lake: every good row once, every bad one with its reason, whatever happens meanwhile."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.database import open_database
from features.errors import InvalidInputError
from features.lake import Lake, open_lake
from features.schema import INTERACTIONS, PHOTOS, QUARANTINE, USERS, LakeTable
from features.settings import Settings
from features.state import STATE_COLUMNS, interaction_state
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import Reason, bury_photos
from pipelines.sources import import_formats, import_spool
from pipelines.sources.import_file import ImportReport, import_file

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
Row = Mapping[str, Any]
Import = Callable[..., ImportReport]
Favorites = dict[tuple[str, str], datetime]


def write(path: Path, rows: Sequence[Row]) -> Path:
    """The rows as a file of the kind that its ending says."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
    else:
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return path


def favorites(lake: Lake) -> Favorites:
    held = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS)).favorites.to_pylist()
    return {(row["user_id"], row["photo_id"]): row["faved_at"] for row in held}


def quarantined(lake: Lake) -> list[tuple[str, str]]:
    """(subject_id, reason), sorted."""
    return sorted((row["subject_id"], row["reason"]) for row in lake.scan(QUARANTINE).to_pylist())


def everything(lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """All rows of the lake, but for when they were ingested."""

    def rows(table: LakeTable) -> list[dict[str, Any]]:
        ingested = {"created_timestamp", "ingest_date"}
        kept = [name for name in table.schema.names if name not in ingested]
        return sorted(lake.scan(table).select(kept).to_pylist(), key=str)

    return {table.name: rows(table) for table in (INTERACTIONS, PHOTOS, USERS, QUARANTINE)}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """One database for all: nothing is written there."""
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('sql') / 'import.db'}")
    yield engine
    engine.dispose()


@pytest.fixture
def bring(settings: Settings, lake: Lake, engine: sa.Engine) -> Import:
    """`bring(path, …)`: import into the lake of this test."""
    return lambda path, **options: import_file(settings, lake, engine, path, **options)


def a_row(**changes: Any) -> dict[str, Any]:
    return {"user_id": "u1", "photo_id": "p1", "owner_id": "o1", "faved_at": "2024-05-01T12:00:00Z", **changes}


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
    ("changes", "reason", "subject"),
    [
        ({"user_id": ""}, "user_id is missing", ""),
        ({"user_id": " \t"}, "user_id is missing", ""),
        ({"photo_id": ""}, "photo_id is missing", "u1"),
        ({"photo_id": "p" * 65}, "photo_id is too long", "u1"),
        ({"user_id": "u" * 129}, "user_id is too long", "u" * 128),
        ({"owner_id": "o" * 129}, "owner_id is too long", "u1"),
        ({"photo_id": "p\x1f1"}, "photo_id has control characters", "u1"),
        ({"faved_at": "yesterday"}, "faved_at is no date", "u1"),
        ({"faved_at": "now"}, "faved_at is no date", "u1"),
        ({"faved_at": "2024-02-30"}, "faved_at is no date", "u1"),
        ({"faved_at": "1714564800000"}, "faved_at is no date", "u1"),
        ({"faved_at": "0"}, "faved_at is before 1990", "u1"),
        ({"faved_at": "2099-01-01"}, "faved_at is in the future", "u1"),
        ({"owner_id": "u1"}, "own photo", "u1"),
    ],
)
def test_a_bad_row_is_kept_with_its_reason_and_costs_no_other(
    bring: Import, lake: Lake, tmp_path: Path, changes: Row, reason: str, subject: str
) -> None:
    bad = a_row(**changes)
    report = bring(write(tmp_path / "f.csv", [a_row(photo_id="before"), bad, a_row(photo_id="after")]))
    assert set(favorites(lake)) == {("u1", "before"), ("u1", "after")}
    assert report.rejected == {reason: 1}
    assert quarantined(lake) == [(subject, reason)]
    (row,) = lake.scan(QUARANTINE).to_pylist()
    told = orjson.loads(row["payload"])
    assert {name: told[name] for name in told} == {name: value for name, value in bad.items() if value}
    assert row["source"] == "file"
    assert report.examples == {reason: [row["payload"]]}


@pytest.mark.parametrize(
    ("ending", "content", "reason"),
    [
        ("csv", b"user_id,photo_id\nu1,p1\nu2,\xff\xfe\nu3,p3\n", "photo_id is no UTF-8"),
        ("csv", b"user_id,photo_id\nu1,p1\nu2\nu3,p3\n", "row can't be read"),
        ("csv", b"user_id,photo_id\nu1,p1\nu2,p2,p3\nu3,p3\n", "row can't be read"),
        (
            "jsonl",
            b'{"user_id":"u1","photo_id":"p1"}\n{"user_id":"u2","phot\n\n{"user_id":"u3","photo_id":"p3"}',
            "row can't be read",
        ),
        (
            "jsonl",
            b'{"user_id":"u1","photo_id":"p1"}\n{"user_id":["u2"],"photo_id":"p2"}\n{"user_id":"u3","photo_id":"p3"}',
            "row can't be read",
        ),
        ("jsonl", b'{"user_id":"u1","photo_id":"p1"}\n[1,2]\n{"user_id":"u3","photo_id":"p3"}', "row can't be read"),
    ],
)
def test_what_is_no_row_is_kept_as_it_is_and_costs_no_other(
    bring: Import, lake: Lake, tmp_path: Path, ending: str, content: bytes, reason: str
) -> None:
    path = tmp_path / f"f.{ending}"
    path.write_bytes(content)
    report = bring(path)
    assert set(favorites(lake)) == {("u1", "p1"), ("u3", "p3")}
    assert (report.rows, report.added, report.rejected) == (3, 2, {reason: 1})
    assert len(quarantined(lake)) == 1


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


def test_what_the_lake_knows_of_a_photo_or_user_is_not_overruled(bring: Import, lake: Lake, tmp_path: Path) -> None:
    url = "https://example.com/1.jpg"
    bring(write(tmp_path / "first.csv", [a_row(title="Dunes", image_url=url, owner_name="Zoë")]))
    again = bring(write(tmp_path / "second.csv", [a_row(user_id="u2", title="?", image_url=url, owner_name="?")]))
    assert (again.added, again.photos, again.users) == (1, 0, 0)
    assert lake.scan(PHOTOS).column("title").to_pylist() == ["Dunes"]
    assert lake.scan(USERS).column("name").to_pylist() == ["Zoë"]


def test_a_favorite_that_the_file_has_twice_is_one_with_the_later_date(
    bring: Import, lake: Lake, tmp_path: Path
) -> None:
    rows = [a_row(faved_at="2024-05-01T12:00:00Z"), a_row(faved_at=""), a_row(faved_at="2023-01-01")]
    report = bring(write(tmp_path / "f.csv", rows))
    assert (report.rows, report.added, report.repeats) == (3, 1, 2)
    assert lake.scan(INTERACTIONS).column("faved_at").to_pylist() == [NOON]


@pytest.mark.parametrize(
    ("taken_back", "comes_again"), [(NOON - timedelta(days=1), True), (NOON, False), (NOON + timedelta(days=1), False)]
)
def test_a_favorite_that_was_taken_back_comes_again_only_with_a_later_date(
    bring: Import, lake: Lake, tmp_path: Path, taken_back: datetime, comes_again: bool
) -> None:
    rows = pa.table(
        {
            "user_id": ["u1", "u1"],
            "photo_id": ["p1", "p2"],
            "owner_id": ["o1", "o1"],
            "kind": ["unfavorite", "unfavorite"],
            "source": ["flickr", "flickr"],
            "event_timestamp": pa.array([taken_back, taken_back], pa.timestamp("us", tz="UTC")),
            "created_timestamp": pa.array([taken_back, taken_back], pa.timestamp("us", tz="UTC")),
            "ingest_date": pa.array([taken_back.date()] * 2),
        }
    )
    lake.append(INTERACTIONS, rows)
    report = bring(write(tmp_path / "f.csv", [a_row(), a_row(photo_id="p2", faved_at="")]))
    assert favorites(lake) == ({("u1", "p1"): NOON} if comes_again else {})
    assert (report.added, report.known) == ((1, 1) if comes_again else (0, 2))


def test_importing_a_file_again_adds_nothing_to_any_table(bring: Import, lake: Lake, tmp_path: Path) -> None:
    rows = [a_row(photo_id=f"p{n}", image_url=f"https://example.com/{n}", owner_name="Zoë") for n in range(20)]
    path = write(tmp_path / "f.jsonl", [*rows, a_row(user_id="")])
    first = bring(path)
    before = everything(lake)
    again = bring(path)
    assert everything(lake) == before
    assert (first.added, first.known, again.added, again.known) == (20, 0, 0, 20)
    assert again.rejected == first.rejected == {"user_id is missing": 1}


class Killed(BaseException):
    pass


class MortalLake(Lake):
    """A lake whose process dies at an append: before it has happened, or right after."""

    def __init__(self, uri: str, at: int, after: bool) -> None:
        super().__init__(uri)
        self.left, self.after = at, after

    def append(self, *arguments: Any, **options: Any) -> bool:
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Killed
        done = super().append(*arguments, **options)
        if self.left < 0:
            raise Killed
        return done


def test_killed_at_any_commit_and_run_again_the_lake_is_as_if_it_had_run_once(
    settings: Settings, engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_spool, "PART_ROWS", 10)
    monkeypatch.setattr(import_formats, "BATCH_ROWS", 10)
    rows = [
        a_row(
            user_id=f"u{n % 5}",
            photo_id=f"p{n % 11}",
            owner_id=f"o{n % 11}",
            owner_name=f"Owner {n % 11}",
            image_url=f"https://example.com/{n % 11}",
            faved_at="?" if n % 13 == 0 else 1714564800 + n,
        )
        for n in range(24)
    ]
    path = write(tmp_path / "f.jsonl", rows)

    def lake_named(name: str) -> Settings:
        return settings.model_copy(update={"lake_uri": str(tmp_path / name)})

    whole = open_lake(lake_named("whole"))
    import_file(settings, whole, engine, path)
    expected = everything(whole)
    kills = 0
    for at in range(100):
        for after in (False, True):
            uri = str(tmp_path / f"{at}-{after}")
            try:
                import_file(settings, MortalLake(uri, at, after), engine, path)
            except Killed:
                kills += 1
            lake = Lake(uri)
            import_file(settings, lake, engine, path)
            assert everything(lake) == expected
        if kills < 2 * (at + 1):
            break
    assert kills > 10


def test_a_dry_run_says_what_is_wrong_and_writes_nothing(bring: Import, lake: Lake, tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", [a_row(), a_row(), a_row(user_id="")])
    report = bring(path, dry_run=True)
    assert (report.rows, report.good, report.repeats, report.rejected) == (3, 1, 1, {"user_id is missing": 1})
    assert lake.versions() == {}


def test_erased_people_and_photos_taken_down_do_not_come_back_by_a_file(
    lake: Lake, settings: Settings, tmp_path: Path
) -> None:
    engine = open_database(settings.database_url)
    Suppression(settings, engine).suppress("erased")
    bury_photos(engine, ["down"], Reason.TAKEDOWN)
    rows = [
        a_row(),
        a_row(user_id="erased"),
        a_row(photo_id="p2", owner_id="erased", image_url="https://example.com/2"),
        a_row(photo_id="down", image_url="https://example.com/3"),
        a_row(user_id="erased", faved_at="?"),
    ]
    report = import_file(settings, lake, engine, write(tmp_path / "f.csv", rows))
    engine.dispose()
    assert set(favorites(lake)) == {("u1", "p1")}
    assert report.rejected == {"erased or taken down": 3, "faved_at is no date": 1}
    assert "erased" not in str(everything(lake))
    assert lake.scan(PHOTOS).num_rows == 0


@pytest.mark.parametrize(
    ("name", "content", "field", "words"),
    [
        ("f.txt", b"", "file", "not a file of a kind known here (.parquet, .csv, .jsonl, .ndjson)"),
        ("missing.csv", None, "file", "can't be read"),
        ("f.csv", b"", "file", "is no readable csv file"),
        ("f.parquet", b"user_id,photo_id\n1,2\n", "file", "is no readable parquet file"),
        ("f.jsonl", b"user_id,photo_id\n1,2\n", "file", "is no readable jsonl file"),
        ("f.csv", b"user,photo_id\n1,2\n", "user_id", "has no column 'user_id'; it has user, photo_id"),
        ("f.csv", b"user_id,photo\n1,2\n", "photo_id", "has no column 'photo_id'; it has user_id, photo"),
        ("f.jsonl", b'{"user_id":"1","photo":"2"}\n', "photo_id", "has no column 'photo_id'; it has user_id, photo"),
        ("f.jsonl", b"", "user_id", "has no column 'user_id'; it has none"),
    ],
)
def test_a_file_that_can_not_be_used_is_named_with_what_it_lacks(
    bring: Import, tmp_path: Path, name: str, content: bytes | None, field: str, words: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError) as caught:
        bring(tmp_path / name)
    assert caught.value.field == field
    assert words in caught.value.message
    assert name in caught.value.message


def test_a_parquet_file_cut_short_is_named_and_ids_that_are_fractions_are_refused(
    bring: Import, tmp_path: Path
) -> None:
    path = write(tmp_path / "f.parquet", [a_row(photo_id=f"p{n}") for n in range(500)])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InvalidInputError, match="is no readable parquet file"):
        bring(path)
    fractions = write(tmp_path / "g.parquet", [{"user_id": 1.5, "photo_id": "p"}])
    with pytest.raises(InvalidInputError, match="column 'user_id' is double; ids are text or whole numbers"):
        bring(fractions)


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
