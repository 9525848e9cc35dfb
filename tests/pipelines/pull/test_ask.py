"""Asking for pulls: what is open is not asked for twice, what is urgent overtakes, and nothing is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from features.database import pull_asked
from features.settings import Settings
from pipelines.pull.ask import FORGOTTEN, ask, ask_for_person, settle
from pipelines.pull.progress import open_pulls, read_progress, update_progress
from pipelines.queue.messages import Queue, open_queue
from pipelines.queue.requests import Kind, Priority, PullRequest

USER = "1@N01"


@pytest.fixture
def queue(settings: Settings, engine: sa.Engine) -> Queue:
    return open_queue(settings, engine)


def request(user_id: str = USER, priority: Priority = Priority.REFRESH, kind: Kind = Kind.FAVORITES) -> PullRequest:
    return PullRequest(user_id=user_id, kind=kind, reason="test", priority=priority)


def waiting(queue: Queue) -> list[tuple[str, Kind, Priority]]:
    """Everything that can be received, in its order."""
    requests = [PullRequest.parse(message.body) for message in queue.receive(100, 0.0)]
    return [(found.user_id, found.kind, found.priority) for found in requests]


def test_each_request_is_a_message(engine: sa.Engine, queue: Queue) -> None:
    assert ask(engine, queue, [request("a"), request("b"), request("a", kind=Kind.CONTACTS)]) == 3
    assert len(waiting(queue)) == 3


def test_what_is_open_is_not_asked_for_again(engine: sa.Engine, queue: Queue) -> None:
    ask(engine, queue, [request()])
    assert ask(engine, queue, [request(), request()]) == 0
    assert waiting(queue) == [(USER, Kind.FAVORITES, Priority.REFRESH)]


def test_of_two_alike_in_one_go_the_more_urgent_is_put(engine: sa.Engine, queue: Queue) -> None:
    assert ask(engine, queue, [request(), request(priority=Priority.PERSON)]) == 1
    assert waiting(queue) == [(USER, Kind.FAVORITES, Priority.PERSON)]


def test_what_becomes_urgent_is_put_before_the_rest(engine: sa.Engine, queue: Queue) -> None:
    ask(engine, queue, [request("other"), request()])
    assert ask(engine, queue, [request(priority=Priority.PERSON)]) == 1
    assert waiting(queue)[0] == (USER, Kind.FAVORITES, Priority.PERSON)
    assert ask(engine, queue, [request(priority=Priority.NEIGHBOR)]) == 0


def test_what_is_settled_can_be_asked_for_again(engine: sa.Engine, queue: Queue) -> None:
    ask(engine, queue, [request(), request(kind=Kind.CONTACTS)])
    settle(engine, [request()])
    assert ask(engine, queue, [request(), request(kind=Kind.CONTACTS)]) == 1


def test_what_is_open_for_very_long_may_be_lost_and_is_asked_for_again(engine: sa.Engine, queue: Queue) -> None:
    ask(engine, queue, [request()])
    with engine.begin() as connection:
        connection.execute(sa.update(pull_asked).values(asked_at=datetime.now(UTC) - FORGOTTEN - timedelta(seconds=1)))
    assert ask(engine, queue, [request()]) == 1


def test_a_worker_that_is_done_before_asking_is_over_leaves_nothing_open(
    engine: sa.Engine, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noted after that, a request without a message would have been open for an hour."""
    put = queue.put
    monkeypatch.setattr(queue, "put", lambda requests: (put(requests), settle(engine, requests)))
    assert ask(engine, queue, [request()]) == 1
    assert ask(engine, queue, [request()]) == 1


def test_what_could_not_be_put_is_not_open(engine: sa.Engine, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(_requests: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(queue, "put", killed)
        ask(engine, queue, [request()])
    assert ask(engine, queue, [request()]) == 1


class TestOnePerson:
    def test_favorites_and_contacts_are_asked_for_and_the_pull_is_queued(self, engine: sa.Engine, queue: Queue) -> None:
        ask_for_person(engine, queue, USER, reason="visit", correlation_id="c1")
        assert waiting(queue) == [
            (USER, Kind.FAVORITES, Priority.PERSON),
            (USER, Kind.CONTACTS, Priority.PERSON),
        ]
        assert read_progress(engine, USER).stage == "queued"
        assert open_pulls(engine, {USER})[USER].correlation_id == "c1"

    def test_asking_again_while_it_is_open_changes_nothing(self, engine: sa.Engine, queue: Queue) -> None:
        ask_for_person(engine, queue, USER, reason="visit")
        update_progress(engine, USER, "neighbors", favorites=12)
        ask_for_person(engine, queue, USER, reason="visit", priority=Priority.ANONYMOUS, neighbors=False)
        pull = open_pulls(engine, {USER})[USER]
        assert (pull.stage, pull.priority, pull.wants_neighbors) == ("neighbors", Priority.PERSON, True)
        assert len(waiting(queue)) == 2

    def test_somebody_who_signs_in_while_an_anonymous_pull_is_open_makes_it_urgent(
        self, engine: sa.Engine, queue: Queue
    ) -> None:
        ask_for_person(engine, queue, USER, reason="visit", priority=Priority.ANONYMOUS, neighbors=False)
        ask_for_person(engine, queue, USER, reason="visit")
        pull = open_pulls(engine, {USER})[USER]
        assert (pull.priority, pull.wants_neighbors) == (Priority.PERSON, True)
        assert [priority for _, _, priority in waiting(queue)][:2] == [Priority.PERSON] * 2

    @pytest.mark.parametrize("stage", ["done", "failed"])
    def test_after_the_end_a_new_pull_begins(self, engine: sa.Engine, queue: Queue, stage: str) -> None:
        ask_for_person(engine, queue, USER, reason="visit")
        update_progress(engine, USER, stage, error="Flickr was down")  # type: ignore[arg-type]
        assert open_pulls(engine, {USER}) == {}
        ask_for_person(engine, queue, USER, reason="visit")
        progress = read_progress(engine, USER)
        assert (progress.stage, progress.error) == ("queued", None)
