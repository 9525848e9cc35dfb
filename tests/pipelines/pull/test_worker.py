"""The worker: a person's pull from the first favorite to the last neighbor, whatever goes wrong with one request."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from features.actions import record_action
from features.database import pull_requests, tombstones
from features.lake import Lake
from features.schema import INTERACTIONS, Kind
from features.settings import Settings
from features.state import STATE_COLUMNS, interaction_state
from pipelines.flickr.client import Flickr, open_flickr
from pipelines.privacy.tombstones import gone_users
from pipelines.pull.ask import ask, ask_for_person
from pipelines.pull.cursors import read_cursors
from pipelines.pull.progress import Progress, read_progress
from pipelines.pull.worker import WAIT_SECONDS, Worker
from pipelines.pull.workplace import Workplace
from pipelines.queue.messages import DIED, MAX_ATTEMPTS
from pipelines.queue.requests import Kind as RequestKind
from pipelines.queue.requests import Priority, PullRequest
from pipelines.relay import drain
from pipelines.sandbox.world import World

NOBODY = "1@N00"
LIST_FAVORITES = "flickr.favorites.getPublicList"

Running = Callable[..., Any]


def eventually(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def running(place: Workplace, flickr: Flickr) -> Running:
    """A worker at work in a thread: `with running(concurrency, setting=value) as worker`."""

    @contextmanager
    def run(concurrency: int = 2, **changes: object) -> Iterator[Worker]:
        worker = Worker(replace(place, settings=place.settings.model_copy(update=changes)), lambda _purpose: flickr)
        thread = threading.Thread(target=worker.run, args=(concurrency,))
        thread.start()
        try:
            yield worker
        finally:
            worker.stop()
            thread.join(20)
        assert not thread.is_alive()

    return run


@pytest.fixture
def finish(running: Running, place: Workplace) -> Callable[..., Progress]:
    """Pull one person to the end: `finish(user_id, setting=value)`."""

    def run(user_id: str, *, neighbors: bool = True, **changes: object) -> Progress:
        ask_for_person(place.engine, place.queue, user_id, reason="visit", neighbors=neighbors)
        with running(**changes):
            eventually(lambda: read_progress(place.engine, user_id).stage in ("done", "failed"))
            eventually(lambda: is_drained(place))
        return read_progress(place.engine, user_id)

    return run


def is_drained(place: Workplace) -> bool:
    depth = place.queue.depth()
    return depth.leased == 0 and sum(depth.waiting.values()) == 0


def held(lake: Lake, user_id: str) -> set[tuple[str, str]]:
    """(photo, owner) of the favorites that the lake's state holds of a user."""
    favorites = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS)).favorites.to_pylist()
    return {(row["photo_id"], row["owner_id"]) for row in favorites if row["user_id"] == user_id}


def listed(sandbox: Any, user_id: str) -> set[tuple[str, str]]:
    return {(photo, owner) for photo, owner, _ in sandbox.listed(user_id)}


def errors(place: Workplace) -> list[str]:
    return [letter.reason for letter in place.queue.dead(10)]


class TestOnePerson:
    def test_the_neighbors_are_the_owners_of_the_favorites(
        self, finish: Any, lake: Lake, sandbox: Any, world: World, engine: sa.Engine
    ) -> None:
        visitor = world.user_ids[-1]
        progress = finish(visitor)
        owners = {owner for _, owner in listed(sandbox, visitor)} - {visitor}
        assert owners
        for user in (visitor, *owners):
            assert held(lake, user) == listed(sandbox, user)
        assert (progress.stage, progress.made, progress.finished) == ("done", len(owners), len(owners))
        assert (progress.coverage, progress.favorites) == (1.0, len(listed(sandbox, visitor)))

    def test_without_neighbors_only_the_person_is_pulled(
        self, finish: Any, lake: Lake, sandbox: Any, world: World
    ) -> None:
        visitor = world.user_ids[-1]
        assert finish(visitor, neighbors=False).stage == "done"
        assert {row["user_id"] for row in lake.scan(INTERACTIONS).to_pylist()} == {visitor}
        assert held(lake, visitor) == listed(sandbox, visitor)

    def test_the_neighbors_with_most_favorites_come_first_when_there_are_too_many(
        self, finish: Any, engine: sa.Engine, sandbox: Any, avid: str
    ) -> None:
        assert finish(avid, pull_max_neighbors=3).made == 3
        counts: dict[str, int] = {}
        for _, owner in listed(sandbox, avid):
            counts[owner] = counts.get(owner, 0) + 1
        counts.pop(avid, None)
        pulled = read_cursors(engine, list(counts))
        assert sorted((counts[owner] for owner in pulled), reverse=True) == sorted(counts.values(), reverse=True)[:3]

    def test_features_are_online_when_it_is_done(
        self, finish: Any, place: Workplace, sandbox: Any, world: World
    ) -> None:
        visitor, online = world.user_ids[-1], place.online
        assert online is not None
        finish(visitor)
        state = online.user_state(visitor)
        assert set(zip(state.favorite_ids, state.favorite_owners, strict=True)) == listed(sandbox, visitor)
        candidates = online.neighbor_candidates(visitor)
        assert candidates is not None
        assert candidates.coverage == 1.0
        assert candidates.photo_ids
        assert not set(candidates.photo_ids) & set(state.favorite_ids)
        assert set(online.photo_cards(candidates.photo_ids)) == set(candidates.photo_ids)
        assert set(online.user_cards(candidates.people_ids)) == set(candidates.people_ids)

    def test_the_wall_grows_while_the_pull_runs(
        self, running: Running, place: Workplace, sandbox: Any, avid: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        online = place.online
        assert online is not None
        coverages: list[float] = []
        write = online.write_neighbor_candidates
        monkeypatch.setattr(
            online, "write_neighbor_candidates", lambda rows: (coverages.append(rows[0].coverage), write(rows))
        )
        ask_for_person(place.engine, place.queue, avid, reason="visit")
        sandbox.faults({"kind": "hang", "seconds": 0.1})
        with running(1, commit_seconds=0.0):
            eventually(lambda: read_progress(place.engine, avid).stage == "done")
        assert coverages == sorted(coverages)
        assert (coverages[0], coverages[-1]) == (0.0, 1.0)
        assert len(set(coverages)) > 2

    def test_a_user_without_any_favorite_is_done_at_once(
        self, finish: Any, place: Workplace, sandbox: Any, world: World
    ) -> None:
        sandbox.clock((world.config.end - timedelta(days=world.config.days)).isoformat())
        newcomer, online = world.user_ids[-1], place.online
        assert online is not None
        progress = finish(newcomer)
        assert (progress.stage, progress.made, progress.favorites) == ("done", 0, 0)
        candidates = online.neighbor_candidates(newcomer)
        assert candidates is not None
        assert (candidates.photo_ids, candidates.coverage) == ((), 0.0)

    def test_somebody_whom_flickr_does_not_know_fails_with_words_and_has_a_tombstone(
        self, finish: Any, engine: sa.Engine
    ) -> None:
        progress = finish(NOBODY)
        assert progress.stage == "failed"
        assert progress.error is not None
        assert NOBODY in progress.error
        with engine.connect() as connection:
            assert connection.scalar(sa.select(tombstones.c.subject_id).where(tombstones.c.kind == "user")) == NOBODY

    def test_pulling_again_a_while_later_is_one_call_for_each_unchanged_user(
        self, finish: Any, sandbox: Any, world: World
    ) -> None:
        visitor = world.user_ids[-1]
        made = finish(visitor).made
        before = sandbox.calls(LIST_FAVORITES)
        finish(visitor, pull_fresh_minutes=0, refresh_min_minutes=0)
        assert sandbox.calls(LIST_FAVORITES) - before == made + 1

    def test_two_people_with_the_same_neighbors_cost_their_calls_once(
        self, running: Running, place: Workplace, sandbox: Any, world: World
    ) -> None:
        visitors = world.user_ids[-2:]
        before = sandbox.calls(LIST_FAVORITES)
        for visitor in visitors:
            ask_for_person(place.engine, place.queue, visitor, reason="visit")
        with running(2):
            for visitor in visitors:
                eventually(lambda visitor=visitor: read_progress(place.engine, visitor).stage == "done")
        owners = {owner for visitor in visitors for _, owner in listed(sandbox, visitor)}
        calls = sandbox.calls(LIST_FAVORITES) - before - len(visitors)  # `listed` is a call, too
        assert calls == len(owners.union(visitors))

    def test_a_favorite_taken_back_on_the_site_does_not_return_from_an_older_listing(
        self, finish: Any, lake: Lake, engine: sa.Engine, world: World
    ) -> None:
        visitor = world.user_ids[-1]
        finish(visitor, neighbors=False)
        photo, owner = next(iter(held(lake, visitor)))
        later = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1)
        record_action(engine, user_id=visitor, kind=Kind.UNFAVORITE, photo_id=photo, owner_id=owner, at=later)
        drain(engine, lake)
        finish(visitor, neighbors=False, refresh_min_minutes=0)
        assert (photo, owner) not in held(lake, visitor)


class TestTrouble:
    def test_a_neighbor_who_left_flickr_is_covered(
        self, running: Running, place: Workplace, sandbox: Any, world: World
    ) -> None:
        visitor = world.user_ids[-1]
        owners = sorted({owner for _, owner in listed(sandbox, visitor)} - {visitor})
        ask_for_person(place.engine, place.queue, visitor, reason="visit")
        sandbox.faults({"kind": "hang", "seconds": 0.1})
        try:
            with running(1):
                eventually(lambda: read_progress(place.engine, visitor).stage == "neighbors")
                sandbox.put("/sandbox/gone", {"users": owners, "photos": []}).raise_for_status()
                sandbox.faults()
                eventually(lambda: read_progress(place.engine, visitor).stage == "done")
        finally:
            sandbox.put("/sandbox/gone", {"users": [], "photos": []}).raise_for_status()
        progress = read_progress(place.engine, visitor)
        assert (progress.stage, progress.finished, progress.coverage) == ("done", len(owners), 1.0)
        assert gone_users(place.engine, owners)

    def test_a_neighbor_whom_flickr_refuses_is_given_up_and_the_wall_is_done_without(
        self, running: Running, place: Workplace, sandbox: Any, world: World
    ) -> None:
        visitor = world.user_ids[-1]
        ask_for_person(place.engine, place.queue, visitor, reason="visit")
        with running(1):
            eventually(lambda: read_progress(place.engine, visitor).stage == "neighbors")
            sandbox.faults({"kind": "fail", "code": 7, "times": 1, "method": LIST_FAVORITES})
            eventually(lambda: read_progress(place.engine, visitor).stage == "done")
        progress = read_progress(place.engine, visitor)
        assert progress.finished == progress.made
        assert progress.coverage == pytest.approx(1 - 1 / progress.made)
        assert ["code 7" in reason for reason in errors(place)] == [True]

    def test_while_flickr_fails_a_request_waits_for_another_attempt(
        self, running: Running, place: Workplace, sandbox: Any, world: World
    ) -> None:
        visitor = world.user_ids[-1]
        sandbox.faults({"kind": "bad_gateway"})
        before = sandbox.calls(LIST_FAVORITES)
        ask_for_person(place.engine, place.queue, visitor, reason="visit", neighbors=False)
        with running():
            eventually(lambda: sandbox.calls(LIST_FAVORITES) > before)
            eventually(lambda: place.queue.depth().leased == 0)
            sandbox.faults()
            assert read_progress(place.engine, visitor).stage == "favorites"
            with place.engine.begin() as connection:  # the pause before the second attempt is over
                connection.execute(sa.update(pull_requests).values(visible_at=datetime.now(UTC)))
            eventually(lambda: read_progress(place.engine, visitor).stage == "done")

    @pytest.mark.parametrize(
        "body", ["not json", "[]", '{"user_id": "1@N01"}', "x" * 300_000], ids=["text", "list", "fields", "huge"]
    )
    def test_a_message_that_nobody_can_read_is_a_dead_letter_and_the_others_go_on(
        self, running: Running, place: Workplace, world: World, body: str
    ) -> None:
        with place.engine.begin() as connection:
            now = datetime.now(UTC)
            row = {"priority": 0, "body": body, "state": "waiting", "visible_at": now, "attempts": 0, "created_at": now}
            connection.execute(sa.insert(pull_requests).values(row))
        ask_for_person(place.engine, place.queue, world.user_ids[-1], reason="visit", neighbors=False)
        with running():
            eventually(lambda: read_progress(place.engine, world.user_ids[-1]).stage == "done")
            eventually(lambda: len(errors(place)) == 1)

    def test_a_pull_that_the_budget_stops_waits_without_losing_an_attempt(
        self, place: Workplace, sandbox: Any, sandbox_settings: Settings, avid: str
    ) -> None:
        tight = sandbox_settings.model_copy(update={"flickr_calls_per_hour": 3})
        worker = Worker(replace(place, settings=tight), lambda purpose: open_flickr(tight, None, purpose))
        ask_for_person(place.engine, place.queue, avid, reason="visit")
        thread = threading.Thread(target=worker.run, args=(2,))
        thread.start()
        try:
            eventually(lambda: read_progress(place.engine, avid).stage == "neighbors")
            eventually(lambda: place.queue.depth().leased == 0)
        finally:
            worker.stop()
            thread.join(20)
        with place.engine.connect() as connection:
            assert set(connection.scalars(sa.select(pull_requests.c.attempts))) == {0}
        assert errors(place) == []

    def test_a_message_that_killed_its_worker_at_every_attempt_is_given_up_and_nobody_waits_for_it(
        self, running: Running, place: Workplace, world: World
    ) -> None:
        visitor = world.user_ids[-1]
        ask_for_person(place.engine, place.queue, visitor, reason="visit")
        with place.engine.begin() as connection:
            connection.execute(sa.update(pull_requests).values(attempts=MAX_ATTEMPTS))
        with running():
            eventually(lambda: read_progress(place.engine, visitor).stage == "failed")
            eventually(lambda: errors(place) == [DIED, DIED])
        assert read_progress(place.engine, visitor).error == DIED

    def test_a_worker_that_is_stopped_gives_back_what_it_holds(
        self, running: Running, place: Workplace, sandbox: Any, avid: str
    ) -> None:
        sandbox.faults({"kind": "hang", "seconds": 0.3})
        ask_for_person(place.engine, place.queue, avid, reason="visit")
        with running():
            eventually(lambda: read_progress(place.engine, avid).stage == "neighbors")
        depth = place.queue.depth()
        assert depth.leased == 0
        assert sum(depth.waiting.values()) > 0

    def test_while_the_disk_is_full_it_takes_nothing_new_and_then_goes_on_by_itself(
        self,
        running: Running,
        place: Workplace,
        lake: Lake,
        sandbox: Any,
        world: World,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from features.errors import StorageFullError

        full = threading.Event()
        full.set()
        append = lake.append

        def append_if_there_is_room(*arguments: Any, **options: Any) -> bool:
            if full.is_set():
                raise StorageFullError("no space left for the lake")
            return append(*arguments, **options)

        monkeypatch.setattr(lake, "append", append_if_there_is_room)
        visitor = world.user_ids[-1]
        ask_for_person(place.engine, place.queue, visitor, reason="visit", neighbors=False)
        with running() as worker:
            eventually(worker.is_blocked)
            time.sleep(WAIT_SECONDS + 0.2)  # a look into the queue that has begun may still take something
            ask(place.engine, place.queue, [
                PullRequest(user_id=NOBODY, kind=RequestKind.FAVORITES, reason="due", priority=Priority.REFRESH)
            ])  # fmt: skip
            time.sleep(1.5)
            assert place.queue.depth().waiting[Priority.REFRESH] == 1
            full.clear()
            eventually(lambda: read_progress(place.engine, visitor).stage == "done")
            eventually(lambda: is_drained(place))
        assert held(lake, visitor) == listed(sandbox, visitor)

    def test_what_a_killed_worker_held_is_done_by_another(
        self, place: Workplace, sandbox: Any, sandbox_settings: Settings, avid: str
    ) -> None:
        ask_for_person(place.engine, place.queue, avid, reason="visit", neighbors=False)
        environment = {**os.environ, **sandbox_settings.environment(), "PHOTO_RECOMMENDER_LEASE_SECONDS": "1"}
        command = [sys.executable, "-m", "photo_recommender", "worker", "--concurrency", "1"]
        sandbox.faults({"kind": "hang", "seconds": 1.0})
        first = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        eventually(lambda: place.queue.depth().leased > 0, 60)
        first.kill()
        first.wait()
        assert place.queue.depth().leased > 0
        sandbox.faults()
        second = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: read_progress(place.engine, avid).stage == "done", 60)
            second.send_signal(signal.SIGTERM)
            assert second.wait(15) == 0
        finally:
            second.kill()
            second.wait()


def test_what_people_did_on_the_site_is_relayed_into_the_lake(running: Running, lake: Lake, engine: sa.Engine) -> None:
    action = record_action(engine, user_id="a@N01", kind=Kind.DISMISS_PHOTO, photo_id="1", owner_id="b@N01")
    with running():
        eventually(lambda: lake.scan(INTERACTIONS, columns=["action_id"]).column(0).to_pylist() == [action.action_id])
