"""What a browser gets from the sandbox: pictures, avatars, pages of photos and people, and the consent page."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qsl

import numpy as np
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pipelines.sandbox.favorites import FavoritesNow
from pipelines.sandbox.groups import Groups
from pipelines.sandbox.oauth import PERMISSIONS, OAuthProblem, OAuthProvider
from pipelines.sandbox.pages import render
from pipelines.sandbox.payloads import SIZES, Payloads
from pipelines.sandbox.pictures import draw_avatar, draw_photo
from pipelines.sandbox.rest import FlickrFailure, RestApi
from pipelines.sandbox.store import Store

PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
PICTURE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "public, max-age=3600",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}
AVATAR_SIZE = 96
SHOWN = 60  # photos on a person's page
FOUND = 24  # people on the consent page


class Site:
    def __init__(
        self,
        payloads: Payloads,
        favorites: FavoritesNow,
        groups: Groups,
        store: Store,
        api: RestApi,
        oauth: OAuthProvider,
    ) -> None:
        self._payloads, self._favorites, self._groups, self._store = payloads, favorites, groups, store
        self._api, self._oauth = api, oauth
        self._world = payloads.world
        self._names = [name.lower() for name in self._world.user_names]
        self._draw = lru_cache(maxsize=512)(self._draw_photo)

    def people(self, *, limit: int | None = None, search: str = "") -> list[dict[str, object]]:
        """People, the visitors first, then those with most favorites; those whose name or NSID contains `search`."""
        counts = self._favorites.counts()
        order = np.lexsort((-counts, ~self._world.visitor)).tolist()
        wanted = search.strip().lower()
        if wanted:
            order = [row for row in order if wanted in self._names[row] or wanted in self._world.user_ids[row].lower()]
        return [self._person(row, int(counts[row])) for row in order[:limit]]

    def _person(self, row: int, favorites: int) -> dict[str, object]:
        return {
            "user_id": self._world.user_ids[row],
            "name": self._world.user_names[row],
            "path_alias": self._world.user_aliases[row] or None,
            "avatar_url": self._payloads.avatar(row),
            "page": self._payloads.person_page(row),
            "favorites": favorites,
            "visitor": bool(self._world.visitor[row]),
        }

    async def picture(self, request: Request) -> Response:
        photo_id, _, suffix = request.path_params["name"].removesuffix(".svg").partition("_")
        row = self._payloads.photo_row.get(photo_id)
        if row is None or suffix not in SIZES or not request.path_params["name"].endswith(".svg"):
            return _not_found("There is no such picture.")
        return Response(self._draw(row, suffix), headers=PICTURE_HEADERS, media_type="image/svg+xml")

    def _draw_photo(self, row: int, suffix: str) -> str:
        return draw_photo(
            self._payloads.style(row), int(self._world.photo_seed[row]), *self._payloads.size(row, suffix)
        )

    async def avatar(self, request: Request) -> Response:
        name = request.path_params["name"].removesuffix(".svg")
        row, cover = self._payloads.user_row.get(name), self._groups.icon(name)
        if cover is not None:
            return Response(self._draw(cover, "sq"), headers=PICTURE_HEADERS, media_type="image/svg+xml")
        if row is None:
            return _not_found("There is no such person.")
        return Response(draw_avatar(row, AVATAR_SIZE), headers=PICTURE_HEADERS, media_type="image/svg+xml")

    async def start(self, request: Request) -> Response:
        counts = self._favorites.counts()
        world = {"users": len(counts), "photos": self._api.photo_count(), "favorites": int(counts.sum())}
        visitors = [person for person in self.people(limit=FOUND) if person["visitor"]]
        return _page("start", people=visitors, base=self._payloads.base_url, world=world)

    async def person_page(self, request: Request) -> Response:
        row = self._payloads.path_row.get(request.path_params["path"])
        if row is None:
            return _not_found("There is no such person.")
        photos, (favorites, _) = self._api.photos_of(row), self._favorites.of(row)
        return _page(
            "person",
            p=self._person(row, len(favorites)),
            photo_count=len(photos),
            photos=[self._card(photo, "n") for photo in photos[::-1][:SHOWN].tolist()],
            favorites=[self._card(photo, "n") for photo in favorites[:SHOWN].tolist()],
        )

    async def photo_page(self, request: Request) -> Response:
        try:
            photo = self._api.visible_photo(request.path_params["photo_id"])
        except FlickrFailure:
            return _not_found("There is no such photo.")
        owner = int(self._world.photo_owner[photo])
        if self._payloads.path_row.get(request.path_params["path"]) != owner:
            return _not_found("There is no such photo.")
        uploaded = datetime.fromtimestamp(int(self._world.photo_uploaded_at[photo]), UTC)
        return _page(
            "photo",
            photo=self._card(photo, "l"),
            p=self._person(owner, len(self._favorites.of(owner)[0])),
            tags=self._payloads.tags(photo),
            uploaded=uploaded.strftime("%d %B %Y"),
            comments=[
                (self._world.user_names[self._payloads.user_row[comment.user_id]], comment)
                for comment in self._store.comments(request.path_params["photo_id"])
            ],
        )

    def _card(self, photo: int, suffix: str) -> dict[str, object]:
        width, height = self._payloads.size(photo, suffix)
        return {
            "page": self._payloads.photo_page(photo),
            "image": self._payloads.picture(photo, suffix),
            "title": self._payloads.title(photo),
            "width": width,
            "height": height,
        }

    async def consent(self, request: Request) -> Response:
        """Asks who one is and whether the application may (GET), and acts on the answer (POST)."""
        form = request.query_params
        fields = (
            dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
            if request.method == "POST"
            else dict(form)
        )
        token, perms = fields.get("oauth_token", ""), fields.get("perms", "read")
        try:
            if request.method == "POST":
                return self._decide(token, perms, fields)
            self._oauth.pending(token)
        except OAuthProblem as problem:
            text = (
                f"The application's request is unknown, used or too old ({problem.problem}). Go back and sign in again."
            )
            return _page("note", title="This can't be authorized", text=text, status=400)
        if perms not in PERMISSIONS:
            return _page(
                "note", title="This can't be authorized", text=f"perms must be one of {PERMISSIONS}.", status=400
            )
        search = fields.get("q", "")
        people = self.people(limit=FOUND, search=search)
        return _page("consent", token=token, perms=perms, q=search, people=people)

    def _decide(self, token: str, perms: str, fields: dict[str, str]) -> Response:
        if fields.get("decision") != "allow":
            return _sent_to(self._oauth.refuse(token), "Refused", "The application may do nothing for you.")
        user_id = fields.get("user_id", "")
        if user_id not in self._payloads.user_row:
            return _page("note", title="Nobody chosen", text="Go back and choose who you are.", status=400)
        address, verifier = self._oauth.allow(token, user_id=user_id, perms=perms)
        return _sent_to(address, "Authorized", f"Give the application this code: {verifier}")


def _page(name: str, *, status: int = 200, **values: object) -> Response:
    return HTMLResponse(render(name, **values), status, PAGE_HEADERS)


def _not_found(text: str) -> Response:
    return _page("note", title="Not found", text=text, status=404)


def _sent_to(address: str, title: str, text: str) -> Response:
    """A redirect to the application, or a page for one that has no address (out of band)."""
    return RedirectResponse(address, 303, PAGE_HEADERS) if address else _page("note", title=title, text=text)
