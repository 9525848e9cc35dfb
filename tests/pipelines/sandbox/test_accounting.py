"""The count of calls by method and outcome, and the hourly budget that the sandbox enforces."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines.sandbox import accounting
from pipelines.sandbox.accounting import HOUR, Accounting


@pytest.fixture
def clock(monkeypatch):
    """The seconds that the accounting sees; nobody can wait for an hour."""
    now = SimpleNamespace(seconds=1_000.0)
    monkeypatch.setattr(accounting, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_calls_are_counted_by_method_and_outcome(sandbox, world):
    before = sandbox.get("/sandbox/calls")
    sandbox.call("flickr.people.getInfo", user_id=world.user_ids[0])
    sandbox.call("flickr.people.getInfo", user_id="1@N00")
    sandbox.faults({"kind": "bad_gateway", "times": 1})
    sandbox.call("flickr.people.getInfo", user_id=world.user_ids[0])
    sandbox.call("flickr.galleries.getList")
    after = sandbox.get("/sandbox/calls")
    assert after["total"] == before["total"] + 4
    for method, outcome in (
        ("flickr.people.getInfo", "ok"),
        ("flickr.people.getInfo", "fail:1"),
        ("flickr.people.getInfo", "bad_gateway"),
        ("unknown", "fail:112"),
    ):
        count = before["methods"].get(method, {}).get(outcome, 0)
        assert after["methods"][method][outcome] == count + 1


def test_pages_pictures_and_controls_are_no_calls(sandbox, world):
    before = sandbox.get("/sandbox/calls")
    for path in ("/", f"/people/{world.user_ids[0]}/", f"/pictures/{world.photo_ids[0]}_m.svg", "/sandbox/health"):
        sandbox.http.get(f"{sandbox.url}{path}").raise_for_status()
    assert sandbox.get("/sandbox/calls") == before


def test_beyond_the_hourly_budget_calls_get_429_and_when_to_come_back(start_sandbox, world, tmp_path):
    with start_sandbox(tmp_path, "--calls-per-hour", "5") as sandbox:
        answers = [sandbox.call("flickr.people.getInfo", user_id=world.user_ids[0]) for _ in range(8)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        assert 3_500 < int(answers[-1].headers["retry-after"]) <= 3_600
        calls = sandbox.get("/sandbox/calls")
        assert calls["methods"]["flickr.people.getInfo"] == {"ok": 5, "over_budget": 3}
        assert calls["most_admitted_in_an_hour"] == calls["calls_per_hour"] == 5


def test_without_a_budget_every_call_is_admitted(sandbox):
    assert sandbox.get("/sandbox/calls")["calls_per_hour"] is None
    calls = Accounting(None)
    assert all(calls.admit() is None for _ in range(10_000))


def test_the_busiest_second_is_remembered(clock):
    calls = Accounting(None)
    for seconds in (0.0, 0.4, 0.5, 0.2, 5.0, 0.1):
        clock.seconds += seconds
        calls.admit()
    assert calls.as_json()["most_admitted_in_a_second"] == 3


def test_a_refused_call_takes_nothing_and_names_the_wait(clock):
    calls = Accounting(2)
    assert calls.admit() is None
    clock.seconds += 600
    assert calls.admit() is None
    clock.seconds += 600
    for _ in range(3):
        assert calls.admit() == HOUR - 1_200
    clock.seconds += HOUR - 1_200
    assert calls.admit() is None
    assert calls.admit() == 600


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 6), waits=st.lists(st.floats(0, 2 * HOUR), max_size=60))
def test_never_more_than_the_budget_in_any_hour(clock, limit, waits):
    calls, admitted, wait = Accounting(limit), [], None
    for seconds in waits:
        clock.seconds += seconds
        wait = calls.admit()
        if wait is None:
            admitted.append(clock.seconds)
        else:
            assert 0 < wait <= HOUR
    for moment in admitted:
        assert sum(moment <= other < moment + HOUR for other in admitted) <= limit
    assert calls.as_json()["most_admitted_in_an_hour"] <= limit
