"""What follows from a commit: walls at their milestones, and the end of a pull exactly once."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

import pytest
import structlog

from features.errors import DependencyError
from pipelines.pull import conclude as conclude_module
from pipelines.pull.ask import ask_for_person
from pipelines.pull.conclude import conclude, expand
from pipelines.pull.progress import read_progress
from pipelines.pull.workplace import Outcome, Workplace
from tests.pipelines.pull.open_pulls import OTHER, PERSON, asked, begin, ended, favor, left, receive


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
