"""Who is gone, and what is given up: nobody waits for them for ever."""

from __future__ import annotations

import pytest

from features.errors import DependencyError
from pipelines.privacy.tombstones import Reason, bury_users, gone_users
from pipelines.pull import conclude as conclude_module
from pipelines.pull.ask import ask, ask_for_person
from pipelines.pull.conclude import conclude, give_up, is_fresh
from pipelines.pull.cursors import Cursor, read_cursors, write_cursors
from pipelines.pull.progress import read_progress
from pipelines.pull.workplace import Outcome, Workplace
from pipelines.queue.requests import Kind, Priority, PullRequest
from tests.pipelines.pull.open_pulls import PERSON, asked, begin, favor, left, receive


def test_a_neighbor_who_left_flickr_is_covered_has_a_tombstone_and_is_not_asked_for_again(place: Workplace) -> None:
    begin(place, "a")
    write_cursors(place.engine, [Cursor("a", favorites=7)])
    conclude(place, [Outcome(asked(place, "a"), is_gone=True)])
    progress = read_progress(place.engine, PERSON)
    assert (progress.stage, progress.coverage, gone_users(place.engine, ["a"])) == ("done", 1.0, {"a"})
    cursor = read_cursors(place.engine, ["a"])["a"]
    assert cursor.favorites == 7
    for kind in (Kind.FAVORITES, Kind.CONTACTS):
        assert is_fresh(place.settings, cursor, kind, Priority.NEIGHBOR)


def test_a_user_whom_flickr_knows_again_has_no_tombstone_any_more(place: Workplace) -> None:
    bury_users(place.engine, ["a", "b"], Reason.DELETED)
    conclude(place, [Outcome(asked(place, "a")), Outcome(asked(place, "b", Kind.CONTACTS))])
    assert gone_users(place.engine, ["a", "b"]) == {"b"}


@pytest.mark.parametrize("step", ["people_of", "open_pulls", "count_parts", "settle"])
def test_killed_while_it_is_given_up_it_can_be_given_up_again(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    begin(place, "a")
    request = asked(place, "a").request

    def killed(*_: object, **__: object) -> None:
        raise DependencyError("killed")

    monkeypatch.setattr(conclude_module, step, killed)
    with pytest.raises(DependencyError, match="killed"):
        give_up(place, request, "Flickr refuses it")
    monkeypatch.undo()
    give_up(place, request, "Flickr refuses it")
    progress = read_progress(place.engine, PERSON)
    assert (progress.stage, progress.finished, progress.coverage) == ("done", 1, 0.0)


def test_the_pull_of_somebody_whom_flickr_does_not_know_fails_with_words(place: Workplace) -> None:
    ask_for_person(place.engine, place.queue, PERSON, reason="visit")
    conclude(place, [Outcome(held, is_gone=True) for held in receive(place)])
    progress = read_progress(place.engine, PERSON)
    assert (progress.stage, left(place)) == ("failed", 0)
    assert progress.error == f"Flickr knows no user {PERSON!r}, or no longer"


def test_a_neighbor_that_is_given_up_ends_the_pull_without_it(place: Workplace) -> None:
    begin(place, "a", "b")
    conclude(place, [Outcome(asked(place, "a"))])
    give_up(place, asked(place, "b").request, "Flickr refuses it")
    progress = read_progress(place.engine, PERSON)
    assert (progress.stage, progress.finished, progress.coverage, progress.error) == ("done", 2, 0.5, None)


@pytest.mark.parametrize(
    ("kind", "stage"), [(Kind.FAVORITES, "failed"), (Kind.NEIGHBORS, "failed"), (Kind.CONTACTS, "queued")]
)
def test_a_persons_request_that_is_given_up_fails_the_pull_unless_it_was_for_contacts(
    place: Workplace, kind: Kind, stage: str
) -> None:
    ask_for_person(place.engine, place.queue, PERSON, reason="visit")
    request = PullRequest(user_id=PERSON, kind=kind, reason="visit", priority=Priority.PERSON)
    give_up(place, request, "Flickr refuses it")
    progress = read_progress(place.engine, PERSON)
    assert (progress.stage, progress.error) == (stage, "Flickr refuses it" if stage == "failed" else None)
    assert ask(place.engine, place.queue, [request]) == 1


def test_a_pull_that_had_failed_goes_on_when_its_dead_letter_is_redriven(place: Workplace) -> None:
    favor(place, PERSON, "a")
    ask_for_person(place.engine, place.queue, PERSON, reason="command", neighbors=False)
    favorites, contacts = receive(place)
    conclude(place, [Outcome(contacts)])
    give_up(place, favorites.request, "Flickr was down")
    assert read_progress(place.engine, PERSON).stage == "failed"
    conclude(place, [Outcome(favorites)])
    progress = read_progress(place.engine, PERSON)
    assert (progress.stage, progress.error) == ("done", None)


def test_contacts_that_are_given_up_do_not_keep_a_pull_open(place: Workplace) -> None:
    favor(place, PERSON, "a")
    ask_for_person(place.engine, place.queue, PERSON, reason="command", neighbors=False)
    favorites, contacts = receive(place)
    conclude(place, [Outcome(favorites)])
    give_up(place, contacts.request, "Flickr: no (code 7)")
    assert read_progress(place.engine, PERSON).stage == "done"
