"""`/api/me`: what is held on the signed-in person, all of it to take along, and its erasure.

Handing over and erasing read or rewrite the whole lake, so each person may ask for them a few times an hour.
"""

from __future__ import annotations

import threading
import time
import unicodedata
from datetime import UTC, datetime

import sqlalchemy as sa
import structlog
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pydantic import BaseModel, Field

from features.database import accounts, shown
from features.errors import DependencyError, InvalidInputError, PhotoRecommenderError
from features.lake import open_lake
from features.online import OnlineFeatures
from pipelines.plan.one import refresh_of
from pipelines.privacy.erasure import Erased, Eraser
from serving import cards
from serving.accounts.export import archive, gather
from serving.accounts.sessions import Session
from serving.answers import Answer, ErrorAnswer, Person, Photo
from serving.api.dependencies import AnySession, OwnPageSession, Reader, RuntimeNow, Writer
from serving.api.session import forget_cookie
from serving.errors import TooOftenError, as_known
from serving.runtime import Runtime

EXPORTS_AN_HOUR = 6
ERASURES_AN_HOUR = 6
"""Of one person, and by one process; a confirmation that is wrong counts, too."""

router = APIRouter(tags=["account"], responses={code: {"model": ErrorAnswer} for code in (401, 403, 422, 429, 503)})
logger = structlog.get_logger(__name__)

_window = MovingWindowRateLimiter(MemoryStorage())
_erasing = threading.Lock()


class Me(Person):
    """What is held on the signed-in person.

    favorites: of so many photographers (`favorite_owners`); contacts: people whom they follow; dismissed_photos: those
    that can still be shown, and people: newest first; shown: photos that are remembered as shown on their wall; since:
    when they first signed in.
    favorites_pulled_at: when Flickr was last asked for the favorites, null: never; refresh_due_by: when it is asked
    again at the latest, as far as the budget of calls allows, null: not by itself; refresh_possible_at: from when
    asking for a pull finds it worth a call, null: now.
    """

    favorites: int
    favorite_owners: int
    contacts: int
    dismissed_photos: list[Photo]
    dismissed_people: list[Person]
    shown: int
    since: datetime
    favorites_pulled_at: datetime | None
    refresh_due_by: datetime | None
    refresh_possible_at: datetime | None


class EraseRequest(BaseModel):
    """What `DELETE /api/me` takes."""

    confirm: str = Field(max_length=200, description="The person's own screen name, or NSID.")


class ErasedAnswer(Answer):
    """removed: rows by store; left: those found on looking again, which something under way may have written."""

    user_id: str
    complete: bool
    removed: dict[str, int]
    left: dict[str, int]


@router.get("/api/me")
def me(runtime: RuntimeNow, user_id: Reader) -> Me:
    """What is held on the person, as far as the page shows it."""
    state = runtime.recommender.state(user_id)
    refresh = refresh_of(runtime.engine, runtime.settings, user_id, datetime.now(UTC))
    with runtime.engine.connect() as connection:
        account = connection.execute(sa.select(accounts).where(accounts.c.user_id == user_id)).one()
        remembered = sa.select(sa.func.count()).select_from(shown).where(shown.c.user_id == user_id)
        shown_photos = connection.execute(remembered).scalar_one()
    return Me(
        user_id=user_id,
        name=_plain(account.name) or user_id,
        avatar_url=account.avatar_url,
        favorites=len(state.favorite_ids),
        favorite_owners=len(set(state.favorite_owners)),
        contacts=len(state.contacts),
        dismissed_photos=cards.photos(
            runtime.recommender.cards, _newest_first(state.dismissed_ids, state.dismissed_times)
        ),
        dismissed_people=cards.people(
            runtime.online, _newest_first(state.dismissed_people, state.dismissed_people_times)
        ),
        shown=shown_photos,
        since=account.created_at,
        favorites_pulled_at=refresh.pulled_at,
        refresh_due_by=refresh.due_by,
        refresh_possible_at=refresh.possible_at,
    )


@router.get(
    "/api/me/export",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
)
def export(runtime: RuntimeNow, user_id: Reader, session: AnySession) -> StreamingResponse:
    """All that is held on the person, as a ZIP of JSON Lines: see docs/http.md."""
    _allow("download", EXPORTS_AN_HOUR, user_id)
    now = datetime.now(UTC)
    parts = gather(runtime.engine, open_lake(runtime.settings), runtime.online, runtime.recommender.state(user_id))
    logger.info("account_exported", rows=sum(part.count for part in parts))
    name = f"photo-recommender-{user_id.replace('@', '-')}-{now:%Y-%m-%d}.zip"
    return StreamingResponse(
        archive(parts, _name_of(session, user_id), user_id, now),
        media_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.delete("/api/me")
def erase(
    request: EraseRequest, runtime: RuntimeNow, user_id: Writer, session: OwnPageSession, response: Response
) -> ErasedAnswer:
    """Erase the person from every store and keep them out, as `photo-recommender erase` does; nothing on Flickr.

    All sessions end with it. It is answered when all is removed and looked for again, which may take seconds.
    """
    _allow("erasure", ERASURES_AN_HOUR, user_id)
    name = _name_of(session, user_id)
    if _plain(request.confirm) not in {name, user_id}:
        raise InvalidInputError(
            f"confirm={request.confirm[:80]!r} is not your name: type {name!r}, or {user_id!r}", field="confirm"
        )
    erased = _erase(runtime, user_id)
    forget_cookie(response)
    return ErasedAnswer(user_id=user_id, complete=erased.complete, removed=erased.removed, left=erased.left)


def _erase(runtime: Runtime, user_id: str) -> Erased:
    """One at a time in a process: an erasure may build the features anew. Raises DependencyError."""
    lake, online = open_lake(runtime.settings), OnlineFeatures(runtime.settings)
    with _erasing:
        # Whoever is half erased has no session to ask again with: every store must answer before anything is removed.
        lake.versions()
        online.rows_of_user(user_id)
        try:
            erased = Eraser(runtime.settings, runtime.engine, lake, online).erase(user_id)
        except (PhotoRecommenderError, sa.exc.SQLAlchemyError) as error:
            reason = as_known(error).message
            logger.error("erasure_unfinished", user_id=user_id, reason=reason)
            raise DependencyError(
                f"not everything is erased yet ({reason}); it is gone on with every day, or at once by whoever runs "
                f"this site: `photo-recommender erase {user_id}`"
            ) from error
    logger.info("account_erased", complete=erased.complete)
    return erased


def _allow(what: str, an_hour: int, user_id: str) -> None:
    """Count one more. Raises TooOftenError."""
    limit = RateLimitItemPerHour(an_hour)
    if not _window.hit(limit, what, user_id):
        wait = max(1.0, _window.get_window_stats(limit, what, user_id).reset_time - time.time())
        raise TooOftenError(
            f"you have asked for this {an_hour} times within an hour; the next {what} is possible in "
            f"{round(wait / 60) or 1} min",
            retry_after=wait,
        )


def _name_of(session: Session | None, user_id: str) -> str:
    return (_plain(session.name or "") if session else "") or user_id


def _newest_first(ids: tuple[str, ...], times: tuple[int, ...]) -> list[str]:
    return [entry for _, entry in sorted(zip(times, ids, strict=True), reverse=True)]


def _plain(name: str) -> str:
    """The name without what nobody sees or means: spaces around it, and how its accents are encoded."""
    return unicodedata.normalize("NFC", name).strip()
