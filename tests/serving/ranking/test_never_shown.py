"""What was kept from a person before they asked is in no answer, whoever writes and whatever is loaded meanwhile."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, cycle

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.actions import record_action
from features.database import tombstones
from features.schema import Kind
from pipelines.privacy.tombstones import Reason, bury_photos
from pipelines.shown import Repetition, Showing, note_shown
from serving.answers import Recommendation
from serving.champion.served import Served
from serving.ranking.recommender import Recommender
from tests.serving.conftest import OWNERS, PHOTOS, World, candidates_of, owner_of, state_of

numbers = count()
WALKS, PAGES, LIMIT = 3, 4, 20


@dataclass
class Person:
    """Somebody, and what is kept from them by now: only ever more."""

    engine: sa.Engine
    user_id: str
    favorites: list[str]
    photos: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def kept(self) -> tuple[set[str], set[str]]:
        with self.lock:
            return set(self.photos), set(self.owners)

    def keep(self, *photos: str, owner: str | None = None) -> None:
        """It is committed: from now on no answer may hold it."""
        with self.lock:
            self.photos.update(photos)
            self.owners.update([owner] if owner else [])

    def act(self, kind: Kind, photo_id: str) -> None:
        of_person = kind is Kind.DISMISS_USER
        record_action(
            self.engine,
            user_id=self.user_id,
            kind=kind,
            photo_id="" if of_person else photo_id,
            owner_id=owner_of(photo_id),
        )
        self.keep(*([] if of_person else [photo_id]), owner=owner_of(photo_id) if of_person else None)

    def wear_out(self, photo_id: str) -> None:
        rule, yesterday = Repetition(), datetime.now(UTC) - timedelta(days=1)
        for visit in range(rule.visits):
            note_shown(self.engine, [Showing(self.user_id, photo_id, yesterday + visit * timedelta(hours=2))], rule)
        self.keep(photo_id)

    def take_down(self, photo_id: str) -> None:
        bury_photos(self.engine, [photo_id], Reason.TAKEDOWN)
        self.keep(photo_id)


@contextmanager
def meanwhile(*works: Callable[[], None]) -> Iterator[None]:
    """These go on, again and again, in a thread each, while the context lasts; raises what one of them raised."""
    over, failures = threading.Event(), list[Exception]()

    def go_on(work: Callable[[], None]) -> None:
        while not over.wait(0.002) and not failures:
            try:
                work()
            except Exception as failure:  # noqa: BLE001  (told below, in the test's own thread)
                failures.append(failure)

    threads = [threading.Thread(target=go_on, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def check(answer: Recommendation, person: Person, kept: tuple[set[str], set[str]]) -> None:
    photos, owners = kept
    assert not photos & {photo.photo_id for photo in answer.photos}
    assert not owners & {photo.owner_id for photo in answer.photos}
    assert person.user_id not in {photo.owner_id for photo in answer.photos}
    assert not owners & {someone.user_id for someone in answer.people}


@given(
    seed=st.integers(0, 2**32 - 1),
    favorites=st.sets(st.sampled_from(PHOTOS), max_size=12),
    oneself=st.sampled_from([None, *OWNERS]),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_kept_from_a_person_is_in_an_answer_while_they_act_photos_wear_out_and_models_change(
    world: World, engine: sa.Engine, seed: int, favorites: set[str], oneself: str | None
) -> None:
    user_id = oneself or f"{next(numbers)}@N07"
    with engine.begin() as connection:  # what the example before took down
        connection.execute(sa.delete(tombstones))
    person = Person(engine, user_id, sorted(favorites), photos=set(favorites))
    world.online.write_user_states([state_of(user_id, person.favorites)])
    world.online.write_neighbor_candidates([candidates_of(user_id, PHOTOS[::7])])
    chance = random.Random(seed)
    order = iter(chance.sample(PHOTOS, len(PHOTOS)))
    models = cycle([world.champions["als"], None, world.champions["blend"], world.champions["neighbor_score"]])
    served = Served(next(models), world.popular)
    recommender = Recommender(engine, world.online, lambda: served)

    def reload() -> None:
        nonlocal served
        served = Served(next(models), world.popular)

    def act() -> None:
        photo_id = next(order, None)
        if photo_id is None:
            return
        kinds = [Kind.FAVORITE, Kind.FAVORITE, Kind.DISMISS_PHOTO, Kind.DISMISS_PHOTO, Kind.DISMISS_USER]
        weights = [4, 4, 4, 4, 1, 4, 4]
        does = [*(lambda kind=kind: person.act(kind, photo_id) for kind in kinds)]
        does += [lambda: person.wear_out(photo_id), lambda: person.take_down(photo_id)]
        chance.choices(does, weights)[0]()

    with meanwhile(act, reload):
        for _ in range(WALKS):
            walked: list[str] = []
            cursor = None
            for _ in range(PAGES):
                before = person.kept()
                answer = recommender.recommend(user_id, limit=LIMIT, cursor=cursor)
                check(answer, person, before)
                page = [photo.photo_id for photo in answer.photos]
                assert not set(page) & set(walked)
                walked += page
                cursor = answer.next_cursor
                if cursor is None:
                    break
    assert len(person.kept()[0]) > len(favorites)
