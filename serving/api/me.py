"""`/api/me/…`: what the signed-in person does on the wall. Each change is committed before the answer leaves.

What is held on the person is told, handed over and erased by serving/api/account.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
import structlog
from fastapi import APIRouter, BackgroundTasks

from features.actions import Action, record_action
from features.errors import NotFoundError, PhotoRecommenderError
from features.logs import correlation_id
from features.schema import Kind
from pipelines.flickr.client import Flickr, TokenInvalidError
from pipelines.pull.favorited import ask_for_owner
from serving.accounts.sessions import end_sessions_of
from serving.accounts.signin import token_of
from serving.answers import ActionAnswer, ErrorAnswer, PhotoId, UserId
from serving.api.dependencies import RuntimeNow, Writer
from serving.errors import NotSignedInError
from serving.runtime import Runtime

logger = structlog.get_logger(__name__)

router = APIRouter(tags=["me"], responses={code: {"model": ErrorAnswer} for code in (401, 403, 404, 422, 502)})


@router.put("/api/me/favorites/{photo_id}")
def favorite(photo_id: PhotoId, runtime: RuntimeNow, user_id: Writer, after_answering: BackgroundTasks) -> ActionAnswer:
    """Fave the photo, on Flickr first; it may be a favorite there already. Its owner's favorites are asked for."""
    owner_id = _owner_of(runtime, photo_id)
    with flickr_of(runtime, user_id) as flickr:
        flickr.add_favorite(photo_id)
    answer = _record(runtime, user_id, Kind.FAVORITE, owner_id, photo_id)
    if owner_id != user_id:
        after_answering.add_task(_ask_for_owner, runtime, owner_id, correlation_id())
    return answer


@router.delete("/api/me/favorites/{photo_id}")
def unfavorite(photo_id: PhotoId, runtime: RuntimeNow, user_id: Writer) -> ActionAnswer:
    """Take the favorite back, on Flickr first; it may be gone there already."""
    owner_id = _owner_of(runtime, photo_id)
    with flickr_of(runtime, user_id) as flickr:
        flickr.remove_favorite(photo_id)
    return _record(runtime, user_id, Kind.UNFAVORITE, owner_id, photo_id)


@router.put("/api/me/dismissals/photos/{photo_id}")
def dismiss_photo(photo_id: PhotoId, runtime: RuntimeNow, user_id: Writer) -> ActionAnswer:
    """Never show the photo again, and fewer like it."""
    return _record(runtime, user_id, Kind.DISMISS_PHOTO, _owner_of(runtime, photo_id), photo_id)


@router.delete("/api/me/dismissals/photos/{photo_id}")
def undismiss_photo(photo_id: PhotoId, runtime: RuntimeNow, user_id: Writer) -> ActionAnswer:
    """Take the dismissal back."""
    return _record(runtime, user_id, Kind.UNDISMISS_PHOTO, _owner_of(runtime, photo_id), photo_id)


@router.put("/api/me/dismissals/people/{other_id}")
def dismiss_person(other_id: UserId, runtime: RuntimeNow, user_id: Writer) -> ActionAnswer:
    """Show neither the person nor any of their photos again."""
    return _record(runtime, user_id, Kind.DISMISS_USER, other_id)


@router.delete("/api/me/dismissals/people/{other_id}")
def undismiss_person(other_id: UserId, runtime: RuntimeNow, user_id: Writer) -> ActionAnswer:
    """Take the dismissal back."""
    return _record(runtime, user_id, Kind.UNDISMISS_USER, other_id)


def _record(runtime: Runtime, user_id: str, kind: Kind, owner_id: str, photo_id: str = "") -> ActionAnswer:
    action: Action = record_action(runtime.engine, user_id=user_id, kind=kind, owner_id=owner_id, photo_id=photo_id)
    return ActionAnswer(
        action_id=action.action_id, kind=action.kind, photo_id=action.photo_id, owner_id=action.owner_id
    )


def _ask_for_owner(runtime: Runtime, owner_id: str, correlation_id: str) -> None:
    """Nobody waits for it, and a refresh or the next visit would find the same later: what fails is only logged."""
    try:
        ask_for_owner(runtime.settings, runtime.engine, runtime.queue, runtime.suppression, owner_id, correlation_id)
    except (PhotoRecommenderError, sa.exc.SQLAlchemyError) as error:
        logger.warning("owner_not_asked_for", owner_id=owner_id, reason=str(error))


def _owner_of(runtime: Runtime, photo_id: str) -> str:
    """Whose photo it is: from the features, else from Flickr. Raises NotFoundError when neither knows it."""
    card = runtime.online.photo_cards([photo_id]).get(photo_id)
    if card is not None:
        return card.owner_id
    try:
        return runtime.flickr.photo(photo_id).owner.user_id
    except NotFoundError:
        raise NotFoundError(f"there is no photo {photo_id!r}", field="photo_id") from None


@contextmanager
def flickr_of(runtime: Runtime, user_id: str) -> Iterator[Flickr]:
    """Flickr in the person's name; when it no longer takes their token, they are signed out here too."""
    token = token_of(runtime.engine, runtime.vault, user_id)
    try:
        if token is None:
            raise TokenInvalidError("your consent at Flickr can't be used here any more; sign in again")
        yield runtime.flickr_of(token)
    except TokenInvalidError as error:
        end_sessions_of(runtime.engine, user_id)
        raise NotSignedInError(error.message) from error
