"""The client and its leave to call: each try is paid for and counted, and what Flickr asks or shows holds for all."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from features.settings import Settings
from pipelines.budget.breaker import KEY_SECONDS, Breaker, Reason
from pipelines.budget.windows import HOUR, BudgetSpentError, FlickrPausedError, Purpose, open_budget
from pipelines.flickr import calls as flickr_calls
from pipelines.flickr.client import (
    FlickrRefusedError,
    FlickrUnavailableError,
    KeyInvalidError,
    TokenInvalidError,
    UserNotFoundError,
    open_flickr,
)

INFO = "flickr.people.getInfo"


@pytest.fixture
def asked(sandbox: Any) -> Callable[[], int]:
    """How many calls have reached Flickr since the last time."""
    seen = [sandbox.get("/sandbox/calls")["total"]]

    def more() -> int:
        before, seen[0] = seen[0], sandbox.get("/sandbox/calls")["total"]
        return int(seen[0] - before)

    return more


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"photo_recommender_{name}", labels) or 0.0


def with_breaker(settings: Settings, failures: int, seconds: float = 30.0, attempts: int = 1) -> Settings:
    return settings.model_copy(
        update={"breaker_failures": failures, "breaker_seconds": seconds, "flickr_attempts": attempts}
    )


def test_every_try_is_paid_for(
    sandbox: Any, sandbox_settings: Settings, avid: str, quick_retries: None, asked: Callable[[], int]
) -> None:
    sandbox.faults({"kind": "bad_gateway", "times": 2})
    open_flickr(sandbox_settings, purpose=Purpose.REFRESH).person(avid)
    assert asked() == 3
    assert open_budget(sandbox_settings).spent()[Purpose.REFRESH] == {INFO: 3}


def test_without_a_call_left_it_asks_nothing_of_flickr_and_says_when_there_is_one(
    sandbox_settings: Settings, avid: str, asked: Callable[[], int]
) -> None:
    client = open_flickr(sandbox_settings.model_copy(update={"flickr_calls_per_hour": 2}))
    client.person(avid)
    client.person(avid)
    with pytest.raises(BudgetSpentError) as spent:
        client.person(avid)
    assert asked() == 2
    assert type(spent.value) is BudgetSpentError
    assert HOUR - 60 < spent.value.retry_after <= HOUR


def test_it_waits_for_a_burst_to_pass(sandbox: Any, sandbox_settings: Settings, avid: str) -> None:
    client = open_flickr(sandbox_settings.model_copy(update={"flickr_calls_per_second": 3}))
    began = time.monotonic()
    for _ in range(5):
        client.person(avid)
    assert time.monotonic() - began > 0.9


def test_flickrs_own_limit_is_never_met(
    start_sandbox: Any, sandbox_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flickr_calls, "PATIENCE", 0.0)
    with start_sandbox(tmp_path / "strict", "--calls-per-hour", "30") as strict:
        changes = {"flickr_rest_url": strict.rest_url, "flickr_calls_per_hour": 30}
        client = open_flickr(sandbox_settings.model_copy(update=changes))
        person = strict.get("/sandbox/people")[0]["user_id"]
        with pytest.raises(BudgetSpentError):
            for _ in range(40):
                client.person(person)
        calls = strict.get("/sandbox/calls")
    assert calls["methods"][INFO] == {"ok": 30}


def test_what_one_worker_was_asked_to_wait_all_wait(
    sandbox: Any, sandbox_settings: Settings, avid: str, quick_retries: None, asked: Callable[[], int]
) -> None:
    sandbox.faults({"kind": "too_many_requests", "retry_after": 40, "times": 1})
    for client in (open_flickr(sandbox_settings, purpose=Purpose.REFRESH), open_flickr(sandbox_settings)):
        with pytest.raises(FlickrPausedError, match="Flickr asked to wait") as paused:
            client.person(avid)
        assert paused.value.reason is Reason.THROTTLED
        assert 39 < paused.value.retry_after <= 40
    assert asked() == 1


def test_after_failures_in_a_row_nobody_calls_and_callers_are_told_at_once(
    sandbox: Any, sandbox_settings: Settings, avid: str, asked: Callable[[], int]
) -> None:
    settings = with_breaker(sandbox_settings, failures=3)
    sandbox.faults({"kind": "bad_gateway"})
    for _ in range(3):
        with pytest.raises(FlickrUnavailableError):
            open_flickr(settings).person(avid)
    assert metric("breaker_open") == 1
    began = time.monotonic()
    with pytest.raises(FlickrPausedError, match="failed too often in a row") as paused:
        open_flickr(settings, purpose=Purpose.REFRESH).person(avid)
    assert time.monotonic() - began < 1
    assert isinstance(paused.value, BudgetSpentError)  # so that who puts off puts off
    assert asked() == 3


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "bad_gateway"},
        {"kind": "html"},
        {"kind": "truncated_json"},
        {"kind": "hang", "seconds": 1.0},
        {"kind": "fail", "code": 105},
        {"kind": "too_many_requests", "retry_after": 0},
    ],
    ids=lambda fault: str(fault["kind"]),
)
def test_what_counts_as_a_failure(sandbox: Any, sandbox_settings: Settings, avid: str, fault: dict[str, Any]) -> None:
    settings = with_breaker(sandbox_settings, failures=1).model_copy(update={"flickr_timeout": 0.3})
    sandbox.faults(fault)
    with pytest.raises(FlickrUnavailableError):
        open_flickr(settings).person(avid)
    assert open_budget(settings).breaker().openings == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "fail", "code": 1},
        {"kind": "fail", "code": 3},
        {"kind": "fail", "code": 98},
        {"kind": "too_many_requests", "retry_after": 9},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('code', '')}",
)
def test_what_flickr_says_clearly_is_no_failure(
    sandbox: Any, sandbox_settings: Settings, avid: str, fault: dict[str, Any]
) -> None:
    settings = with_breaker(sandbox_settings, failures=1)
    sandbox.faults(fault)
    with pytest.raises((UserNotFoundError, FlickrRefusedError, TokenInvalidError, FlickrUnavailableError)):
        open_flickr(settings).person(avid)
    assert open_budget(settings).breaker() == Breaker()


def test_one_call_is_tried_after_the_pause_and_its_success_ends_it(
    sandbox: Any, sandbox_settings: Settings, avid: str, asked: Callable[[], int]
) -> None:
    settings = with_breaker(sandbox_settings, failures=2, seconds=0.2, attempts=5)
    sandbox.faults({"kind": "bad_gateway", "times": 3})
    client = open_flickr(settings)
    assert client.person(avid).user_id == avid
    assert asked() == 4
    assert open_budget(settings).breaker() == Breaker()
    assert metric("breaker_open") == 0


def test_a_refused_key_is_not_hammered_and_raises_the_alarm(
    sandbox: Any, sandbox_settings: Settings, avid: str, asked: Callable[[], int]
) -> None:
    sandbox.faults({"kind": "fail", "code": 100})
    with pytest.raises(KeyInvalidError):
        open_flickr(sandbox_settings, purpose=Purpose.REFRESH).person(avid)
    assert metric("flickr_key_invalid") == 1
    for _ in range(3):
        with pytest.raises(FlickrPausedError, match="PHOTO_RECOMMENDER_FLICKR_KEY") as paused:
            open_flickr(sandbox_settings).person(avid)
    assert asked() == 1
    assert KEY_SECONDS - 60 < paused.value.retry_after <= KEY_SECONDS


def test_the_alarm_about_the_key_ends_with_the_first_call_that_succeeds(
    sandbox: Any, sandbox_settings: Settings, avid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.budget.breaker.KEY_SECONDS", 0.2)
    client = open_flickr(sandbox_settings)
    sandbox.faults({"kind": "fail", "code": 100, "times": 2})
    for _ in range(2):
        with pytest.raises(KeyInvalidError):
            client.person(avid)
        assert metric("flickr_key_invalid") == 1
    client.person(avid)
    assert metric("flickr_key_invalid") == 0
    assert metric("breaker_open") == 0


def test_a_persons_broken_token_does_not_stop_the_others(sandbox: Any, sandbox_settings: Settings, avid: str) -> None:
    signed = open_flickr(sandbox_settings, sandbox.token(avid, "read"))
    sandbox.faults({"kind": "fail", "code": 96})
    with pytest.raises(KeyInvalidError):
        signed.login()
    sandbox.faults()
    assert open_flickr(sandbox_settings).person(avid).user_id == avid


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"kind": "fail", "code": 1}, "not_found"),
        ({"kind": "fail", "code": 3}, "refused"),
        ({"kind": "fail", "code": 98}, "token_invalid"),
        ({"kind": "fail", "code": 100}, "key_invalid"),
        ({"kind": "fail", "code": 105}, "unavailable"),
        ({"kind": "too_many_requests", "retry_after": 0}, "throttled"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_calls_are_counted_by_how_they_ended(
    sandbox: Any, sandbox_settings: Settings, avid: str, quick_retries: None, fault: dict[str, Any], outcome: str
) -> None:
    def counts() -> list[float]:
        return [
            metric("flickr_calls_total", method=INFO, outcome=outcome),
            metric("flickr_calls_total", method=INFO, outcome="ok"),
            metric("flickr_retries_total", method=INFO),
            metric("flickr_call_seconds_count", method=INFO),
        ]

    before = counts()
    open_flickr(sandbox_settings).person(avid)
    sandbox.faults({**fault, "times": 1})
    retried = outcome in ("throttled", "unavailable")
    if retried:
        open_flickr(sandbox_settings).person(avid)
    else:
        with pytest.raises((UserNotFoundError, FlickrRefusedError, TokenInvalidError, KeyInvalidError)):
            open_flickr(sandbox_settings).person(avid)
    assert [after - was for after, was in zip(counts(), before, strict=True)] == [1, 1 + retried, retried, 2 + retried]
