"""The built website: its files, and its one page for every address that is a place in it."""

from __future__ import annotations

import html
import os
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from features.settings import get_settings
from serving.errors import SiteNotBuiltError

FOLDER = Path(__file__).parents[1] / "site"
PAGE = "index.html"
HASHED = "assets/"
"""Vite names these files by their content: they never change."""

ELSEWHERE = ("/api/", "/docs.json", "/static_content/")
"""Paths that the site leaves alone: the API's, and those that BentoML routes behind everything that is mounted."""


class Site(StaticFiles):
    """Static files that answer the page for unknown paths without an extension, so that reloading a wall works."""

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(directory=folder, check_dir=False, html=True)
        # Starlette would look for the folder at the first request, and fail: `_page` says what to do instead.
        self.config_checked = True
        self._folder = folder

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            response = await super().get_response(path, scope)
            forever = path.startswith(HASHED)
        except HTTPException as error:
            if error.status_code != 404 or Path(path).suffix:
                raise
            response, forever = await self._page(scope), False
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if forever else "no-cache"
        return response

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """The file; the page with the script of analytics, where one is set."""
        script = get_settings().analytics_script
        if not script or Path(full_path).name != PAGE:
            return super().file_response(full_path, stat_result, scope, status_code)
        page = Path(full_path).read_text(encoding="utf-8")
        tag = f'<script src="{html.escape(script)}" async></script>'
        return HTMLResponse(page.replace("</head>", f"{tag}</head>", 1), status_code)

    async def _page(self, scope: Scope) -> Response:
        try:
            return await super().get_response(PAGE, scope)
        except HTTPException:
            raise SiteNotBuiltError(
                f"the website is not built: {self._folder / PAGE} is missing; run `make site`, or use /docs"
            ) from None


class SiteMount(Mount):
    """Everything that nobody else answers."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["path"].startswith(ELSEWHERE):
            return Match.NONE, {}
        return super().matches(scope)
