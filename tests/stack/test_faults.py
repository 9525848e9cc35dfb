"""However Flickr misbehaves while people are pulled: the lake ends with the sandbox's truth, within the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pull_rig.judge import favorites_of, judge, pulled
from pull_rig.processes import Zygote
from pull_rig.sandbox import Sandbox, run_sandbox
from pull_rig.stage import Stage
from pull_rig.world import EARLIER, Truth

from features.schema import INTERACTIONS, QUARANTINE
from pipelines.flickr.client import open_flickr
from pipelines.pull.ask import ask_for_person
from pipelines.pull.commit import commit
from pipelines.pull.cursors import Cursor, read_cursors
from pipelines.pull.fetch import Fetcher

LIST_FAVORITES = "flickr.favorites.getPublicList"
SMALL_PAGE = 200
"""Favorites on a page here, so that many users have several."""

HOUR = 12.0
"""Seconds of an hour of the budget, so that some of them pass."""

LATENCY = 0.7
"""Seconds by which what two calls take from their leave to Flickr may differ on a busy machine: so much shorter are the
windows in which the sandbox counts."""

PER_HOUR, PER_SECOND = 90, 15

EVERYTHING: tuple[dict[str, object], ...] = (
    {"kind": "too_many_requests", "rate": 0.015, "retry_after": 1},
    {"kind": "bad_gateway", "rate": 0.05},
    {"kind": "hang", "rate": 0.02, "seconds": 1.0},
    {"kind": "html", "rate": 0.04},
    {"kind": "truncated_json", "rate": 0.04},
    {"kind": "fail", "rate": 0.04, "code": 105},
    {"kind": "fail", "rate": 0.03, "code": 0},
    {"kind": "expired_token", "rate": 0.5},
    {"kind": "short_pages", "rate": 0.5},
    {"kind": "wrong_total", "rate": 0.3},
)

MakeStage = Callable[..., Stage]


@pytest.fixture
def make_stage(tmp_path: Path, zygote: Zygote, template: Path) -> Iterator[MakeStage]:
    """Makes a place to pull in: `make_stage(sandbox, setting=value)`."""
    stages: list[Stage] = []

    def make(sandbox: Sandbox, **changes: object) -> Stage:
        stages.append(Stage(tmp_path / f"home-{len(stages)}", zygote, sandbox, template, **changes))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()


@contextmanager
def working(stage: Stage, number: int = 1, **options: Any) -> Iterator[None]:
    """So many workers at work; they end well in the end."""
    workers = [stage.start(**options) for _ in range(number)]
    yield
    for worker in workers:
        stage.stop(worker)


def pull(stage: Stage, people: list[str], *, neighbors: bool = True, **options: Any) -> None:
    """Pull these people to the end by one worker."""
    for person in people:
        ask_for_person(stage.engine, stage.queue, person, reason="visit", neighbors=neighbors)
    with working(stage, **options):
        stage.wait(lambda: stage.is_over(people))


def sweep(stage: Stage, users: set[str], **options: Any) -> None:
    """Refresh these users until each of their pages was looked at."""
    with working(stage, fresh=False, **options):
        stage.sweep(users)


def test_with_every_fault_at_once_for_the_whole_of_a_pull_the_lake_ends_with_the_truth_within_the_budget(
    make_stage: MakeStage, tmp_path: Path
) -> None:
    with run_sandbox(tmp_path / "sandbox", hour=HOUR - LATENCY, second=1.0 - LATENCY) as sandbox:
        truth = sandbox.clock(sandbox.world.config.end)
        people = truth.people()[2:5]
        stage = make_stage(
            sandbox,
            flickr_attempts=3,
            flickr_timeout=0.6,
            flickr_calls_per_hour=PER_HOUR,
            flickr_calls_per_second=PER_SECOND,
            breaker_failures=4,
            breaker_seconds=0.3,
        )
        # Each that spoils a whole answer comes at least once, whatever the threads make of the order of calls.
        sure = ({**rule, "rate": 0.1, "times": 1} for rule in EVERYTHING[:7])
        sandbox.faults(*sure, *EVERYTHING, seed=1)
        for person in people:
            ask_for_person(stage.engine, stage.queue, person, reason="visit")
        with working(stage, 2, hour=HOUR, page=SMALL_PAGE):
            stage.wait(lambda: stage.is_over(people))
        calls = sandbox.get("/sandbox/calls")
        sandbox.faults()
    verdict = judge(stage.lake, stage.engine, truth, people)
    assert verdict.is_right, verdict
    met = {outcome for outcomes in calls["methods"].values() for outcome in outcomes}
    kinds = {"too_many_requests", "bad_gateway", "hang", "html", "truncated_json", "fail:105", "fail:0"}
    assert kinds <= met, met
    assert calls["total"] > PER_HOUR, "the budget did not bind"
    assert calls["most_admitted_in_an_hour"] <= PER_HOUR
    assert calls["most_admitted_in_a_second"] <= PER_SECOND


def test_what_a_broken_entry_or_an_empty_page_hid_is_found_by_the_sweep(
    make_stage: MakeStage, sandbox: Sandbox
) -> None:
    truth = sandbox.clock(sandbox.world.config.end)
    stage, avid = make_stage(sandbox), max(sandbox.world.user_ids, key=lambda user: len(truth.favorites(user)))
    # The first page has a broken entry; the second comes empty, and so it does when it is asked for again.
    sandbox.faults({"kind": "bad_entry", "times": 1}, {"kind": "empty_page", "method": LIST_FAVORITES, "times": 2})
    pull(stage, [avid], neighbors=False, page=SMALL_PAGE)
    sandbox.faults()
    assert stage.lake.scan(QUARANTINE).num_rows == 1
    hidden = truth.favorites(avid) - favorites_of(stage.lake, {avid}).keys()
    assert len(hidden) == 1 + SMALL_PAGE
    sweep(stage, {avid}, page=SMALL_PAGE)
    assert favorites_of(stage.lake, {avid}) == dict.fromkeys(truth.favorites(avid), 1)


@pytest.mark.parametrize("days", [-30, 3], ids=["behind", "ahead"])
def test_when_the_clocks_disagree_by_days_nothing_is_lost(make_stage: MakeStage, sandbox: Sandbox, days: int) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    stage, truth = make_stage(sandbox), sandbox.clock(now + timedelta(days=days))
    people = truth.people()[:2]
    pull(stage, people)
    verdict = judge(stage.lake, stage.engine, truth, people)
    assert (verdict.lost, verdict.doubled) == (0, 0), verdict
    later = sandbox.clock(now + timedelta(days=days + 20))
    pull(stage, people, fresh=False)
    verdict = judge(stage.lake, stage.engine, later, people)
    assert verdict.lost == 0, verdict
    assert verdict.repeats[INTERACTIONS.name] == 0


def test_of_an_owner_with_too_many_favorites_the_newest_are_kept_and_the_new_ones_added(
    make_stage: MakeStage, sandbox: Sandbox
) -> None:
    before, cap = sandbox.clock(sandbox.world.config.end - EARLIER), 300
    avid = max(sandbox.world.user_ids, key=lambda user: len(before.favorites(user)))
    stage = make_stage(sandbox, pull_max_favorites=cap)
    pull(stage, [avid], neighbors=False, page=SMALL_PAGE)
    dates = sorted((row[3] for row in before.favorites(avid)), reverse=True)
    assert len(dates) > cap
    oldest = dates[cap - 1]
    kept = favorites_of(stage.lake, {avid})
    assert sum(kept.values()) == cap
    assert kept.keys() >= {row for row in before.favorites(avid) if row[3] > oldest}
    after = sandbox.clock(sandbox.world.config.end)
    sweep(stage, {avid}, page=SMALL_PAGE)
    assert favorites_of(stage.lake, {avid}) == dict.fromkeys(
        {row for row in after.favorites(avid) if row[3] >= oldest}, 1
    )


@pytest.mark.parametrize("shift", ["back", "forward"])
def test_a_list_that_shifts_while_it_is_read_is_whole_in_the_end(
    make_stage: MakeStage, sandbox: Sandbox, shift: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Back: favorites are added, and pages repeat what was on the last. Forward: some go, and pages leave some out."""
    monkeypatch.setattr("pipelines.flickr.client.FAVORITES_PER_PAGE", SMALL_PAGE)
    monkeypatch.setattr("pipelines.pull.sweep.PAGE", SMALL_PAGE)
    stage, end = make_stage(sandbox), sandbox.world.config.end
    first, second = (end - EARLIER, end) if shift == "back" else (end, end - EARLIER)
    truth = sandbox.clock(first)
    avid = max(sandbox.world.user_ids, key=lambda user: len(truth.favorites(user)))
    fetcher = Fetcher(open_flickr(stage.settings), 50_000, sweep_days=0.000_001)
    pages = 0

    def shifting() -> None:
        nonlocal pages
        pages += 1
        if pages == 2:
            sandbox.clock(second)

    look(stage, fetcher, avid, shifting)
    assert pages > 2
    truth = sandbox.clock(end)
    for _ in range(6):
        look(stage, fetcher, avid)
    assert favorites_of(stage.lake, {avid}) == dict.fromkeys(truth.favorites(avid), 1)


def look(stage: Stage, fetcher: Fetcher, user_id: str, go_on: Callable[[], None] = lambda: None) -> Cursor:
    """One refresh of a user, as a worker makes it; the cursor behind it."""
    cursor = read_cursors(stage.engine, [user_id]).get(user_id)
    fetched = fetcher.fetch_favorites(user_id, cursor, go_on)
    commit(stage.lake, stage.engine, stage.settings, [fetched], fetcher.take_details())
    return fetched.cursor


def test_the_world_of_these_tests_has_long_ids_and_many_alphabets(sandbox: Sandbox) -> None:
    truth = Truth(sandbox.world, sandbox.world.config.end)
    users = pulled(truth, truth.people())
    assert any(len(user) == 64 and not user.isascii() for user in users)
    assert any(len(row[1]) == 64 for user in users for row in truth.favorites(user))
