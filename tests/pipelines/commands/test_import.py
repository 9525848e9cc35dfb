"""`photo-recommender import`, as people and programs see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from features.lake import open_lake
from features.schema import INTERACTIONS
from features.settings import Settings

Run = Callable[..., Any]


@pytest.fixture
def run(settings: Settings, command_line: Any) -> Run:
    """Runs `photo-recommender import …`."""
    return partial(command_line, settings, "import")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "favorites.csv"
    path.write_text("who,photo_id,faved_at\na,1,2024-05-01\na,1,2024-05-01\nb,2,soon\nb,3,\n", encoding="utf-8")
    return path


def test_it_says_what_became_of_the_rows(run: Run, file: Path) -> None:
    ended = run(file, "--map", "who=user_id", "--namespace", "imgur")
    assert ended.status == 0, ended.stderr
    for words in (
        "4 rows",
        "2 favorites added, 0 known already",
        "1 repeat a favorite of the file",
        "1 rejected: faved_at is no date",
        '{"user_id":"b","photo_id":"2","faved_at":"soon"}',
        "quarantine",
    ):
        assert words in ended.stdout


def test_programs_get_the_report_as_json_and_a_second_run_adds_nothing(
    run: Run, file: Path, settings: Settings
) -> None:
    first = json.loads(run(file, "--map", "who=user_id", "--json").stdout)
    again = json.loads(run(file, "--map", "who=user_id", "--json").stdout)
    assert (first["rows"], first["added"], first["known"], first["repeats"]) == (4, 2, 0, 1)
    assert first["rejected"] == {"faved_at is no date": 1}
    assert (again["added"], again["known"]) == (0, 2)
    assert open_lake(settings).scan(INTERACTIONS).num_rows == 2


def test_a_dry_run_writes_nothing_and_says_so(run: Run, file: Path, settings: Settings) -> None:
    ended = run(file, "--map", "who=user_id", "--dry-run")
    assert ended.status == 0, ended.stderr
    assert "4 rows, 2 favorites to import; nothing was written" in ended.stdout
    assert open_lake(settings).versions() == {}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "has no column 'user_id'; it has who, photo_id, faved_at. Say which it is: --map COLUMN=user_id"),
        (["--map", "who"], "--map 'who': write the file's column = ours"),
        (["--map", "who=liker"], "'liker' is no column"),
        (["--map", "who=user_id", "--namespace", "Imgur!"], "'Imgur!' is no namespace"),
    ],
)
def test_what_is_wrong_with_the_file_or_an_option_is_one_clear_line(
    run: Run, file: Path, options: list[str], words: str
) -> None:
    ended = run(file, *options)
    assert ended.status == 2
    (line,) = ended.stderr.strip().splitlines()
    assert words in line
