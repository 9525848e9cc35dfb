"""What the system needs of a photo service, and how ids of several services live in one lake.

`pipelines/flickr/client.py` is the first service that offers it; docs/sources.md says what a second one has to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from features.errors import InvalidInputError
from pipelines.flickr.answers import Person, Photo, Rejected

__all__ = [
    "PHOTO_ID_LENGTH",
    "USER_ID_LENGTH",
    "FavoritesPage",
    "Person",
    "Photo",
    "Rejected",
    "Source",
    "check_namespace",
    "namespace_of",
    "namespaced",
    "unknown_owner",
]

USER_ID_LENGTH, PHOTO_ID_LENGTH = 128, 64
"""Characters of an id, namespace included: what the columns of the SQL tables hold."""

_NAMESPACE = re.compile(r"[a-z][a-z0-9-]{0,15}")
_NOBODY = "unknown"


class FavoritesPage(Protocol):
    """One page of a user's favorites, newest first, as columns: parallel, (n,); n may be 0 and may differ by page.

    `total` is what the service claims the whole list to be: a hint, never believed. Details are read one by one
    (`photo`), as most photos of a page are known already.
    """

    @property
    def total(self) -> int: ...
    @property
    def photo_ids(self) -> Sequence[str]: ...
    @property
    def owner_ids(self) -> Sequence[str]: ...
    @property
    def faved_at(self) -> Sequence[int]:
        """Unix seconds."""

    @property
    def rejected(self) -> Sequence[Rejected]:
        """Entries of the page that are no favorites, for the quarantine."""

    def photo(self, index: int) -> Photo:
        """The details of the photo at that place. Makes no call."""


class Source(Protocol):
    """A photo service, as pulling and acting see it. Safe to share between threads.

    Each method asks the budget for leave before each call, tries again what is worth it, and raises the classes of
    `pipelines/flickr/errors.py` for what can go wrong (docs/sources.md), whatever the service calls it.
    """

    @property
    def calls(self) -> int:
        """Calls made so far, each try of each one."""

    def favorites(
        self, user_id: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[FavoritesPage]:
        """A user's public favorites, newest first, those faved from `since` to `until`, both inclusive.

        Lazy: a page costs its call when it is asked for. Raises UserNotFoundError.
        """

    def favorites_window(self, user_id: str, until: datetime | None) -> FavoritesPage:
        """The newest favorites that were faved until then (inclusive; None: the newest of all), in one call.

        What the rolling sweep compares with what is known, to find favorites that were taken back.
        """

    def contacts(self, user_id: str) -> list[Person]:
        """Everybody whom the user follows publicly. Raises UserNotFoundError."""

    def person(self, user_id: str) -> Person:
        """Raises UserNotFoundError."""

    def photo(self, photo_id: str) -> Photo:
        """Raises PhotoNotFoundError, with `private` for a photo that is no longer shown to everybody."""

    def add_favorite(self, photo_id: str) -> None:
        """Make the photo a favorite of the person whose token this client has; it may be one already."""

    def remove_favorite(self, photo_id: str) -> None:
        """Take the favorite back; it may be gone already."""


def check_namespace(namespace: str) -> None:
    """Raises InvalidInputError unless ids can be prefixed with it; "" (Flickr's ids, as they are) is fine."""
    if namespace and (namespace == _NOBODY or not _NAMESPACE.fullmatch(namespace)):
        raise InvalidInputError(
            f"{namespace!r} is no namespace: up to 16 of a-z, 0-9 and -, a letter first, like imgur", field="namespace"
        )


def namespaced(namespace: str, subject_id: str) -> str:
    """The id of a service's user or photo as the lake has it: `imgur:a1b2`; Flickr's ids stay as they are."""
    return f"{namespace}:{subject_id}" if namespace else subject_id


def namespace_of(subject_id: str) -> str:
    """Which service an id of the lake belongs to; "" for Flickr's own, in which no colon occurs."""
    namespace, colon, _ = subject_id.partition(":")
    return namespace if colon else ""


def unknown_owner(photo_id: str) -> str:
    """The owner of a photo of which none is known: somebody who owns that photo and nothing else."""
    return namespaced(_NOBODY, photo_id)
