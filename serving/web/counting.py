"""Requests by what was asked for: the route, never the address, which says whose wall it was.

BentoML's own count keeps a series for each path that was ever asked for: who looked at whose wall would stand in the
metrics, and memory would grow with every person and every scanner. It is off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from time import perf_counter

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Counter("photo_recommender_requests", "Requests that were answered.", ["endpoint", "method", "status"])
REQUEST_SECONDS = Histogram(
    "photo_recommender_request_seconds",
    "From a request's arrival until its answer began.",
    ["endpoint"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0),
)


class Endpoints:
    """The routes of the service, and which of them a path belongs to. templates: like /api/users/{user_id}/pull."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._templates = list(templates)
        patterns = (re.sub(r"\\\{.+?\\\}", "[^/]+", re.escape(template)) for template in self._templates)
        self._pattern = re.compile("|".join(f"({pattern})" for pattern in patterns))

    def of(self, path: str) -> str:
        """The route's template; "/api/…" for what no route answers there, "site" for everything else."""
        found = self._pattern.fullmatch(path)
        if found is not None and found.lastindex is not None:
            return self._templates[found.lastindex - 1]
        return "/api/…" if path.startswith("/api/") else "site"


class Counted:
    """ASGI middleware: counts answers and times them. The outermost, as what others refuse counts too."""

    def __init__(self, app: ASGIApp, templates: Iterable[str]) -> None:
        self._app = app
        self._endpoints = Endpoints(templates)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        endpoint = self._endpoints.of(scope["path"])
        method = scope["method"] if scope["method"] in METHODS else "other"
        began = perf_counter()

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                REQUESTS.labels(endpoint, method, str(message["status"])).inc()
                REQUEST_SECONDS.labels(endpoint).observe(perf_counter() - began)
            await send(message)

        await self._app(scope, receive, count)
