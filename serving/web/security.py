"""What keeps a browser on our side: headers on every answer, and proof that a change comes from our own page.

The proof is twofold: the browser's word on where a request comes from (`Sec-Fetch-Site`, else `Origin`), and the
session's CSRF token in a header that no other site can set.
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.settings import Settings, get_settings
from serving.accounts.sessions import Session
from serving.errors import CrossSiteError, NotSignedInError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "X-CSRF-Token"


def headers_of(settings: Settings) -> dict[str, str]:
    """The headers of every answer. Pictures come from `image_hosts` (and the sandbox), a script of
    analytics from where it is, everything else from here."""
    images = ["'self'", "data:", *settings.image_hosts]
    if settings.sandbox_url:
        parts = urlsplit(settings.sandbox_url)
        images.append(f"{parts.scheme}://{parts.netloc}")
    own = "'self'"
    if settings.analytics_script:
        script = urlsplit(settings.analytics_script)
        own = f"'self' {script.scheme}://{script.netloc}"
    policy = {
        "default-src": "'none'",
        "script-src": own,
        "style-src": "'self'",
        "font-src": "'self'",
        "img-src": " ".join(dict.fromkeys(images)),
        "connect-src": own,
        "manifest-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    }
    if settings.public_url.startswith("https://"):
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


class SecurityHeaders:
    """ASGI middleware: `headers_of` on every answer, and no caching of what the API says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = headers_of(get_settings())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


def require_own_page(request: Request) -> None:
    """Refuse a change that a browser says comes from elsewhere. Raises CrossSiteError."""
    if request.method in SAFE_METHODS:
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        allowed = site in ("same-origin", "none")
    elif origin is not None:
        allowed = origin.partition("://")[2] == request.headers.get("Host")
    else:
        return
    if not allowed:
        raise CrossSiteError(f"a {request.method} from another site ({origin or site}) is refused")


def require_csrf_token(request: Request, session: Session | None) -> Session:
    """The session, when the request carries its CSRF token. Raises NotSignedInError without one, CrossSiteError."""
    if session is None:
        raise NotSignedInError("there is no session, or it has ended; GET /api/session, or sign in again")
    sent = request.headers.get(CSRF_HEADER, "")
    if not secrets.compare_digest(sent.encode(), session.csrf_token.encode()):
        raise CrossSiteError(f"{CSRF_HEADER} is missing or wrong; GET /api/session gives the right one")
    return session
