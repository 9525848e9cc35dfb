"""What a person types to name a Flickr user: an address, an NSID, a user name, or the last part of an address.

People paste what they have: addresses without a scheme or with half of one, from the phone's site, of a photo or an
album, with spaces around. Whatever names a person is read; whatever does not is told what it is instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from features.errors import InvalidInputError

EXAMPLE = "https://www.flickr.com/photos/12037949754@N01/"
LONGEST = 500

_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""What copying leaves at the ends of a text; within it, it is refused."""

_NSID = re.compile(r"([0-9A-Za-z]+)@n([0-9]{2})", re.IGNORECASE | re.ASCII)
_ALIAS = re.compile(r"[\w.-]+")
_SCHEME = re.compile(r"(\w+:/+|https?[:;]?/*|/+)", re.IGNORECASE)
_ADDRESS = re.compile(
    r"\w+:\s*//|https?\s*[:;]?\s*/|//|www\.|([\w-]+\.)*(flickr\.com|flic\.kr)(?![\w.-])|([\w-]+\.)+[\w-]+(:\d+)?\s*/"
    r"|localhost(:\d+)?/|/?(photos|people)/",
    re.IGNORECASE,
)
_OF_A_PERSON = frozenset({"photos", "people", "gp"})
_NO_PERSON = frozenset({"tags", "upload", "organize", "search", "friends", "me"})


@dataclass(frozen=True)
class Named:
    """`value` is an NSID, the path alias of an address, or a name, which may be an alias, too."""

    kind: Literal["nsid", "alias", "name"]
    value: str

    @property
    def may_be_alias(self) -> bool:
        """Whether an address of Flickr's can end so."""
        return _ALIAS.fullmatch(self.value) is not None


def read_user(text: str, site_host: str) -> Named:
    """Whom the text names; `site_host` is the host of Flickr's pages. Raises InvalidInputError (field `q`)."""
    text = text.strip().strip(_INVISIBLE).strip().removeprefix("<").removesuffix(">")
    if not text or len(text) > LONGEST or not text.isprintable():
        raise InvalidInputError(f"{text[:50]!r} names no Flickr user; try one like {EXAMPLE}", field="q")
    nsid = _nsid(unquote(text).removeprefix("@"))
    if nsid is not None:
        return nsid
    if _ADDRESS.match(text):
        return _read_address(text, site_host)
    name = text.removeprefix("@").strip()
    if not name:
        raise _no_user(text, "names nobody")
    return Named("name", name)


def _nsid(text: str) -> Named | None:
    found = _NSID.fullmatch(text)
    return None if found is None else Named("nsid", f"{found[1]}@N{found[2]}")


def _read_address(text: str, site_host: str) -> Named:
    """The NSID or path alias in a Flickr address, with or without its scheme and trailing parts."""
    try:
        address = re.sub(r"\s*([/:])\s*", r"\1", text).split()[0]
        address = _SCHEME.sub("", address, count=1) if _SCHEME.match(address) else address
        if re.match(r"(photos|people)/", address, re.IGNORECASE):
            address = f"{site_host}/{address}"
        url = urlsplit(f"https://{address}")
        host = (url.hostname or "").lower()
    except (ValueError, IndexError):
        raise _no_user(text, "is no address") from None
    if host == "flic.kr":
        raise _no_user(text, "is a short link: open it, and paste the address that the browser then shows")
    if host.endswith(".staticflickr.com"):
        raise _no_user(text, "is the address of a picture, which does not say whose it is: paste that of its page")
    if host != site_host and host != "flickr.com" and not host.endswith(".flickr.com"):
        raise _no_user(text, "is no address at Flickr")
    # The phone's site of old had its places behind the #.
    path = url.path if url.path.strip("/") else url.fragment
    kind, who, *_ = [*(unquote(part) for part in path.split("/") if part), "", ""]
    if kind.lower() not in _OF_A_PERSON or who.lower() in {"", *_NO_PERSON}:
        raise _no_user(text, "is a page of Flickr's, but no person's")
    who = who.removeprefix("@").rstrip(".,;:!?)'\"")
    named = _nsid(who) or Named("alias", who)
    if named.kind == "alias" and not named.may_be_alias:
        raise _no_user(text, "holds no user's name where it should")
    return named


def _no_user(text: str, what: str) -> InvalidInputError:
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return InvalidInputError(f"“{shown}” {what}; try one like {EXAMPLE}", field="q")
