"""Who is on the other side: sessions in SQL, known to the browser by a cookie and to the database by its hash.

A session exists before sign-in (the CSRF token hangs on it) and is replaced by a new one at sign-in, so nobody can
plant a session on another person. With the last session of a person their Flickr token goes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from features.database import accounts, sessions

COOKIE = "__Host-session"
"""The prefix makes browsers refuse it without `Secure`, with a `Domain`, or for a part of the site only."""

VISITOR_LIFETIME = timedelta(days=1)


@dataclass(frozen=True)
class Session:
    """An open session. `user_id` None: nobody has signed in."""

    session_hash: str
    csrf_token: str
    expires_at: datetime
    user_id: str | None = None
    name: str | None = None
    avatar_url: str | None = None


def digest(token: str) -> str:
    """How the database knows a token: the database's reader can't act with it. Tokens hold 256 random bits: no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def open_session(
    engine: sa.Engine, *, user_id: str | None = None, lifetime: timedelta = VISITOR_LIFETIME
) -> tuple[str, Session]:
    """A new session: (the cookie's value, the session).

    Sessions that have run out are swept away on the way, with the tokens that only they had a use for.
    """
    token, now = secrets.token_urlsafe(32), datetime.now(UTC)
    row = {
        "session_hash": digest(token),
        "user_id": user_id,
        "csrf_token": secrets.token_urlsafe(32),
        "created_at": now,
        "expires_at": now + lifetime,
    }
    with engine.begin() as connection:
        swept = sa.delete(sessions).where(sessions.c.expires_at < now).returning(sessions.c.user_id)
        left = set(connection.scalars(swept)) - {None}
        connection.execute(sa.insert(sessions).values(row))
        _forget_tokens(connection, left, now)
    found = find_session(engine, token)
    assert found is not None  # noqa: S101  (it was committed a line ago)
    return token, found


def find_session(engine: sa.Engine, token: str | None) -> Session | None:
    """The session of a cookie's value; None when it is unknown, has run out or was ended."""
    if not token:
        return None
    query = (
        sa.select(sessions, accounts.c.name, accounts.c.avatar_url)
        .select_from(sessions.outerjoin(accounts, sessions.c.user_id == accounts.c.user_id))
        .where(
            sessions.c.session_hash == digest(token),
            sessions.c.expires_at > datetime.now(UTC),
            sessions.c.revoked_at.is_(None),
        )
    )
    with engine.connect() as connection:
        row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Session(
        session_hash=row["session_hash"],
        csrf_token=row["csrf_token"],
        expires_at=row["expires_at"],
        user_id=row["user_id"],
        name=row["name"],
        avatar_url=row["avatar_url"],
    )


def end_session(engine: sa.Engine, session: Session) -> None:
    """End it, and forget the person's Flickr token when it was the last one open."""
    _end(engine, sessions.c.session_hash == session.session_hash, [session.user_id] if session.user_id else [])


def end_sessions_of(engine: sa.Engine, user_id: str) -> None:
    """End all of a person's sessions, and forget the token: Flickr no longer honours the consent that they rest on."""
    _end(engine, sessions.c.user_id == user_id, [user_id])


def _end(engine: sa.Engine, which: sa.ColumnElement[bool], user_ids: Collection[str]) -> None:
    now = datetime.now(UTC)
    with engine.begin() as connection:
        connection.execute(sa.update(sessions).where(which).values(revoked_at=now))
        _forget_tokens(connection, user_ids, now)


def _forget_tokens(connection: sa.Connection, user_ids: Collection[str], now: datetime) -> None:
    """Delete the Flickr tokens of those of these people who have no session open any more."""
    is_open = sa.and_(sessions.c.expires_at > now, sessions.c.revoked_at.is_(None))
    for user_id in sorted(user_ids):
        mine = accounts.c.user_id == user_id
        # Of two last sessions that end at once, each would take the other for open: they take turns at the account.
        connection.execute(sa.select(accounts.c.user_id).where(mine).with_for_update())
        others = sa.exists().where(sessions.c.user_id == user_id, is_open)
        connection.execute(sa.update(accounts).where(mine, ~others).values(token_ciphertext=None))
