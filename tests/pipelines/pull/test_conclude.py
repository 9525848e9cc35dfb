"""What follows from a commit: walls at their milestones, the end of a pull exactly once, nobody waiting for ever."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from features.errors import DependencyError
from pipelines.flickr.client import Person
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import Reason, bury_users, gone_users
from pipelines.pull import conclude as conclude_module
from pipelines.pull.ask import ask, ask_for_person, settle
from pipelines.pull.commit import commit
from pipelines.pull.conclude import ALL_DATA, conclude, expand, give_up, is_fresh
from pipelines.pull.cursors import Cursor, read_cursors, write_cursors
from pipelines.pull.fetch import Fetched
from pipelines.pull.listing import Listing
from pipelines.pull.parts import replace_parts
from pipelines.pull.progress import open_pulls, read_progress, update_progress
from pipelines.pull.workplace import Held, Outcome, Workplace
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


def walls(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The coverage of each wall that is brought online from now on."""
    made: list[float] = []
    online = place.online
    assert online is not None
    write = online.write_neighbor_candidates
    monkeypatch.setattr(online, "write_neighbor_candidates", lambda rows: (made.append(rows[0].coverage), write(rows)))
    return made


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the module logs, whatever another test has made of logging."""
    captured = structlog.testing.LogCapture()
    monkeypatch.setattr(conclude_module, "logger", structlog.wrap_logger(None, processors=[captured]))
    return captured.entries


def ended() -> float:
    """How many pulls were counted as complete."""
    (metric,) = ALL_DATA.collect()
    return next(sample.value for sample in metric.samples if sample.name.endswith("_count"))


def left(place: Workplace) -> int:
    """Messages that nobody has settled."""
    depth = place.queue.depth()
    return depth.leased + sum(depth.waiting.values())


# Walls and the end.


def test_the_wall_is_made_anew_at_milestones_that_grow_and_at_the_end(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = [f"{number}@N02" for number in range(200)]
    favor(place, PERSON, *owners)
    ask_for_person(place.engine, place.queue, PERSON, reason="visit")
    conclude(place, [Outcome(held) for held in receive(place)])
    made, before = walls(place, monkeypatch), ended()
    (expansion,) = receive(place)
    expand(place, expansion)
    while batch := receive(place, 5):
        assert read_progress(place.engine, PERSON).stage == "neighbors"
        conclude(place, [Outcome(held) for held in batch])
    assert [round(coverage * 200) for coverage in made] == [0, 10, 20, 40, 80, 130, 180, 200]
    progress = read_progress(place.engine, PERSON)
    assert (progress.stage, progress.finished, progress.coverage, progress.favorites) == ("done", 200, 1.0, 200)
    assert (ended() - before, left(place)) == (1, 0)


def test_the_last_part_ends_the_pull_and_says_how_long_it_took(place: Workplace, logs: list[Any]) -> None:
    begin(place, "a", "b")
    before = ended()
    conclude(place, [Outcome(asked(place, "a"))])
    assert (read_progress(place.engine, PERSON).stage, ended()) == ("neighbors", before)
    conclude(place, [Outcome(asked(place, "b"))])
    assert (read_progress(place.engine, PERSON).stage, ended()) == ("done", before + 1)
    (told,) = [entry for entry in logs if entry["event"] == "pull_complete"]
    assert (told["user_id"], told["neighbors"], told["covered"]) == (PERSON, 2, 2)


def test_a_neighbor_of_many_brings_all_of_them_further(place: Workplace) -> None:
    begin(place, "a", "b")
    begin(place, "b", person=OTHER)
    conclude(place, [Outcome(asked(place, "b"))])
    assert read_progress(place.engine, PERSON).coverage == 0.5
    assert read_progress(place.engine, OTHER).stage == "done"


def test_a_message_that_comes_twice_counts_once(place: Workplace) -> None:
    begin(place, "a", "b")
    for _ in range(2):
        conclude(place, [Outcome(asked(place, "a"))])
    assert (read_progress(place.engine, PERSON).finished, read_progress(place.engine, PERSON).stage) == (1, "neighbors")
    before = ended()
    for _ in range(2):
        conclude(place, [Outcome(asked(place, "b"))])
    assert (read_progress(place.engine, PERSON).stage, ended()) == ("done", before + 1)


def test_two_workers_with_the_last_two_parts_end_the_pull_once(
    place: Workplace, logs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have counted all parts as finished before either of them ends the pull."""
    begin(place, "a", "b")
    outcomes = [Outcome(asked(place, "a")), Outcome(asked(place, "b"))]
    finished, counted = threading.Barrier(2), threading.Barrier(2)
    finish, count = conclude_module.finish_parts, conclude_module.count_parts

    def finish_together(*arguments: Any) -> Any:
        affected = finish(*arguments)
        finished.wait(20)
        return affected

    def count_together(*arguments: Any) -> Any:
        parts = count(*arguments)
        counted.wait(20)
        return parts

    monkeypatch.setattr(conclude_module, "finish_parts", finish_together)
    monkeypatch.setattr(conclude_module, "count_parts", count_together)
    before = ended()
    workers = [threading.Thread(target=conclude, args=(place, [outcome])) for outcome in outcomes]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert (read_progress(place.engine, PERSON).stage, ended() - before) == ("done", 1)
    assert [entry["event"] for entry in logs].count("pull_complete") == 1
    assert left(place) == 0


def test_a_wall_of_a_part_that_was_slow_to_be_made_does_not_stay_over_the_whole_one(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two workers: while one makes the wall of the first part, the other finishes the second part, and the pull."""
    favor(place, PERSON, "a@N02", "b@N02")
    begin(place, "a@N02", "b@N02")
    first, second = asked(place, "a@N02"), asked(place, "b@N02")
    publish, online = conclude_module.Publisher.publish, place.online
    assert online is not None

    def overtaken(self: Any, user_id: str, coverage: float, as_of: datetime | None = None) -> int:
        monkeypatch.setattr(conclude_module.Publisher, "publish", publish)
        conclude(place, [Outcome(second)])
        return publish(self, user_id, coverage, as_of)

    monkeypatch.setattr(conclude_module.Publisher, "publish", overtaken)
    conclude(place, [Outcome(first)])
    assert read_progress(place.engine, PERSON).stage == "done"
    candidates = online.neighbor_candidates(PERSON)
    assert candidates is not None
    assert candidates.coverage == 1.0


@pytest.mark.parametrize(
    "step", ["revive_users", "finish_parts", "people_of", "open_pulls", "count_parts", "update_progress", "settle"]
)
def test_killed_at_any_step_it_is_concluded_by_who_gets_the_message_next(
    place: Workplace, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    begin(place, "a")
    outcome, before = Outcome(asked(place, "a")), ended()

    def killed(*_: object, **__: object) -> None:
        raise DependencyError("killed")

    monkeypatch.setattr(conclude_module, step, killed)
    with pytest.raises(DependencyError, match="killed"):
        conclude(place, [outcome])
    monkeypatch.undo()
    conclude(place, [outcome])
    assert (read_progress(place.engine, PERSON).stage, ended() - before, left(place)) == ("done", 1, 0)


# The person's own requests.


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


# Who is gone, and what is given up.


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


def test_a_wall_that_could_not_be_brought_online_is_as_soon_as_that_is_possible(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(place, "a", "b")
    outcome, online = Outcome(asked(place, "a")), place.online
    assert online is not None

    def down(_: object) -> None:
        raise DependencyError("the online store can't be used")

    monkeypatch.setattr(online, "write_neighbor_candidates", down)
    with pytest.raises(DependencyError):
        conclude(place, [outcome])
    monkeypatch.undo()
    conclude(place, [outcome])
    candidates = online.neighbor_candidates(PERSON)
    assert candidates is not None
    assert candidates.coverage == 0.5


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


# The neighbors.


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
