"""OAuth 1.0a as Flickr speaks it: request token, consent, access token, and the check of every signed call.

Signatures are checked with oauthlib's functions rather than its endpoints, because Flickr (and so `flickrapi`) sends
`oauth_callback` in the body while the signature is in the header, which those endpoints refuse.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from oauthlib.common import Request, safe_string_equals
from oauthlib.oauth1.rfc5849 import signature

from pipelines.sandbox.store import AccessToken, RequestToken, Store

CONSUMER_KEY = "sandbox-key"
CONSUMER_SECRET = "sandbox-secret"  # noqa: S105 (the sandbox's, known to all)
PERMISSIONS = ("read", "write", "delete")
CLOCK_SKEW = 300  # seconds that a timestamp may be off; a nonce is remembered for as long
REQUEST_TOKEN_LIFETIME = 3_600


class OAuthProblem(Exception):  # noqa: N818 (the name of the extension)
    """The request is refused; `problem` is the word of the OAuth problem reporting extension that Flickr answers."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True)
class HttpCall:
    """What a signature covers."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str

    @property
    def signed(self) -> bool:
        return "oauth_signature" in self.headers.get("authorization", "") or "oauth_signature=" in self.url + self.body


@dataclass(frozen=True)
class Caller:
    """Who makes a call: nobody without a token."""

    user_id: str | None = None
    perms: str | None = None

    def may(self, permission: str) -> bool:
        return self.perms is not None and PERMISSIONS.index(self.perms) >= PERMISSIONS.index(permission)


class OAuthProvider:
    """The three steps and the check. Raises OAuthProblem for what is refused."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._nonces: dict[tuple[str, str], float] = {}

    def request_token(self, call: HttpCall) -> str:
        """Step 1. Returns the form-encoded answer."""
        parameters = self._verify(call, lambda _: "")
        callback = parameters.get("oauth_callback")
        if not callback:
            raise OAuthProblem("parameter_absent")
        if callback != "oob" and not callback.startswith(("http://", "https://")):
            raise OAuthProblem("parameter_rejected")
        token = RequestToken(_token(), secrets.token_hex(8), callback, None, None, None, int(time.time()))
        self._store.add_request_token(token)
        return urlencode(
            {"oauth_callback_confirmed": "true", "oauth_token": token.token, "oauth_token_secret": token.secret}
        )

    def pending(self, token: str) -> RequestToken:
        """Step 2, what a person is asked about. Raises OAuthProblem when it is unknown, used or too old."""
        found = self._store.request_token(token)
        if found is None or found.verifier is not None:
            raise OAuthProblem("token_rejected")
        if time.time() - found.created_at > REQUEST_TOKEN_LIFETIME:
            raise OAuthProblem("token_expired")
        return found

    def allow(self, token: str, *, user_id: str, perms: str) -> tuple[str, str]:
        """Step 2, allowed. Returns where to send the browser ("" for out of band) and the verifier."""
        pending = self.pending(token)
        if perms not in PERMISSIONS:
            raise OAuthProblem("parameter_rejected")
        verifier = secrets.token_hex(8)
        self._store.allow_request_token(token, user_id=user_id, perms=perms, verifier=verifier)
        return _callback(pending, oauth_token=token, oauth_verifier=verifier), verifier

    def refuse(self, token: str) -> str:
        """Step 2, refused. Returns where to send the browser, "" for out of band."""
        pending = self.pending(token)
        self._store.drop_request_token(token)
        return _callback(pending, oauth_token=token, oauth_problem="user_refused")

    def access_token(self, call: HttpCall, names: Callable[[str], str]) -> str:
        """Step 3. Returns the form-encoded answer; `names` gives a user's name by id."""
        parameters = self._verify(
            call, lambda token: found.secret if (found := self._store.request_token(token)) else None
        )
        request_token = self._store.request_token(parameters.get("oauth_token", ""))
        if request_token is None or request_token.verifier is None:
            raise OAuthProblem("token_rejected")
        if time.time() - request_token.created_at > REQUEST_TOKEN_LIFETIME:
            raise OAuthProblem("token_expired")
        if not safe_string_equals(request_token.verifier, parameters.get("oauth_verifier", "")):
            raise OAuthProblem("verifier_invalid")
        user_id, perms = str(request_token.user_id), str(request_token.perms)
        token = AccessToken(_token(), secrets.token_hex(8), user_id, perms, int(time.time()))
        self._store.exchange(request_token, token)
        return urlencode(
            {
                "fullname": names(user_id),
                "oauth_token": token.token,
                "oauth_token_secret": token.secret,
                "user_nsid": user_id,
                "username": names(user_id),
            }
        )

    def caller(self, call: HttpCall) -> Caller:
        """Whose token signed this call; a Caller without user when it was signed with the key alone."""
        parameters = self._verify(
            call, lambda token: found.secret if (found := self._store.access_token(token)) else None
        )
        token = self._store.access_token(parameters.get("oauth_token", ""))
        return Caller(token.user_id, token.perms) if token else Caller()

    def _verify(self, call: HttpCall, secret_of: Callable[[str], str | None]) -> dict[str, str]:
        """The parameters of a call whose signature holds. `secret_of` gives a token's secret, None when unknown."""
        query = call.url.partition("?")[2]
        authorization = call.headers.get("authorization")
        headers = {"Authorization": authorization} if authorization else {}
        form = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        try:
            pairs = signature.collect_parameters(
                uri_query=query, body=call.body if form else [], headers=headers, exclude_oauth_signature=False
            )
        except ValueError:
            raise OAuthProblem("parameter_rejected") from None
        parameters = dict(pairs)
        required = ("oauth_consumer_key", "oauth_signature", "oauth_nonce", "oauth_timestamp", "oauth_signature_method")
        if any(not parameters.get(name) for name in required):
            raise OAuthProblem("parameter_absent")
        if parameters.get("oauth_version", "1.0") != "1.0":
            raise OAuthProblem("version_rejected")
        if parameters["oauth_signature_method"] != "HMAC-SHA1":
            raise OAuthProblem("signature_method_rejected")
        if parameters["oauth_consumer_key"] != CONSUMER_KEY:
            raise OAuthProblem("consumer_key_unknown")
        token = parameters.get("oauth_token", "")
        secret = secret_of(token) if token else ""
        if secret is None:
            raise OAuthProblem("token_rejected")
        request = Request(call.url, call.method)
        request.params = [(name, value) for name, value in pairs if name != "oauth_signature"]
        request.signature = parameters["oauth_signature"]
        if not signature.verify_hmac_sha1(request, CONSUMER_SECRET, secret):
            raise OAuthProblem("signature_invalid")
        self._use_nonce(parameters["oauth_timestamp"], parameters["oauth_nonce"])
        return parameters

    def _use_nonce(self, timestamp: str, nonce: str) -> None:
        now = time.time()
        if not timestamp.isdecimal() or abs(now - int(timestamp)) > CLOCK_SKEW:
            raise OAuthProblem("timestamp_refused")
        if (timestamp, nonce) in self._nonces:
            raise OAuthProblem("nonce_used")
        self._nonces[timestamp, nonce] = now
        while self._nonces and (oldest := next(iter(self._nonces))) and self._nonces[oldest] < now - 2 * CLOCK_SKEW:
            del self._nonces[oldest]


def _token() -> str:
    return f"72157{secrets.randbelow(10**12):012d}-{secrets.token_hex(8)}"


def _callback(pending: RequestToken, **parameters: str) -> str:
    if pending.callback == "oob":
        return ""
    return f"{pending.callback}{'&' if '?' in pending.callback else '?'}{urlencode(parameters)}"
