"""`/api/me/impressions`: a page says which photos were really visible on it.

What somebody saw who is not signed in is recorded as seen by nobody, with "" for the user: so photos on public walls
are looked at again, too (pipelines/privacy/verify.py). A report costs its sender nothing, so each person may report so
many photos an hour, and all visitors of a process together, of whom a photo counts once in a batch.
"""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from serving.answers import ErrorAnswer, ImpressionsRequest
from serving.api.dependencies import OwnPageSession, RuntimeNow
from serving.impressions import DROPPED, Impression

SHOWN_AN_HOUR = 3_000
"""Photos that one process takes of a person: fifty a minute, for an hour."""

SHOWN_TO_VISITORS_AN_HOUR = 100_000
"""Photos that one process takes of all visitors together."""

VISITOR = ""
"""The user of what nobody in particular saw."""

router = APIRouter(tags=["me"], responses={code: {"model": ErrorAnswer} for code in (401, 403, 422)})

_window = FixedWindowRateLimiter(MemoryStorage())


@router.post("/api/me/impressions", status_code=204)
def impressions(report: ImpressionsRequest, runtime: RuntimeNow, session: OwnPageSession) -> None:
    """Photos that were visible on a wall, to the signed-in person, else to nobody. They are recorded a little later.

    Photos that no wall shows, and what is too much for an hour, are left out without a word.
    """
    user_id = session.user_id or VISITOR
    most = SHOWN_TO_VISITORS_AN_HOUR if user_id == VISITOR else SHOWN_AN_HOUR
    if not _window.hit(RateLimitItemPerHour(most), "impressions", user_id, cost=len(report.shown)):
        DROPPED.labels("limit").inc(len(report.shown))
        return
    now = datetime.now(UTC)
    own_wall = None if report.wall is None else report.wall == session.user_id
    known = runtime.online.photo_cards(list({shown.photo_id for shown in report.shown}))
    runtime.impressions.add(
        Impression(user_id, shown.photo_id, shown.rank, report.model_version, report.variant, now, own_wall)
        for shown in report.shown
        if shown.photo_id in known
    )
