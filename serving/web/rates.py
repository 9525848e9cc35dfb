"""Who may ask how often for what costs calls of Flickr: each session, and each address with all its sessions.

Moving windows of the library `limits`, in Redis where the online store is there, else in this process. A window that is
full refuses whoever it belongs to and nobody else.
"""

from __future__ import annotations

import ipaddress
import time
from typing import Literal

import structlog
from limits import RateLimitItem, parse_many
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter
from prometheus_client import Counter
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from features.settings import Settings, get_settings
from serving.accounts.sessions import Session
from serving.errors import TooOftenError

What = Literal["lookup", "pull"]

REDIS_SECONDS = 0.25
"""Longer nobody waits to be counted: then this process counts alone."""

TOO_OFTEN = Counter("photo_recommender_too_often", "Requests refused as one asked too often.", ["kind"])

logger = structlog.get_logger(__name__)


class TrustedProxies:
    """ASGI middleware: the client is whom `X-Forwarded-For` names, where a proxy of `trusted_proxies` sent it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = ProxyHeadersMiddleware(app, get_settings().trusted_proxies)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)  # type: ignore[arg-type]


class Rates:
    """Counts what sessions and addresses ask for. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._windows: dict[What, tuple[list[RateLimitItem], list[RateLimitItem]]] = {
            "lookup": (parse_many(settings.lookup_rate), parse_many(settings.lookup_rate_address)),
            "pull": (parse_many(settings.pull_rate), parse_many(settings.pull_rate_address)),
        }
        self._here = MovingWindowRateLimiter(MemoryStorage())
        self._shared = self._here
        if settings.online_store.startswith(("redis://", "rediss://")):
            timeouts = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
            storage = storage_from_string(settings.online_store, wrap_exceptions=True, **timeouts)
            self._shared = MovingWindowRateLimiter(storage)

    def take(self, what: What, request: Request, session: Session | None) -> None:
        """Count one. Raises TooOftenError, and counts nothing, when a window of session or address is full."""
        of_session, of_address = self._windows[what]
        windows = [(item, f"address {address_of(request)}") for item in of_address]
        if session is not None:
            # Somebody who signed in is one person in all their browsers.
            who = f"user {session.user_id}" if session.user_id else f"session {session.session_hash}"
            windows += [(item, who) for item in of_session]
        try:
            wait = _take(self._shared, what, windows)
        except StorageError as error:
            logger.warning("rates_counted_here", reason=str(error.storage_error))
            wait = _take(self._here, what, windows)
        if wait is not None:
            TOO_OFTEN.labels(what).inc()
            asked = {"lookup": "looked people up", "pull": "asked for walls to be read"}[what]
            raise TooOftenError(
                f"you, or others at your address, have {asked} very often; try again in {wait:.0f} s", retry_after=wait
            )


def _take(limiter: MovingWindowRateLimiter, what: What, windows: list[tuple[RateLimitItem, str]]) -> float | None:
    """Count one in each window, or in none: then how many seconds until all have room, at least one."""
    full = [window for window in windows if not limiter.test(window[0], what, window[1])]
    if not full:
        # Two at once may both have found room: whoever comes second is refused here.
        full = [window for window in windows if not limiter.hit(window[0], what, window[1])]
    if not full:
        return None
    resets = (limiter.get_window_stats(item, what, who).reset_time for item, who in full)
    return max(1.0, max(resets) - time.time())


def address_of(request: Request) -> str:
    """The client's address as it is counted: of IPv6 the /64, which is what one client is given."""
    host = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)
