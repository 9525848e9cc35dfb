"""Everything that can go wrong and that a person can do something about.

`PhotoRecommenderError` is the root: the command line prints its message as one line and exits with
`exit_status`; the service answers it as `{"error": {"code", "message", "field"}}` with `http_status`.

PhotoRecommenderError
├── ConfigurationError        a setting is missing or wrong
├── InvalidInputError         what the caller sent is wrong (names the field)
├── NotFoundError             what the caller named does not exist
├── NotAllowedError           the caller may not do this
├── DependencyError           another system does not answer as it should
│   ├── StorageFullError      the disk or bucket takes no more
│   └── FlickrError           Flickr refused or failed (pipelines/flickr/client.py refines it)
├── SchemaError               rows do not fit their table's schema
└── CorruptModelError         a model bundle can't be loaded
"""

from __future__ import annotations

import errno

__all__ = [
    "ConfigurationError",
    "CorruptModelError",
    "DependencyError",
    "FlickrError",
    "InvalidInputError",
    "NotAllowedError",
    "NotFoundError",
    "PhotoRecommenderError",
    "SchemaError",
    "StorageFullError",
    "is_storage_full",
]


class PhotoRecommenderError(Exception):
    """Root of the tree. `message` says what is wrong, with the value, and what to do."""

    code = "internal"
    http_status = 500
    exit_status = 1
    retry_after: float | None = None
    """Seconds after which the same request may succeed (the answer's `Retry-After`); None: nobody knows."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class ConfigurationError(PhotoRecommenderError):
    code = "configuration"
    exit_status = 2


class InvalidInputError(PhotoRecommenderError):
    code = "invalid_input"
    http_status = 422
    exit_status = 2


class NotFoundError(PhotoRecommenderError):
    code = "not_found"
    http_status = 404
    exit_status = 3


class NotAllowedError(PhotoRecommenderError):
    code = "not_allowed"
    http_status = 403


class DependencyError(PhotoRecommenderError):
    code = "dependency_failed"
    http_status = 503
    exit_status = 4


class StorageFullError(DependencyError):
    code = "storage_full"


class FlickrError(DependencyError):
    code = "flickr_failed"
    http_status = 502


class SchemaError(PhotoRecommenderError):
    code = "schema"
    http_status = 422


class CorruptModelError(PhotoRecommenderError):
    code = "corrupt_model"
    http_status = 503
    exit_status = 5


def is_storage_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind the error: the libraries below report it each in words of their own."""
    while error is not None:
        if isinstance(error, StorageFullError) or getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(error) for words in ("No space left on device", "database or disk is full")):
            return True
        error = error.__cause__ or error.__context__
    return False
