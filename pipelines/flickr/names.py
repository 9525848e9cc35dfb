"""What a person types to name a Flickr user: an address, an NSID, a user name, or the last part of an address."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from features.errors import InvalidInputError

EXAMPLE = "https://www.flickr.com/photos/12037949754@N01/"
_NSID = re.compile(r"[0-9A-Za-z]+@N[0-9]{2}")
_ADDRESS = re.compile(
    r"\w+://|www\.|([\w-]+\.)*flickr\.com$|([\w-]+\.)+[\w-]+(:\d+)?/|localhost(:\d+)?/", re.IGNORECASE
)
_NO_PERSON = frozenset({"", "tags", "upload", "organize", "search"})


@dataclass(frozen=True)
class Named:
    """`value` is an NSID, the path alias of an address, or a name, which may be an alias, too."""

    kind: Literal["nsid", "alias", "name"]
    value: str


def read_user(text: str, site_host: str) -> Named:
    """Whom the text names; `site_host` is the host of Flickr's pages. Raises InvalidInputError (field `q`)."""
    text = text.strip()
    if not text or len(text) > 500 or not text.isprintable():
        raise InvalidInputError(f"{text[:50]!r} names no Flickr user; try one like {EXAMPLE}", field="q")
    if _NSID.fullmatch(text):
        return Named("nsid", text)
    if _ADDRESS.match(text):
        who = _person_in_url(text, site_host)
        return Named("nsid" if _NSID.fullmatch(who) else "alias", who)
    return Named("name", text)


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
