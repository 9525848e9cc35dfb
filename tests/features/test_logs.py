"""Logs are lines of JSON where no person reads them, and carry the id of the request that they belong to."""

from __future__ import annotations

import io
import json
import logging
import string
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from features.logs import configure_logging, correlated, correlation_id
from features.settings import Settings

Lines = Callable[[], list[dict[str, str]]]

ids = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=64)


@pytest.fixture
def lines(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What has been logged, off a terminal."""
    root, stderr = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    root.handlers.clear()  # pytest's own, which must not be closed
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        configure_logging(settings)
    yield lambda: [json.loads(line) for line in stderr.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:], level = before
    root.setLevel(level)


def test_off_a_terminal_every_line_is_an_object_with_time_level_and_name(lines: Lines) -> None:
    structlog.get_logger("ours").info("pulled", favorites=3)
    logging.getLogger("theirs").warning("slow %s", "disk")
    ours, theirs = lines()
    assert (ours["event"], ours["favorites"], ours["level"], ours["logger"]) == ("pulled", 3, "info", "ours")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("slow disk", "warning", "theirs")
    assert ours["timestamp"] <= theirs["timestamp"]


def test_a_traceback_is_part_of_its_line(lines: Lines) -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        structlog.get_logger().exception("failed")
    (line,) = lines()
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: odd")


def test_every_line_within_carries_the_id_also_those_of_libraries(lines: Lines) -> None:
    structlog.get_logger().info("before")
    with correlated("a-request"):
        structlog.get_logger().info("within")
        logging.getLogger("theirs").info("within, too")
    structlog.get_logger().info("after")
    assert [line.get("correlation_id") for line in lines()] == [None, "a-request", "a-request", None]


def test_a_failure_within_leaves_no_id_behind() -> None:
    with pytest.raises(ValueError, match="odd"), correlated("a-request"):
        raise ValueError("odd")
    assert correlation_id() == ""


def test_without_an_id_the_one_that_is_bound_stays() -> None:
    with correlated("a-request"), correlated(""):
        assert correlation_id() == "a-request"


def test_threads_that_work_for_different_requests_do_not_mix_their_ids(lines: Lines) -> None:
    both = threading.Barrier(2)

    def work(request: str) -> None:
        with correlated(request):
            both.wait(10)
            structlog.get_logger().info("worked", request=request)
            both.wait(10)

    threads = [threading.Thread(target=work, args=(request,)) for request in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logged = lines()
    assert {line["request"] for line in logged} == {"one", "two"}
    assert all(line["correlation_id"] == line["request"] for line in logged)


@given(st.lists(ids, max_size=5))
def test_the_innermost_id_holds_and_each_end_brings_the_one_before_back(nested: list[str]) -> None:
    def enter(rest: list[str], around: str) -> None:
        assert correlation_id() == around
        if rest:
            with correlated(rest[0]):
                enter(rest[1:], rest[0])
            assert correlation_id() == around

    enter(nested, "")
