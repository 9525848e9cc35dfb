"""The single values in Flickr's answers, read leniently: a number may be a word, a text a record, anything missing.

Only what makes a record unusable raises: an id or a date that is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

LONGEST_ID = 128
LONGEST_TITLE, LONGEST_NAME, LONGEST_TAGS, LONGEST_URL = 1_000, 255, 4_000, 2_048
"""Characters kept of a text; a longer address is of no use and left out."""

LAST_MOMENT = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
"""Unix seconds from which on a date is nonsense."""

MOST_NUMBER = 2**31 - 1
"""Numbers of the lake are int32."""

_NUMBER = re.compile(r"\s*(-?[0-9]{1,18})(?:\.[0-9]*)?\s*")
# The C0 controls: among them the unit separator, which parts keys that are made of ids, and NUL, which SQL refuses.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def identity(value: object, name: str) -> str:
    """An id: text or an integer. Raises ValueError, which names it, when it is missing or can't be one."""
    if value is None:
        raise ValueError(f"{name} is missing")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{name}={value!r:.80} is no id")
    text = str(value)
    if not text or len(text) > LONGEST_ID or _CONTROL.search(text):
        raise ValueError(f"{name}={text!r:.80} is no id: 1 to {LONGEST_ID} characters, no control characters")
    return text


def moment(value: object, name: str) -> int:
    """A date in unix seconds, from 1970 to 2099. Raises ValueError, which names it."""
    seconds = _whole(value)
    if seconds is None or not 0 < seconds < LAST_MOMENT:
        raise ValueError(f"{name}={value!r:.80} is no date" if value is not None else f"{name} is missing")
    return seconds


def date(value: object) -> datetime | None:
    """The same in UTC, or None when it is missing or none."""
    seconds = _whole(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and 0 < seconds < LAST_MOMENT else None


def number(value: object) -> int | None:
    """A count or a length from 0 to `MOST_NUMBER`, rounded down; None when it is missing or none."""
    whole = _whole(value)
    return whole if whole is not None and 0 <= whole <= MOST_NUMBER else None


def text(value: Any, longest: int) -> str:
    """A text or a record that holds one, cut to `longest` characters; "" when it is neither."""
    if isinstance(value, Mapping):
        value = value.get("_content")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    # Cut first: what follows then costs the same for a title of megabytes.
    start = str(value)[: longest + 1]
    return _CONTROL.sub(" ", start if len(start) <= longest else f"{start[: longest - 1]}…")


def url(value: object) -> str | None:
    """An address, or None when it is missing or none."""
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_URL and not _CONTROL.search(value) else None


def tags(value: Any) -> str | None:
    """Tags as one string with blanks between; `photos.getInfo` has a list of records instead."""
    if isinstance(value, Mapping):
        listed = value.get("tag")
        value = " ".join(text(tag, LONGEST_NAME) for tag in listed) if isinstance(listed, list) else ""
    words = text(value, 2 * LONGEST_TAGS)
    return (words if len(words) <= LONGEST_TAGS else words[:LONGEST_TAGS].rpartition(" ")[0]) or None


def _whole(value: object) -> int | None:
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        return int(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e18:
        return None
    return int(value)
