"""The JSON that leaves: one model an answer, from which `/docs.json` and `/api/openapi.json` are made."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SkipValidation
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from pipelines.pull.progress import Stage

Strategy = Literal["personalized", "neighbors", "popular"]
Variant = Literal["champion", "challenger"]


def _matching(pattern: str, message: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise PydanticCustomError("malformed", message)
        return value

    return check


UserId = Annotated[
    str,
    AfterValidator(_matching(r"[0-9A-Za-z]{1,64}@N[0-9]{2}", "must be a Flickr NSID, like 12037949754@N01")),
    Field(description="A Flickr NSID.", examples=["12037949754@N01"]),
]
PhotoId = Annotated[
    str,
    AfterValidator(_matching(r"[0-9]{1,20}", "must be a Flickr photo's id, like 53412345678")),
    Field(description="A Flickr photo's id.", examples=["53412345678"]),
]

MAX_PAGE = 30
"""Flickr's terms: at most 30 of its users' photos on a page."""
MAX_LIMIT = 500


class RecommendRequest(BaseModel):
    """What `POST /recommend` takes."""

    user_id: UserId
    limit: int = Field(30, ge=1, le=MAX_LIMIT)
    people: int = Field(5, ge=0, le=50)
    explain: bool = True


class SimilarRequest(BaseModel):
    """What `POST /similar` takes."""

    photo_id: PhotoId
    limit: int = Field(20, ge=1, le=MAX_LIMIT)


class ShownPhoto(BaseModel):
    photo_id: PhotoId
    rank: int = Field(ge=0, le=1_000_000, description="Its place on the wall; the first is 0.")


class ImpressionsRequest(BaseModel):
    """What `POST /api/me/impressions` takes.

    model_version: that of the answer which the photos came with; wall: whose wall it was, as only their own wears out.
    """

    model_version: str = Field(max_length=64)
    variant: str = Field("", max_length=64)
    wall: UserId | None = None
    shown: list[ShownPhoto] = Field(min_length=1, max_length=200)


class Answer(BaseModel):
    """What the service answers with: every field is there, those with a default too."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class Person(Answer):
    user_id: str
    name: str
    avatar_url: str | None


class FoundPerson(Person):
    """has_favorites: whether there are any that everybody can see."""

    path_alias: str | None
    has_favorites: bool


class PersonToFollow(Person):
    score: float
    favorites_in_common: int


class Reason(Answer):
    """A favorite that speaks for a photo, and its share of the photo's score (above 1 where others speak against)."""

    photo_id: str
    weight: float


class Thumbnail(Answer):
    title: str
    image_url: str
    page_url: str


class ImageSize(TypedDict):
    """One of a photo's images; width and height in pixels."""

    url: str
    width: int | None
    height: int | None


class Photo(Answer):
    """A photo as a page shows it. `sizes`: keyed by Flickr's size suffix: "m", "z", "l", …"""

    photo_id: str
    owner_id: str
    owner_name: str
    title: str
    image_url: str
    sizes: SkipValidation[dict[str, ImageSize]]
    width: int | None
    height: int | None
    page_url: str


class RankedPhoto(Photo):
    """A photo of a wall, with what is between it and the person.

    score: compares within one strategy only; new: it was not on the screen on any earlier visit of theirs;
    first_recommended_at: when it first was, null: never. Both are told to the wall's own person and to services alone.
    reasons: favorites of the person that speak for it; neighbors: people near in taste who favorited it, where that is
    why it is there.
    """

    score: float
    new: bool
    first_recommended_at: datetime | None
    reasons: list[Reason]
    neighbors: list[str] = []


class Recommendation(Answer):
    """A page of a wall.

    strategy: what ranked its first photo; degraded: whether that is less than what is known of the person allows;
    variant: whether `model_version` is the champion, or the challenger that ranks a share of all people's walls;
    coverage: the share of the person's neighbors that was pulled; reason_photos, reason_people: what the photos'
    `reasons` and `neighbors` refer to; unlearned: how many of the person's favorites the model does not know yet, and
    the newest of them: told on the first page of one's own wall.
    """

    user_id: str
    user: Person
    strategy: Strategy
    degraded: bool
    coverage: float
    model_version: str | None
    variant: Variant
    generated_at: datetime
    next_cursor: str | None
    photos: list[RankedPhoto]
    people: list[PersonToFollow]
    reason_photos: dict[str, Thumbnail]
    reason_people: dict[str, Person] = {}
    unlearned: int = 0
    unlearned_photos: list[Thumbnail] = []


class SimilarPhoto(Photo):
    score: float


class SimilarPhotos(Answer):
    """degraded: photos may be missing, as their cards could not be read."""

    photo_id: str
    model_version: str
    degraded: bool = False
    photos: list[SimilarPhoto]


class SessionAnswer(Answer):
    user: Person | None
    csrf_token: str
    sandbox: bool


class LoginRequest(BaseModel):
    return_to: str = Field("/", max_length=2000, description="Where on this site to come back to.")


class LoginAnswer(Answer):
    authorize_url: str


class ProgressAnswer(Answer):
    user_id: str
    stage: Stage
    made: int
    finished: int
    favorites: int
    coverage: float
    eta_seconds: float | None
    error: str | None


class ActionAnswer(Answer):
    action_id: str
    kind: str
    photo_id: str
    owner_id: str


class Error(Answer):
    code: str
    message: str
    field: str | None


class ErrorAnswer(Answer):
    error: Error
