"""What Flickr's answers mean: its records as dataclasses, its error codes as our errors.

Parsing is lenient where Flickr is (numbers as strings, missing extras) and strict where a record would be unusable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from features.errors import ConfigurationError, FlickrError, NotAllowedError, NotFoundError

Json = Mapping[str, Any]

PICTURE_SIZES = ("sq", "m", "n", "z", "c", "l")
"""The sizes of a picture that are asked for, smallest first, by the suffix that Flickr's `extras` use."""

_SHOWN_FIRST = ("z", "c", "n", "l", "m", "sq")


class UserNotFoundError(FlickrError, NotFoundError):
    """Flickr has no such user, or no longer."""

    code = "not_found"
    http_status = 404
    exit_status = 3


class PhotoNotFoundError(FlickrError, NotFoundError):
    """Flickr has no such photo, or does not show it."""

    code = "not_found"
    http_status = 404
    exit_status = 3


class TokenInvalidError(FlickrError):
    """The person's token has expired, was taken back, or does not allow this: they have to sign in again."""

    code = "token_invalid"
    http_status = 401


class KeyInvalidError(FlickrError, ConfigurationError):
    """Flickr does not accept the API key."""

    code = "configuration"
    http_status = 500
    exit_status = 2


class FlickrRefusedError(FlickrError, NotAllowedError):
    """Flickr understood and said no; asking again does not help. `flickr_code` is Flickr's number."""

    code = "flickr_refused"
    http_status = 502
    exit_status = 4

    def __init__(self, message: str, flickr_code: int) -> None:
        super().__init__(message)
        self.flickr_code = flickr_code


class FlickrUnavailableError(FlickrError):
    """Flickr throttles, fails or answers nonsense; asking again later helps. `retry_after`: seconds it asked for."""

    code = "flickr_unavailable"
    http_status = 502

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Person:
    """A Flickr account; `avatar_url` is None where the answer does not tell."""

    user_id: str
    name: str
    path_alias: str | None = None
    avatar_url: str | None = None


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo with what a page needs to show it. `sizes`: by suffix, {"url", "width", "height"} in pixels."""

    photo_id: str
    owner: Person
    title: str
    image_url: str
    sizes: dict[str, dict[str, Any]]
    page_url: str
    width: int | None
    height: int | None
    tags: str | None
    safety_level: int | None
    uploaded_at: datetime | None


@dataclass(frozen=True, slots=True)
class Favorite:
    photo: Photo
    faved_at: datetime


@dataclass(frozen=True, slots=True)
class Places:
    """Where Flickr's pages and pictures live: the real site, or the sandbox when `sandbox_url` is set."""

    site_url: str
    sandbox_url: str = ""

    def page(self, owner: str, photo_id: str) -> str:
        return f"{self.site_url}/photos/{owner}/{photo_id}/"

    def avatar(self, user_id: str, entry: Json) -> str | None:
        """The address of an avatar as Flickr's documentation builds it from `iconserver` and `iconfarm`."""
        if self.sandbox_url:
            return f"{self.sandbox_url}/avatars/{user_id}.svg"
        server = entry.get("iconserver")
        if server is None:
            return None
        if not int(server):
            return "https://www.flickr.com/images/buddyicon.gif"
        return f"https://farm{entry.get('iconfarm', 1)}.staticflickr.com/{server}/buddyicons/{user_id}.jpg"

    def picture(self, photo_id: str, entry: Json) -> str:
        """The 640-pixel picture of an answer that carries no `url_z`."""
        if self.sandbox_url:
            return f"{self.sandbox_url}/pictures/{photo_id}_z.svg"
        return f"https://live.staticflickr.com/{entry.get('server', '')}/{photo_id}_{entry.get('secret', '')}_z.jpg"


@dataclass(frozen=True, slots=True)
class FavoritesPage:
    """One page of a user's favorites, newest first, as columns.

    photo_ids, owner_ids, faved_at (unix seconds): parallel, (n,); n may be less than asked for. `total` is what Flickr
    claims the whole list to be. Photos are read one by one (`photo`), as most of a crowd's favorites repeat.
    """

    total: int
    photo_ids: list[str]
    owner_ids: list[str]
    faved_at: list[int]
    entries: Sequence[Json] = field(repr=False)
    places: Places = field(repr=False)

    def photo(self, index: int) -> Photo:
        return read_photo(self.entries[index], self.places)

    @property
    def favorites(self) -> list[Favorite]:
        return [
            Favorite(self.photo(index), datetime.fromtimestamp(seconds, UTC))
            for index, seconds in enumerate(self.faved_at)
        ]


def read_favorites(entries: Sequence[Json], total: int, places: Places) -> FavoritesPage:
    """Raises KeyError, TypeError or ValueError when an entry lacks an id, an owner or its date."""
    return FavoritesPage(
        total=total,
        photo_ids=[str(entry["id"]) for entry in entries],
        owner_ids=[str(entry["owner"]) for entry in entries],
        faved_at=[int(entry["date_faved"]) for entry in entries],
        entries=entries,
        places=places,
    )


def read_photo(entry: Json, places: Places) -> Photo:
    """A photo of a list, with the extras that `pipelines.flickr` asks for."""
    photo_id, owner_id = str(entry["id"]), str(entry["owner"])
    alias = entry.get("pathalias") or None
    sizes: dict[str, dict[str, Any]] = {}
    for suffix in PICTURE_SIZES:
        url = entry.get("url_" + suffix)
        if url:
            sizes[suffix] = {
                "url": url,
                "width": _number(entry.get("width_" + suffix)),
                "height": _number(entry.get("height_" + suffix)),
            }
    largest = sizes[next(reversed(sizes))] if sizes else {}
    shown = next((sizes[suffix]["url"] for suffix in _SHOWN_FIRST if suffix in sizes), None)
    uploaded = _number(entry.get("dateupload"))
    return Photo(
        photo_id=photo_id,
        owner=Person(owner_id, str(entry.get("ownername") or owner_id), alias, places.avatar(owner_id, entry)),
        title=_text(entry.get("title")),
        image_url=shown or places.picture(photo_id, entry),
        sizes=sizes,
        page_url=places.page(alias or owner_id, photo_id),
        width=_number(entry.get("o_width")) or largest.get("width"),
        height=_number(entry.get("o_height")) or largest.get("height"),
        tags=_tags(entry.get("tags")),
        safety_level=_number(entry.get("safety_level")),
        uploaded_at=None if uploaded is None else datetime.fromtimestamp(uploaded, UTC),
    )


def read_photo_info(entry: Json, places: Places) -> Photo:
    """A photo as `photos.getInfo` tells it: the owner is a record of its own there."""
    owner = entry["owner"]
    flat = {
        **entry,
        "owner": owner["nsid"],
        "ownername": owner.get("username"),
        "pathalias": owner.get("path_alias"),
        "iconserver": owner.get("iconserver"),
        "iconfarm": owner.get("iconfarm"),
        "dateupload": entry.get("dateuploaded"),
    }
    return read_photo(flat, places)


def read_person(entry: Json, places: Places) -> Person:
    """A user of `people.getInfo`, `contacts.getPublicList` or `test.login`."""
    user_id = str(entry.get("nsid") or entry["id"])
    return Person(
        user_id=user_id,
        name=_text(entry.get("username")) or user_id,
        path_alias=entry.get("path_alias") or None,
        avatar_url=places.avatar(user_id, entry),
    )


def error_of(method: str, code: int, message: str) -> FlickrError:
    """Our error for `stat: fail`; codes 95 and above mean the same for every method, those below differ."""
    words = f"Flickr: {message} (code {code}, {method})"
    if code in _UNAVAILABLE:
        return FlickrUnavailableError(words)
    if code in _TOKEN:
        return TokenInvalidError(f"{words}; sign in again")
    if code in _KEY:
        return KeyInvalidError(f"{words}; set PHOTO_RECOMMENDER_FLICKR_KEY and PHOTO_RECOMMENDER_FLICKR_SECRET")
    if code in _USER_MISSING.get(method, ()):
        return UserNotFoundError(words)
    if code in _PHOTO_MISSING.get(method, ()):
        return PhotoNotFoundError(words)
    return FlickrRefusedError(words, code)


_UNAVAILABLE = frozenset({0, 105, 106})
_TOKEN = frozenset({98, 99})
_KEY = frozenset({96, 100})  # a wrong secret shows as a wrong signature
_USER_MISSING: Mapping[str, tuple[int, ...]] = {
    "flickr.favorites.getPublicList": (1,),
    "flickr.contacts.getPublicList": (1,),
    "flickr.people.getInfo": (1, 2, 5),
    "flickr.people.findByUsername": (1,),
    "flickr.urls.lookupUser": (1,),
}
_PHOTO_MISSING: Mapping[str, tuple[int, ...]] = {
    "flickr.photos.getInfo": (1, 2),
    "flickr.favorites.add": (1, 4),
}


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("_content")
    return "" if value is None else str(value)


def _number(value: Any) -> int | None:
    return None if value in (None, "") else int(value)


def _tags(value: Any) -> str | None:
    """Tags as one string with blanks between; `photos.getInfo` has a list of records instead."""
    if isinstance(value, Mapping):
        value = " ".join(_text(tag) for tag in value.get("tag", ()))
    return str(value) if value else None
