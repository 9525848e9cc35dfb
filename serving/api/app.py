"""The web application beside BentoML's own routes: `/api`, its documentation, and the website behind them.

Every route is a plain function, which FastAPI runs in a thread: nothing that waits runs on the event loop.
"""

from __future__ import annotations

from math import ceil

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response

from features.errors import PhotoRecommenderError
from serving.api import (
    account,
    comments,
    documentation,
    groups,
    impressions,
    me,
    metrics,
    photos,
    recommendations,
    session,
    status,
    users,
)
from serving.errors import as_known, body_of, invalid
from serving.web.site import Site, SiteMount

logger = structlog.get_logger(__name__)


def create_app() -> FastAPI:
    """The application; `app.state.runtime` is set before the first request."""
    app = FastAPI(
        title="photo-recommender",
        description="What the website calls. Services call `POST /recommend` and `POST /similar` (/docs.json).",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    pages = (session, users, recommendations, account, me, comments, groups, impressions, photos, status)
    for part in (*pages, documentation, metrics):
        app.include_router(part.router)
    app.add_api_route("/api/{rest:path}", _nothing_here, methods=["GET", "HEAD"], include_in_schema=False)
    app.router.routes.append(SiteMount("/", app=GZipMiddleware(Site()), name="site"))
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(PhotoRecommenderError, _on_error)
    app.add_exception_handler(Exception, _on_error)
    return app


def answer_of(error: PhotoRecommenderError) -> JSONResponse:
    """The error in its one shape."""
    headers = None if error.retry_after is None else {"Retry-After": str(ceil(error.retry_after))}
    return JSONResponse(body_of(error), status_code=error.http_status, headers=headers)


def log_failure(error: Exception, known: PhotoRecommenderError) -> None:
    """Log what is not the caller's doing: a line, and for what nobody foresaw the traceback."""
    if known is not error:
        logger.error("request_failed", code=known.code, exc_info=error)
    elif known.http_status >= 500:
        logger.warning("request_failed", code=known.code, reason=known.message)


def _nothing_here(rest: str) -> Response:
    raise HTTPException(404)


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  (it is registered for no other)
    return answer_of(invalid(error.errors()))


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (it is registered for no other)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    message = f"{request.method} {request.url.path}: {error.detail}"
    return JSONResponse(
        {"error": {"code": code, "message": message, "field": None}}, error.status_code, headers=error.headers
    )


def _on_error(request: Request, error: Exception) -> Response:
    known = as_known(error)
    log_failure(error, known)
    return answer_of(known)
