"""When the favorites of one person are refreshed, for that person to read: what holds without planning for everybody.

A plan weighs all users against each other, which is too much to ask while somebody waits; but nobody whom a wall needs
waits longer than their longest interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import sqlalchemy as sa

from features.settings import Settings
from pipelines.plan.planner import Bounds, longest_days
from pipelines.plan.table import active_users
from pipelines.pull.cursors import read_cursors


@dataclass(frozen=True)
class Refresh:
    """pulled_at: when Flickr was last asked for the favorites; None: never.

    due_by: when they are refreshed at the latest, as far as the budget of calls allows; None: nothing is planned, as
    they were never pulled, or the person has not been here for long. possible_at: from when it is no waste to ask for
    them; None: now.
    """

    pulled_at: datetime | None = None
    due_by: datetime | None = None
    possible_at: datetime | None = None


def refresh_of(engine: sa.Engine, settings: Settings, user_id: str, now: datetime) -> Refresh:
    """What there is to say of the user's favorites; two look-ups in SQL."""
    cursor = read_cursors(engine, [user_id]).get(user_id)
    if cursor is None or cursor.favorites_pulled_at is None:
        return Refresh()
    pulled_at = cursor.favorites_pulled_at
    (longest,) = longest_days(np.array([cursor.favorites]), Bounds.from_settings(settings))
    possible_at = pulled_at + timedelta(minutes=settings.refresh_min_minutes)
    return Refresh(
        pulled_at=pulled_at,
        due_by=pulled_at + timedelta(days=float(longest)) if _is_active(engine, settings, user_id, now) else None,
        possible_at=possible_at if possible_at > now else None,
    )


def _is_active(engine: sa.Engine, settings: Settings, user_id: str, now: datetime) -> bool:
    active = active_users(now - timedelta(days=settings.inactive_days)).subquery()
    with engine.connect() as connection:
        return bool(connection.scalar(sa.select(sa.exists().where(active.c.user_id == user_id))))
