"""The feature repository, by Feast's own commands: applied as it stands, and open to be looked at."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from features.feast_registry import PROJECT, REPOSITORY, apply_repository, open_store
from features.settings import Settings

FEAST = str(Path(sys.executable).with_name("feast"))
VIEWS = ["neighbor_candidates", "photo_card", "photo_popularity", "user_activity", "user_card", "user_snapshot"]


def names(settings: Settings) -> dict[str, list[str]]:
    store = open_store(settings)
    return {
        "entities": sorted(entity.name for entity in store.list_entities()),
        "views": sorted(view.name for view in store.list_feature_views()),
        "services": sorted(service.name for service in store.list_feature_services()),
        "sources": sorted(source.name for source in store.list_data_sources()),
    }


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings on which `feast apply` was run, as a person would: in the folder, with nothing but a home set."""
    home = tmp_path_factory.mktemp("applied")
    settings = Settings(home=home, _env_file=None)  # type: ignore[call-arg]
    ended = subprocess.run(
        [FEAST, "apply"],
        cwd=REPOSITORY,
        env={**os.environ, "PHOTO_RECOMMENDER_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return settings


def test_feast_apply_takes_the_repository_as_it_stands(applied: Settings) -> None:
    found = names(applied)
    assert found["views"] == VIEWS
    assert {"user", "photo"} <= set(found["entities"])
    assert found["services"] == ["card", "people", "training", "wall"]
    assert {"lake_interactions", "lake_photos", "lake_users", "lake_contacts", "features_user_snapshot"} <= set(
        found["sources"]
    )


def test_apply_in_process_is_the_same(applied: Settings, settings: Settings) -> None:
    apply_repository(settings)
    assert names(settings) == names(applied)
    apply_repository(settings)
    assert names(settings) == names(applied)


def test_what_is_no_longer_defined_is_removed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from features.repository import definitions

    apply_repository(settings)
    monkeypatch.setattr(definitions, "SERVICES", [s for s in definitions.SERVICES if s.name != "people"])
    apply_repository(settings)
    assert names(settings)["services"] == ["card", "training", "wall"]


def test_the_registry_holds_no_place_of_this_machine(applied: Settings) -> None:
    protos = open_store(applied).registry.proto().SerializeToString()
    assert str(applied.home).encode() not in protos


def test_a_killed_apply_leaves_a_registry_that_the_next_one_completes(settings: Settings) -> None:
    registry = Path(settings.registry_url.removeprefix("sqlite:///"))
    process = subprocess.Popen(
        [FEAST, "apply"],
        cwd=REPOSITORY,
        env={**os.environ, "PHOTO_RECOMMENDER_HOME": str(settings.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not registry.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    with sqlite3.connect(registry) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    apply_repository(settings)
    assert names(settings)["views"] == VIEWS


def test_the_feast_ui_opens_on_it(applied: Settings, free_port: Callable[[], int]) -> None:
    port = free_port()
    server = subprocess.Popen(
        [FEAST, "ui", "--host", "127.0.0.1", "--port", str(port)],
        cwd=REPOSITORY,
        env={**os.environ, "PHOTO_RECOMMENDER_HOME": str(applied.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait(f"http://127.0.0.1:{port}/")
        page = httpx.get(f"http://127.0.0.1:{port}/")
        assert page.status_code == 200
        assert "Feast" in page.text
        views = httpx.get(f"http://127.0.0.1:{port}/api/v1/feature_views", params={"project": PROJECT})
        assert views.status_code == 200
        assert all(f'"{name}"' in views.text for name in VIEWS)
    finally:
        server.terminate()
        server.wait(10)


def wait(url: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            httpx.get(url, timeout=5)
            return
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_online_features_do_not_import_feast_before_they_are_opened() -> None:
    code = "import sys, features.online, features.batch, features.commands; print('feast' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
