"""The one client of Flickr: its methods, and how its lists are read to their end.

Each call of them is made by `flickr_calls.py`: budget, tries, breaker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import structlog

from features.settings import Settings
from pipelines.budget.windows import BudgetSpentError, FlickrPausedError, Purpose
from pipelines.flickr.answers import (
    CONTACTS,
    PHOTOS,
    PICTURE_SIZES,
    Favorite,
    FavoritesPage,
    Listing,
    Person,
    Photo,
    Places,
    Rejected,
    mark_of,
    read_favorites,
    read_person,
    read_photo_info,
)
from pipelines.flickr.calls import Caller
from pipelines.flickr.errors import (
    FlickrRefusedError,
    FlickrUnavailableError,
    GroupNotFoundError,
    KeyInvalidError,
    PhotoNotFoundError,
    TokenInvalidError,
    UserNotFoundError,
    not_found,
)
from pipelines.flickr.groups import Group, PoolPage, read_group, read_pool
from pipelines.flickr.names import Named, read_user
from pipelines.flickr.transport import FlickrToken

__all__ = [
    "BudgetSpentError",
    "Favorite",
    "FavoritesPage",
    "Flickr",
    "FlickrPausedError",
    "FlickrRefusedError",
    "FlickrToken",
    "FlickrUnavailableError",
    "Group",
    "GroupNotFoundError",
    "KeyInvalidError",
    "Person",
    "Photo",
    "PhotoNotFoundError",
    "PoolPage",
    "Purpose",
    "Rejected",
    "TokenInvalidError",
    "UserNotFoundError",
    "open_flickr",
]

FAVORITES_PER_PAGE = 500
CONTACTS_PER_PAGE = 1000
POOL_PER_PAGE = 120
LIST_FAVORITES = "flickr.favorites.getPublicList"
EXTRAS = ",".join(
    ["owner_name", "icon_server", "date_upload", "tags", "path_alias", "o_dims", "safety_level"]
    + [f"url_{suffix}" for suffix in PICTURE_SIZES]
)

logger = structlog.get_logger(__name__)


class Flickr:
    """Flickr's API as Python methods. Thread-safe: each thread has its own kept-alive connection.

    Every method raises FlickrUnavailableError once `settings.flickr_attempts` tries failed, BudgetSpentError when the
    key has no call left and FlickrPausedError while nobody may call (both: put it off, `retry_after` seconds),
    TokenInvalidError, KeyInvalidError, or FlickrRefusedError with Flickr's words.
    """

    def __init__(self, settings: Settings, token: FlickrToken | None = None, purpose: Purpose = Purpose.PERSON) -> None:
        if not settings.flickr_key:
            raise KeyInvalidError(
                "PHOTO_RECOMMENDER_FLICKR_KEY is not set: get one at https://www.flickr.com/services/apps/create/, "
                "or use `photo-recommender demo`, which needs none",
                field="flickr_key",
            )
        self._places = Places(settings.flickr_site_url.rstrip("/"), settings.sandbox_url.rstrip("/"))
        self._caller = Caller(settings, token, purpose)
        self._call = self._caller.call

    @property
    def calls(self) -> int:
        """Calls made so far, each try of each one."""
        return self._caller.calls

    def favorites(
        self, user_id: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[FavoritesPage]:
        """A user's public favorites, newest first, those faved from `since` to `until`, both included.

        Raises UserNotFoundError.
        """
        listing = self._list_favorites(user_id, since, until)
        for total, entries in self._pages(LIST_FAVORITES, PHOTOS, FAVORITES_PER_PAGE, **listing):
            yield self._read_favorites(user_id, total, entries)

    def favorites_window(self, user_id: str, until: datetime | None) -> FavoritesPage:
        """The newest favorites that were faved until then (included; None: the newest of all), in one call.

        At most `FAVORITES_PER_PAGE`, and maybe fewer although there are more. Raises UserNotFoundError.
        """
        listing = self._list_favorites(user_id, None, until)
        page = self._call(LIST_FAVORITES, PHOTOS.read, page=1, per_page=FAVORITES_PER_PAGE, **listing)
        return self._read_favorites(user_id, page.total, page.entries)

    def contacts(self, user_id: str) -> list[Person]:
        """Everybody whom the user follows publicly. Raises UserNotFoundError."""
        people: dict[str, Person] = {}
        pages = self._pages("flickr.contacts.getPublicList", CONTACTS, CONTACTS_PER_PAGE, user_id=user_id)
        for entry in (entry for _, entries in pages for entry in entries):
            try:
                if not isinstance(entry, Mapping):
                    raise ValueError(f"a {type(entry).__name__} where a contact should be")
                person = read_person(entry, self._places)
            except ValueError as error:
                logger.warning("contact_rejected", user_id=user_id, reason=str(error))
                continue
            people[person.user_id] = person
        return list(people.values())

    def person(self, user_id: str) -> Person:
        """Raises UserNotFoundError."""
        return self._call(
            "flickr.people.getInfo", lambda answer: read_person(answer["person"], self._places), user_id=user_id
        )

    def photo(self, photo_id: str) -> Photo:
        """Raises PhotoNotFoundError."""
        return self._call(
            "flickr.photos.getInfo", lambda answer: read_photo_info(answer["photo"], self._places), photo_id=photo_id
        )

    def login(self) -> Person:
        """Whose token this is. Raises TokenInvalidError."""
        return self._call("flickr.test.login", lambda answer: read_person(answer["user"], self._places))

    def add_favorite(self, photo_id: str) -> None:
        """Make the photo a favorite of the token's user; it may be one already. Raises PhotoNotFoundError."""
        self._change("flickr.favorites.add", photo_id, already=3)

    def remove_favorite(self, photo_id: str) -> None:
        """Take the favorite back; it may be gone already."""
        self._change("flickr.favorites.remove", photo_id, already=1)

    def add_comment(self, photo_id: str, text: str) -> str:
        """Write a comment in the name of the token's user; its id. Tried once, whatever `flickr_attempts` says.

        Raises PhotoNotFoundError; FlickrUnavailableError also when the comment was written and the answer got lost.
        """
        return self._caller.call_once(
            "flickr.photos.comments.addComment",
            lambda answer: str(answer["comment"]["id"]),
            photo_id=photo_id,
            comment_text=text,
        )

    def group(self, group_id: str) -> Group:
        """Raises GroupNotFoundError."""
        return self._call(
            "flickr.groups.getInfo", lambda answer: read_group(answer["group"], self._places), group_id=group_id
        )

    def group_photos(self, group_id: str, page: int = 1) -> PoolPage:
        """A page of `POOL_PER_PAGE` photos of a group's pool, what was added last first. Raises GroupNotFoundError."""
        return self._call(
            "flickr.groups.pools.getPhotos",
            lambda answer: read_pool(PHOTOS.read(answer), page, self._places),
            group_id=group_id,
            page=page,
            per_page=POOL_PER_PAGE,
            extras=EXTRAS,
        )

    def find_user(self, text: str) -> Person:
        """The user that a person means by a Flickr address, an NSID, a user name or the last part of an address.

        Raises InvalidInputError (field `q`) when it can't be read, UserNotFoundError when there is no such user.
        """
        named = read_user(text, urlsplit(self._places.site_url).hostname or "")
        try:
            return self.person(self._id_of(named))
        except UserNotFoundError as error:
            raise not_found(named, error) from error

    def has_favorites(self, user_id: str) -> bool:
        """Whether the user has favorites that everybody can see. Raises UserNotFoundError."""
        page = self._call(LIST_FAVORITES, PHOTOS.read, user_id=user_id, page=1, per_page=1)
        return page.total > 0 or bool(page.entries)

    def _id_of(self, named: Named) -> str:
        if named.kind == "nsid":
            return named.value
        if named.kind == "name":
            try:
                return self._call(
                    "flickr.people.findByUsername", lambda answer: str(answer["user"]["nsid"]), username=named.value
                )
            except UserNotFoundError:
                if not named.may_be_alias:
                    raise
        url = f"{self._places.site_url}/photos/{named.value}/"
        return self._call("flickr.urls.lookupUser", lambda answer: str(answer["user"]["id"]), url=url)

    def _read_favorites(self, user_id: str, total: int, entries: list[object]) -> FavoritesPage:
        page = read_favorites(entries, total, self._places)
        if page.rejected:
            logger.warning(
                "favorites_rejected", user_id=user_id, rejected=len(page.rejected), reason=page.rejected[0].reason
            )
        return page

    def _change(self, method: str, photo_id: str, already: int) -> None:
        try:
            self._call(method, lambda answer: None, photo_id=photo_id)
        except FlickrRefusedError as error:
            if error.flickr_code != already:
                raise

    def _list_favorites(self, user_id: str, since: datetime | None, until: datetime | None) -> dict[str, Any]:
        """The parameters of a listing; both dates are inclusive."""
        return {
            "user_id": user_id,
            "extras": EXTRAS,
            "min_fave_date": None if since is None else int(since.timestamp()),
            "max_fave_date": None if until is None else int(until.timestamp()),
        }

    def _pages(self, method: str, list_: Listing, per_page: int, **params: Any) -> Iterator[tuple[int, list[object]]]:
        """The pages of a list: (what Flickr claims is the total, the page's entries), each page with something new.

        Neither a short page nor `total` alone is believed: pages may be short before the last one, one may be empty,
        and the total may be wrong. An empty page that others are promised behind is asked for once more, since what it
        should have held would never be asked for again. The end is an empty page with none promised behind it, two such
        pages in a row, or, which saves a call for most users, a short page with which the total is reached exactly.

        The list may change meanwhile. What is added shifts the rest back: the next page repeats some of the last, and
        nothing is missed. What is removed shifts the rest forward, past what was read: as many entries are
        missed, until the rolling sweep of the list finds them.
        """
        seen: set[str] = set()
        number, empty = 1, 0
        while empty < 3:
            read = self._call(method, list_.read, page=number, per_page=per_page, **params)
            marks = {mark_of(entry, list_.key) for entry in read.entries}
            if marks <= seen:  # also a server that repeats its last page for ever
                if number >= read.pages:
                    return
                empty += 1
                if empty == 1:
                    continue
            else:
                empty = 0
                seen |= marks
                yield read.total, read.entries
                if len(read.entries) < per_page and len(seen) == read.total:
                    return
            number += 1


def open_flickr(settings: Settings, token: FlickrToken | None = None, purpose: Purpose = Purpose.PERSON) -> Flickr:
    """The client, signed by a person's token when one is given; its calls are counted as spent on `purpose`.

    One is enough for all threads of a process.
    """
    return Flickr(settings, token, purpose)
