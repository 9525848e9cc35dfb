"""What of a file can't be used: every bad row is kept with its reason, a bad file is named with what it lacks."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from features.errors import InvalidInputError
from features.lake import Lake
from features.schema import QUARANTINE
from tests.pipelines.sources.conftest import Import, Row, a_row, favorites, quarantined, write


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
