"""What a person does on the wall counts at once, at a real service: in the next answer, and in the lake once."""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pyarrow as pa
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from features.batch import POPULAR
from features.builds import Build, Builds, new_version
from features.database import actions, open_database, pull_asked
from features.feature_tables import POPULAR_SCHEMA
from features.lake import open_lake
from features.online import OnlineFeatures
from features.schema import INTERACTIONS
from features.settings import Settings
from pipelines.relay import drain
from pipelines.sandbox.oauth import CONSUMER_KEY, CONSUMER_SECRET
from serving.accounts.sessions import COOKIE
from tests.serving.conftest import Browser, Sandbox, World, card_of, client_of, make_runtime, state_of
from tests.serving.running_service import Service, running

AT_ONCE_SECONDS = 0.1

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in at the service, and whose wall holds photos that are on Flickr, too."""

    service: Service
    settings: Settings
    user_id: str
    client: httpx.Client

    def change(self, method: str, path: str) -> dict[str, Any]:
        answer = self.client.request(method, f"/api/me/{path}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def wall(self) -> dict[str, str]:
        """Photo → owner."""
        answer = self.client.get(f"/api/users/{self.user_id}/recommendations")
        return {photo["photo_id"]: photo["owner_id"] for photo in answer.json()["photos"]}


def make_home(settings: Settings, world: World, user_id: str, photos: list[tuple[str, str]]) -> None:
    """A home in which these photos (photo, owner) are popular and nothing was trained."""
    shutil.copytree(
        world.settings.home, settings.home, ignore=shutil.ignore_patterns("bundles", "photo_recommender.db*")
    )
    online = OnlineFeatures(settings)
    online.write_photo_cards(replace(card_of("1000"), photo_id=p, owner_id=o, safety_level=0) for p, o in photos)
    online.write_user_states([state_of(user_id, [])])
    builds, now = Builds(settings.lake_uri), datetime.now(UTC)
    build = Build(new_version(now), now, {}, {})
    columns = (*zip(*photos, strict=True), [1.0] * len(photos))
    builds.write(build.version, POPULAR, pa.table([pa.array(column) for column in columns], schema=POPULAR_SCHEMA))
    builds.publish(build)


@pytest.fixture(scope="module")
def person(
    world: World,
    shared_sandbox: Sandbox,
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Person]:
    shared_sandbox.faults()
    settings = Settings(
        home=tmp_path_factory.mktemp("feedback") / "home",
        flickr_key=CONSUMER_KEY,
        flickr_secret=SecretStr(CONSUMER_SECRET),
        flickr_rest_url=f"{shared_sandbox.url}/services/rest/",
        flickr_oauth_url=f"{shared_sandbox.url}/services/oauth",
        flickr_site_url=shared_sandbox.url,
        _env_file=None,  # type: ignore[call-arg]
    )
    user_id = shared_sandbox.people[4]
    make_home(settings, world, user_id, shared_sandbox.photos_for(user_id, 40))
    engine = open_database(settings.database_url)
    # A browser that came to the service by https, as the session's cookie demands, and goes on without.
    browser = Browser(client_of(make_runtime(world, engine, settings)))
    assert browser.sign_in(shared_sandbox, user_id).status_code == 303
    headers = {"Cookie": f"{COOKIE}={browser.cookie}", "X-CSRF-Token": browser.session()["csrf_token"]}
    engine.dispose()
    with (
        running(settings, free_port()) as service,
        httpx.Client(base_url=service.url, headers=headers, timeout=30) as client,
    ):
        yield Person(service, settings, user_id, client)


@pytest.fixture
def engine(person: Person) -> Iterator[sa.Engine]:
    engine = open_database(person.settings.database_url)
    yield engine
    engine.dispose()


def test_what_is_faved_or_dismissed_is_off_the_next_wall_within_a_tenth_of_a_second_and_in_the_lake_once(
    person: Person, engine: sa.Engine
) -> None:
    before = person.wall()
    subjects, paths = list(before)[:10], ("favorites", "dismissals/photos")
    seconds, receipts = [], []
    for number, photo_id in enumerate(subjects):
        receipts.append(person.change("PUT", f"{paths[number % 2]}/{photo_id}"))
        began = time.perf_counter()
        wall = person.wall()
        seconds.append(time.perf_counter() - began)
        assert photo_id not in wall
    # The median: other tests keep the processors busy.
    assert statistics.median(seconds) < AT_ONCE_SECONDS

    lake = open_lake(person.settings)
    drain(engine, lake)
    assert drain(engine, lake) == 0
    assert lake.version(INTERACTIONS) == 1  # all of it in one commit, after the one that made the table
    ids = lake.scan(INTERACTIONS).column("action_id").to_pylist()
    assert sorted(ids) == sorted(receipt["action_id"] for receipt in receipts)

    for number, photo_id in enumerate(subjects):
        person.change("DELETE", f"{paths[number % 2]}/{photo_id}")
    assert person.wall() == before

    faved = {before[photo_id] for photo_id in subjects[::2]}
    deadline = time.monotonic() + 10
    while not faved <= asked_for(engine):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert asked_for(engine) == faved


def asked_for(engine: sa.Engine) -> set[str]:
    """Whose favorites are to be pulled."""
    with engine.connect() as connection:
        return set(connection.scalars(sa.select(pull_asked.c.user_id)))


def test_what_was_answered_is_kept_though_the_service_is_killed_at_once(person: Person, engine: sa.Engine) -> None:
    receipt = person.change("PUT", f"dismissals/photos/{next(iter(person.wall()))}")
    person.service.process.kill()
    person.service.process.wait(10)
    with engine.connect() as connection:
        assert receipt["action_id"] in connection.scalars(sa.select(actions.c.action_id)).all()
