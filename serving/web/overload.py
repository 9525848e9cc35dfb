"""A process that has enough to do says so at once: 429 with `Retry-After`, while those before it are served in time.

Without a limit every request is taken, all of them get slower together, and nobody is answered before giving up.
BentoML's own limit counts streams and static files too, and answers without `Retry-After` and in a shape of its own.
"""

from __future__ import annotations

from collections import Counter

import prometheus_client
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from features.settings import get_settings
from serving.api.app import answer_of
from serving.errors import OverloadedError

STREAMS = 4
"""So many times `max_inflight` streams of progress may be open: each looks twice a second, and waits in between."""

STREAMED = "/progress"
BENTO_APIS = ("/recommend", "/similar")
ASK_FLICKR = ("/api/groups", "/api/me/favorites/", "/api/me/photos/", "/api/session/", "/api/users/lookup")
"""Requests that hold a thread while Flickr takes its time: they must not hold all of them."""

REFUSED = prometheus_client.Counter(
    "photo_recommender_requests_refused", "Requests answered 429, as there were enough.", ["kind"]
)
INFLIGHT = prometheus_client.Gauge(
    "photo_recommender_requests_inflight",
    "Requests that are worked on or wait for it.",
    ["kind"],
    multiprocess_mode="livesum",
)


class Overload:
    """ASGI middleware: limits how many requests of each kind (work, flickr, stream) are here at once.

    Health, metrics and the site's files are always answered.
    """

    def __init__(self, app: ASGIApp, limit: int | None = None) -> None:
        self._app = app
        limit = limit or get_settings().max_inflight
        self._limits = {"work": limit, "flickr": max(1, limit // 2), "stream": STREAMS * limit}
        self._here: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kinds = kinds_of(scope)
        full = next((kind for kind in kinds if self._here[kind] >= self._limits[kind]), None)
        if full is not None:
            REFUSED.labels(full).inc()
            error = OverloadedError(f"the service has enough to do; ask again in {OverloadedError.retry_after} s")
            await answer_of(error)(scope, receive, send)
            return
        self._count(kinds, 1)
        try:
            await self._app(scope, receive, send)
        finally:
            self._count(kinds, -1)

    def _count(self, kinds: tuple[str, ...], by: int) -> None:
        for kind in kinds:
            self._here[kind] += by
            INFLIGHT.labels(kind).inc(by)


def kinds_of(scope: Scope) -> tuple[str, ...]:
    """What a request counts as; () for what is always answered."""
    if scope["type"] != "http":
        return ()
    path = scope["path"]
    if path.startswith("/api/") and path.endswith(STREAMED) and "text/event-stream" in _accepted(scope):
        return ("stream",)
    if path.startswith(ASK_FLICKR):
        return ("work", "flickr")
    return ("work",) if path.startswith(("/api/", *BENTO_APIS)) else ()


def _accepted(scope: Scope) -> str:
    return Headers(scope=scope).get("Accept", "")
