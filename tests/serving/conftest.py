"""A small world as serving sees it: 240 photos of 20 owners in three styles, a model of each kind, cards, popularity.

Beside it a browser at the application, and a Flickr sandbox in a process of its own to sign in with.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa
import structlog
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from features.batch import PopularPhotos
from features.database import open_database
from features.online import NeighborCandidates, OnlineFeatures, PhotoCard, UserCard
from features.schema import Kind
from features.settings import PREFIX, Settings, get_settings
from features.user_state import UserState
from pipelines.sandbox.oauth import CONSUMER_KEY, CONSUMER_SECRET
from serving.api import create_app
from serving.champion import Champion, ChampionWatch, Served, load_champion
from serving.ranking import Recommender
from serving.runtime import Runtime
from serving.session import COOKIE
from serving.tokens import open_vault
from training.bundle import save_bundle
from training.data import build_interactions
from training.models import Recipe, fit

STYLES = 3
OWNERS = [f"{number:02d}@N01" for number in range(20)]
PHOTOS = [str(1000 + number) for number in range(240)]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def owner_of(photo_id: str) -> str:
    return OWNERS[(int(photo_id) - 1000) // STYLES % len(OWNERS)]


def style_of(photo_id: str) -> int:
    return (int(photo_id) - 1000) % STYLES


def is_gone(photo_id: str) -> bool:
    return int(photo_id) % 17 == 0


def is_unsafe(photo_id: str) -> bool:
    return int(photo_id) % 19 == 0


def card_of(photo_id: str) -> PhotoCard:
    return PhotoCard(
        photo_id=photo_id,
        owner_id=owner_of(photo_id),
        owner_name=f"Owner {owner_of(photo_id)}",
        title=f"Photo {photo_id}",
        image_url=f"https://live.staticflickr.com/1/{photo_id}_z.jpg",
        sizes={"z": {"url": f"https://live.staticflickr.com/1/{photo_id}_z.jpg", "width": 640, "height": 427}},
        page_url=f"https://www.flickr.com/photos/{owner_of(photo_id)}/{photo_id}/",
        width=640,
        height=427,
        safety_level=2 if is_unsafe(photo_id) else 0,
        uploaded_at=NOW - timedelta(days=int(photo_id) % 90),
        gone_at=NOW if is_gone(photo_id) else None,
    )


def showable(photo_id: str) -> bool:
    return not is_gone(photo_id) and not is_unsafe(photo_id)


def of_style(style: int, count: int, skip: int = 0) -> list[str]:
    return [p for p in PHOTOS if style_of(p) == style and showable(p)][skip : skip + count]


def state_of(user_id: str, favorites: list[str], **more: object) -> UserState:
    """A state with these favorites, faved now."""
    state = UserState(
        user_id=user_id,
        favorite_ids=tuple(favorites),
        favorite_owners=tuple(owner_of(p) for p in favorites),
        favorite_times=(EPOCH,) * len(favorites),
        updated_at=datetime.now(UTC),
    )
    return replace(state, **more)  # type: ignore[arg-type]


def _log() -> pa.Table:
    """Sixty users with one main style each; every photo has a few favoriters."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(60):
        liked = [p for p in PHOTOS if style_of(p) == user % STYLES]
        photos = [*rng.choice(liked, 30, replace=False), *rng.choice(PHOTOS, 4, replace=False)]
        rows += [(f"9{user:02d}@N02", str(photo), EPOCH - int(rng.integers(100 * 86400))) for photo in photos]
    rows += [(f"8{n:03d}@N02", photo, EPOCH) for n, photo in enumerate(PHOTOS)]
    users, photos, seconds = zip(*rows, strict=True)
    times = pa.array([s * 1_000_000 for s in seconds], pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "user_id": pa.array(users),
            "photo_id": pa.array(photos),
            "owner_id": pa.array([owner_of(p) for p in photos]),
            "kind": pa.array([str(Kind.FAVORITE)] * len(rows)),
            "event_timestamp": times,
            "created_timestamp": times,
            "faved_at": times,
        }
    )


@dataclass(frozen=True)
class World:
    settings: Settings
    online: OnlineFeatures
    bundles: dict[str, Path]
    champions: dict[str, Champion]
    popular: PopularPhotos


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    home = tmp_path_factory.mktemp("serving")
    settings = Settings(home=home, als_factors=8, confidence_alpha=10.0, recency_half_life_days=365.0, _env_file=None)  # type: ignore[call-arg]
    online = OnlineFeatures(settings)
    online.write_photo_cards(card_of(p) for p in PHOTOS)
    online.write_user_cards(UserCard(o, f"Owner {o}", None, f"https://live.staticflickr.com/{o}.jpg") for o in OWNERS)
    interactions = build_interactions(_log())
    bundles = {kind: home / "bundles" / kind for kind in ("als", "neighbor_score", "popularity")}
    for kind, folder in bundles.items():
        recipe = replace(Recipe.from_settings(settings, kind), iterations=10, regularization=1.0)
        save_bundle(folder, recipe, fit(recipe, interactions), interactions, {})
    champions = {kind: load_champion(kind, folder) for kind, folder in bundles.items()}
    by_popularity = sorted(PHOTOS, key=lambda p: int(p) % 7)
    popular = PopularPhotos(
        tuple(by_popularity), tuple(owner_of(p) for p in by_popularity), tuple(float(-n) for n in range(len(PHOTOS)))
    )
    return World(settings, online, bundles, champions, popular)


@pytest.fixture(scope="session")
def session_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('sql') / 'serving.db'}")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sql") / "empty.db"
    open_database(f"sqlite:///{path}").dispose()
    return path


@pytest.fixture
def engine(settings: Settings, empty_database: Path) -> Iterator[sa.Engine]:
    """A database of the test's own: a copy, as the migrations would take longer than most tests."""
    settings.home.mkdir(parents=True)
    shutil.copyfile(empty_database, settings.home / "photo_recommender.db")
    engine = open_database(settings.database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def recommender(world: World, engine: sa.Engine) -> Callable[..., Recommender]:
    """A function that makes the recommender of a champion's kind (None: no champion)."""

    def make(kind: str | None = "als", **more: object) -> Recommender:
        champion = None if kind is None else world.champions[kind]
        served = replace(Served(champion, world.popular), **more)  # type: ignore[arg-type]
        return Recommender(engine, world.online, lambda: served)

    return make


def candidates_of(user_id: str, photos: list[str], people: list[str] = OWNERS) -> NeighborCandidates:
    return NeighborCandidates(
        user_id=user_id,
        photo_ids=tuple(photos),
        photo_owners=tuple(owner_of(p) for p in photos),
        photo_scores=tuple(float(len(photos) - n) for n in range(len(photos))),
        people_ids=tuple(people),
        people_scores=tuple(float(len(people) - n) for n in range(len(people))),
        people_common=tuple(range(len(people), 0, -1)),
        coverage=0.5,
        updated_at=datetime.now(UTC),
    )


@dataclass
class Registry:
    """Which bundle the registry calls champion: what a test sets."""

    found: tuple[str, Path] | None = None
    error: Exception | None = None

    def find(self, _settings: Settings) -> tuple[str, Path] | None:
        if self.error is not None:
            raise self.error
        return self.found


@pytest.fixture
def runtime(world: World, engine: sa.Engine, settings: Settings) -> Runtime:
    """A runtime over the world, with an empty database and no Flickr."""
    return make_runtime(world, engine, settings)


def make_runtime(world: World, engine: sa.Engine, settings: Settings) -> Runtime:
    watch = ChampionWatch(settings, Registry(("7", world.bundles["als"])).find, lambda _: world.popular)
    watch.refresh()
    recommender = Recommender(engine, world.online, lambda: watch.served)
    return Runtime(settings, engine, world.online, watch, recommender, open_vault(settings))


@pytest.fixture
def client(runtime: Runtime) -> Iterator[TestClient]:
    """A browser at the application; https, as the session's cookie is `Secure`."""
    with client_of(runtime) as client:
        yield client


APPLICATION = create_app()


def application_of(runtime: Runtime) -> ASGIApp:
    """The one application, over that runtime: making an application of its own would take longer than most tests."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        APPLICATION.state.runtime = runtime
        await APPLICATION(scope, receive, send)

    return application


def client_of(runtime: Runtime) -> TestClient:
    application = application_of(runtime)
    return TestClient(application, base_url="https://testserver", follow_redirects=False, raise_server_exceptions=False)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What was logged; failures that a test provokes stay out of its output."""
    with structlog.testing.capture_logs() as entries:
        yield entries


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """A function that sets settings in the environment, for what reads them there: `environment(api_key="…")`."""

    def put(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(PREFIX + name.upper(), value)
        get_settings.cache_clear()

    monkeypatch.chdir(tmp_path)  # no `.env`
    put(home=str(tmp_path / "home"))
    yield put
    get_settings.cache_clear()


def application_routes() -> list[tuple[str, str]]:
    """(method, path) of everything that the web application answers but the site, with something in each `{…}`."""
    values = {"photo_id": "1000", "user_id": "12@N01", "other_id": "13@N01", "rest:path": "no/such/thing"}

    def filled(path: str) -> str:
        return re.sub(r"\{(.+?)\}", lambda name: values[name[1]], path)

    routes = list(iter_route_contexts(APPLICATION.routes))
    return [(method, filled(str(route.path))) for route in routes for method in sorted(route.methods or ())]


@dataclass
class Browser:
    """A browser with our page in it: it keeps cookies, and sends the session's CSRF token with every change."""

    client: TestClient

    @property
    def cookie(self) -> str:
        return self.client.cookies[COOKIE]

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.cookies.clear()
        self.client.cookies.set(COOKIE, value, domain="testserver.local")

    def session(self) -> Any:
        return self.client.get("/api/session").json()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.client.get(path, **options)

    def change(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"X-CSRF-Token": self.session()["csrf_token"], "Sec-Fetch-Site": "same-origin"}
        return self.client.request(method, path, headers=headers, **options)

    def begin_sign_in(self, return_to: str = "/") -> str:
        """The address where Flickr asks for consent."""
        answer = self.change("POST", "/api/session/login", json={"return_to": return_to})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["authorize_url"])

    def sign_in(self, sandbox: Sandbox, user_id: str, return_to: str = "/") -> httpx.Response:
        """The whole dance; the answer to Flickr's callback."""
        return self.get(sandbox.consent(self.begin_sign_in(return_to), user_id))


@pytest.fixture
def browser(client: TestClient) -> Browser:
    return Browser(client)


SANDBOX = (
    "import typer; from pipelines.sandbox import commands; app = typer.Typer(pretty_exceptions_enable=False); "
    "commands.register(app); app()"
)


@dataclass(frozen=True)
class Sandbox:
    """The Flickr sandbox, running, with people and photos of its own."""

    url: str
    people: list[str]

    def faults(self, *rules: dict[str, object]) -> None:
        """Misbehave by these rules from now on; without any, behave."""
        httpx.put(f"{self.url}/sandbox/faults", json={"seed": 0, "rules": rules}).raise_for_status()

    def call(self, method: str, **parameters: str) -> Any:
        fields = {"method": method, "api_key": CONSUMER_KEY, "format": "json", "nojsoncallback": "1", **parameters}
        return httpx.get(f"{self.url}/services/rest/", params=fields, timeout=10).json()

    def favorites(self, user_id: str) -> list[str]:
        listed = self.call("flickr.favorites.getPublicList", user_id=user_id, per_page="500")
        return [photo["id"] for photo in listed["photos"].get("photo", ())]

    def photos_for(self, user_id: str, count: int) -> list[tuple[str, str]]:
        """(photo, owner) of photos that are not the user's and that the user has not favorited."""
        mine, found = set(self.favorites(user_id)), {}
        for person in self.people:
            listed = self.call("flickr.favorites.getPublicList", user_id=person, per_page="50")
            for photo in listed["photos"].get("photo", ()):
                if photo["id"] not in mine and photo["owner"] != user_id:
                    found[photo["id"]] = photo["owner"]
            if len(found) >= count:
                return list(found.items())[:count]
        raise AssertionError("the sandbox has too few photos")

    def consent(self, authorize_url: str, user_id: str, decision: str = "allow") -> str:
        """What the person does at Flickr; the address on our site that Flickr sends the browser to."""
        address = httpx.URL(authorize_url)
        form = {**address.params, "user_id": user_id, "decision": decision}
        sent_to = httpx.URL(httpx.post(address.copy_with(query=None), data=form).headers["location"])
        return sent_to.raw_path.decode()


@contextmanager
def run_sandbox(folder: Path) -> Iterator[Sandbox]:
    options = ("--users", "30", "--photos", "400", "--favorites", "1000", "--seed", "3", "--port", "0")
    command = [sys.executable, "-c", SANDBOX, *options, "--folder", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "ready" in line, f"the sandbox did not start: {line!r}"
        url = line.split()[5]
        people = httpx.get(f"{url}/sandbox/people", params={"limit": 20}).json()
        yield Sandbox(url, [person["user_id"] for person in people])
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with run_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    """The one sandbox of the test run, well-behaved."""
    shared_sandbox.faults()
    return shared_sandbox


@pytest.fixture
def flickr_settings(settings: Settings, sandbox: Sandbox) -> Settings:
    """The settings with the sandbox in the place of Flickr; a call that fails is not tried again."""
    return settings.model_copy(
        update={
            "flickr_key": CONSUMER_KEY,
            "flickr_secret": SecretStr(CONSUMER_SECRET),
            "flickr_rest_url": f"{sandbox.url}/services/rest/",
            "flickr_oauth_url": f"{sandbox.url}/services/oauth",
            "flickr_site_url": sandbox.url,
            "sandbox_url": sandbox.url,
            "flickr_attempts": 1,
        }
    )


@pytest.fixture
def flickr_runtime(world: World, engine: sa.Engine, flickr_settings: Settings) -> Runtime:
    """A runtime over the world, with the sandbox for Flickr."""
    return make_runtime(world, engine, flickr_settings)


@pytest.fixture
def visitor(flickr_runtime: Runtime) -> Iterator[Browser]:
    """A browser at the application that has the sandbox for Flickr; nobody has signed in."""
    with client_of(flickr_runtime) as client:
        yield Browser(client)
