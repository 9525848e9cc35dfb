"""The one client of Flickr: its methods, with retries, the budget and our errors.

Everything that talks to Flickr goes through here, so that calls are counted, and waited for, in one place.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import orjson
import structlog
import tenacity

from features.errors import FlickrError, InvalidInputError
from features.settings import Settings
from pipelines.budget import BudgetSpentError, Purpose, open_budget
from pipelines.flickr_answers import (
    PICTURE_SIZES,
    Favorite,
    FavoritesPage,
    FlickrRefusedError,
    FlickrUnavailableError,
    Json,
    KeyInvalidError,
    Person,
    Photo,
    PhotoNotFoundError,
    Places,
    TokenInvalidError,
    UserNotFoundError,
    error_of,
    read_favorites,
    read_person,
    read_photo_info,
)
from pipelines.flickr_transport import Api, FlickrToken

__all__ = [
    "BudgetSpentError",
    "Favorite",
    "FavoritesPage",
    "Flickr",
    "FlickrRefusedError",
    "FlickrToken",
    "FlickrUnavailableError",
    "KeyInvalidError",
    "Person",
    "Photo",
    "PhotoNotFoundError",
    "Purpose",
    "TokenInvalidError",
    "UserNotFoundError",
    "open_flickr",
]

FAVORITES_PER_PAGE = 500
CONTACTS_PER_PAGE = 1000
EXTRAS = ",".join(
    ["owner_name", "icon_server", "date_upload", "tags", "path_alias", "o_dims", "safety_level"]
    + [f"url_{suffix}" for suffix in PICTURE_SIZES]
)
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the second try, and the most that backing off comes to (a longer Retry-After is honoured)."""

PATIENCE = 5.0
"""Seconds that a call waits for the key's budget: long enough for a burst to pass, not for an hour."""

EXAMPLE = "https://www.flickr.com/photos/12037949754@N01/"
_NSID = re.compile(r"[0-9A-Za-z]+@N[0-9]{2}")
_ADDRESS = re.compile(
    r"\w+://|www\.|([\w-]+\.)*flickr\.com$|([\w-]+\.)+[\w-]+(:\d+)?/|localhost(:\d+)?/", re.IGNORECASE
)
_NO_PERSON = frozenset({"", "tags", "upload", "organize", "search"})

logger = structlog.get_logger(__name__)
T = TypeVar("T")


class Flickr:
    """Flickr's API as Python methods. Thread-safe: each thread has its own kept-alive connection.

    Every method raises FlickrUnavailableError once `settings.flickr_attempts` tries failed, BudgetSpentError when the
    key has no call left, TokenInvalidError, KeyInvalidError, or FlickrRefusedError with Flickr's words.
    """

    def __init__(self, settings: Settings, token: FlickrToken | None = None, purpose: Purpose = Purpose.PERSON) -> None:
        if not settings.flickr_key:
            raise KeyInvalidError(
                "PHOTO_RECOMMENDER_FLICKR_KEY is not set: get one at https://www.flickr.com/services/apps/create/, "
                "or use `photo-recommender demo`, which needs none",
                field="flickr_key",
            )
        self._places = Places(settings.flickr_site_url.rstrip("/"), settings.sandbox_url.rstrip("/"))
        self._api = Api(settings, token)
        self._budget = open_budget(settings)
        self._purpose = purpose
        self._calls = 0
        self._counting = threading.Lock()
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(settings.flickr_attempts),
            wait=_wait,
            retry=tenacity.retry_if_exception_type(FlickrUnavailableError),
            before_sleep=_log_retry,
            reraise=True,
        )

    @property
    def calls(self) -> int:
        """Calls made so far, each try of each one."""
        return self._calls

    def favorites(self, user_id: str, *, since: datetime | None = None) -> Iterator[FavoritesPage]:
        """A user's public favorites, newest first, those faved at or after `since`. Raises UserNotFoundError."""
        for total, entries in self._pages(
            "flickr.favorites.getPublicList",
            ("photos", "photo", "id"),
            FAVORITES_PER_PAGE,
            user_id=user_id,
            extras=EXTRAS,
            min_fave_date=None if since is None else int(since.timestamp()),
        ):
            yield read_favorites(entries, total, self._places)

    def contacts(self, user_id: str) -> list[Person]:
        """Everybody whom the user follows publicly. Raises UserNotFoundError."""
        pages = self._pages(
            "flickr.contacts.getPublicList", ("contacts", "contact", "nsid"), CONTACTS_PER_PAGE, user_id=user_id
        )
        people = {str(entry["nsid"]): entry for _, entries in pages for entry in entries}
        return [read_person(entry, self._places) for entry in people.values()]

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

    def find_user(self, text: str) -> Person:
        """The user that a person means by a Flickr address, an NSID, a user name or the last part of an address.

        Raises InvalidInputError (field `q`) when it can't be read, UserNotFoundError when there is no such user.
        """
        text = text.strip()
        if not text or len(text) > 500 or not text.isprintable():
            raise InvalidInputError(f"{text[:50]!r} names no Flickr user; try one like {EXAMPLE}", field="q")
        if _NSID.fullmatch(text):
            return self.person(text)
        if _ADDRESS.match(text):
            who = _person_in_url(text, urlsplit(self._places.site_url).hostname or "")
            return self.person(who) if _NSID.fullmatch(who) else self.person(self._lookup(who))
        try:
            return self.person(
                self._call("flickr.people.findByUsername", lambda answer: str(answer["user"]["nsid"]), username=text)
            )
        except UserNotFoundError:
            return self.person(self._lookup(text))

    def _lookup(self, alias: str) -> str:
        url = f"{self._places.site_url}/photos/{alias}/"
        try:
            return self._call("flickr.urls.lookupUser", lambda answer: str(answer["user"]["id"]), url=url)
        except UserNotFoundError:
            raise UserNotFoundError(f"Flickr knows no user {alias!r}", field="q") from None

    def _change(self, method: str, photo_id: str, already: int) -> None:
        try:
            self._call(method, lambda answer: None, photo_id=photo_id)
        except FlickrRefusedError as error:
            if error.flickr_code != already:
                raise

    def _pages(
        self, method: str, path: tuple[str, str, str], per_page: int, **params: Any
    ) -> Iterator[tuple[int, list[Json]]]:
        """The pages of a list: (what Flickr claims is the total, the page's entries), each page with something new.

        Neither a short page nor `total` alone is believed: pages may be short before the last one, one may be empty,
        and the total may be wrong. An empty page that others are promised behind is asked for once more, since what it
        should have held would never be asked for again. The end is an empty page with none promised behind it, two such
        pages in a row, or, which saves a call for most users, a short page with which the total is reached exactly.
        """
        outer, inner, key = path

        def read(answer: Json) -> tuple[int, int, list[Json], set[str]]:
            listing = answer[outer]
            entries: list[Json] = list(listing.get(inner, ()))  # an empty list is left out
            return int(listing["total"]), int(listing["pages"]), entries, {str(entry[key]) for entry in entries}

        seen: set[str] = set()
        number, empty = 1, 0
        while empty < 3:
            total, promised, entries, keys = self._call(method, read, page=number, per_page=per_page, **params)
            if keys <= seen:  # also a server that repeats its last page for ever
                if number >= promised:
                    return
                empty += 1
                if empty == 1:
                    continue
            else:
                empty = 0
                seen |= keys
                yield total, entries
                if len(entries) < per_page and len(seen) == total:
                    return
            number += 1

    def _call(self, method: str, read: Callable[[Json], T], **params: Any) -> T:
        """One call, tried again while Flickr is unavailable, read by `read`.

        The one place that every call passes, and where the key's budget is asked for leave, for each try anew.
        """

        def once() -> T:
            self._wait_for_leave()
            with self._counting:
                self._calls += 1
            content = self._api.do_flickr_call(method, **params)
            try:
                answer = orjson.loads(content)
                if answer["stat"] == "ok":
                    return read(answer)
                code, message = int(answer.get("code", 0)), str(answer.get("message", "no reason given"))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                start = content[:60].decode("utf-8", "replace")
                raise FlickrUnavailableError(
                    f"Flickr answered {method} with something unreadable: {start!r}"
                ) from error
            raise error_of(method, code, message)

        result: T = self._retrying(once)
        return result

    def _wait_for_leave(self) -> None:
        """Return when a call may be made. Raises BudgetSpentError when that is not within `PATIENCE` seconds."""
        deadline = time.monotonic() + PATIENCE
        while wait := self._budget.take(self._purpose):
            if time.monotonic() + wait > deadline:
                raise BudgetSpentError(
                    f"the budget of Flickr calls is spent for now ({self._purpose}); "
                    f"there is more in {wait:.0f} s (`photo-recommender budget` shows it)",
                    retry_after=wait,
                )
            time.sleep(wait)


def open_flickr(settings: Settings, token: FlickrToken | None = None, purpose: Purpose = Purpose.PERSON) -> Flickr:
    """The client, signed by a person's token when one is given; its calls are counted as spent on `purpose`.

    One is enough for all threads of a process.
    """
    return Flickr(settings, token, purpose)


def _person_in_url(text: str, site_host: str) -> str:
    """The NSID or path alias in a Flickr address, with or without its scheme and trailing parts."""
    bad = InvalidInputError(f"{text!r} is no Flickr user's address; try one like {EXAMPLE}", field="q")
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        host = (url.hostname or "").lower()
    except ValueError:
        raise bad from None
    if host != site_host and host != "flickr.com" and not host.endswith(".flickr.com"):
        raise bad
    parts = url.path.split("/")
    if len(parts) < 3 or parts[1] not in ("photos", "people") or parts[2] in _NO_PERSON:
        raise bad
    return unquote(parts[2])


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    backoff = tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=LONGEST_WAIT)(state)
    asked = error.retry_after if isinstance(error, FlickrUnavailableError) else None
    # Never earlier than asked, and not all threads in the same instant.
    return backoff if asked is None else asked + min(backoff, FIRST_WAIT)


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    wait = state.next_action.sleep if state.next_action else 0.0
    if isinstance(error, FlickrError):
        logger.info("flickr_retry", attempt=state.attempt_number, wait_seconds=round(wait, 2), reason=error.message)
