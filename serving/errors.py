"""What can go wrong at the web's edge, and the one shape in which every error leaves.

These extend the tree of features/errors.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as SqlTimeoutError

from features.errors import (
    DependencyError,
    InvalidInputError,
    NotAllowedError,
    NotFoundError,
    PhotoRecommenderError,
    StorageFullError,
    is_storage_full,
)

__all__ = [
    "CrossSiteError",
    "DatabaseGoneError",
    "DrainingError",
    "NoModelError",
    "NotSignedInError",
    "OverloadedError",
    "SiteNotBuiltError",
    "TooLargeError",
    "TooOftenError",
    "UnknownPhotoError",
    "WrongKeyError",
    "as_known",
    "body_of",
    "invalid",
]


class NotSignedInError(NotAllowedError):
    code = "not_signed_in"
    http_status = 401


class WrongKeyError(NotAllowedError):
    code = "wrong_key"
    http_status = 401


class CrossSiteError(NotAllowedError):
    """A request that changes something and does not come from our own page."""

    code = "cross_site"


class NoModelError(DependencyError):
    code = "no_model"


class UnknownPhotoError(NotFoundError):
    """The model, or Flickr, knows no such photo."""


class SiteNotBuiltError(DependencyError):
    code = "site_not_built"


class TooLargeError(InvalidInputError):
    code = "too_large"
    http_status = 413


class OverloadedError(PhotoRecommenderError):
    """There are enough requests here already."""

    code = "overloaded"
    http_status = 429
    retry_after = 1


class TooOftenError(PhotoRecommenderError):
    """This person has asked for it often enough for a while. `retry_after`: seconds until they may again."""

    code = "too_often"
    http_status = 429

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DatabaseGoneError(DependencyError):
    """SQL does not answer: without it nobody knows what was dismissed or taken down a moment ago."""

    code = "database_gone"
    retry_after = 5


class DrainingError(DependencyError):
    """The process is about to end."""

    code = "draining"


def body_of(error: PhotoRecommenderError) -> dict[str, dict[str, str | None]]:
    """The body of every error answer."""
    return {"error": {"code": error.code, "message": error.message, "field": error.field}}


def as_known(error: Exception) -> PhotoRecommenderError:
    """The error as one of the tree: a full disk is told as such, anything unforeseen tells nothing of the inside.

    What the database says is never told, whoever passes it on: it quotes statements and their values.
    """
    by_database = type(error) is DependencyError and isinstance(error.__cause__, SQLAlchemyError)
    if isinstance(error, PhotoRecommenderError) and not by_database:
        return error
    database = error.__cause__ if by_database else error
    if isinstance(database, SQLAlchemyError) and is_unreachable(database):
        return DatabaseGoneError("the database does not answer; nothing was recorded. Try again in a few seconds")
    if is_storage_full(error):
        return StorageFullError("the disk is full; nothing was recorded. Free some space, then try again")
    return PhotoRecommenderError("something went wrong here; the service's log has the details")


def is_unreachable(error: SQLAlchemyError) -> bool:
    """Whether the database was not there, or had no time, rather than had something against the statement."""
    if isinstance(error, SqlTimeoutError):  # no connection of the pool came free
        return True
    if not isinstance(error, DBAPIError):
        return False
    name = getattr(error.orig, "sqlite_errorname", None)
    if name is not None:
        return str(name).startswith(("SQLITE_CANTOPEN", "SQLITE_BUSY", "SQLITE_IOERR", "SQLITE_LOCKED"))
    # SQLSTATE 08: no connection; 57P: the server goes down; none at all: it was never reached.
    state = getattr(error.orig, "sqlstate", None)
    return error.connection_invalidated or (
        isinstance(error, OperationalError | InterfaceError) and (state is None or state.startswith(("08", "57P")))
    )


def invalid(problems: Sequence[Mapping[str, Any]]) -> InvalidInputError:
    """pydantic's list of problems as our error: the first one, with the field and what was sent."""
    first = problems[0]
    if first["type"] == "json_invalid":
        return InvalidInputError(f"the body is no JSON: {first['ctx']['error']}", field="body")
    # Within a list, the place of what is wrong comes last: the field is the list.
    field = next((str(part) for part in reversed(first["loc"]) if not isinstance(part, int)), "body")
    if first["type"] == "missing":
        return InvalidInputError(f"{field} is missing", field=field)
    return InvalidInputError(f"{field}={str(first.get('input'))[:80]!r}: {first['msg']}", field=field)
