"""What Flickr's refusals and failures mean: its codes as our errors, each saying what to do.

FlickrError
├── UserNotFoundError, PhotoNotFoundError, GroupNotFoundError    it is not there, or no longer
├── TokenInvalidError                        the person has to sign in again
├── KeyInvalidError                          nobody can call until the key is mended
├── FlickrRefusedError                       asking again does not help
├── FlickrUnavailableError                   asking again later helps
└── BudgetSpentError, FlickrPausedError      not asked at all (budget.py)
"""

from __future__ import annotations

from collections.abc import Mapping

from features.errors import ConfigurationError, FlickrError, NotAllowedError, NotFoundError
from pipelines.flickr.names import EXAMPLE, Named


class UserNotFoundError(FlickrError, NotFoundError):
    """Flickr has no such user, or no longer. `deleted`: it says that there was one."""

    code = "not_found"
    http_status = 404
    exit_status = 3

    def __init__(self, message: str, *, field: str | None = None, deleted: bool = False) -> None:
        super().__init__(message, field=field)
        self.deleted = deleted


class PhotoNotFoundError(FlickrError, NotFoundError):
    """Flickr has no such photo, or does not show it. `private`: it is there, but is not shown to who asks."""

    code = "not_found"
    http_status = 404
    exit_status = 3

    def __init__(self, message: str, *, private: bool = False) -> None:
        super().__init__(message)
        self.private = private


class GroupNotFoundError(FlickrError, NotFoundError):
    """Flickr has no such group, or does not show it to everybody."""

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
    """Flickr throttles, fails or answers nonsense; asking again later helps.

    `retry_after`: seconds it asked for; `throttled`: it said that there were too many calls.
    """

    code = "flickr_unavailable"
    http_status = 502

    def __init__(self, message: str, retry_after: float | None = None, *, throttled: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.throttled = throttled


def not_found(named: Named, why: UserNotFoundError) -> UserNotFoundError:
    """The same in words for whoever typed the name, with an example of what is found (field `q`)."""
    if why.deleted:
        return UserNotFoundError(f"“{named.value}” has deleted the account at Flickr", field="q", deleted=True)
    if named.kind == "nsid":
        return UserNotFoundError(
            f"Flickr knows no user with the ID {named.value}: check it, or paste the address of the person's photos, "
            f"like {EXAMPLE}",
            field="q",
        )
    return UserNotFoundError(
        f"Flickr knows nobody called “{named.value}”: names have to be spelled as there. Surest is the address of the "
        f"person's photos, like {EXAMPLE}",
        field="q",
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
        return UserNotFoundError(words, deleted=(method, code) == _USER_DELETED)
    if code in _PHOTO_MISSING.get(method, ()):
        return PhotoNotFoundError(words)
    if code in _GROUP_MISSING.get(method, ()):
        return GroupNotFoundError(words)
    if code in _PHOTO_PRIVATE.get(method, ()):
        return PhotoNotFoundError(words, private=True)
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
_USER_DELETED = ("flickr.people.getInfo", 5)
_PHOTO_MISSING: Mapping[str, tuple[int, ...]] = {
    "flickr.photos.getInfo": (1,),
    "flickr.favorites.add": (1,),
    "flickr.photos.comments.addComment": (1,),
}
_GROUP_MISSING: Mapping[str, tuple[int, ...]] = {
    "flickr.groups.getInfo": (1, 2),
    "flickr.groups.pools.getPhotos": (1, 2),
}
_PHOTO_PRIVATE: Mapping[str, tuple[int, ...]] = {
    "flickr.photos.getInfo": (2,),
    "flickr.favorites.add": (4,),
}
