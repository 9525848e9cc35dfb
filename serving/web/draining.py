"""How a process ends without failing anybody: first it says that it is not ready, then it stops listening.

uvicorn stops listening at once when SIGTERM comes. A load balancer that has not noticed would go on to send requests,
which nobody takes: so for `drain_seconds` only `/readyz` changes, and everything is served as before.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.api.app import answer_of
from serving.errors import DrainingError

READY = "/readyz"

_draining = threading.Event()

logger = structlog.get_logger(__name__)


class Readiness:
    """ASGI middleware: `/readyz` answers 503 from SIGTERM on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _draining.is_set() and scope["type"] == "http" and scope["path"] == READY:
            await answer_of(DrainingError("this process is about to end"))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def drain_on_sigterm(seconds: float) -> None:
    """Put what SIGTERM does now off for so long, in which `/readyz` says no; a second SIGTERM does it at once.

    To be called in the main thread, where the event loop runs.
    """
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    assert callable(before)  # noqa: S101  (uvicorn's handler)
    end: Callable[[int, FrameType | None], object] = before

    def drain(number: int, frame: FrameType | None) -> None:
        if _draining.is_set():
            end(number, frame)
            return
        _draining.set()
        loop.call_soon_threadsafe(loop.call_later, seconds, end, number, None)

    signal.signal(signal.SIGTERM, drain)
