"""The door of the Bento APIs: the key, the size and the shape of what comes in, refused in our one error shape.

BentoML checks the shape again, but answers in a shape of its own, and logs a traceback for a caller's typing error.
"""

from __future__ import annotations

import secrets

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from features.errors import InvalidInputError, PhotoRecommenderError
from features.settings import get_settings
from serving.answers import RecommendRequest, SimilarRequest
from serving.api.app import answer_of
from serving.errors import TooLargeError, WrongKeyError, invalid

REQUESTS: dict[str, type[BaseModel]] = {"/recommend": RecommendRequest, "/similar": SimilarRequest}
MAX_BODY = 64 * 1024


class Door:
    """ASGI middleware. Any request's body is limited to `MAX_BODY`; those of the Bento APIs are read and checked."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._key = get_settings().api_key.get_secret_value()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(Request(scope, receive)) if scope["method"] in ("POST", "PUT", "PATCH") else None
            model = REQUESTS.get(scope["path"])
            if model is not None and body is not None:
                self._check(Headers(scope=scope), model, body)
        except PhotoRecommenderError as error:
            await answer_of(error)(scope, receive, send)
            return
        await self._app(scope, receive if body is None else _replay(body, receive), send)

    def _check(self, headers: Headers, model: type[BaseModel], body: bytes) -> None:
        if self._key and not secrets.compare_digest(
            headers.get("Authorization", "").encode(), f"Bearer {self._key}".encode()
        ):
            raise WrongKeyError("send the service's key: `Authorization: Bearer …` (PHOTO_RECOMMENDER_API_KEY)")
        if headers.get("Content-Type", "application/json").split(";")[0].strip() != "application/json":
            raise InvalidInputError("send JSON, with `Content-Type: application/json`", field="Content-Type")
        try:
            model.model_validate_json(body)
        except ValidationError as error:
            raise invalid(error.errors(include_url=False)) from None


async def _read(request: Request) -> bytes:
    """The body. Raises TooLargeError as soon as it is too long."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY:
            raise TooLargeError(f"the body is longer than {MAX_BODY} bytes", field="body")
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """`receive` as if nothing had been read."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again
