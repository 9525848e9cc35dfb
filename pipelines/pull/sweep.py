"""The rolling sweep: one page of a user's favorites at a time, so that within some weeks every page is looked at again.

A listing since the cursor never shows what was deleted. A page of the sweep is a window in time: everything faved in it
is on the page, so a favorite that the lake holds there and the page lacks is no favorite any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from pipelines.plan.planner import PAGE, sweep_gap_days
from pipelines.pull.cursors import Cursor

EDGE = timedelta(seconds=5)
"""The clocks of the site and of Flickr differ a little: what lies so near to a window's end is left to the next one."""


@dataclass(frozen=True)
class Window:
    """The times of favoriting that a page covers: after `after` (None: from the first favorite on), up to `until`."""

    after: datetime | None
    until: datetime


def is_due(cursor: Cursor, now: datetime, sweep_days: float) -> bool:
    """Whether this refresh should look at a page, so that all of them are within `sweep_days`.

    The planner refreshes everybody at least twice within the gap between two pages. Looking at one from half of the gap
    on keeps the pages on time whatever the intervals are.
    """
    if cursor.newest_faved_at is None:
        return False
    if cursor.sweep_moved_at is None:
        return True
    gap = float(sweep_gap_days(np.array(cursor.favorites), sweep_days))
    return now - cursor.sweep_moved_at >= timedelta(days=gap / 2)


@dataclass(frozen=True)
class Step:
    """What one page told: its window, and from where the next one goes on (None: the sweep has come to its end).

    `from_newest`: whether the page began with the newest favorite.
    """

    window: Window
    next_until: datetime | None
    from_newest: bool

    def reaches(self, since: datetime | None) -> bool:
        """Whether everything faved since then (None: ever) was on the page, so that it need not be listed."""
        if not self.from_newest:
            return False
        return self.window.after is None or (since is not None and self.window.after <= since)


def step(cursor: Cursor, now: datetime, faved_at: Sequence[int], total: int) -> Step:
    """The step that a page makes which was asked for with `cursor.sweep_until`.

    faved_at (unix seconds): of what the page lists. `total`: what Flickr claims there is up to the end of the window.
    """
    until, newest = cursor.sweep_until or now, cursor.sweep_until is None
    end = Step(Window(cursor.oldest_faved_at, until), None, newest)
    if not faved_at or (len(faved_at) < PAGE and total <= len(faved_at)):
        return end
    oldest = datetime.fromtimestamp(min(faved_at), UTC)
    if cursor.oldest_faved_at is not None and oldest <= cursor.oldest_faved_at:
        return end
    following = oldest + EDGE
    if following >= until:  # a page full of one moment: step over it rather than stand still
        return Step(Window(oldest, until), oldest - timedelta(seconds=1), newest)
    return Step(Window(following, until), following, newest)
