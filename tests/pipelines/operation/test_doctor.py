"""How checks are run: all at once, each for its own time, whatever one raises is what was found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ConfigurationError, CorruptModelError, DependencyError
from pipelines.operation import doctor
from pipelines.operation.doctor import Check, Finding, State, examine, exit_status, failed, ok, shown, skipped, warning


def raising(error: Exception) -> Callable[[], Finding]:
    def look() -> Finding:
        raise error

    return look


def found(*checks: Check) -> list[Finding]:
    return [finding for _, finding in examine(checks)]


def test_findings_come_in_the_order_of_the_checks() -> None:
    slow, fast = threading.Event(), ok("fast")

    def wait() -> Finding:
        assert slow.wait(5)
        return ok("slow")

    def open_the_way() -> Finding:
        slow.set()
        return fast

    names = [name for name, _ in examine([Check("a", wait, ""), Check("b", open_the_way, "")])]
    assert names == ["a", "b"]  # and "a" could not end without "b": they run at once


def test_what_a_check_raises_is_its_finding_with_what_to_do() -> None:
    finding, other = found(
        Check("lake", raising(DependencyError("it is gone")), "start it"),
        Check("odd", raising(ValueError("first line\nsecond line")), "look"),
    )
    assert finding == Finding(State.FAILED, "it is gone", "start it", 4)
    assert other == Finding(State.FAILED, "ValueError: first line", "look", 4)


def test_a_part_that_hangs_is_not_waited_for_and_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOOK_SECONDS", 0.2)
    for_ever = threading.Event()
    began = time.monotonic()
    hanging, well = found(Check("redis", lambda: ok(str(for_ever.wait())), "start it"), Check("b", lambda: ok("b"), ""))
    assert time.monotonic() - began < 2
    assert (hanging.state, hanging.advice) == (State.FAILED, "start it")
    assert "no answer within" in hanging.found
    assert well == ok("b")
    thread = next(thread for thread in threading.enumerate() if thread.name == "doctor-redis")
    assert thread.daemon  # the command ends all the same
    for_ever.set()


findings = st.builds(Finding, st.sampled_from(State), st.just("x"), st.just("y"), st.sampled_from([2, 3, 4, 5]))


@given(st.lists(findings))
def test_the_exit_status_tells_whether_a_part_failed_or_only_settings_are_wrong(these: list[Finding]) -> None:
    statuses = [finding.exit_status for finding in these if finding.state is State.FAILED]
    expected = 0 if not statuses else 2 if all(status == 2 for status in statuses) else 4
    assert exit_status(these) == expected


@pytest.mark.parametrize(
    ("all_found", "status"),
    [
        ([], 0),
        ([ok(""), warning("", ""), skipped("")], 0),
        ([failed("", "", ConfigurationError.exit_status), warning("", "")], 2),
        ([failed("", "", ConfigurationError.exit_status), failed("", "")], 4),
        ([failed("", "", CorruptModelError.exit_status)], 4),
    ],
)
def test_warnings_and_what_was_skipped_are_no_failure(all_found: list[Finding], status: int) -> None:
    assert exit_status(all_found) == status


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("redis://:secret@host:6379/0", "redis://host:6379/0"),
        ("postgresql://user:se@cret@host/x", "postgresql://host/x"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, expected: str) -> None:
    assert shown(address) == expected
