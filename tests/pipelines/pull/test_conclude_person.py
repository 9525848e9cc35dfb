"""A person's own requests: what they lead to, and when the pull is over without neighbors."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from pipelines.flickr.client import Person
from pipelines.pull.ask import ask, ask_for_person
from pipelines.pull.commit import commit
from pipelines.pull.conclude import conclude
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import Fetched
from pipelines.pull.listing import Listing
from pipelines.pull.progress import read_progress
from pipelines.pull.workplace import Outcome, Workplace
from pipelines.queue.requests import Kind, Priority, PullRequest
from tests.pipelines.pull.open_pulls import PERSON, asked, favor, left, receive


def test_when_the_favorites_are_in_the_neighbors_are_asked_for_as_urgently_as_the_pull(place: Workplace) -> None:
    ask_for_person(place.engine, place.queue, PERSON, reason="visit", correlation_id="c-1")
    outcomes = [Outcome(held) for held in receive(place)]
    conclude(place, outcomes)
    (follow_up,) = receive(place)
    assert (follow_up.request.user_id, follow_up.request.kind) == (PERSON, Kind.NEIGHBORS)
    assert (follow_up.request.priority, follow_up.request.correlation_id) == (Priority.PERSON, "c-1")
    assert place.queue.depth().leased == 1


def test_contacts_alone_lead_to_nothing_more(place: Workplace) -> None:
    ask_for_person(place.engine, place.queue, PERSON, reason="visit")
    (contacts,) = [held for held in receive(place) if held.request.kind is Kind.CONTACTS]
    conclude(place, [Outcome(contacts)])
    assert (left(place), read_progress(place.engine, PERSON).stage) == (1, "queued")


def test_without_neighbors_the_pull_ends_with_the_persons_features_online(place: Workplace) -> None:
    favor(place, PERSON, "a", "b")
    ask_for_person(place.engine, place.queue, PERSON, reason="command", neighbors=False)
    conclude(place, [Outcome(held) for held in receive(place)])
    progress = read_progress(place.engine, PERSON)
    assert (progress.stage, progress.favorites, left(place)) == ("done", 2, 0)
    assert place.online is not None
    assert set(place.online.user_state(PERSON).favorite_owners) == {"a", "b"}


def test_where_nobody_reads_online_features_the_pull_ends_without(place: Workplace) -> None:
    favor(place, PERSON, "a", "b")
    ask_for_person(place.engine, place.queue, PERSON, reason="command", neighbors=False)
    conclude(replace(place, online=None), [Outcome(held) for held in receive(place)])
    assert (read_progress(place.engine, PERSON).stage, read_progress(place.engine, PERSON).favorites) == ("done", 2)


def test_a_refresh_of_somebody_without_an_open_pull_is_only_acknowledged(place: Workplace) -> None:
    conclude(place, [Outcome(asked(place))])
    assert (left(place), read_progress(place.engine, PERSON).stage) == (0, "unknown")
    assert ask(place.engine, place.queue, [PullRequest(
        user_id=PERSON, kind=Kind.FAVORITES, reason="due", priority=Priority.REFRESH
    )]) == 1  # fmt: skip


def test_a_pull_does_not_end_before_the_contacts_are_in_too(place: Workplace) -> None:
    favor(place, PERSON, "a")
    ask_for_person(place.engine, place.queue, PERSON, reason="command", neighbors=False)
    favorites, contacts = receive(place)
    conclude(place, [Outcome(favorites)])
    assert read_progress(place.engine, PERSON).stage == "queued"
    listing = Listing(PERSON, datetime.now(UTC), contacts=[Person("b", "Bea")])
    commit(place.lake, place.engine, place.settings, [Fetched(listing, Cursor(PERSON), favorites=False)], ())
    conclude(place, [Outcome(contacts)])
    assert read_progress(place.engine, PERSON).stage == "done"
    assert place.online is not None
    assert place.online.user_state(PERSON).contacts == ("b",)
