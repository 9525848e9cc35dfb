"""`/api/photos`: a photo by itself, photos like it, and a page's word that it could not load one.

The page hides what it could not load by itself; for everybody else, Flickr decides. Sessions cost nothing, so no number
of reports proves anything: a report only makes Flickr be asked, at once when that is possible and else with the next
verification (pipelines/privacy/verify.py), and at most once a day for each photo.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Annotated

import sqlalchemy as sa
import structlog
from fastapi import APIRouter, BackgroundTasks, Query
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from features.database import photo_checks
from features.errors import NotFoundError, PhotoRecommenderError
from pipelines.flickr.client import Purpose, open_flickr
from pipelines.privacy.tombstones import gone_photos
from pipelines.privacy.verify import CHECKED_FOR, is_there
from pipelines.upsert import upsert
from serving.answers import MAX_PAGE, ErrorAnswer, Photo, PhotoId, SimilarPhotos
from serving.api.dependencies import AnySession, OwnPageSession, RuntimeNow
from serving.cards import photo_fields
from serving.ranking.exclusions import Exclusions, is_showable
from serving.runtime import Runtime

REPORTS_AN_HOUR = 100
"""Photos that one process takes reports of; more are answered and forgotten: the daily verification finds the rest."""

ASKING_AT_ONCE = 2
"""Threads of the service that may wait for Flickr on behalf of reports."""

REPORTED_FOR = timedelta(hours=1)
"""A report that was not settled by then may be made again."""

router = APIRouter(tags=["photos"], responses={code: {"model": ErrorAnswer} for code in (401, 403, 404, 422)})
logger = structlog.get_logger(__name__)

_window = MovingWindowRateLimiter(MemoryStorage())
_asking = threading.BoundedSemaphore(ASKING_AT_ONCE)


@router.get("/api/photos/{photo_id}")
def photo(photo_id: PhotoId, runtime: RuntimeNow) -> Photo:
    """A photo that a wall may show, for whoever was sent a link to it."""
    card = runtime.recommender.cards.photos([photo_id]).get(photo_id)
    if card is None or not is_showable(card):
        raise NotFoundError(f"no wall shows a photo {photo_id!r}", field="photo_id")
    return Photo(**photo_fields(card))


@router.get("/api/photos/{photo_id}/similar")
def similar(
    photo_id: PhotoId,
    runtime: RuntimeNow,
    session: AnySession,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 12,
) -> SimilarPhotos:
    """Photos that the same people like, the most alike first: none that the signed-in person's own wall leaves out."""
    ranking = runtime.recommender
    user_id = None if session is None else session.user_id
    kept_back = None if user_id is None else Exclusions.of(ranking.state(user_id))
    return ranking.similar(photo_id, limit, kept_back)


@router.post("/api/photos/{photo_id}/broken", status_code=204)
def broken(photo_id: PhotoId, runtime: RuntimeNow, session: OwnPageSession, after: BackgroundTasks) -> None:
    """The photo's image did not load on the page. Of each photo, Flickr is asked once a day at most."""
    if not runtime.online.photo_cards([photo_id]):
        raise NotFoundError(f"no wall shows a photo {photo_id!r}", field="photo_id")
    now = datetime.now(UTC)
    if gone_photos(runtime.engine, [photo_id]) or _is_settled(runtime.engine, photo_id, now):
        return
    if not _window.hit(RateLimitItemPerHour(REPORTS_AN_HOUR), "reports"):
        logger.warning("broken_photo_not_recorded", photo_id=photo_id, reason=f"over {REPORTS_AN_HOUR} an hour")
        return
    upsert(runtime.engine, photo_checks, [{"photo_id": photo_id, "reported_at": now}], key="photo_id")
    purpose = Purpose.ANONYMOUS if session.user_id is None else Purpose.REFRESH
    after.add_task(_ask_flickr, runtime, photo_id, purpose)


def _is_settled(engine: sa.Engine, photo_id: str, now: datetime) -> bool:
    """Whether Flickr was asked within a day, or is about to be."""
    with engine.connect() as connection:
        row = connection.execute(sa.select(photo_checks).where(photo_checks.c.photo_id == photo_id)).first()
    if row is None:
        return False
    checked = row.checked_at is not None and row.checked_at > now - CHECKED_FOR
    return checked or (row.reported_at is not None and row.reported_at > now - REPORTED_FOR)


def _ask_flickr(runtime: Runtime, photo_id: str, purpose: Purpose) -> None:
    """Bury the photo when Flickr no longer has it. Whatever stands in the way leaves it to the next verification."""
    if not _asking.acquire(blocking=False):
        return
    try:
        there = is_there(runtime.engine, open_flickr(runtime.interactive, None, purpose), photo_id, datetime.now(UTC))
        logger.info("broken_photo_asked_for", photo_id=photo_id, there=there)
    except PhotoRecommenderError as error:
        logger.info("broken_photo_left_to_verification", photo_id=photo_id, reason=error.message)
    finally:
        _asking.release()
