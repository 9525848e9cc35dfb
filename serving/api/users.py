"""`/api/users`: finding a Flickr user, asking for a pull, and watching it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from features.errors import DependencyError
from features.logs import correlation_id
from pipelines.flickr.client import UserNotFoundError
from pipelines.pull.ask import ask_for_person
from pipelines.pull.progress import FINAL, read_progress
from pipelines.queue.requests import Priority
from serving.answers import ErrorAnswer, FoundPerson, ProgressAnswer, UserId
from serving.api.dependencies import AnySession, OwnPageSession, RuntimeNow
from serving.runtime import Runtime

LOOK_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
LONGEST_STREAM_SECONDS = 600.0
"""Then the stream ends and the browser's EventSource opens the next one by itself."""

router = APIRouter(tags=["users"])


@router.get("/api/users/lookup", responses={code: {"model": ErrorAnswer} for code in (404, 422, 429)})
def lookup(
    runtime: RuntimeNow, session: AnySession, request: Request, q: Annotated[str, Query(max_length=500)]
) -> FoundPerson:
    """The user whom a Flickr address, a name or an NSID means."""
    runtime.rates.take("lookup", request, session)
    found = runtime.flickr.find_user(q)
    if runtime.suppression.suppressed([found.user_id]):
        raise UserNotFoundError(f"{found.name} asked not to be here", field="q")
    return FoundPerson(
        user_id=found.user_id,
        name=found.name,
        path_alias=found.path_alias,
        avatar_url=found.avatar_url,
        has_favorites=_has_favorites(runtime, found.user_id),
    )


def _has_favorites(runtime: Runtime, user_id: str) -> bool:
    """Whether there are any that everybody can see; where nobody can tell, the pull will."""
    try:
        return bool(runtime.online.user_state(user_id).favorite_ids) or runtime.flickr.has_favorites(user_id)
    except DependencyError:
        return True


@router.post(
    "/api/users/{user_id}/pull", status_code=202, responses={code: {"model": ErrorAnswer} for code in (404, 429)}
)
def pull(user_id: UserId, runtime: RuntimeNow, request: Request, session: OwnPageSession) -> ProgressAnswer:
    """Ask for the user's favorites, contacts and neighbors; asking twice pulls once."""
    runtime.rates.take("pull", request, session)
    if runtime.suppression.suppressed([user_id]):
        raise UserNotFoundError(f"{user_id} asked not to be here", field="user_id")
    ask_for_person(
        runtime.engine,
        runtime.queue,
        user_id,
        reason="visit",
        priority=Priority.ANONYMOUS if session.user_id is None else Priority.PERSON,
        correlation_id=correlation_id(),
    )
    return _progress(runtime, user_id)


@router.get(
    "/api/users/{user_id}/progress",
    response_model=ProgressAnswer,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def progress(user_id: UserId, runtime: RuntimeNow, accept: Annotated[str, Header()] = "") -> Response:
    """How far the pull is: once as JSON, or, asked for `text/event-stream`, as events until it is over."""
    if "text/event-stream" in accept:
        return StreamingResponse(
            _events(runtime, user_id), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )
    now = await run_in_threadpool(_progress, runtime, user_id)
    return Response(now.model_dump_json(), media_type="application/json")


def _progress(runtime: Runtime, user_id: str) -> ProgressAnswer:
    now = read_progress(
        runtime.engine,
        user_id,
        calls_left=runtime.calls_left(),
        calls_per_hour=runtime.settings.flickr_calls_per_hour,
    )
    return ProgressAnswer(**asdict(now))


async def _events(runtime: Runtime, user_id: str) -> AsyncIterator[str]:
    """An event whenever something changed, a comment when nothing did for long, so that no proxy hangs up."""
    sent, sent_at = "", 0.0
    ends_at = time.monotonic() + LONGEST_STREAM_SECONDS
    while time.monotonic() < ends_at:
        now = await run_in_threadpool(_progress, runtime, user_id)
        text = now.model_dump_json()
        if text != sent:
            yield f"event: progress\ndata: {text}\n\n"
            sent, sent_at = text, time.monotonic()
        elif time.monotonic() - sent_at > HEARTBEAT_SECONDS:
            yield ": still here\n\n"
            sent_at = time.monotonic()
        if now.stage in FINAL:
            return
        await asyncio.sleep(LOOK_SECONDS)
