"""The sandbox's own controls, `/sandbox/*`: what it is, what it counted, and how it is made to misbehave."""

from __future__ import annotations

from dataclasses import asdict

import orjson
from starlette.requests import Request
from starlette.responses import Response

from features.errors import InvalidInputError
from pipelines.sandbox.accounting import Accounting
from pipelines.sandbox.clock import Clock
from pipelines.sandbox.faults import Faults
from pipelines.sandbox.gone import Gone
from pipelines.sandbox.site import Site
from pipelines.sandbox.store import Store
from pipelines.sandbox.world import WorldConfig


class Controls:
    """Endpoints; a PUT replaces the whole of what its address shows."""

    def __init__(
        self,
        site: Site,
        store: Store,
        faults: Faults,
        accounting: Accounting,
        clock: Clock,
        gone: Gone,
        config: WorldConfig,
    ) -> None:
        self._site, self._store, self._faults, self._accounting = site, store, faults, accounting
        self._clock, self._gone, self._config = clock, gone, config

    async def health(self, request: Request) -> Response:
        return _json({"status": "ok", "world": self._config.as_json(), "clock": self._clock.setting})

    async def people(self, request: Request) -> Response:
        limit = request.query_params.get("limit", "")
        if limit and not (limit.isascii() and limit.isdecimal()):
            return _invalid(InvalidInputError(f"limit={limit!r}: must be a count", field="limit"))
        return _json(self._site.people(limit=int(limit) if limit else None))

    async def calls(self, request: Request) -> Response:
        return _json(self._accounting.as_json())

    async def comments(self, request: Request) -> Response:
        found = self._store.comments(request.query_params.get("photo_id"))
        return _json([{"comment_id": comment.comment_id, **asdict(comment)} for comment in found])

    async def faults(self, request: Request) -> Response:
        return await _replace(request, self._faults, "rules")

    async def gone(self, request: Request) -> Response:
        return await _replace(request, self._gone, "photos")

    async def clock(self, request: Request) -> Response:
        if request.method == "PUT":
            try:
                setting = orjson.loads(await request.body())["clock"]
                self._clock.set(setting if isinstance(setting, str) else "")
            except (orjson.JSONDecodeError, KeyError, TypeError):
                return _invalid(InvalidInputError('send {"clock": "live"} or an ISO time', field="clock"))
            except InvalidInputError as error:
                return _invalid(error)
        return _json({"clock": self._clock.setting, "now": self._clock.now()})


async def _replace(request: Request, kept: Faults | Gone, field: str) -> Response:
    if request.method == "PUT":
        try:
            kept.set(orjson.loads(await request.body()))
        except orjson.JSONDecodeError:
            return _invalid(InvalidInputError("the body is not JSON", field=field))
        except InvalidInputError as error:
            return _invalid(error)
    return _json(kept.as_json())


def _json(document: object) -> Response:
    return Response(orjson.dumps(document), media_type="application/json")


def _invalid(error: InvalidInputError) -> Response:
    body = {"error": {"code": error.code, "message": error.message, "field": error.field}}
    return Response(orjson.dumps(body), error.http_status, media_type="application/json")
