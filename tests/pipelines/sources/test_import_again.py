"""A file over what the lake holds: nothing twice, nothing overruled or brought back, and a kill costs nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from features.database import open_database
from features.lake import Lake, open_lake
from features.schema import INTERACTIONS, PHOTOS, USERS
from features.settings import Settings
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import Reason, bury_photos
from pipelines.sources import import_formats, import_spool
from pipelines.sources.import_file import import_file
from tests.pipelines.sources.conftest import NOON, Import, a_row, everything, favorites, write


def test_what_the_lake_knows_of_a_photo_or_user_is_not_overruled(bring: Import, lake: Lake, tmp_path: Path) -> None:
    url = "https://example.com/1.jpg"
    bring(write(tmp_path / "first.csv", [a_row(title="Dunes", image_url=url, owner_name="Zoë")]))
    again = bring(write(tmp_path / "second.csv", [a_row(user_id="u2", title="?", image_url=url, owner_name="?")]))
    assert (again.added, again.photos, again.users) == (1, 0, 0)
    assert lake.scan(PHOTOS).column("title").to_pylist() == ["Dunes"]
    assert lake.scan(USERS).column("name").to_pylist() == ["Zoë"]


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
