"""One id for a request and everything that it sets off: taken from `X-Request-ID` or made, logged, and answered.

A plain ASGI middleware, as answers may be streams that go on for minutes.
"""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.logs import correlated

HEADER = "X-Request-ID"

_SANE = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""What a proxy in front of us sends. Anything else could forge lines of the log, or fill it."""


class Correlation:
    """ASGI middleware: binds the request's id for what is logged meanwhile, and sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get(HEADER, "")
        correlation_id = asked if _SANE.fullmatch(asked) else uuid.uuid4().hex

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = correlation_id
            await send(message)

        with correlated(correlation_id):
            await self._app(scope, receive, answer)
