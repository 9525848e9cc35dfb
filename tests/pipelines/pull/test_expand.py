"""From the favorites of a person to the neighbors whom the pull waits for: each is asked for once, if at all."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import Reason, bury_users
from pipelines.pull import conclude as conclude_module
from pipelines.pull.ask import ask_for_person
from pipelines.pull.conclude import expand
from pipelines.pull.cursors import Cursor, write_cursors
from pipelines.pull.parts import replace_parts
from pipelines.pull.progress import open_pulls, read_progress, update_progress
from pipelines.pull.workplace import Held, Workplace
from pipelines.queue.requests import Kind, Priority, PullRequest
from tests.pipelines.pull.open_pulls import OTHER, PERSON, asked, favor, left, receive, settle_all


def expansion(place: Workplace, person: str = PERSON, **options: Any) -> Held:
    """The message by which the neighbors of a person's open pull are to be found."""
    ask_for_person(place.engine, place.queue, person, reason="visit", **options)
    settle_all(place)
    return asked(place, person, Kind.NEIGHBORS, correlation_id="c-1")


def requested(place: Workplace) -> dict[str, PullRequest]:
    return {held.request.user_id: held.request for held in receive(place)}


def test_each_owner_is_a_part_and_is_asked_for_unless_it_is_fresh_or_gone(place: Workplace) -> None:
    favor(place, PERSON, "a", "b", "c", PERSON, "flickr-elsewhere")
    write_cursors(place.engine, [Cursor("b", favorites_pulled_at=datetime.now(UTC))])
    bury_users(place.engine, ["c"], Reason.DELETED)
    expand(place, expansion(place))
    progress = read_progress(place.engine, PERSON)
    assert (progress.stage, progress.made, progress.finished, progress.favorites) == ("neighbors", 4, 2, 5)
    requests = requested(place)
    assert set(requests) == {"a", "flickr-elsewhere"}
    assert {(one.kind, one.priority, one.reason, one.correlation_id) for one in requests.values()} == {
        (Kind.FAVORITES, Priority.NEIGHBOR, "neighbor", "c-1")
    }


def test_owners_of_other_services_and_erased_people_are_no_parts(place: Workplace) -> None:
    favor(place, PERSON, "a", "500px:b", "x")
    Suppression(place.settings, place.engine).suppress("x")
    expand(place, expansion(place))
    assert read_progress(place.engine, PERSON).made == 1
    assert set(requested(place)) == {"a"}


def test_the_neighbors_of_a_visitor_wait_like_the_visitor(place: Workplace) -> None:
    favor(place, PERSON, "a")
    expand(place, expansion(place, priority=Priority.ANONYMOUS))
    assert requested(place)["a"].priority is Priority.ANONYMOUS


def test_of_too_many_neighbors_those_with_most_favorites_are_taken(place: Workplace) -> None:
    favor(place, PERSON, "a", "b", "b", "c", "c", "c")
    few = replace(place, settings=place.settings.model_copy(update={"pull_max_neighbors": 2}))
    expand(few, expansion(few))
    assert set(requested(place)) == {"b", "c"}


@pytest.mark.parametrize("owners", [(), ("b",)], ids=["without neighbors", "with fresh neighbors alone"])
def test_where_nothing_is_to_be_pulled_the_pull_ends_at_once(place: Workplace, owners: Sequence[str]) -> None:
    favor(place, PERSON, *owners)
    write_cursors(place.engine, [Cursor("b", favorites_pulled_at=datetime.now(UTC))])
    expand(place, expansion(place))
    assert (read_progress(place.engine, PERSON).stage, left(place)) == ("done", 0)


def test_neighbors_of_a_pull_that_is_over_are_not_asked_for(place: Workplace) -> None:
    favor(place, PERSON, "a")
    held = expansion(place)
    update_progress(place.engine, PERSON, "done", error="stopped")
    expand(place, held)
    assert (open_pulls(place.engine, {PERSON}), left(place)) == ({}, 0)


def test_a_neighbor_committed_while_the_parts_are_written_is_not_waited_for(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker commits and concludes the neighbor just before the parts are there, and just after."""
    for moment in ("before", "after"):
        person = f"{moment}@N01"
        favor(place, person, f"neighbor-{moment}")
        held = expansion(place, person)

        def committed(neighbor: str) -> None:
            write_cursors(place.engine, [Cursor(neighbor, favorites_pulled_at=datetime.now(UTC))])
            conclude_module.finish_parts(place.engine, {neighbor: True})

        def write_meanwhile(engine: sa.Engine, user: str, neighbors: Sequence[str], moment: str = moment) -> None:
            if moment == "before":
                committed(*neighbors)
            replace_parts(engine, user, neighbors)
            if moment == "after":
                committed(*neighbors)

        monkeypatch.setattr(conclude_module, "replace_parts", write_meanwhile)
        expand(place, held)
        assert (read_progress(place.engine, person).stage, left(place)) == ("done", 0)


def test_neighbors_whom_two_pulls_share_are_asked_for_once_by_one_worker(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, messages = threading.Barrier(2), []
    for person in (PERSON, OTHER):
        favor(place, person, *(f"{number}@N02" for number in range(30)))
        messages.append(expansion(place, person))
    write = replace_parts

    def write_together(*arguments: Any) -> None:
        write(*arguments)
        together.wait(20)

    monkeypatch.setattr(conclude_module, "replace_parts", write_together)
    workers = [threading.Thread(target=expand, args=(place, message)) for message in messages]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert left(place) == 30
