"""What the routes of `/api` are handed: the runtime, and who asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from serving.accounts.sessions import COOKIE, Session, find_session
from serving.errors import NotSignedInError
from serving.runtime import Runtime
from serving.web.security import require_csrf_token, require_own_page


def _runtime(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeNow = Annotated[Runtime, Depends(_runtime)]


def _session(request: Request, runtime: RuntimeNow) -> Session | None:
    return find_session(runtime.engine, request.cookies.get(COOKIE))


AnySession = Annotated[Session | None, Depends(_session)]


def _own_page_session(request: Request, session: AnySession) -> Session:
    require_own_page(request)
    return require_csrf_token(request, session)


OwnPageSession = Annotated[Session, Depends(_own_page_session)]
"""For whatever changes something: the session, after the proof that our own page asks."""


def _reader(session: AnySession) -> str:
    return _user_of(session)


def _writer(session: OwnPageSession) -> str:
    return _user_of(session)


def _user_of(session: Session | None) -> str:
    if session is None or session.user_id is None:
        raise NotSignedInError("sign in with Flickr first")
    return session.user_id


Reader = Annotated[str, Depends(_reader)]
"""The NSID of whoever is signed in, to read what is theirs."""

Writer = Annotated[str, Depends(_writer)]
"""The NSID of whoever is signed in, to change what is theirs."""
