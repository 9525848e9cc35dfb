"""Signing in with Flickr: the OAuth 1.0a dance, and the account that comes out of it.

The request token's secret waits in SQL, encrypted, bound to the browser's session and usable once; the access token is
kept encrypted with the account.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import requests
import sqlalchemy as sa
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth1Session

from features.database import accounts, oauth_requests
from features.errors import FlickrError, InvalidInputError, NotAllowedError
from features.settings import Settings
from pipelines.flickr.client import FlickrToken, KeyInvalidError, open_flickr
from pipelines.privacy.suppression import Suppression
from serving.accounts.sessions import Session, digest, end_session, open_session
from serving.accounts.tokens import Vault

REQUEST_LIFETIME = timedelta(minutes=10)
CALLBACK_PATH = "/api/session/callback"

logger = structlog.get_logger(__name__)


class OtherBrowserError(NotAllowedError):
    """A consent comes back to a browser that did not ask for it."""

    code = "other_browser"


class SignInExpiredError(InvalidInputError):
    """The consent comes back too late, or for the second time."""

    code = "sign_in_expired"


def safe_return_to(path: str) -> str:
    """The path, when it stays on this site. Raises InvalidInputError (field `return_to`) for anything else."""
    leaves = not path.startswith("/") or path.startswith("//")
    if leaves or "\\" in path or not path.isprintable() or " " in path:
        raise InvalidInputError(
            f"return_to={path[:80]!r} must be a path on this site, like /wall/12037949754@N01", field="return_to"
        )
    return path


def begin(settings: Settings, engine: sa.Engine, vault: Vault, session: Session, return_to: str) -> str:
    """Ask Flickr for a request token; the address where the person gives consent.

    Raises InvalidInputError for a `return_to` that leaves the site, FlickrError when Flickr does not play along.
    """
    return_to = safe_return_to(return_to)
    with _oauth(settings, redirect_uri=f"{settings.public_url.rstrip('/')}{CALLBACK_PATH}") as client:
        token = _ask(client.fetch_request_token, f"{settings.flickr_oauth_url}/request_token", settings)
    now = datetime.now(UTC)
    with engine.begin() as connection:
        connection.execute(sa.delete(oauth_requests).where(oauth_requests.c.expires_at < now))
        connection.execute(
            sa.insert(oauth_requests).values(
                token_hash=digest(token.token),
                secret_ciphertext=vault.seal(token),
                session_hash=session.session_hash,
                return_to=return_to,
                expires_at=now + REQUEST_LIFETIME,
            )
        )
    return f"{settings.flickr_oauth_url}/authorize?{urlencode({'oauth_token': token.token, 'perms': 'write'})}"


def finish(
    settings: Settings, engine: sa.Engine, vault: Vault, session: Session | None, oauth_token: str, verifier: str
) -> tuple[str, Session, str]:
    """The consent came back: (cookie of a new, signed-in session, that session, where to go).

    Raises SignInExpiredError, OtherBrowserError when another session asked for it, FlickrError.
    """
    request_token, return_to = _take(engine, vault, session, oauth_token)
    with _oauth(settings, token=request_token.token, token_secret=request_token.secret) as client:
        token = _ask(client.fetch_access_token, f"{settings.flickr_oauth_url}/access_token", settings, verifier)
    user_id = _remember(settings, engine, token)
    cookie, signed_in = open_session(engine, user_id=user_id, lifetime=timedelta(days=settings.session_days))
    # Only now: a session of theirs that ends meanwhile, the one before this among them, takes the token with it.
    _keep_token(engine, vault, user_id, token)
    if session is not None:
        end_session(engine, session)
    logger.info("signed_in", user_id=user_id)
    return cookie, signed_in, return_to


def refuse(engine: sa.Engine, session: Session | None, oauth_token: str) -> str:
    """The person said no at Flickr: where to go. Nothing is asked of whoever comes without a request of theirs."""
    with engine.begin() as connection:
        row = connection.execute(
            sa.delete(oauth_requests)
            .where(
                oauth_requests.c.token_hash == digest(oauth_token),
                oauth_requests.c.session_hash == (session.session_hash if session else ""),
            )
            .returning(oauth_requests.c.return_to)
        ).first()
    return "/" if row is None else str(row.return_to)


def token_of(engine: sa.Engine, vault: Vault, user_id: str) -> FlickrToken | None:
    """The person's Flickr token; None when there is none that can be read."""
    with engine.connect() as connection:
        sealed = connection.scalar(sa.select(accounts.c.token_ciphertext).where(accounts.c.user_id == user_id))
    return None if sealed is None else vault.open(sealed)


def _take(engine: sa.Engine, vault: Vault, session: Session | None, oauth_token: str) -> tuple[FlickrToken, str]:
    """The request token and where to return to, taken out of SQL: it is good for one use, by the browser it is of."""
    expired = SignInExpiredError("this sign-in has expired or was used before; sign in again", field="oauth_token")
    known = oauth_requests.c.token_hash == digest(oauth_token)
    with engine.begin() as connection:
        row = connection.execute(sa.select(oauth_requests).where(known)).mappings().first()
        if row is None or row["expires_at"] < datetime.now(UTC):
            raise expired
        if session is None or row["session_hash"] != session.session_hash:
            raise OtherBrowserError("this sign-in was begun in another browser; sign in again here")
        if connection.execute(sa.delete(oauth_requests).where(known)).rowcount != 1:
            raise expired
    token = vault.open(row["secret_ciphertext"])
    if token is None:
        raise expired
    return token, row["return_to"]


def _remember(settings: Settings, engine: sa.Engine, token: FlickrToken) -> str:
    """Keep the account of the token's owner, who is whom Flickr says it is; the NSID."""
    flickr = open_flickr(settings, token)
    owner = flickr.login()
    known = flickr.person(owner.user_id)
    now = datetime.now(UTC)
    # Whoever was erased and comes back of their own will is welcome.
    Suppression(settings, engine).lift(owner.user_id)
    values = {
        "name": known.name,
        "avatar_url": known.avatar_url,
        "last_visit_at": now,
    }
    with engine.begin() as connection:
        updated = connection.execute(sa.update(accounts).where(accounts.c.user_id == owner.user_id).values(values))
        if updated.rowcount == 0:
            connection.execute(sa.insert(accounts).values(user_id=owner.user_id, created_at=now, **values))
    return owner.user_id


def _keep_token(engine: sa.Engine, vault: Vault, user_id: str, token: FlickrToken) -> None:
    mine = accounts.c.user_id == user_id
    with engine.begin() as connection:
        connection.execute(sa.update(accounts).where(mine).values(token_ciphertext=vault.seal(token)))


def _oauth(settings: Settings, **parts: str) -> Any:
    if not settings.flickr_key:
        raise KeyInvalidError(
            "nobody can sign in: PHOTO_RECOMMENDER_FLICKR_KEY is not set; get one at "
            "https://www.flickr.com/services/apps/create/",
            field="flickr_key",
        )
    return OAuth1Session(settings.flickr_key, settings.flickr_secret.get_secret_value(), **parts)


def _ask(call: Any, url: str, settings: Settings, verifier: str | None = None) -> FlickrToken:
    """One of OAuth's two requests for a token. Raises FlickrError, without what was sent: that is secret."""
    arguments = {} if verifier is None else {"verifier": verifier}
    try:
        answer = call(url, timeout=settings.flickr_timeout, **arguments)
        return FlickrToken(answer["oauth_token"], answer["oauth_token_secret"])
    except (AuthlibBaseError, requests.RequestException, KeyError) as error:
        raise FlickrError(
            f"Flickr did not let the sign-in go on ({type(error).__name__}); try again in a moment"
        ) from error
