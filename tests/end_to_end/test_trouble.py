"""What goes wrong on people's machines is one clear line that says what to do, and an exit status; no traceback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from features.actions import actions_after, record_action
from features.database import open_database
from features.errors import is_storage_full
from features.lake import Lake, open_lake
from features.schema import INTERACTIONS, Kind
from features.settings import Settings
from pipelines.pull.commit import commit
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import Fetched
from pipelines.pull.listing import Listing

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]


def run(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "photo_recommender", *arguments],
        env={**os.environ, "PHOTO_RECOMMENDER_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def error_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in ended.stdout + ended.stderr, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, ended.stderr
    return lines[0]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a tmpfs needs root")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(folder: Path, leave: int = 0) -> None:
    """Take all the space there is but `leave` bytes."""
    with (folder / "full").open("wb") as file:
        file.write(b"\0" * max(0, shutil.disk_usage(folder).free - leave))


@pytest.mark.parametrize("option", ["--port", "--sandbox-port", "--mlflow-port"])
def test_a_used_port_names_the_option_that_changes_it(option: str, taken_port: int, tmp_path: Path) -> None:
    ended = run("demo", option, str(taken_port), "--home", str(tmp_path / "demo"), home=tmp_path)
    assert ended.returncode == 2
    line = error_line(ended)
    assert str(taken_port) in line
    assert f"choose another with {option}" in line


def test_a_used_port_stops_the_service_before_it_starts(taken_port: int, tmp_path: Path) -> None:
    ended = run("serve", "--port", str(taken_port), home=tmp_path)
    assert ended.returncode == 2
    assert f"port {taken_port}" in error_line(ended)


def test_a_disk_too_small_for_the_demo_is_told_before_anything_is_written(small_disk: Path) -> None:
    ended = run("demo", "--home", str(small_disk / "demo"), home=small_disk)
    assert ended.returncode == 4
    assert "--home" in error_line(ended)
    assert list((small_disk / "demo").iterdir()) == []


def test_a_disk_that_fills_up_loses_nothing_that_was_committed(small_disk: Path) -> None:
    settings = Settings(home=small_disk / "home", _env_file=None)  # type: ignore[call-arg]
    lake = open_lake(settings)
    fill_lake(lake, settings, [listing("1@N01", 500)])
    before = favorites(lake)
    fill(small_disk)
    ended = run("features", "build", home=settings.home)
    assert ended.returncode == 4
    assert "no space left" in error_line(ended)
    assert favorites(open_lake(settings)) == before
    (small_disk / "full").unlink()
    assert run("features", "build", home=settings.home).returncode == 0


def test_a_full_disk_fails_an_action_and_not_the_database(small_disk: Path) -> None:
    engine = open_database(f"sqlite:///{small_disk / 'actions.db'}")
    kept = record_action(engine, user_id="u@N01", kind=Kind.DISMISS_PHOTO, photo_id="1", owner_id="o@N01")
    fill(small_disk)
    with pytest.raises(sa.exc.OperationalError) as failed:
        for photo in range(2, 2000):
            record_action(engine, user_id="u@N01", kind=Kind.DISMISS_PHOTO, photo_id=str(photo), owner_id="o@N01")
    assert is_storage_full(failed.value)
    (small_disk / "full").unlink()
    later = record_action(engine, user_id="u@N01", kind=Kind.DISMISS_PHOTO, photo_id="0", owner_id="o@N01")
    found = actions_after(engine, "u@N01", 0)
    assert (found[0], found[-1]) == (kept, later)
    engine.dispose()


def test_a_corrupt_model_is_named_and_the_wall_falls_back(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", als_factors=4, _env_file=None)  # type: ignore[call-arg]
    lake = open_lake(settings)
    fill_lake(lake, settings, [listing(f"{user}@N01", 12) for user in range(1, 25)])
    trained = run("train", home=settings.home)
    assert trained.returncode == 0, trained.stderr
    (photos,) = (settings.home / "mlflow" / "artifacts").rglob("photos.parquet")
    photos.write_bytes(photos.read_bytes()[:-40])
    ended = run("recommend", "1@N01", home=settings.home)
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    (warning,) = [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]
    assert "photos.parquet" in warning
    assert "train again" in warning


def test_nothing_to_learn_from_says_what_to_do_first(tmp_path: Path) -> None:
    ended = run("train", home=tmp_path / "home")
    assert ended.returncode == 3
    assert "pull USER" in error_line(ended)


def test_a_user_without_any_favorite_gets_what_is_popular(tmp_path: Path) -> None:
    ended = run("recommend", "99@N01", "--json", home=tmp_path / "home")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert (answer["strategy"], answer["coverage"], answer["photos"]) == ("popular", 0.0, [])


@pytest.mark.parametrize("missing", ["node", "python3.11"])
def test_a_missing_tool_is_named_by_make(missing: str, tmp_path: Path) -> None:
    """With a PATH of the plainest tools only."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "sh", "grep", "cut", "sed", "find", "test", "touch", "mkdir", "uname"):
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "frontend", copy / "frontend", ignore=shutil.ignore_patterns("node_modules"))
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, copy / name)
    target = "frontend/node_modules/.installed" if missing == "node" else ".venv/.installed"
    make = shutil.which("make")
    assert make
    ended = subprocess.run(
        [make, target], cwd=copy, env={"PATH": str(tools)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    named = {"node": "Node.js is missing: install Node 20", "python3.11": "python3.11 is missing: install Python 3.11"}
    assert f"error: {named[missing]}" in ended.stderr


def listing(user_id: str, count: int) -> Listing:
    """That user's favorites of the last days, photos of fifty owners."""
    rng = np.random.default_rng(int(user_id.split("@")[0]))
    photos = rng.choice(1_000, count, replace=False)
    now = datetime.now(UTC)
    return Listing(
        user_id=user_id,
        observed_at=now,
        photo_ids=[str(10_000 + photo) for photo in photos],
        owner_ids=[f"9{photo % 50:02d}@N01" for photo in photos],
        faved_at=[int(now.timestamp()) - 3_600 * (1 + place) for place in range(count)],
    )


def fill_lake(lake: Lake, settings: Settings, listings: list[Listing]) -> None:
    """As a worker does once these are fetched."""
    engine = open_database(settings.database_url)
    commit(lake, engine, settings, [Fetched(listed, Cursor(listed.user_id)) for listed in listings], [])
    engine.dispose()


def favorites(lake: Lake) -> list[str]:
    return sorted(lake.scan(INTERACTIONS, columns=["photo_id"]).column(0).to_pylist())
