"""The life of a model in the service as it runs, with two processes and requests all the while: promoted, rolled back,
challenged, corrupt; and a start while MLflow hangs.
"""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from features.batch import POPULAR
from features.builds import Build, Builds, new_version
from features.feature_tables import POPULAR_SCHEMA
from features.settings import Settings
from tests.serving.conftest import World, of_style, state_of
from tests.serving.running_service import Service, running
from tests.training.conftest import give_mlflow
from training import tracking
from training.gate import Decision
from training.tracking import TrainingRun

USERS = [f"{number}@N12" for number in range(10, 30)]
WAIT_SECONDS = 60.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def home(world: World, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with the world's features, in which version 1 is champion."""
    world.online.write_user_states([state_of(user, of_style(n % 3, 8)) for n, user in enumerate(USERS)])
    ignored = shutil.ignore_patterns("bundles", "photo_recommender.db*")
    shutil.copytree(world.settings.home, tmp_path / "home", ignore=ignored)
    settings = Settings(
        home=tmp_path / "home",
        workers=2,
        model_poll_seconds=0.2,
        challenger_share=50,
        status_details=True,
        _env_file=None,  # type: ignore[call-arg]
    )
    builds, now = Builds(settings.lake_uri), datetime.now(UTC)
    build = Build(new_version(now), now, {}, {})
    columns = (world.popular.photo_ids, world.popular.owner_ids, world.popular.scores)
    builds.write(build.version, POPULAR, pa.table([pa.array(column) for column in columns], schema=POPULAR_SCHEMA))
    builds.publish(build)
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    register(settings, world.bundles["als"])
    return settings


def register(settings: Settings, folder: Path) -> str:
    run = TrainingRun(settings, "test")
    version = run.register(folder, Decision(True, "als", "better"), "f")
    run.finish("FINISHED")
    return version


class Load:
    """Asks for walls, one after the other, and remembers the answers."""

    def __init__(self, service: Service) -> None:
        self.answers: list[tuple[int, str | None, str, str]] = []
        """(status, model version, variant, user)"""
        self._url = service.url
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(start,)) for start in (0, 10)]

    def _ask(self, start: int) -> None:
        number = start
        while not self._stop.is_set():
            user = USERS[number % len(USERS)]
            number += 1
            try:
                answer = httpx.post(f"{self._url}/recommend", json={"user_id": user, "limit": 5}, timeout=30)
                body = answer.json()
                told = body.get("model_version"), body.get("variant", "")
                self.answers.append((answer.status_code, *told, user))
            except httpx.HTTPError as error:
                self.answers.append((0, None, repr(error), user))
            self._stop.wait(0.01)  # the other process of this machine has work to do, too

    def until(self, settled: Callable[[list[tuple[str | None, str]]], bool]) -> None:
        """Waits until the last 20 answers are as `settled` says of their (model version, variant)."""
        deadline = time.monotonic() + WAIT_SECONDS
        begun = len(self.answers)
        while len(self.answers) < begun + 20 or not settled([(one[1], one[2]) for one in self.answers[-20:]]):
            assert time.monotonic() < deadline, self.answers[-20:]
            time.sleep(0.05)

    def only(self, version: str) -> None:
        self.until(lambda last: set(last) == {(version, "champion")})


@contextmanager
def asked(service: Service) -> Iterator[Load]:
    load = Load(service)
    for thread in load._threads:
        thread.start()
    try:
        yield load
    finally:
        load._stop.set()
        for thread in load._threads:
            thread.join(30)


def test_no_request_fails_while_models_come_and_go(
    home: Settings, world: World, free_port: Callable[[], int], tmp_path: Path
) -> None:
    with running(home, free_port()) as service, asked(service) as load:
        load.only("1")
        assert register(home, world.bundles["neighbor_score"]) == "2"
        load.only("2")
        assert tracking.rollback(home).version == "1"
        load.only("1")

        tracking.challenge(home, "2")
        load.until(lambda last: set(last) == {("1", "champion"), ("2", "challenger")})
        shared = len(load.answers)
        load.until(lambda last: len(load.answers) > shared + 60)
        by_user = {user: {one[1] for one in load.answers[shared:] if one[3] == user} for user in USERS}
        assert {len(versions) for versions in by_user.values()} == {1}  # each user has one model, in both processes
        tracking.end_challenge(home)
        load.only("1")

        broken = Path(shutil.copytree(world.bundles["als"], tmp_path / "broken"))
        (broken / "photo_factors.npy").write_bytes(b"not what was saved")
        assert register(home, broken) == "3"
        deadline = time.monotonic() + WAIT_SECONDS
        while "photo_factors.npy" not in (service.get("/api/status").json()["model_error"] or ""):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        load.only("1")
        while 'model_failures_total{alias="champion",reason="corrupt"}' not in service.get("/metrics").text:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert {one[0] for one in load.answers} == {200}
    copies = sorted(path.name.partition("-")[0] for path in (home.home / "models").iterdir())
    assert copies == ["1", "2", "3"]  # one folder a version, whichever process asked for it first


def test_a_service_starts_with_what_it_had_while_mlflow_hangs(home: Settings, free_port: Callable[[], int]) -> None:
    assert tracking.champion_folder(home) is not None  # as an earlier process of the service left it
    with socket.create_server(("127.0.0.1", 0)) as hangs:  # takes connections, and says nothing
        hanging = home.model_copy(update={"mlflow_uri": f"http://127.0.0.1:{hangs.getsockname()[1]}", "workers": 1})
        with running(hanging, free_port()) as service:
            status = service.get("/api/status").json()
            assert status["model"]["version"] == "1"
            assert "has not named its champion" in status["model_error"]
            answer = service.post("/recommend", {"user_id": USERS[0], "limit": 5}).json()
            assert (answer["strategy"], answer["model_version"]) == ("personalized", "1")
            assert "\nphoto_recommender_model_stand_in 1.0" in service.get("/metrics").text
