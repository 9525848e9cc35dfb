"""Pulls under way, a message at a time: builders of the tests of what follows from a commit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.pull.ask import ask, ask_for_person, settle
from pipelines.pull.commit import commit
from pipelines.pull.conclude import ALL_DATA
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import Fetched
from pipelines.pull.listing import Listing
from pipelines.pull.parts import replace_parts
from pipelines.pull.progress import update_progress
from pipelines.pull.workplace import Held, Workplace
from pipelines.queue.requests import Kind, Priority, PullRequest

PERSON, OTHER = "1@N01", "2@N01"
SECONDS = int(datetime(2026, 11, 24, 8, tzinfo=UTC).timestamp())


def favor(place: Workplace, user: str, *owners: str) -> None:
    """Put favorites of the user into the lake, a photo of each of these owners, as a pull of an hour ago."""
    photos = [f"{user}-{number}" for number in range(len(owners))]
    looked = datetime.now(UTC) - timedelta(hours=1)
    listing = Listing(user, looked, photos, list(owners), [SECONDS] * len(owners))
    commit(place.lake, place.engine, place.settings, [Fetched(listing, Cursor(user, looked, looked))], ())


def receive(place: Workplace, limit: int = 1_000) -> list[Held]:
    messages = place.queue.receive(limit, 0.0)
    return [Held(message, PullRequest.parse(message.body)) for message in messages]


def asked(place: Workplace, user: str = PERSON, kind: Kind = Kind.FAVORITES, **options: Any) -> Held:
    """A message that asks for this of the user, received."""
    request = PullRequest(user_id=user, kind=kind, reason="test", priority=Priority.NEIGHBOR, **options)
    ask(place.engine, place.queue, [request])
    return next(held for held in receive(place) if held.request == request)


def settle_all(place: Workplace) -> None:
    """What waits is done with, as far as the queue and who asks are concerned."""
    waiting = receive(place)
    place.queue.done([held.message for held in waiting])
    settle(place.engine, [held.request for held in waiting])


def begin(place: Workplace, *neighbors: str, person: str = PERSON) -> None:
    """A pull of the person that waits for these neighbors; its own messages are settled."""
    ask_for_person(place.engine, place.queue, person, reason="visit", correlation_id="c-1")
    settle_all(place)
    replace_parts(place.engine, person, neighbors)
    update_progress(place.engine, person, "neighbors")


def ended() -> float:
    """How many pulls were counted as complete."""
    (metric,) = ALL_DATA.collect()
    return next(sample.value for sample in metric.samples if sample.name.endswith("_count"))


def left(place: Workplace) -> int:
    """Messages that nobody has settled."""
    depth = place.queue.depth()
    return depth.leased + sum(depth.waiting.values())
