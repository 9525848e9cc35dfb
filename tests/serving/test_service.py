"""The service as it is shipped: the bento that `bentoml build` makes, run by what `photo-recommender serve` starts.

One process for all tests, as starting it takes most of their time: behind a key, in a home where nothing was trained
yet; a champion is registered while it runs.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pyarrow as pa
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from features.batch import POPULAR
from features.builds import Build, Builds, new_version
from features.feature_tables import POPULAR_SCHEMA
from features.settings import Settings
from serving.answers import Recommendation, SimilarPhotos
from tests.serving.conftest import World, of_style, state_of, style_of
from tests.serving.running_service import Service, running
from training.gate import Decision
from training.tracking import TrainingRun

REPOSITORY = Path(__file__).parents[2]
KEY = "a-long-key-of-the-service"
SECRET = "72157-a-secret-that-nobody-may-ship"
USER = "97@N09"

pytestmark = pytest.mark.timeout(240)


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    assert list(answer.json()) == ["error"]
    assert list(answer.json()["error"]) == ["code", "message", "field"]
    return answer.status_code, answer.json()["error"]["code"], answer.json()["error"]["field"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as somebody has it who tried things out in it: with keys, state, and a built website."""
    tree = tmp_path_factory.mktemp("tree") / "photo-recommender"
    ignored = shutil.ignore_patterns("__pycache__", "site")
    for package in ("features", "training", "pipelines", "serving", "tests"):
        shutil.copytree(REPOSITORY / package, tree / package, ignore=ignored)
    for name in ("bentofile.yaml", "pyproject.toml", "requirements-run.lock", "README.md", "photo_recommender.py"):
        shutil.copy(REPOSITORY / name, tree)
    for path in (".env", "var/token.key", "var/photo_recommender.db", "frontend/.env.local"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(SECRET)
    (tree / "serving" / "site").mkdir()
    (tree / "serving" / "site" / "index.html").write_text("<!doctype html><title>of the bento</title>")
    return tree


@pytest.fixture(scope="module")
def bento(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the bento that `bentoml build` makes of the tree."""
    bentoml_home = tmp_path_factory.mktemp("bentoml")
    ended = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--output", "tag", "."],
        cwd=tree,
        env=os.environ | {"BENTOML_HOME": str(bentoml_home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    name, version = ended.stdout.strip().removeprefix("__tag__:").split(":")
    return bentoml_home / "bentos" / name / version


@pytest.fixture(scope="module")
def home(world: World, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home of its own with the world's features, in which nothing was trained yet."""
    world.online.write_user_states([state_of(USER, of_style(0, 8))])
    home = tmp_path_factory.mktemp("service") / "home"
    shutil.copytree(world.settings.home, home, ignore=shutil.ignore_patterns("bundles", "photo_recommender.db*"))
    settings = Settings(home=home, model_poll_seconds=1, api_key=KEY, _env_file=None)  # type: ignore[call-arg]
    builds, now = Builds(settings.lake_uri), datetime.now(UTC)
    build = Build(new_version(now), now, {}, {})
    columns = (world.popular.photo_ids, world.popular.owner_ids, world.popular.scores)
    builds.write(build.version, POPULAR, pa.table([pa.array(column) for column in columns], schema=POPULAR_SCHEMA))
    builds.publish(build)
    return settings


@pytest.fixture(scope="module")
def service(bento: Path, home: Settings, free_port: Callable[[], int]) -> Iterator[Service]:
    """The bento's service, ready."""
    with running(home, free_port(), str(bento)) as service:
        yield service


@pytest.fixture(scope="module")
def untrained(service: Service) -> dict[str, httpx.Response]:
    """What the service answers before anything was trained."""
    return {
        "/recommend": service.post("/recommend", {"user_id": USER}),
        "/similar": service.post("/similar", {"photo_id": "1000"}),
        "/api/status": service.get("/api/status"),
    }


@pytest.fixture(scope="module")
def trained(service: Service, untrained: object, home: Settings, world: World) -> str:
    """The version of a champion that was registered while the service ran, once it is served."""
    run = TrainingRun(home, "test")
    version = run.register(world.bundles["als"], Decision(True, "als", "the first"), "fingerprint")
    deadline = time.monotonic() + 60
    while (model := service.get("/api/status").json()["model"]) is None:
        assert time.monotonic() < deadline, service.log.read_text()
        time.sleep(0.1)
    assert model["version"] == version
    return version


# What is built


def test_the_bento_holds_the_packages_the_website_and_pinned_requirements(bento: Path) -> None:
    assert {entry.name for entry in (bento / "src").iterdir()} == {
        *("features", "training", "pipelines", "serving"),
        "bentofile.yaml",
    }
    assert (bento / "src" / "serving" / "site" / "index.html").exists()
    assert (bento / "src" / "features" / "migrations" / "versions" / "0001_first_schema.py").exists()
    assert "bentoml==" in (bento / "env" / "python" / "requirements.txt").read_text()


def test_the_bento_holds_no_sandbox_and_no_secret(bento: Path) -> None:
    files = [path for path in bento.rglob("*") if path.is_file()]
    assert not [path for path in files if "sandbox" in str(path.relative_to(bento))]
    assert not [path for path in files if path.suffix in (".db", ".key", ".pyc") or path.name.startswith(".env")]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_the_bento_serves_the_website_that_it_was_built_with(service: Service) -> None:
    assert "of the bento" in service.get("/wall/12@N01").text


# What it answers


def test_a_service_is_ready_before_anything_was_trained_and_says_what_it_lacks(
    untrained: dict[str, httpx.Response],
) -> None:
    answer = Recommendation.model_validate(untrained["/recommend"].json())
    assert (answer.strategy, answer.model_version, answer.degraded) == ("popular", None, True)
    assert len(answer.photos) == 30
    assert refusal(untrained["/similar"]) == (503, "no_model", None)
    assert untrained["/api/status"].json()["model"] is None


def test_a_new_champion_is_served_without_a_restart(service: Service, trained: str) -> None:
    answer = Recommendation.model_validate(service.post("/recommend", {"user_id": USER}).json())
    assert (answer.strategy, answer.model_version, answer.degraded) == ("personalized", trained, False)
    assert len(answer.photos) == 30
    assert sum(style_of(photo.photo_id) == 0 for photo in answer.photos) >= 20
    assert all(photo.reasons for photo in answer.photos)


@pytest.mark.usefixtures("trained")
def test_recommend_answers_what_the_page_gets(service: Service) -> None:
    asked = service.post("/recommend", {"user_id": USER, "limit": 30}).json()
    page = service.get(f"/api/users/{USER}/recommendations").json()
    for answer in (asked, page):
        del answer["generated_at"]
    assert asked == page


@pytest.mark.usefixtures("trained")
def test_recommend_keeps_to_what_was_asked_for(service: Service) -> None:
    answer = service.post("/recommend", {"user_id": USER, "limit": 120, "people": 0, "explain": False}).json()
    # 240 photos, of which some are gone, unsafe or favorites.
    assert len(answer["photos"]) == 120
    assert answer["people"] == []
    assert answer["reason_photos"] == {}


@pytest.mark.usefixtures("trained")
def test_similar_photos_are_of_the_same_style(service: Service) -> None:
    photo_id = of_style(1, 1, skip=4)[0]
    answer = SimilarPhotos.model_validate(service.post("/similar", {"photo_id": photo_id, "limit": 10}).json())
    assert len(answer.photos) == 10
    assert sum(style_of(photo.photo_id) == 1 for photo in answer.photos) >= 8


@pytest.mark.usefixtures("trained")
def test_similar_to_a_photo_that_the_model_does_not_know_is_not_found(service: Service) -> None:
    assert refusal(service.post("/similar", {"photo_id": "424242"})) == (404, "not_found", "photo_id")


def test_what_the_door_lets_through_wrong_is_refused_in_our_shape(service: Service) -> None:
    assert refusal(service.post("/recommend", {"user_id": "x"})) == (422, "invalid_input", "user_id")
    assert refusal(service.post("/recommend", {"user_id": USER, "limit": "x"})) == (422, "invalid_input", "limit")
    assert refusal(service.post("/similar", [])) == (422, "invalid_input", "body")
    assert refusal(service.post("/recommend", " " * 70_000)) == (413, "too_large", "body")


@pytest.mark.usefixtures("trained")
@pytest.mark.parametrize("path", ["/recommend", "/similar"])
def test_no_body_of_whatever_shape_makes_a_bento_api_fail(service: Service, path: str) -> None:
    schema = schemathesis.openapi.from_dict(service.get("/docs.json").json())
    bodies = (schema[path]["POST"].as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(bodies), st.booleans())
    def ask(case: schemathesis.Case, of_somebody: bool) -> None:
        if of_somebody and isinstance(case.body, dict):
            case.body |= {"user_id": USER, "photo_id": "1000"}
        request = case.as_transport_kwargs(base_url=service.url)
        request["headers"]["Authorization"] = f"Bearer {KEY}"
        answer = requests.request(**request, timeout=30)
        assert answer.status_code < 500, answer.text
        if answer.status_code == 422:
            assert answer.json()["error"]["field"]

    ask()


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        *((path, "text/plain") for path in ("/livez", "/readyz", "/metrics")),
        *((path, "application/json") for path in ("/docs.json", "/api/openapi.json", "/api/status")),
        ("/docs", "text/html"),
        ("/docs/start.js", "text/javascript"),
        ("/static_content/swagger-ui.css", "text/css"),
        ("/static_content/swagger-ui-bundle.js", "text/javascript"),
    ],
)
def test_every_face_answers_with_the_headers_that_all_answers_have(
    service: Service, path: str, content_type: str
) -> None:
    answer = service.get(path)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(content_type)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_the_documents_describe_both_faces(service: Service) -> None:
    services = service.get("/docs.json").json()
    assert {"/recommend", "/similar"} <= set(services["paths"])
    website = service.get("/api/openapi.json").json()
    assert "/api/users/{user_id}/recommendations" in website["paths"]
    assert "/recommend" not in website["paths"]


def test_requests_are_counted_by_what_was_asked_for(service: Service) -> None:
    service.post("/recommend", {"user_id": USER})
    service.get(f"/api/users/{USER}/recommendations")
    metrics = service.get("/metrics").text
    for endpoint, method in (("/recommend", "POST"), ("/api/users/{user_id}/recommendations", "GET")):
        counted = f'photo_recommender_requests_total{{endpoint="{endpoint}",method="{method}",status="200"}}'
        assert counted in metrics
    assert USER not in metrics


def test_beside_what_it_counts_stands_the_state_that_all_processes_share(service: Service) -> None:
    metrics = service.get("/metrics").text
    assert metrics.count('photo_recommender_workers{kind="worker"} 0.0') == 1
    assert "photo_recommender_queue_dead 0.0" in metrics
    assert 'photo_recommender_budget_left{purpose="person"}' in metrics
    assert 'photo_recommender_scrape_errors{part="queue"} 0.0' in metrics


def test_every_face_answers_the_id_that_the_request_came_with(service: Service) -> None:
    for path in ("/livez", "/metrics", "/api/status", "/wall/12@N01"):
        assert httpx.get(f"{service.url}{path}", headers={"X-Request-ID": "edge-1"}).headers["X-Request-ID"] == "edge-1"
    refused, answered = service.post("/recommend", {"user_id": "x"}), service.post("/recommend", {"user_id": USER})
    assert len(refused.headers["X-Request-ID"]) == len(answered.headers["X-Request-ID"]) == 32
    assert refused.headers["X-Request-ID"] != answered.headers["X-Request-ID"]


def test_the_log_does_not_tell_who_looked_at_whose_wall(service: Service) -> None:
    service.get("/api/users/13579@N01/recommendations")
    service.post("/recommend", {"user_id": "13579@N01"})
    assert "13579@N01" not in service.log.read_text()


def test_a_caller_who_hangs_up_in_the_middle_is_no_failure(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    time.sleep(0.5)
    assert service.get("/readyz").status_code == 200
    assert "Traceback" not in service.log.read_text()


def test_a_failure_of_ours_shows_nothing_of_the_inside(service: Service, home: Settings) -> None:
    with sqlite3.connect(home.home / "photo_recommender.db") as database:
        database.execute("ALTER TABLE actions RENAME TO lost")
    try:
        answer = service.post("/recommend", {"user_id": USER})
        assert refusal(answer) == (500, "internal", None)
        assert "actions" not in answer.text
        assert "no such table: actions" in service.log.read_text()
    finally:
        with sqlite3.connect(home.home / "photo_recommender.db") as database:
            database.execute("ALTER TABLE lost RENAME TO actions")
        database.close()


SPELLINGS = ("/recommend", "/similar", "/%72ecommend", "/recommend/", "//recommend", "/./recommend", "/RECOMMEND")


@pytest.mark.parametrize("path", SPELLINGS)
def test_without_the_key_no_spelling_of_a_bento_api_answers(service: Service, path: str) -> None:
    for key in (None, "wrong"):
        answer = service.post(path, {"user_id": USER, "photo_id": "1000"}, key=key)
        assert refusal(answer)[:2] in ((401, "wrong_key"), (405, "method_not_allowed"))


def test_the_key_is_for_the_bento_apis_alone(service: Service) -> None:
    assert service.get(f"/api/users/{USER}/recommendations").status_code == 200
    assert service.get("/livez").status_code == 200


def test_the_key_is_not_in_the_log(service: Service) -> None:
    service.post("/recommend", {"user_id": USER})
    service.post("/recommend", {"user_id": USER}, key=f"{KEY}x")
    assert KEY not in service.log.read_text()


def test_sigterm_ends_the_service_within_seconds_though_somebody_watches_a_pull(service: Service) -> None:
    progress = f"{service.url}/api/users/{USER}/progress"
    with httpx.stream("GET", progress, headers={"Accept": "text/event-stream"}, timeout=30) as stream:
        assert next(stream.iter_lines()) == "event: progress"
        assert service.stop() < 15
    assert "Completed cleanup hook: close" in service.log.read_text()
