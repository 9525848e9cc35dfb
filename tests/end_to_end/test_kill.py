"""A demo that is killed at any moment and started again ends where an undisturbed one ends.

`DEMO_KILLS` says how many demos are killed, each at a random moment of its own (`make stack-test`: 10).
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from features.builds import Builds
from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, USERS
from features.state import STATE_COLUMNS, current_contacts, interaction_state, newest

pytestmark = pytest.mark.timeout(1200)

OPTIONS = ("--no-serve", "--users", "120", "--photos", "1200", "--favorites", "8000")
KILLS = int(os.environ.get("DEMO_KILLS", "2"))


@dataclass(frozen=True)
class Undisturbed:
    home: Path
    state: dict[str, Any]
    seconds: float


def lake_state(home: Path) -> dict[str, Any]:
    """What the lake says in the end; rows that a kill left twice count once, as for every reader."""
    lake = Lake(str(home / "lake"))
    state = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS))
    photos = newest(lake.scan(PHOTOS), PHOTOS.key, ("created_timestamp",))
    users = newest(lake.scan(USERS), USERS.key, ("created_timestamp",))
    features = Builds(lake.uri).current()
    return {
        "favorites": sorted(state.favorites.to_pylist(), key=str),
        "contacts": sorted(current_contacts(lake.scan(CONTACTS)).to_pylist(), key=str),
        "photos": sorted(photos.select(["photo_id", "owner_id", "title", "uploaded_at"]).to_pylist(), key=str),
        "users": sorted(users.select(["user_id", "name", "path_alias"]).to_pylist(), key=str),
        "feature rows": features.rows if features else None,
    }


@pytest.fixture(scope="module")
def undisturbed(start_demo: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """A demo that nobody disturbed: its folder, the lake's state in the end, and how long it took."""
    home = tmp_path_factory.mktemp("undisturbed") / "home"
    began = time.monotonic()
    demo = start_demo(home, *OPTIONS)
    assert demo.process.wait(400) == 0, demo.output
    return Undisturbed(home, lake_state(home), time.monotonic() - began)


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_and_started_again_it_ends_with_the_same_lake(
    number: int,
    undisturbed: Undisturbed,
    start_demo: Callable[..., Any],
    processes_in: Callable[[Path], list[str]],
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    # The very same world, should midnight have passed since: its end is the last one before its first start.
    (home / "sandbox").mkdir(parents=True)
    shutil.copy(undisturbed.home / "sandbox" / "world.json", home / "sandbox")
    # The moments are spread over the stages: each demo is killed in its own part of the time that one takes.
    moment = undisturbed.seconds * (number + random.Random(os.urandom(8)).random()) / KILLS
    demo = start_demo(home, *OPTIONS)
    time.sleep(moment)
    demo.process.kill()
    demo.process.wait()
    deadline = time.monotonic() + 30
    while processes_in(home) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert processes_in(home) == [], f"killed after {moment:.1f} s, it left processes behind"
    again = start_demo(home, *OPTIONS)
    assert again.process.wait(400) == 0, f"killed after {moment:.1f} s: {again.output}"
    assert lake_state(home) == undisturbed.state, f"killed after {moment:.1f} s"


def test_a_second_demo_adds_nothing_and_trains_nothing(
    undisturbed: Undisturbed, start_demo: Callable[..., Any]
) -> None:
    before = Lake(str(undisturbed.home / "lake")).versions()
    second = start_demo(undisturbed.home, *OPTIONS)
    assert second.process.wait(400) == 0, second.output
    assert Lake(str(undisturbed.home / "lake")).versions() == before
    assert lake_state(undisturbed.home) == undisturbed.state
    assert "model version 1)" in second.output
    assert "NDCG@20" in second.output
