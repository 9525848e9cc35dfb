"""The wire under the client of Flickr: `flickrapi` on our endpoints, kept-alive connections, failures told apart."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl

import flickrapi
import requests
from flickrapi.auth import FlickrAccessToken, OAuthFlickrInterface

from features.settings import Settings
from pipelines.flickr.errors import FlickrRefusedError, FlickrUnavailableError, KeyInvalidError, TokenInvalidError


@dataclass(frozen=True)
class FlickrToken:
    """What a person's consent gave us; neither part belongs in a log."""

    token: str = field(repr=False)
    secret: str = field(repr=False)


class _Transport(OAuthFlickrInterface):  # type: ignore[misc]  # flickrapi has no types
    """flickrapi's signed POST, on a session of each thread's own, with failures told apart."""

    def __init__(self, key: str, secret: str, tokens: Any, timeout: float, proxies: dict[str, str]) -> None:
        super().__init__(key, secret, tokens, default_timeout=timeout)
        self._proxies = proxies
        self._local = threading.local()

    def do_request(self, url: str, params: dict[str, Any] | None = None, timeout: float | None = None) -> bytes:
        try:
            response = self._session().post(
                url, data=params, auth=self.oauth, timeout=timeout or self.default_timeout, allow_redirects=False
            )
        except requests.RequestException as error:
            raise FlickrUnavailableError(f"Flickr at {url} does not answer: {type(error).__name__}") from error
        status = response.status_code
        if status == 200:
            return response.content
        if status == 401:
            # The only word of it that may be passed on: what was signed follows, with the token in it.
            problem = dict(parse_qsl(response.text)).get("oauth_problem", "")[:60]
            if "consumer_key" in problem or problem == "signature_invalid":
                raise KeyInvalidError(
                    f"Flickr does not accept the API key ({problem}); set PHOTO_RECOMMENDER_FLICKR_KEY and _SECRET"
                )
            raise TokenInvalidError(f"Flickr no longer accepts the token ({problem}); sign in again")
        if status == 429 or status >= 500:
            raise FlickrUnavailableError(
                f"Flickr answered HTTP {status}", _retry_after(response), throttled=status == 429
            )
        raise FlickrRefusedError(f"Flickr at {url} answered HTTP {status}", status)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers["User-Agent"] = "photo-recommender"
            # Proxies were looked up once; requests would search the environment for them at each call.
            session.trust_env = False
            session.proxies = self._proxies
        return session


class Api(flickrapi.FlickrAPI):  # type: ignore[misc]  # flickrapi has no types
    """flickrapi as the settings say, signed by a person's token when one is given. Safe to share between threads."""

    def __init__(self, settings: Settings, token: FlickrToken | None) -> None:
        key, secret = settings.flickr_key, settings.flickr_secret.get_secret_value()
        access = None if token is None else FlickrAccessToken(token.token, token.secret, "write")
        super().__init__(key, secret, token=access, store_token=False, format="json", timeout=settings.flickr_timeout)
        self.REST_URL = settings.flickr_rest_url
        proxies = dict(requests.utils.get_environ_proxies(self.REST_URL))
        self.flickr_oauth = _Transport(key, secret, self.token_cache, settings.flickr_timeout, proxies)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds until `Retry-After`, which is a number or a date (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
