"""`/api/users/…/recommendations`: the wall for the page. Reads only.

Anybody may look at anybody's wall; what was on it when the person themself looked is told to nobody else.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from serving.answers import MAX_PAGE, Recommendation, UserId
from serving.api.dependencies import AnySession, RuntimeNow

router = APIRouter(tags=["wall"])


@router.get("/api/users/{user_id}/recommendations", response_model=Recommendation)
def recommendations(
    user_id: UserId,
    runtime: RuntimeNow,
    session: AnySession,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> Response:
    """A page of the user's wall, and people worth following. A page never repeats one before it."""
    own = session is not None and session.user_id == user_id
    begins = own and cursor is None
    answer = runtime.recommender.recommend(user_id, limit=limit, cursor=cursor, own=own, own_page=begins)
    # FastAPI would validate it again, and make JSON of it in Python.
    return Response(answer.model_dump_json(), media_type="application/json")
