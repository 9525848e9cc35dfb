"""`POST /api/me/photos/{photo_id}/comments`: a comment on Flickr, in the name of whoever is signed in.

Nothing of it is kept here. The same words sent again within minutes are the same comment: a browser that gives up
waiting, or a second click, does not write it twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Annotated

import structlog
from cachetools import TTLCache
from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from pipelines.flickr.client import FlickrUnavailableError
from serving.answers import Answer, ErrorAnswer, PhotoId
from serving.api.dependencies import RuntimeNow, Writer
from serving.api.me import flickr_of

LONGEST_COMMENT = 2_000
SAME_SECONDS = 600.0
COMMENTS_REMEMBERED = 10_000

router = APIRouter(tags=["me"], responses={code: {"model": ErrorAnswer} for code in (401, 403, 404, 422, 502, 503)})
logger = structlog.get_logger(__name__)

_Key = tuple[str, str, str]
_written: TTLCache[_Key, Future[str]] = TTLCache(COMMENTS_REMEMBERED, SAME_SECONDS)
_writing = threading.Lock()


class CommentRequest(BaseModel):
    """What it takes. Blanks around the text are cut off; markup is passed on as it is, and Flickr decides on it."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_COMMENT)] = Field(
        examples=["The light on the water!"]
    )


class CommentAnswer(Answer):
    comment_id: str
    photo_id: str


@router.post("/api/me/photos/{photo_id}/comments", status_code=201)
def comment(photo_id: PhotoId, request: CommentRequest, runtime: RuntimeNow, user_id: Writer) -> CommentAnswer:
    """Write a comment on the photo's page at Flickr. Flickr is asked once: no failure makes two comments of it."""
    with flickr_of(runtime, user_id) as flickr:
        comment_id = _once((user_id, photo_id, request.text), lambda: flickr.add_comment(photo_id, request.text))
    return CommentAnswer(comment_id=comment_id, photo_id=photo_id)


def _once(key: _Key, write: Callable[[], str]) -> str:
    """The id of what is written; who comes with the same key meanwhile, or soon after, shares what comes of it."""
    with _writing:
        outcome = _written.get(key)
        if mine := outcome is None:
            outcome = _written[key] = Future()
    if not mine:
        return outcome.result()
    try:
        outcome.set_result(write())
        logger.info("comment_written", photo_id=key[1])
    except Exception as error:  # noqa: BLE001  (whoever waits is told the same, whatever it is)
        with _writing:
            _written.pop(key, None)
        outcome.set_exception(_told(error))
    return outcome.result()


def _told(error: Exception) -> Exception:
    """The error, with what the person has to know where nobody can tell whether Flickr wrote the comment."""
    if not isinstance(error, FlickrUnavailableError) or error.throttled:
        return error
    words = f"{error.message}. Your comment may be there all the same: look at the photo's page before sending it again"
    return FlickrUnavailableError(words, error.retry_after)
