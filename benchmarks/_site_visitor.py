"""One simulated visitor of the site: signs in with Flickr, has their favorites pulled, scrolls, faves and dismisses.

The page's own requests in the page's order, over one connection and without a browser or an HTTP library, so that
hundreds of visitors leave the machine to the site.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qs, urlencode, urlsplit

from _http_load import whole_answer_of

ANSWER_SECONDS = 30.0
SCROLLS = ("more", "more", "fave", "wall", "more", "dismiss", "progress", "more", "dismiss", "wall")
"""What a visitor does over and over, once the wall is there."""


@dataclass
class Seen:
    """What all visitors met. calls: (what, ms) of the site's answers; failures: what went wrong, how often;
    dismissed: (user, photo) of dismissals that were accepted; happened: what was done, how often."""

    calls: list[tuple[str, float]] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    dismissed: set[tuple[str, str]] = field(default_factory=set)
    happened: Counter[str] = field(default_factory=Counter)


class UnansweredError(Exception):
    """A call that was not answered as it should; it is counted already."""


@dataclass
class Visitor:
    """Somebody with a browser. user_id: whom they consent as; site, sandbox: addresses of both."""

    user_id: str
    site: str
    sandbox: str
    seen: Seen
    _cookie: str = ""
    _csrf_token: str = ""
    _connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    _photos: list[str] = field(default_factory=list)
    _cursor: str | None = None
    _put_aside: set[str] = field(default_factory=set)

    async def stay(self, begins: float, ends: float, every: float) -> None:
        """Act once every so many seconds, from and to that time of the monotonic clock."""
        acts: list[Callable[[], Any]] = [self._sign_in, self._pull]
        number = 0
        while (due := begins + number * every) < ends:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            name = SCROLLS[number % len(SCROLLS)]
            act = acts[number] if number < len(acts) else getattr(self, f"_{name}")
            try:
                await act()
            except UnansweredError:
                if number < len(acts):
                    return
            number += 1
        if self._connection is not None:
            self._connection[1].close()

    async def _sign_in(self) -> None:
        await self._session()
        begun = await self._call("login", "POST", "/api/session/login", {"return_to": "/wall"})
        callback = await self._consent(begun["authorize_url"])
        await self._call("callback", "GET", callback, expected="303")
        if (await self._session())["user"]["user_id"] != self.user_id:
            self._fail("signed in as somebody else")
        self.seen.happened["signed in"] += 1

    async def _session(self) -> Any:
        session = await self._call("session", "GET", "/api/session")
        self._csrf_token = session["csrf_token"]
        return session

    async def _consent(self, address: str) -> str:
        """What the person does at Flickr; the path on the site that they are sent to."""
        at = urlsplit(address)
        token, perms = (parse_qs(at.query)[name][0] for name in ("oauth_token", "perms"))
        fields = {"oauth_token": token, "perms": perms, "user_id": self.user_id, "decision": "allow"}
        form = urlencode(fields).encode()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(self.sandbox).port)
            writer.write(_request("POST", at.path, {"Content-Type": "application/x-www-form-urlencoded"}, form))
            status, headers, _ = await asyncio.wait_for(whole_answer_of(reader), ANSWER_SECONDS)
            writer.close()
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self._fail(f"consent {type(error).__name__}")
        if b"location" not in headers:
            self._fail(f"consent {status}")
        back = urlsplit(headers[b"location"].decode())
        return f"{back.path}?{back.query}"

    async def _pull(self) -> None:
        await self._call("pull", "POST", f"/api/users/{self.user_id}/pull", expected="202")
        await self._wall()

    async def _progress(self) -> None:
        await self._call("progress", "GET", f"/api/users/{self.user_id}/progress")

    async def _wall(self) -> None:
        self._cursor = None
        self._photos.clear()
        await self._read("wall", {"limit": "30"})

    async def _more(self) -> None:
        if self._cursor is None:
            await self._wall()
        else:
            await self._read("more", {"limit": "30", "cursor": self._cursor})

    async def _read(self, what: str, query: dict[str, str]) -> None:
        put_aside = set(self._put_aside)
        path = f"/api/users/{self.user_id}/recommendations?{urlencode(query)}"
        page = await self._call(what, "GET", path)
        shown = [photo["photo_id"] for photo in page["photos"]]
        self._photos += shown
        self._cursor = page["next_cursor"]
        self.seen.happened["photos shown"] += len(shown)
        self.seen.happened["walls degraded"] += page["degraded"]
        if put_aside.intersection(shown):
            self._fail("a photo came back that was faved or dismissed")

    async def _fave(self) -> None:
        await self._put("fave", "/api/me/favorites/")

    async def _dismiss(self) -> None:
        photo_id = await self._put("dismiss", "/api/me/dismissals/photos/")
        if photo_id:
            self.seen.dismissed.add((self.user_id, photo_id))

    async def _put(self, what: str, path: str) -> str:
        """Do that to the last photo shown, if there is one; which it was."""
        if not self._photos:
            await self._wall()
            return ""
        photo_id = self._photos.pop()
        await self._call(what, "PUT", f"{path}{photo_id}")
        self._put_aside.add(photo_id)
        self.seen.happened[what] += 1
        return photo_id

    async def _call(self, what: str, method: str, path: str, body: Any = None, expected: str = "200") -> Any:
        """The answer's JSON. Raises UnansweredError for any other status."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        headers |= {"X-CSRF-Token": self._csrf_token} if self._csrf_token else {}
        headers |= {"Cookie": self._cookie} if self._cookie else {}
        began = time.monotonic()
        try:
            if self._connection is None:
                self._connection = await asyncio.open_connection("127.0.0.1", urlsplit(self.site).port)
            reader, writer = self._connection
            writer.write(_request(method, path, headers, content))
            status, given, answer = await asyncio.wait_for(whole_answer_of(reader), ANSWER_SECONDS)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self._connection = None
            self._fail(f"{what} {type(error).__name__}")
        self.seen.calls.append((what, 1_000 * (time.monotonic() - began)))
        if status != expected:
            self._fail(f"{what} {status} {answer[:200].decode(errors='replace')}")
        if b"set-cookie" in given:
            self._cookie = given[b"set-cookie"].split(b";")[0].decode()
        return json.loads(answer) if answer else None

    def _fail(self, what: str) -> NoReturn:
        self.seen.failures[what] += 1
        raise UnansweredError(what)


def _request(method: str, path: str, headers: dict[str, str], content: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content
