"""What Flickr's answers hold, as dataclasses.

Reading is lenient where Flickr is (numbers as words, missing extras). An entry of a list that is unusable is set aside
with its reason, so that it takes nothing good with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from pipelines.flickr.values import (
    LONGEST_NAME,
    LONGEST_TITLE,
    date,
    identity,
    moment,
    number,
    tags,
    text,
    url,
)

Json = Mapping[str, Any]

PICTURE_SIZES = ("sq", "m", "n", "z", "c", "l")
"""The sizes of a picture that are asked for, smallest first, by the suffix that Flickr's `extras` use."""

LONGEST_PAYLOAD = 10_000
"""Bytes kept of an entry that is set aside."""

_SHOWN_FIRST = ("z", "c", "n", "l", "m", "sq")


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
class Rejected:
    """An entry that can't be used: why, and its JSON, cut to `LONGEST_PAYLOAD` bytes."""

    reason: str
    payload: str


@dataclass(frozen=True, slots=True)
class Places:
    """Where Flickr's pages and pictures live: the real site, or the sandbox when `sandbox_url` is set."""

    site_url: str
    sandbox_url: str = ""

    def page(self, owner: str, photo_id: str) -> str:
        return f"{self.site_url}/photos/{quote(owner, safe='@')}/{quote(photo_id, safe='')}/"

    def avatar(self, user_id: str, entry: Json) -> str | None:
        """The address of an avatar as Flickr's documentation builds it from `iconserver` and `iconfarm`."""
        if self.sandbox_url:
            return f"{self.sandbox_url}/avatars/{user_id}.svg"
        server = number(entry.get("iconserver"))
        if server is None:
            return None
        if not server:
            return "https://www.flickr.com/images/buddyicon.gif"
        farm = number(entry.get("iconfarm"))
        return f"https://farm{1 if farm is None else farm}.staticflickr.com/{server}/buddyicons/{user_id}.jpg"

    def picture(self, photo_id: str, entry: Json) -> str:
        """The 640-pixel picture of an answer that carries no `url_z`."""
        if self.sandbox_url:
            return f"{self.sandbox_url}/pictures/{photo_id}_z.svg"
        server, secret = (text(entry.get(name), LONGEST_NAME) for name in ("server", "secret"))
        return f"https://live.staticflickr.com/{server}/{photo_id}_{secret}_z.jpg"


@dataclass(frozen=True, slots=True)
class FavoritesPage:
    """One page of a user's favorites, newest first, as columns.

    photo_ids, owner_ids, faved_at (unix seconds): parallel, (n,); n may be less than asked for. `total` is what Flickr
    claims the whole list to be. Photos are read one by one (`photo`), as most of a crowd's favorites repeat.
    `rejected`: entries of the page that are no favorites, for the quarantine.
    """

    total: int
    photo_ids: list[str]
    owner_ids: list[str]
    faved_at: list[int]
    entries: Sequence[Json] = field(repr=False)
    places: Places = field(repr=False)
    rejected: list[Rejected] = field(default_factory=list, repr=False)

    def photo(self, index: int) -> Photo:
        return read_photo(self.entries[index], self.places)

    @property
    def favorites(self) -> list[Favorite]:
        return [
            Favorite(self.photo(index), datetime.fromtimestamp(seconds, UTC))
            for index, seconds in enumerate(self.faved_at)
        ]


def read_favorites(entries: Sequence[object], total: int, places: Places) -> FavoritesPage:
    """The good entries of a page, and those set aside that lack an id, an owner or a date that could be one."""
    good: list[Json] = []
    page = FavoritesPage(total, [], [], [], good, places)
    for entry in entries:
        try:
            photo_id, owner_id, faved_at, record = _favorite(entry)
        except ValueError as error:
            page.rejected.append(Rejected(str(error), _payload(entry)))
            continue
        page.photo_ids.append(photo_id)
        page.owner_ids.append(owner_id)
        page.faved_at.append(faved_at)
        good.append(record)
    return page


def _favorite(entry: object) -> tuple[str, str, int, Json]:
    """(photo, owner, unix seconds, the entry). Raises ValueError, which says what is wrong with it."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"a {type(entry).__name__} where a favorite should be")
    identities = identity(entry.get("id"), "id"), identity(entry.get("owner"), "owner")
    return *identities, moment(entry.get("date_faved"), "date_faved"), entry


def read_photo(entry: Json, places: Places) -> Photo:
    """A photo of a list, with the extras that `pipelines/flickr/client.py` asks for. Raises ValueError with no id."""
    photo_id, owner_id = identity(entry.get("id"), "id"), identity(entry.get("owner"), "owner")
    alias = _alias(entry.get("pathalias"))
    sizes: dict[str, dict[str, Any]] = {}
    for suffix in PICTURE_SIZES:
        address = url(entry.get("url_" + suffix))
        if address:
            sizes[suffix] = {
                "url": address,
                "width": number(entry.get("width_" + suffix)),
                "height": number(entry.get("height_" + suffix)),
            }
    largest = sizes[next(reversed(sizes))] if sizes else {}
    shown = next((sizes[suffix]["url"] for suffix in _SHOWN_FIRST if suffix in sizes), None)
    name = text(entry.get("ownername"), LONGEST_NAME) or owner_id
    return Photo(
        photo_id=photo_id,
        owner=Person(owner_id, name, alias, places.avatar(owner_id, entry)),
        title=text(entry.get("title"), LONGEST_TITLE),
        image_url=shown or places.picture(photo_id, entry),
        sizes=sizes,
        page_url=places.page(alias or owner_id, photo_id),
        width=number(entry.get("o_width")) or largest.get("width"),
        height=number(entry.get("o_height")) or largest.get("height"),
        tags=tags(entry.get("tags")),
        safety_level=number(entry.get("safety_level")),
        uploaded_at=date(entry.get("dateupload")),
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
    """A user of `people.getInfo`, `contacts.getPublicList` or `test.login`. Raises ValueError without an id."""
    user_id = identity(entry.get("nsid") or entry.get("id"), "nsid")
    return Person(
        user_id=user_id,
        name=text(entry.get("username"), LONGEST_NAME) or user_id,
        path_alias=_alias(entry.get("path_alias")),
        avatar_url=places.avatar(user_id, entry),
    )


@dataclass(frozen=True, slots=True)
class ListPage:
    """A page of a list: its entries as they came, and what Flickr claims of entries and pages in all."""

    total: int
    pages: int
    entries: list[object]


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a list is in its answer, and by which field its entries are told apart."""

    outer: str
    inner: str
    key: str

    def read(self, answer: Json) -> ListPage:
        """Raises KeyError, ValueError, TypeError or AttributeError for an answer of another shape."""
        listing = answer[self.outer]
        entries = listing.get(self.inner, [])  # an empty list is left out
        if not isinstance(entries, list):
            raise TypeError(f"{self.inner} is no list")
        return ListPage(int(listing["total"]), int(listing["pages"]), entries)


PHOTOS = Listing("photos", "photo", "id")
CONTACTS = Listing("contacts", "contact", "nsid")


def mark_of(entry: object, key: str) -> str:
    """What tells an entry of a list from the others: its id, or all of it when it has none."""
    try:
        return identity(entry.get(key), key) if isinstance(entry, Mapping) else _payload(entry)
    except ValueError:
        return _payload(entry)


def _alias(value: object) -> str | None:
    return text(value, LONGEST_NAME) or None


def _payload(entry: object) -> str:
    whole = json.dumps(entry, ensure_ascii=False, default=repr)
    return whole.encode("utf-8", "replace")[:LONGEST_PAYLOAD].decode("utf-8", "ignore")
