"""A new favorite asks for its owner's favorites: ahead of refreshes, and not over and over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from features.settings import Settings
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import Reason, bury_users
from pipelines.pull.ask import ask
from pipelines.pull.cursors import Cursor, write_cursors
from pipelines.pull.favorited import ask_for_owner
from pipelines.queue.messages import Queue, open_queue
from pipelines.queue.requests import Kind, Priority, PullRequest

OWNER = "21@N01"


@pytest.fixture
def queue(settings: Settings, engine: sa.Engine) -> Queue:
    return open_queue(settings, engine)


@pytest.fixture
def fave(settings: Settings, engine: sa.Engine, queue: Queue) -> Callable[..., bool]:
    """A function that does what a new favorite of a photo of that owner does."""

    def fave(owner_id: str = OWNER) -> bool:
        return ask_for_owner(settings, engine, queue, Suppression(settings, engine), owner_id, "edge-1")

    return fave


Fave = Callable[..., bool]


def waiting(queue: Queue) -> list[PullRequest]:
    return [PullRequest.parse(message.body) for message in queue.receive(100, 0.0)]


def test_the_owners_favorites_are_asked_for_as_neighbors_are_under_the_requests_id(fave: Fave, queue: Queue) -> None:
    assert fave()
    (request,) = waiting(queue)
    assert (request.user_id, request.kind, request.priority) == (OWNER, Kind.FAVORITES, Priority.NEIGHBOR)
    assert (request.reason, request.correlation_id) == ("favorited", "edge-1")


def test_it_comes_before_refreshes_and_after_whom_a_person_waits_for(
    fave: Fave, engine: sa.Engine, queue: Queue
) -> None:
    for user_id, priority in (("1@N01", Priority.REFRESH), ("2@N01", Priority.PERSON)):
        ask(engine, queue, [PullRequest(user_id=user_id, kind=Kind.FAVORITES, reason="test", priority=priority)])
    fave()
    assert [request.user_id for request in waiting(queue)] == ["2@N01", OWNER, "1@N01"]


def test_many_favorites_of_one_owner_ask_once(fave: Fave, queue: Queue) -> None:
    assert [fave() for _ in range(3)] == [True, False, False]
    assert len(waiting(queue)) == 1


@pytest.mark.parametrize(("ago", "asks"), [(timedelta(minutes=1), False), (timedelta(days=2), True)])
def test_an_owner_who_was_pulled_lately_is_not_asked_for(
    fave: Fave, engine: sa.Engine, ago: timedelta, asks: bool
) -> None:
    write_cursors(engine, [Cursor(OWNER, favorites_pulled_at=datetime.now(UTC) - ago)])
    assert fave() is asks


def test_who_is_gone_was_erased_or_is_not_of_flickr_is_not_asked_for(
    fave: Fave, settings: Settings, engine: sa.Engine, queue: Queue
) -> None:
    bury_users(engine, ["22@N01"], Reason.DELETED)
    Suppression(settings, engine).suppress("23@N01")
    assert not any(fave(owner_id) for owner_id in ("22@N01", "23@N01", "pinboard:24"))
    assert waiting(queue) == []
