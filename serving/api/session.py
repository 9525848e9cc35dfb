"""`/api/session`: who is signed in, signing in with Flickr, signing out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from starlette.responses import RedirectResponse

from features.settings import Settings
from serving.accounts import signin
from serving.accounts.sessions import COOKIE, Session, end_session, open_session
from serving.answers import ErrorAnswer, LoginAnswer, LoginRequest, Person, SessionAnswer
from serving.api.dependencies import AnySession, OwnPageSession, RuntimeNow

router = APIRouter(tags=["session"])


@router.get("/api/session")
def session(runtime: RuntimeNow, session: AnySession, response: Response) -> SessionAnswer:
    """Who is signed in, and the token that every change must carry; begins a session when there is none."""
    if session is None:
        cookie, session = open_session(runtime.engine)
        _set_cookie(response, cookie, session)
    return SessionAnswer(user=_person(session), csrf_token=session.csrf_token, sandbox=_in_sandbox(runtime.settings))


@router.post("/api/session/login")
def login(request: LoginRequest, runtime: RuntimeNow, session: OwnPageSession) -> LoginAnswer:
    """Where to go for Flickr's consent; from there the person comes back to `return_to`, a path on this site."""
    address = signin.begin(runtime.interactive, runtime.engine, runtime.vault, session, request.return_to)
    return LoginAnswer(authorize_url=address)


@router.get(
    signin.CALLBACK_PATH,
    status_code=303,
    response_class=RedirectResponse,
    responses={403: {"model": ErrorAnswer}, 422: {"model": ErrorAnswer}},
)
def callback(
    runtime: RuntimeNow,
    session: AnySession,
    oauth_token: Annotated[str, Query(max_length=500)] = "",
    oauth_verifier: Annotated[str, Query(max_length=500)] = "",
    denied: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Where Flickr sends the person back to, with consent or without."""
    if not oauth_verifier:
        return RedirectResponse(signin.refuse(runtime.engine, session, denied or oauth_token), status_code=303)
    cookie, signed_in, return_to = signin.finish(
        runtime.interactive, runtime.engine, runtime.vault, session, oauth_token, oauth_verifier
    )
    response = RedirectResponse(return_to, status_code=303)
    _set_cookie(response, cookie, signed_in)
    return response


@router.delete("/api/session", status_code=204)
def logout(runtime: RuntimeNow, session: OwnPageSession) -> Response:
    """Sign out: the session is over on the server, whatever becomes of the cookie."""
    end_session(runtime.engine, session)
    response = Response(status_code=204)
    forget_cookie(response)
    return response


def forget_cookie(response: Response) -> None:
    """Tell the browser that the session is over."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")


def _set_cookie(response: Response, cookie: str, session: Session) -> None:
    lasts = int((session.expires_at - datetime.now(UTC)).total_seconds())
    response.set_cookie(COOKIE, cookie, max_age=lasts, path="/", secure=True, httponly=True, samesite="lax")


def _person(session: Session) -> Person | None:
    if session.user_id is None:
        return None
    return Person(user_id=session.user_id, name=session.name or session.user_id, avatar_url=session.avatar_url)


def _in_sandbox(settings: Settings) -> bool:
    return bool(settings.sandbox_url)
