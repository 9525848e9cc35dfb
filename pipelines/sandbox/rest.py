"""Flickr's REST methods over the sandbox's world: parameters in, Flickr's own document or error code out.

The transport (HTTP, OAuth, budget, faults that break an answer) is server.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import numpy as np
import orjson

from pipelines.sandbox.clock import Clock
from pipelines.sandbox.faults import Fault
from pipelines.sandbox.favorites import FavoritesNow
from pipelines.sandbox.gone import Gone
from pipelines.sandbox.groups import Group, Groups
from pipelines.sandbox.oauth import Caller
from pipelines.sandbox.payloads import Payloads
from pipelines.sandbox.store import Store

MOST_PER_PAGE = 500
Parameters = Mapping[str, str]


class FlickrFailure(Exception):  # noqa: N818 (Flickr's `stat: fail`)
    """`stat: fail` with Flickr's code and words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def user_not_found() -> FlickrFailure:
    return FlickrFailure(1, "User not found")


class RestApi:
    """Answers one method for one caller. Every method here returns the JSON of its document, `stat` aside."""

    def __init__(
        self, payloads: Payloads, favorites: FavoritesNow, groups: Groups, store: Store, clock: Clock, gone: Gone
    ) -> None:
        self._payloads, self._favorites, self._groups, self._store = payloads, favorites, groups, store
        self._clock, self._gone = clock, gone
        self._world = payloads.world
        uploads = self._world.photo_uploaded_at
        self._photos_of = np.split(
            np.argsort(self._world.photo_owner, kind="stable"),
            np.cumsum(np.bincount(self._world.photo_owner, minlength=len(self._world.user_ids)))[:-1],
        )
        self._uploads = uploads
        self._methods: dict[str, Callable[[Parameters, Caller, Fault | None], bytes]] = {
            "flickr.contacts.getPublicList": self._contacts_public_list,
            "flickr.favorites.add": self._favorites_add,
            "flickr.favorites.getList": self._favorites_list,
            "flickr.favorites.getPublicList": self._favorites_public_list,
            "flickr.favorites.remove": self._favorites_remove,
            "flickr.groups.getInfo": self._groups_info,
            "flickr.groups.pools.getPhotos": self._groups_pool,
            "flickr.people.findByUsername": self._people_find_by_username,
            "flickr.people.getInfo": self._people_info,
            "flickr.photos.comments.addComment": self._comments_add,
            "flickr.photos.getInfo": self._photos_info,
            "flickr.photos.getSizes": self._photos_sizes,
            "flickr.test.login": self._test_login,
            "flickr.urls.lookupUser": self._urls_lookup_user,
        }

    def knows(self, method: str) -> bool:
        return method in self._methods

    def answer(self, method: str, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        """The document as JSON, `"stat":"ok"` included. Raises FlickrFailure.

        `fault` is one of those that change a listing (`ONLY_FAVORITES`), or None.
        """
        if method not in self._methods:
            raise FlickrFailure(112, f'Method "{method}" not found')
        return self._methods[method](parameters, caller, fault)

    def photos_of(self, user: int) -> np.ndarray:
        """Rows of the photos that a user has uploaded by now, oldest first."""
        photos = self._photos_of[user]
        return photos[self._uploads[photos] <= self._clock.now()]

    def photo_count(self) -> int:
        """How many photos are uploaded by now."""
        return int((self._uploads <= self._clock.now()).sum())

    def visible_photo(self, photo_id: str, private_code: int = 2) -> int:
        """The row of a photo that is uploaded by now and not gone.

        Raises FlickrFailure 1, or `private_code` (methods differ) if it is private.
        """
        row = self._payloads.photo_row.get(photo_id)
        not_found = FlickrFailure(1, f'Photo "{photo_id}" not found (invalid ID)')
        if row is None or self._uploads[row] > self._clock.now() or self._gone.photos[row]:
            raise not_found
        if self._gone.private[row]:
            raise not_found if private_code == 1 else FlickrFailure(private_code, "Permission denied")
        return row

    # favorites

    def _favorites_public_list(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        return self._list_favorites(self._user(parameters.get("user_id", "")), parameters, fault)

    def _favorites_list(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        return self._list_favorites(self._user(parameters.get("user_id") or caller.user_id or ""), parameters, fault)

    def _list_favorites(self, user: int, parameters: Parameters, fault: Fault | None) -> bytes:
        photos, times = self._favorites.of(user)
        there = ~(self._gone.photos | self._gone.private)[photos]
        photos, times = photos[there], times[there]
        since, until = _moment(parameters, "min_fave_date"), _moment(parameters, "max_fave_date")
        if since is not None or until is not None:
            wanted = np.ones(len(times), dtype=bool)
            if since is not None:
                wanted &= times >= since
            if until is not None:
                wanted &= times <= until
            photos, times = photos[wanted], times[wanted]
        per_page = min(_count(parameters, "per_page", 100), MOST_PER_PAGE)
        page = _count(parameters, "page", 1)
        kind = fault.kind if fault else ""
        total = len(photos) + (len(photos) + 2) // 3 * (kind == "wrong_total")
        step = max(1, per_page * 2 // 3) if kind == "short_pages" else per_page
        chosen = slice((page - 1) * step, page * step)
        if kind == "empty_page" and page > 1 and page * step < len(photos):
            chosen = slice(0, 0)
        extras = _extras(parameters)
        listed = self._payloads.listed_photo
        entries = [
            b'%b,"date_faved":"%d"}' % (listed(photo, extras), at)
            for photo, at in zip(photos[chosen].tolist(), times[chosen].tolist(), strict=True)
        ]
        if kind == "bad_entry" and entries:
            entries[0] = orjson.dumps(
                {name: value for name, value in orjson.loads(entries[0]).items() if name != "owner"}
            )
        return _listing(entries, page, per_page, total)

    def _favorites_add(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        user = self._signed_in(caller, "write")
        photo = self.visible_photo(parameters.get("photo_id", ""), private_code=4)
        if self._world.photo_owner[photo] == user:
            raise FlickrFailure(2, "Photo is owned by you")
        if self._favorites.holds(user, photo):
            raise FlickrFailure(3, "Photo is already in favorites")
        self._favorites.add(user, photo)
        return _ok({})

    def _favorites_remove(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        user = self._signed_in(caller, "write")
        photo = self._payloads.photo_row.get(parameters.get("photo_id", ""))
        if photo is None or not self._favorites.holds(user, photo):
            raise FlickrFailure(1, "Photo not in favorites")
        self._favorites.remove(user, photo)
        return _ok({})

    # groups

    def _groups_info(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        return _ok({"group": self._groups.info(self._group(parameters))})

    def _groups_pool(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        photos, added_at = self._groups.pool(self._group(parameters))
        per_page = min(_count(parameters, "per_page", 100), MOST_PER_PAGE)
        page, extras = _count(parameters, "page", 1), _extras(parameters)
        chosen = slice((page - 1) * per_page, page * per_page)
        entries = [
            self._groups.listed(photo, at, extras)
            for photo, at in zip(photos[chosen].tolist(), added_at[chosen].tolist(), strict=True)
        ]
        return _listing(entries, page, per_page, len(photos))

    def _group(self, parameters: Parameters) -> Group:
        group = self._groups.find(parameters.get("group_id", ""))
        if group is None:
            raise FlickrFailure(1, "Group not found")
        return group

    # people

    def _contacts_public_list(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        user = self._user(parameters.get("user_id", ""))
        contacts = self._world.contacts
        followed = contacts.indices[contacts.indptr[user] : contacts.indptr[user + 1]]
        rows = followed[~self._gone.users[followed]].tolist()
        per_page = min(_count(parameters, "per_page", 1_000), 1_000)
        page = _count(parameters, "page", 1)
        document = {
            "page": page,
            "pages": -(-len(rows) // per_page),
            "per_page": per_page,
            "perpage": per_page,
            "total": len(rows),
            "contact": [self._payloads.contact(row) for row in rows[(page - 1) * per_page : page * per_page]],
        }
        return _ok({"contacts": document})

    def _people_info(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        user = self._user(parameters.get("user_id", ""))
        photos = self.photos_of(user)
        first = int(self._uploads[photos[0]]) if len(photos) else None
        return _ok({"person": self._payloads.person(user, photos=len(photos), first_upload=first)})

    def _people_find_by_username(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        row = self._payloads.name_row.get(parameters.get("username", "").strip().lower())
        if row is None or self._gone.users[row]:
            raise user_not_found()
        user_id, name = self._world.user_ids[row], self._world.user_names[row]
        return _ok({"user": {"id": user_id, "nsid": user_id, "username": {"_content": name}}})

    def _urls_lookup_user(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        parts = [unquote(part) for part in urlsplit(parameters.get("url", "")).path.split("/") if part]
        if len(parts) < 2 or parts[0] not in ("photos", "people") or parts[1] not in self._payloads.path_row:
            raise user_not_found()
        row = self._payloads.path_row[parts[1]]
        if self._gone.users[row]:
            raise user_not_found()
        return _ok({"user": {"id": self._world.user_ids[row], "username": {"_content": self._world.user_names[row]}}})

    def _test_login(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        user = self._signed_in(caller, "read")
        name, alias = self._world.user_names[user], self._world.user_aliases[user] or None
        return _ok({"user": {"id": self._world.user_ids[user], "username": {"_content": name}, "path_alias": alias}})

    # photos

    def _comments_add(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        user = self._signed_in(caller, "write")
        photo_id, text = parameters.get("photo_id", ""), parameters.get("comment_text", "")
        self.visible_photo(photo_id, private_code=1)
        if not text.strip():
            raise FlickrFailure(8, "Blank comment")
        comment = self._store.add_comment(photo_id, self._world.user_ids[user], text, self._clock.now())
        return _ok({"comment": {"id": comment.comment_id}})

    def _photos_info(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        photo = self.visible_photo(parameters.get("photo_id", ""))
        user = self._payloads.user_row.get(caller.user_id or "")
        favorite = user is not None and self._favorites.holds(user, photo)
        return _ok({"photo": self._payloads.photo_info(photo, is_favorite=favorite)})

    def _photos_sizes(self, parameters: Parameters, caller: Caller, fault: Fault | None) -> bytes:
        return _ok({"sizes": self._payloads.photo_sizes(self.visible_photo(parameters.get("photo_id", "")))})

    def _user(self, user_id: str) -> int:
        row = self._payloads.user_row.get(user_id)
        if row is None or self._gone.users[row]:
            raise user_not_found()
        return row

    def _signed_in(self, caller: Caller, permission: str) -> int:
        if not caller.may(permission):
            raise FlickrFailure(99, "User not logged in / Insufficient permissions")
        return self._user(caller.user_id or "")


def _ok(document: dict[str, object]) -> bytes:
    return orjson.dumps(document | {"stat": "ok"})


def _listing(entries: list[bytes], page: int, per_page: int, total: int) -> bytes:
    """A page of photos that are JSON already."""
    pages = -(-total // per_page)
    head = f'{{"photos":{{"page":{page},"pages":{pages},"perpage":{per_page},"total":{total},"photo":['
    return head.encode() + b",".join(entries) + b']},"stat":"ok"}'


def _extras(parameters: Parameters) -> frozenset[str]:
    return frozenset(parameters.get("extras", "").replace(" ", "").split(","))


def _count(parameters: Parameters, name: str, default: int) -> int:
    """A positive integer; Flickr takes its default for anything else."""
    text = parameters.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and 0 < int(text) < 10**9 else default


def _moment(parameters: Parameters, name: str) -> float | None:
    """Unix seconds from a unix or a MySQL time, None when it is absent or unreadable."""
    text = parameters.get(name, "")
    try:
        return (
            float(text)
            if text.replace(".", "", 1).isdecimal()
            else datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
        )
    except ValueError:
        return None
