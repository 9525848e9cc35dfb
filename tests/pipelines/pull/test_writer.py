"""The writer of a worker: it gathers batches, is patient with stores that take nothing, and not with a bad listing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from features.errors import DependencyError, StorageFullError
from features.schema import INTERACTIONS
from pipelines.flickr.answers import Photo
from pipelines.pull import writer as writer_module
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import Fetched
from pipelines.pull.listing import Listing
from pipelines.pull.workplace import Held, Outcome, Workplace
from pipelines.pull.writer import BLOCKED, ROWS, Writer
from pipelines.queue.requests import Kind, Priority, PullRequest

MORNING = datetime(2026, 11, 24, 8, tzinfo=UTC)
FOREVER = 3600.0


def eventually(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class Desk:
    """A writer at work, what was handed to it, and what it reported: users by batch, and whom it could not conclude."""

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self.batches: list[list[str]] = []
        self.broken: list[tuple[str, Exception]] = []
        self.writer = Writer(place, list, self._settled, self._broken)

    def _settled(self, outcomes: Sequence[Outcome]) -> None:
        self.batches.append([outcome.held.request.user_id for outcome in outcomes])

    def _broken(self, outcome: Outcome, error: Exception) -> None:
        self.broken.append((outcome.held.request.user_id, error))

    def hand(self, user: str, favorites: int = 1, priority: Priority = Priority.REFRESH) -> None:
        """Receive a message and hand over what was fetched for it; None: everything was fresh."""
        asked = PullRequest(user_id=user, kind=Kind.FAVORITES, reason="test", priority=priority, correlation_id=user)
        self.place.queue.put([asked])
        (message,) = self.place.queue.receive(1, 0.0)
        self.writer.add(Outcome(Held(message, asked), fetched(user, favorites)))

    @property
    def settled(self) -> list[str]:
        return [user for batch in self.batches for user in batch]

    def unsettled(self) -> int:
        """Messages that are still leased."""
        return self.place.queue.depth().leased


def fetched(user: str, favorites: int) -> Fetched | None:
    if not favorites:
        return None
    photos = [f"{user}-{number}" for number in range(favorites)]
    seconds = int(MORNING.timestamp())
    listing = Listing(user, datetime.now(UTC), photos, ["o"] * favorites, [seconds] * favorites)
    return Fetched(listing, Cursor(user, MORNING, listing.observed_at))


Opened = Callable[..., Any]


@pytest.fixture(autouse=True)
def logs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the module logs, whatever another test has made of logging."""
    captured = structlog.testing.LogCapture()
    monkeypatch.setattr(writer_module, "logger", structlog.wrap_logger(None, processors=[captured]))
    return captured.entries


@pytest.fixture
def desk(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """A writer at work in a thread, with settings as asked: `with desk(commit_rows=5) as desk`."""
    monkeypatch.setattr(writer_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(writer_module, "LONGEST_PAUSE", 0.02)

    @contextmanager
    def run(**settings: object) -> Iterator[Desk]:
        usual = {"commit_seconds": FOREVER, "commit_rows": 1_000_000}
        desk = Desk(replace(place, settings=place.settings.model_copy(update=usual | settings)))
        thread = threading.Thread(target=desk.writer.run)
        thread.start()
        try:
            yield desk
        finally:
            desk.writer.close()
            thread.join(20)
        assert not thread.is_alive()

    return run


def interactions(place: Workplace) -> list[str]:
    return sorted(place.lake.scan(INTERACTIONS, columns=["photo_id"]).column(0).to_pylist())


# Batches.


def test_listings_are_gathered_until_there_are_rows_enough(desk: Opened, place: Workplace) -> None:
    with desk(commit_rows=6) as at_work:
        at_work.hand("a", 2)
        at_work.hand("b", 3)
        time.sleep(0.1)  # it would have begun
        assert at_work.batches == []
        at_work.hand("c", 1)
        eventually(lambda: at_work.batches == [["a", "b", "c"]])
    assert len(interactions(place)) == 6
    assert at_work.unsettled() == 0


def test_no_listing_waits_longer_than_the_seconds_of_a_commit(desk: Opened) -> None:
    with desk(commit_seconds=0.3) as at_work:
        began = time.monotonic()
        at_work.hand("a")
        at_work.hand("b")
        eventually(lambda: at_work.batches == [["a", "b"]])
        assert time.monotonic() - began >= 0.3


def test_what_a_person_waits_for_is_committed_at_once_with_all_that_waits(desk: Opened) -> None:
    with desk() as at_work:
        at_work.hand("a")
        at_work.hand("b", priority=Priority.NEIGHBOR)
        at_work.hand("c", priority=Priority.ANONYMOUS)
        time.sleep(0.1)  # it would have begun
        assert at_work.batches == []
        at_work.hand("d", priority=Priority.PERSON)
        eventually(lambda: at_work.batches == [["a", "b", "c", "d"]])


def test_a_batch_has_no_more_requests_than_are_allowed(desk: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "MOST_REQUESTS", 3)
    with desk() as at_work:
        for number in range(7):
            at_work.hand(f"{number}", 0)
        eventually(lambda: len(at_work.settled) == 6)
    assert max(map(len, at_work.batches)) == 3


def test_closing_it_commits_what_waits(desk: Opened, place: Workplace) -> None:
    with desk() as at_work:
        at_work.hand("a")
        at_work.hand("b")
    assert sorted(at_work.settled) == ["a", "b"]
    assert len(interactions(place)) == 2


def test_what_was_fresh_is_acknowledged_without_a_commit(desk: Opened, place: Workplace) -> None:
    with desk() as at_work:
        at_work.hand("a", 0, Priority.PERSON)
        eventually(lambda: at_work.settled == ["a"])
    assert place.lake.versions() == {}
    assert at_work.unsettled() == 0


def test_the_rows_are_counted_by_what_they_are(desk: Opened) -> None:
    before = ROWS.labels("interactions")._value.get()
    with desk() as at_work:
        at_work.hand("a", 3, Priority.PERSON)
        eventually(lambda: at_work.settled == ["a"])
    assert ROWS.labels("interactions")._value.get() == before + 3


# Trouble.


class Trouble:
    """What goes wrong with commits, one after the other; None: all goes well from now on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.tries = 0
        commit = writer_module.commit

        def troubled(*arguments: Any) -> Any:
            self.tries += 1
            if self.error is not None:
                raise self.error
            return commit(*arguments)

        monkeypatch.setattr(writer_module, "commit", troubled)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    return Trouble(monkeypatch)


@pytest.mark.parametrize(
    "error",
    [
        StorageFullError("no space left for the lake"),
        DependencyError("the lake can't be used"),
        sa.exc.OperationalError("INSERT", {}, Exception("database is locked")),
        OSError(28, "No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_while_nothing_can_be_committed_it_tries_again_and_says_so(
    desk: Opened, place: Workplace, trouble: Trouble, logs: list[Any], error: Exception
) -> None:
    trouble.error = error
    with desk(commit_rows=1) as at_work:
        at_work.hand("a", 2)
        eventually(lambda: trouble.tries >= 3)
        assert at_work.writer.blocked.is_set()
        assert BLOCKED._value.get() == 1
        assert (at_work.settled, at_work.unsettled()) == ([], 1)
        trouble.error = None
        eventually(lambda: at_work.settled == ["a"])
        assert not at_work.writer.blocked.is_set()
        assert BLOCKED._value.get() == 0
        at_work.hand("b")
        eventually(lambda: at_work.settled == ["a", "b"])
    told = [entry["event"] for entry in logs if entry["event"].startswith("commit")]
    assert told[0] == "commit_blocked"
    assert told.count("commit_works_again") == 1
    assert str(error) in next(entry["reason"] for entry in logs if entry["event"] == "commit_blocked")
    assert interactions(place) == ["a-0", "a-1", "b-0"]


def test_what_can_not_be_acknowledged_is_concluded_again_and_no_row_is_doubled(
    desk: Opened, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, tries = place.queue.done, 0

    def done_at_the_third_try(messages: Any) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise DependencyError("the queue can't be reached")
        done(messages)

    monkeypatch.setattr(place.queue, "done", done_at_the_third_try)
    with desk(commit_rows=1) as at_work:
        at_work.hand("a", 2)
        eventually(lambda: at_work.settled == ["a"])
    assert interactions(place) == ["a-0", "a-1"]
    assert at_work.unsettled() == 0


def test_closed_while_it_is_blocked_it_gives_up_and_settles_nothing(
    desk: Opened, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "FIRST_PAUSE", FOREVER)
    trouble.error = DependencyError("the lake can't be used")
    with desk(commit_rows=1) as at_work:
        at_work.hand("a")
        eventually(at_work.writer.blocked.is_set)
        at_work.hand("b")
    assert (at_work.settled, at_work.broken) == ([], [])
    assert at_work.unsettled() == 2
    assert trouble.tries == 2


def test_one_bad_listing_does_not_take_the_others_with_it(
    desk: Opened, place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = writer_module.commit

    def picky(lake: Any, engine: Any, settings: Any, batch: Sequence[Fetched], *more: Any) -> Any:
        if any(one.listing.user_id == "bad" for one in batch):
            raise ValueError("a listing that nobody foresaw")
        return commit(lake, engine, settings, batch, *more)

    monkeypatch.setattr(writer_module, "commit", picky)
    with desk(commit_rows=3) as at_work:
        for user in ("a", "bad", "b"):
            at_work.hand(user)
        eventually(lambda: len(at_work.settled) == 2)
    assert at_work.settled == ["a", "b"]
    assert [(user, str(error)) for user, error in at_work.broken] == [("bad", "a listing that nobody foresaw")]
    assert interactions(place) == ["a-0", "b-0"]
    assert at_work.unsettled() == 1


def test_a_listing_that_turns_out_bad_after_a_pause_does_not_leave_it_blocked(desk: Opened, trouble: Trouble) -> None:
    trouble.error = DependencyError("the lake can't be used")
    with desk(commit_rows=1) as at_work:
        at_work.hand("bad")
        eventually(at_work.writer.blocked.is_set)
        trouble.error = ValueError("a listing that nobody foresaw")
        eventually(lambda: [user for user, _ in at_work.broken] == ["bad"])
        assert not at_work.writer.blocked.is_set()


@pytest.mark.parametrize("favorites", [0, 1], ids=["fresh", "listed"])
def test_details_are_taken_for_a_batch_with_a_listing_alone(place: Workplace, favorites: int) -> None:
    """Taken for a batch in which everything is fresh they were lost, as a process reads them once."""
    taken: list[str] = []
    ended = threading.Event()

    def take() -> list[Photo]:
        taken.append("once")
        return []

    writer = Writer(place, take, lambda _: ended.set(), lambda *_: None)
    asked = PullRequest(user_id="u", kind=Kind.FAVORITES, reason="test", priority=Priority.PERSON)
    place.queue.put([asked])
    (message,) = place.queue.receive(1, 0.0)
    writer.add(Outcome(Held(message, asked), fetched("u", favorites)))
    thread = threading.Thread(target=writer.run)
    thread.start()
    assert ended.wait(20)
    writer.close()
    thread.join(20)
    assert len(taken) == favorites
