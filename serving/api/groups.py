"""`/api/groups`: photos for somebody of whom too little is known for a wall, from the pools of the groups of a setting.

Whoever is signed in is shown only what their own wall could show them, too; nobody learns of any other group here.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from features.errors import NotFoundError
from serving.answers import MAX_PAGE, Answer, ErrorAnswer, Photo
from serving.api.dependencies import AnySession, RuntimeNow
from serving.cards import photo_fields
from serving.ranking.exclusions import Exclusions

LAST_PAGE = 40
"""Ten calls of Flickr for each group: nobody looks further to find a few favorites."""

router = APIRouter(tags=["groups"], responses={code: {"model": ErrorAnswer} for code in (404, 422, 502, 503)})


class OnboardingGroup(Answer):
    """description: plain text, with line breaks; members: null where Flickr does not tell."""

    group_id: str
    name: str
    description: str
    icon_url: str | None
    members: int | None


class OnboardingGroups(Answer):
    groups: list[OnboardingGroup]


class GroupPhotos(Answer):
    """A page of a group's pool, what was added last first; a page may hold few photos, or none, before the last.

    next_page: null after the last.
    """

    group_id: str
    next_page: int | None
    photos: list[Photo]


@router.get("/api/groups")
def groups(runtime: RuntimeNow) -> OnboardingGroups:
    """The groups to begin with; none when the service has none configured."""
    return OnboardingGroups(
        groups=[
            OnboardingGroup(
                group_id=group.group_id,
                name=group.name,
                description=group.description,
                icon_url=group.icon_url,
                members=group.members,
            )
            for group in runtime.groups.all()
        ]
    )


@router.get("/api/groups/{group_id}/photos")
def photos(
    group_id: str, runtime: RuntimeNow, session: AnySession, page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1
) -> GroupPhotos:
    """A page of one of them, without what the signed-in person has favorited, dismissed or taken."""
    if group_id not in runtime.groups:
        raise NotFoundError(f"{group_id[:80]!r} is none of the groups to begin with", field="group_id")
    found, more = runtime.groups.photos(group_id, page, MAX_PAGE)
    user_id = None if session is None else session.user_id
    ranking = runtime.recommender
    keeps_back = Exclusions(frozenset(), frozenset()) if user_id is None else Exclusions.of(ranking.state(user_id))
    standing = ranking.cards.standing({card.photo_id: card for card in found})
    return GroupPhotos(
        group_id=group_id,
        next_page=page + 1 if more and page < LAST_PAGE else None,
        photos=[Photo(**photo_fields(card)) for card in standing.values() if keeps_back.allow(card)],
    )
