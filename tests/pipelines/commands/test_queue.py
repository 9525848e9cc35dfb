"""`photo-recommender queue`, as operators and programs see it, on the SQL table and on SQS."""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

import photo_recommender
from features.settings import Settings, get_settings
from pipelines.queue import sqs_queue as queue_sqs
from pipelines.queue.messages import Queue, open_queue
from pipelines.queue.requests import Kind, Priority, PullRequest


@dataclass(frozen=True)
class Ended:
    status: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> Any:
        assert self.status == 0, self.stderr
        return json.loads(self.stdout)


Run = Callable[..., Ended]


@pytest.fixture(params=["sql", "sqs"])
def configured(request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    if request.param == "sql":
        return settings
    monkeypatch.setattr(queue_sqs, "DEAD_POLL", 0)
    return settings.model_copy(update={"queue_url": request.getfixturevalue("sqs")})


@pytest.fixture
def queue(configured: Settings, engine: sa.Engine) -> Queue:
    return open_queue(configured, engine)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs one `queue` command with these settings: `run(settings, "stats", …)`."""

    def command(settings: Settings, *arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["photo-recommender", "queue", *arguments])
        for name, value in settings.environment().items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            photo_recommender.main()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    yield command
    get_settings.cache_clear()


def put(queue: Queue, *user_ids: str, priority: Priority = Priority.PERSON) -> None:
    queue.put([PullRequest(user_id=name, kind=Kind.FAVORITES, reason="x" * 32, priority=priority) for name in user_ids])


def bury(queue: Queue, *user_ids: str) -> None:
    put(queue, *user_ids)
    for message in queue.receive(len(user_ids), 0.0):
        queue.bury(message, f"no such user as {PullRequest.parse(message.body).user_id}")


def test_stats_count_what_waits_is_worked_on_and_is_dead(run: Run, configured: Settings, queue: Queue) -> None:
    bury(queue, "a")
    put(queue, "b", "c")
    put(queue, "d", priority=Priority.ANONYMOUS)
    queue.receive(1, 0.0)
    answer = run(configured, "stats", "--json").answer
    oldest = answer.pop("oldest_seconds")
    assert answer == {"waiting": {"person": 1, "neighbor": 0, "refresh": 0, "anonymous": 1}, "leased": 1, "dead": 1}
    assert (oldest is None) == bool(configured.queue_url)
    assert oldest is None or 0 < oldest < 60
    ended = run(configured, "stats")
    assert ended.status == 0
    for row in (r"waiting: person\W+1", r"waiting: refresh\W+0", r"worked on\W+1", r"dead\W+1"):
        assert re.search(row, ended.stdout), ended.stdout


def test_dead_letters_are_shown_with_their_reason_and_a_short_body(
    run: Run, configured: Settings, queue: Queue
) -> None:
    assert run(configured, "dead").stdout == "There are no dead letters.\n"
    assert run(configured, "dead", "--json").answer == {"dead": []}
    bury(queue, "a" * 128)
    (letter,) = run(configured, "dead", "--json").answer["dead"]
    assert letter["priority"] == "person"
    assert letter["reason"].startswith("no such user as aaa")
    assert letter["bytes"] > len(letter["body"]) == 201
    assert letter["created_at"] <= letter["buried_at"]
    shown = run(configured, "dead").stdout
    assert letter["message_id"] in shown
    assert "no such user as aaa" in shown
    assert letter["body"] in shown


def test_named_dead_letters_wait_again(run: Run, configured: Settings, queue: Queue) -> None:
    bury(queue, "a", "b", "c")
    letters = queue.dead(3)
    chosen = [letter.message_id for letter in letters[:2]]
    assert run(configured, "redrive", *chosen, "--json").answer == {"redriven": 2}
    received = {PullRequest.parse(message.body).user_id for message in queue.receive(9, 0.0)}
    assert received == {PullRequest.parse(letter.body).user_id for letter in letters[:2]}
    assert [letter.message_id for letter in queue.dead(3)] == [letters[2].message_id]


def test_a_name_that_is_no_dead_letter_is_told_and_the_others_are_redriven(
    run: Run, configured: Settings, queue: Queue
) -> None:
    bury(queue, "a")
    ended = run(configured, "redrive", queue.dead(1)[0].message_id, "404")
    assert (ended.status, ended.stdout) == (3, "Waiting again: 1.\n")
    assert ended.stderr.startswith("error: 1 of those named are no dead letters")


def test_all_dead_letters_wait_again(run: Run, configured: Settings, queue: Queue) -> None:
    bury(queue, "a", "b", "c")
    assert run(configured, "redrive", "--all").stdout == "Waiting again: 3.\n"
    assert len(queue.receive(9, 0.0)) == 3
    assert run(configured, "redrive", "--all", "--json").answer == {"redriven": 0}


@pytest.mark.parametrize("arguments", [[], ["1", "--all"]])
def test_redriving_wants_either_names_or_all(run: Run, settings: Settings, arguments: list[str]) -> None:
    ended = run(settings, "redrive", *arguments)
    assert ended.status == 2
    assert "name either dead letters" in ended.stderr


def test_create_makes_the_queues_that_are_missing_and_no_others(run: Run, settings: Settings, aws: str) -> None:
    name = f"new-{uuid.uuid4().hex[:8]}"
    new = settings.model_copy(update={"queue_url": f"sqs://{name}"})
    missing = run(new, "stats")
    assert missing.status == 2
    assert f"{name}-person" in missing.stderr
    assert "photo-recommender queue create" in missing.stderr
    kinds = ("dead", "person", "neighbor", "refresh", "anonymous")
    assert run(new, "create", "--json").answer == {"created": [f"{name}-{kind}" for kind in kinds]}
    assert run(new, "stats", "--json").answer["dead"] == 0
    assert run(new, "create").stdout == "All queues exist.\n"


def test_in_sql_there_is_nothing_to_create(run: Run, settings: Settings) -> None:
    assert "nothing needs to be created" in run(settings, "create").stdout
    assert run(settings, "create", "--json").answer == {"created": []}


def test_an_address_that_names_no_queue_is_refused(run: Run, settings: Settings) -> None:
    ended = run(settings.model_copy(update={"queue_url": "amqp://localhost"}), "create")
    assert ended.status == 2
    assert "PHOTO_RECOMMENDER_QUEUE_URL='amqp://localhost'" in ended.stderr
