"""Asking Flickr whether photos are still there: those that a page could not load, then those that walls showed.

Flickr's word is the only one that hides a photo from everybody. Daily, within the budget: what is left over when it is
spent comes first the next time.
"""

from __future__ import annotations

from collections import Counter as Counting
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
import structlog
from prometheus_client import Counter

from features.database import photo_checks
from features.lake import Lake
from features.schema import IMPRESSIONS, TIMESTAMP
from pipelines.flickr.client import (
    BudgetSpentError,
    Flickr,
    FlickrRefusedError,
    FlickrUnavailableError,
    PhotoNotFoundError,
)
from pipelines.privacy.takedown import mark_gone
from pipelines.privacy.tombstones import Reason, bury_photos, revive_photos, taken_down
from pipelines.upsert import upsert

CHECKED_FOR = timedelta(days=1)
"""Flickr's word on a photo is good for so long, and so long ago a photo was shown that is asked for."""

VERIFIED = Counter("photo_recommender_photos_verified", "Photos that Flickr was asked for.", ["outcome"])

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Verified:
    """How many photos Flickr was asked for, how many of those are gone, and how many are still to be asked for."""

    checked: int
    gone: int
    left: int


def verify_photos(engine: sa.Engine, lake: Lake, flickr: Flickr, limit: int, now: datetime) -> Verified:
    """Ask for at most `limit` photos that are due; those that are gone are buried and marked in the lake.

    flickr: a client that spends on `Purpose.REFRESH`. It stops early, without raising, when the budget is spent or
    Flickr does not answer. Raises KeyInvalidError, DependencyError.
    """
    _forget_old_checks(engine, now)
    due = photos_due(engine, lake, now)
    checked, gone = 0, []
    try:
        for photo_id in due[:limit]:
            if is_there(engine, flickr, photo_id, now) is False:
                gone.append(photo_id)
            checked += 1
    except (BudgetSpentError, FlickrUnavailableError) as error:
        logger.info("verification_stopped", checked=checked, left=len(due) - checked, reason=error.message)
    finally:
        if gone:
            mark_gone(lake, gone, now)
            # Only now: a kill before this asks for them again, and so marks them after all.
            _note(engine, gone, now)
    return Verified(checked, len(gone), len(due) - checked)


def is_there(engine: sa.Engine, flickr: Flickr, photo_id: str, now: datetime) -> bool | None:
    """Whether Flickr still shows the photo, None when it refuses to say. One that is gone or private gets a tombstone
    at once, one that came back loses it.

    Raises BudgetSpentError, FlickrUnavailableError.
    """
    try:
        flickr.photo(photo_id)
    except PhotoNotFoundError as error:
        VERIFIED.labels("gone").inc()
        bury_photos(engine, [photo_id], Reason.PRIVATE if error.private else Reason.VANISHED)
        return False
    except FlickrRefusedError as error:
        VERIFIED.labels("refused").inc()
        logger.warning("photo_not_verified", photo_id=photo_id, reason=error.message)
        _note(engine, [photo_id], now)
        return None
    VERIFIED.labels("there").inc()
    revive_photos(engine, [photo_id])
    _note(engine, [photo_id], now)
    return True


def photos_due(engine: sa.Engine, lake: Lake, now: datetime) -> list[str]:
    """Photos that Flickr was not asked for within a day: those reported as broken, the oldest report first, then those
    shown in the last day, the most shown first. What was taken down is left out."""
    since = now - CHECKED_FOR
    with engine.connect() as connection:
        rows = connection.execute(sa.select(photo_checks).order_by(photo_checks.c.reported_at)).all()
    fresh = {row.photo_id for row in rows if row.checked_at is not None and row.checked_at > since}
    reported = [
        row.photo_id
        for row in rows
        if row.reported_at is not None and (row.checked_at is None or row.checked_at < row.reported_at)
    ]
    recent = pc.field("shown_at") > pa.scalar(since, TIMESTAMP)
    shown = lake.scan(IMPRESSIONS, columns=("photo_id",), where=recent).column("photo_id").to_pylist()
    most_shown = [photo_id for photo_id, _ in Counting(shown).most_common()]
    due = [photo_id for photo_id in dict.fromkeys([*reported, *most_shown]) if photo_id not in fresh]
    excluded = taken_down(engine, due)
    return [photo_id for photo_id in due if photo_id not in excluded]


def _forget_old_checks(engine: sa.Engine, now: datetime) -> None:
    """Photos of which nobody needs to know any more when they were asked for: the table stays as small as a day's."""
    checks = photo_checks.c
    answered = sa.or_(checks.reported_at.is_(None), checks.reported_at <= checks.checked_at)
    with engine.begin() as connection:
        connection.execute(sa.delete(photo_checks).where(checks.checked_at <= now - CHECKED_FOR, answered))


def _note(engine: sa.Engine, photo_ids: list[str], now: datetime) -> None:
    upsert(engine, photo_checks, [{"photo_id": entry, "checked_at": now} for entry in photo_ids], key="photo_id")
