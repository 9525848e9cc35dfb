"""`/api/users/…/recommendations`: the wall for the page. Reads only, from public favorites only."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from serving.answers import MAX_PAGE, Recommendation, UserId
from serving.api.dependencies import RuntimeNow

router = APIRouter(tags=["wall"])


@router.get("/api/users/{user_id}/recommendations")
def recommendations(
    user_id: UserId,
    runtime: RuntimeNow,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
) -> Recommendation:
    """A page of the user's wall, and people worth following. A page never repeats one before it."""
    return runtime.recommender.recommend(user_id, limit=limit, cursor=cursor)
