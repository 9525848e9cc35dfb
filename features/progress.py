"""How long work shows itself: bars with counts and rates on a terminal, a line now and then elsewhere.

The work itself only calls `report(stage, done, total)`, as often as it likes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

Report = Callable[[str, int, int], None]
"""(stage, done, total): counts of whatever the stage counts; total 0 while it is not known."""

SECONDS_BETWEEN_LINES = 5.0


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


@contextmanager
def progress_bars() -> Iterator[Report]:
    """A `report` function whose stages become bars (or lines, off a terminal) while the context is open."""
    if not sys.stderr.isatty():
        yield _report_lines()
        return
    bars = Progress(
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}

    def report(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total or None)
        bars.update(tasks[stage], completed=done, total=total or None)

    with bars:
        yield report


def _report_lines() -> Report:
    begun: dict[str, float] = {}
    last: dict[str, float] = {}

    def report(stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        begun.setdefault(stage, now)
        finished = total > 0 and done >= total
        if not finished and (done == 0 or now - last.get(stage, begun[stage]) < SECONDS_BETWEEN_LINES):
            return
        last[stage] = now
        seconds = now - begun[stage]
        count = f"{done:,}" + (f" of {total:,}" if total else "")
        rate = f", {done / seconds:,.0f}/s" if seconds > 0.5 and total != 1 else ""
        print(f"{stage}: {count}, {seconds:.1f} s{rate}", file=sys.stderr, flush=True)  # noqa: T201

    return report
