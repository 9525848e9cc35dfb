"""What Flickr's answers tell of groups and their pools, as dataclasses, read as leniently as all its answers.

A group describes itself in HTML: it is made plain text here, once, so that nobody further on has to think of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser

import structlog

from pipelines.flickr.answers import Json, ListPage, Photo, Places, read_photo
from pipelines.flickr.values import LONGEST_NAME, identity, number, text

LONGEST_DESCRIPTION = 10_000
"""Characters read of a description, its markup included."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Group:
    """A Flickr group. description: plain text with blank lines between paragraphs; members: None where untold."""

    group_id: str
    name: str
    description: str
    icon_url: str | None
    members: int | None


@dataclass(frozen=True, slots=True)
class PoolPage:
    """A page of a group's pool, what was added last first. more: whether Flickr says that a page comes after it."""

    photos: list[Photo]
    more: bool


def read_group(entry: Json, places: Places) -> Group:
    """The group of `groups.getInfo`. Raises ValueError without an id."""
    group_id = identity(entry.get("nsid") or entry.get("id"), "nsid")
    return Group(
        group_id=group_id,
        name=text(entry.get("name"), LONGEST_NAME) or group_id,
        description=plain_text(_content(entry.get("description"))),
        icon_url=places.avatar(group_id, entry),
        members=number(text(entry.get("members"), LONGEST_NAME)),
    )


def read_pool(listed: ListPage, page: int, places: Places) -> PoolPage:
    """The good entries of that page; one that is no photo is left out, and logged."""
    photos = []
    for entry in listed.entries:
        try:
            if not isinstance(entry, Mapping):
                raise ValueError(f"a {type(entry).__name__} where a photo should be")
            photos.append(read_photo(entry, places))
        except ValueError as error:
            logger.warning("pool_photo_rejected", reason=str(error))
    return PoolPage(photos, more=page < listed.pages)


def plain_text(markup: str) -> str:
    """What a browser would show of some HTML as text: no tags, references resolved, runs of blanks as one."""
    reader = _Text()
    reader.feed(markup)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).splitlines())
    return "\n".join(lines).strip()


class _Text(HTMLParser):
    """Collects the text, without that of scripts and styles."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in _HIDDEN
        if tag in _BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in _HIDDEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


_HIDDEN = frozenset({"script", "style"})
_BREAKS = frozenset({"br", "p", "li", "div"})


def _content(value: object) -> str:
    """The text with its line breaks, which `values.text` takes for the control characters that they are."""
    found = value.get("_content") if isinstance(value, Mapping) else value
    return found[:LONGEST_DESCRIPTION] if isinstance(found, str) else ""
