"""`doctor` asks each part that the settings name how it is: what a check finds, and how checks are run.

A part that hangs must not hang the others: each is looked at in a thread of its own, and not waited for any longer than
`LOOK_SECONDS`. The checks themselves are in `doctor_pulling.py`, `doctor_stores.py` and `serving/doctor.py`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTimeError
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from features.errors import ConfigurationError, DependencyError, PhotoRecommenderError

LOOK_SECONDS = 10.0

_PASSWORD = re.compile(r"://[^\s/]*@")


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and somebody should look at it."""
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not set, not made yet, or not to be looked at without another part that failed."""


@dataclass(frozen=True)
class Finding:
    """What was found of a part, and what to do about it. `exit_status`: of the error behind a failure, else 0."""

    state: State
    found: str
    advice: str = ""
    exit_status: int = 0


@dataclass(frozen=True)
class Check:
    """A part by its name, how to look at it, and what to do when that raises or takes too long."""

    name: str
    look: Callable[[], Finding]
    advice: str


def ok(found: str) -> Finding:
    return Finding(State.OK, found)


def warning(found: str, advice: str) -> Finding:
    return Finding(State.WARNING, found, advice)


def failed(found: str, advice: str, exit_status: int = DependencyError.exit_status) -> Finding:
    return Finding(State.FAILED, found, advice, exit_status)


def skipped(found: str, advice: str = "") -> Finding:
    return Finding(State.SKIPPED, found, advice)


def examine(checks: Sequence[Check]) -> Iterator[tuple[str, Finding]]:
    """(name, finding) of each check in order. All run at once; whatever one raises is its finding."""
    running = [(check, _started(check)) for check in checks]
    for check, future in running:
        try:
            yield check.name, future.result(LOOK_SECONDS)
        except NotInTimeError:
            yield check.name, failed(f"no answer within {LOOK_SECONDS:.0f} s", check.advice)


def exit_status(findings: Sequence[Finding]) -> int:
    """0 when nothing failed; 2 when only settings are to be corrected; else 4, a part that failed."""
    statuses = {finding.exit_status for finding in findings if finding.state is State.FAILED}
    if not statuses:
        return 0
    return statuses.pop() if statuses == {ConfigurationError.exit_status} else DependencyError.exit_status


def finding_of(error: Exception, advice: str) -> Finding:
    """What an error tells, in one line and without passwords, which libraries put into their messages."""
    if isinstance(error, PhotoRecommenderError):
        return failed(_first_line(error.message), advice, error.exit_status)
    return failed(f"{type(error).__name__}: {_first_line(str(error))}", advice)


def sqlite_file(address: str) -> Path | None:
    """The file of a SQLite address; None for every other. A part that is not made yet is not made by looking at it."""
    return Path(address.removeprefix("sqlite:///")) if address.startswith("sqlite:///") else None


def shown(address: str) -> str:
    """The address, or a text with addresses in it, without what may be a password."""
    return _PASSWORD.sub("://", address)


def _started(check: Check) -> Future[Finding]:
    future: Future[Finding] = Future()

    def look() -> None:
        try:
            future.set_result(check.look())
        except Exception as error:  # noqa: BLE001  (a check that breaks says so; the others go on)
            future.set_result(finding_of(error, check.advice))

    # A daemon: the command ends though a part never answers.
    threading.Thread(target=look, name=f"doctor-{check.name}", daemon=True).start()
    return future


def _first_line(text: str) -> str:
    return shown(next((line.strip() for line in text.splitlines() if line.strip()), "no reason given"))[:500]
