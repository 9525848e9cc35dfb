"""Fixtures of the suite: the small world, a browser at the application, the Flickr sandbox.

What they are made of is in the modules beside this one; tests import it from here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from fastapi.testclient import TestClient
from pydantic import SecretStr

from features.database import accounts, open_database
from features.settings import PREFIX, Settings, get_settings
from pipelines.sandbox.oauth import CONSUMER_KEY, CONSUMER_SECRET
from serving.accounts.sessions import open_session
from serving.champion.served import Served
from serving.ranking.recommender import Recommender
from serving.runtime import Runtime
from tests.serving.browser import USER, Browser, application_of, application_routes, client_of
from tests.serving.flickr_sandbox import Sandbox, run_sandbox
from tests.serving.lived_in import lived_in_home, lived_in_runtime
from tests.serving.small_world import (
    EPOCH,
    NOW,
    OWNERS,
    PHOTOS,
    Registry,
    World,
    candidates_of,
    card_of,
    fan_of,
    is_gone,
    is_unsafe,
    make_runtime,
    make_world,
    of_style,
    owner_of,
    showable,
    state_of,
    style_of,
)

__all__ = [
    "EPOCH",
    "NOW",
    "OWNERS",
    "PHOTOS",
    "USER",
    "Browser",
    "Registry",
    "Sandbox",
    "World",
    "application_of",
    "application_routes",
    "candidates_of",
    "card_of",
    "client_of",
    "fan_of",
    "is_gone",
    "is_unsafe",
    "make_runtime",
    "of_style",
    "owner_of",
    "showable",
    "state_of",
    "style_of",
]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("serving"))


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


@pytest.fixture
def runtime(world: World, engine: sa.Engine, settings: Settings) -> Runtime:
    """A runtime over the world, with an empty database and no Flickr."""
    return make_runtime(world, engine, settings)


@pytest.fixture
def client(runtime: Runtime) -> Iterator[TestClient]:
    """A browser at the application; https, as the session's cookie is `Secure`."""
    with client_of(runtime) as client:
        yield client


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


@pytest.fixture
def browser(client: TestClient) -> Browser:
    return Browser(client)


@pytest.fixture
def signed_in(browser: Browser, engine: sa.Engine) -> Browser:
    """A browser in which somebody has signed in, of whom nothing else is known."""
    with engine.begin() as connection:
        connection.execute(sa.insert(accounts).values(user_id=USER, name="Ansel", created_at=datetime.now(UTC)))
    browser.cookie, _ = open_session(engine, user_id=USER)
    return browser


@pytest.fixture(scope="session")
def inhabited(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lived_in_home(tmp_path_factory.mktemp("lived-in"))


@pytest.fixture
def lived_in(world: World, engine: sa.Engine, settings: Settings, inhabited: Path) -> Runtime:
    """A runtime over stores of the test's own, with two people in them (tests/serving/lived_in.py)."""
    return lived_in_runtime(world, engine, settings, inhabited)


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
