"""The sandbox as an HTTP server: Flickr's REST and OAuth addresses, pictures and pages.

One process, one thread: every answer is short, and what must survive a kill is committed before it is answered.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from features.errors import ConfigurationError
from pipelines.sandbox.accounting import Accounting
from pipelines.sandbox.clock import LIVE, Clock
from pipelines.sandbox.controls import Controls
from pipelines.sandbox.faults import ONLY_FAVORITES, Fault, Faults
from pipelines.sandbox.favorites import FavoritesNow
from pipelines.sandbox.gone import Gone
from pipelines.sandbox.groups import Groups
from pipelines.sandbox.oauth import CONSUMER_KEY, Caller, HttpCall, OAuthProblem, OAuthProvider
from pipelines.sandbox.payloads import Payloads
from pipelines.sandbox.rest import FlickrFailure, RestApi
from pipelines.sandbox.site import Site
from pipelines.sandbox.store import Store, world_config
from pipelines.sandbox.world import World, WorldConfig, generate_world

MOST_BODY = 64 * 1024
HTML_TROUBLE = "<!DOCTYPE html><html><head><title>Flickr</title></head><body><h1>{}</h1></body></html>"
OAUTH_FAILURES = {
    "consumer_key_unknown": (100, "Invalid API Key (Key has invalid format)"),
    "token_rejected": (98, "Invalid auth token"),
    "parameter_absent": (97, "Missing signature"),
}


@dataclass(frozen=True)
class Answer:
    """What a REST call gets, and the word under which it is counted."""

    outcome: str
    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0


class Rest:
    """One call from the wire to the wire: budget, fault, key and signature, method, format."""

    def __init__(self, api: RestApi, oauth: OAuthProvider, faults: Faults, accounting: Accounting) -> None:
        self._api, self._oauth, self._faults, self._accounting = api, oauth, faults, accounting

    async def __call__(self, request: Request) -> Response:
        call = await http_call(request)
        parameters = dict(parse_qsl(request.url.query, keep_blank_values=True))
        if call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            parameters |= dict(parse_qsl(call.body, keep_blank_values=True))
        method = parameters.get("method", "")
        answer = self._answer(method, parameters, call)
        self._accounting.count(method if self._api.knows(method) else "unknown", answer.outcome)
        if answer.delay:
            await asyncio.sleep(answer.delay)
        return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)

    def _answer(self, method: str, parameters: dict[str, str], call: HttpCall) -> Answer:
        wait = self._accounting.admit()
        if wait is not None:
            return _too_many("over_budget", int(wait) + 1)
        fault = self._faults.draw(method, subject=parameters.get("user_id", ""), has_token="oauth_token" in _auth(call))
        if fault and (instead := _broken(fault)):
            return instead
        try:
            if fault and fault.kind == "fail":
                raise FlickrFailure(fault.code, f"Fault on request: code {fault.code}")
            if fault and fault.kind == "expired_token":
                raise FlickrFailure(98, "Invalid auth token")
            caller = self._caller(parameters, call)
            listing = fault if fault and fault.kind in ONLY_FAVORITES else None
            body, outcome = self._api.answer(method, parameters, caller, listing), "ok"
        except FlickrFailure as failure:
            body = orjson.dumps({"stat": "fail", "code": failure.code, "message": failure.message})
            outcome = f"fail:{failure.code}"
        content, kind = _in_format(body, parameters)
        if fault and fault.kind == "truncated_json":
            return Answer("truncated_json", content[: len(content) // 2], content_type=kind)
        delay = fault.seconds if fault and fault.kind == "hang" else 0.0
        return Answer("hang" if delay else outcome, content, content_type=kind, delay=delay)

    def _caller(self, parameters: dict[str, str], call: HttpCall) -> Caller:
        if not call.signed:
            if parameters.get("api_key") != CONSUMER_KEY:
                raise FlickrFailure(100, "Invalid API Key (Key has invalid format)")
            return Caller()
        try:
            return self._oauth.caller(call)
        except OAuthProblem as problem:
            raise FlickrFailure(*OAUTH_FAILURES.get(problem.problem, (96, "Invalid signature"))) from None


def _auth(call: HttpCall) -> str:
    return call.headers.get("authorization", "") + call.url + call.body


def _too_many(outcome: str, seconds: int) -> Answer:
    return Answer(outcome, b"Too many requests", 429, "text/plain", (("Retry-After", str(seconds)),))


def _broken(fault: Fault) -> Answer | None:
    """The answer of a fault that keeps the call from being carried out."""
    if fault.kind == "too_many_requests":
        return _too_many(fault.kind, int(fault.retry_after))
    if fault.kind == "bad_gateway":
        return Answer(fault.kind, HTML_TROUBLE.format("502 Bad Gateway").encode(), 502, "text/html")
    if fault.kind == "html":
        return Answer(fault.kind, HTML_TROUBLE.format("Hold your clicks a moment").encode(), 200, "text/html")
    return None


def _in_format(document: bytes, parameters: dict[str, str]) -> tuple[bytes, str]:
    """The JSON document in the format asked for (XML unless it is `json`, as at Flickr) and its content type."""
    if parameters.get("format") == "json":
        if parameters.get("nojsoncallback") == "1":
            return document, "application/json"
        return parameters.get("jsoncallback", "jsonFlickrApi").encode() + b"(" + document + b")", "text/javascript"
    return to_xml(orjson.loads(document)), "text/xml"


def to_xml(document: dict[str, object]) -> bytes:
    """Flickr's XML of a JSON document: scalars are attributes, `_content` is text, lists repeat their element."""
    root = ElementTree.Element("rsp", stat=str(document.pop("stat")))
    if "code" in document:
        ElementTree.SubElement(root, "err", code=str(document["code"]), msg=str(document["message"]))
    else:
        _fill(root, document)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _fill(element: ElementTree.Element, fields: dict[str, object]) -> None:
    for name, value in fields.items():
        if isinstance(value, dict | list):
            for part in value if isinstance(value, list) else [value]:
                _fill(ElementTree.SubElement(element, name), part)
        elif name == "_content":
            element.text = str(value)
        else:
            element.set(name, "" if value is None else str(value))


async def http_call(request: Request) -> HttpCall:
    """The request as its signature covers it. Bodies beyond MOST_BODY are cut, which breaks the signature."""
    body = b""
    async for chunk in request.stream():
        body = (body + chunk)[:MOST_BODY]
    return HttpCall(request.method, str(request.url), dict(request.headers), body.decode("utf-8", "replace"))


def oauth_endpoint(step: Callable[[HttpCall], str]) -> Callable[[Request], Awaitable[Response]]:
    """A step of the dance as an endpoint: form-encoded in and out, 401 with `oauth_problem` when refused."""

    async def endpoint(request: Request) -> Response:
        try:
            return Response(step(await http_call(request)), media_type="text/plain")
        except OAuthProblem as problem:
            return Response(f"oauth_problem={problem.problem}", 401, media_type="text/plain")

    return endpoint


def build_app(
    world: World, store: Store, clock: Clock, *, base_url: str, calls_per_hour: int | None = None
) -> Starlette:
    """The whole server over an already generated world; `base_url` is how clients reach it."""
    payloads = Payloads(world, base_url)
    favorites = FavoritesNow(world, store, clock)
    gone = Gone(payloads)
    groups = Groups(payloads, clock, gone)
    api = RestApi(payloads, favorites, groups, store, clock, gone)
    oauth = OAuthProvider(store)
    faults, accounting = Faults(), Accounting(calls_per_hour)
    site = Site(payloads, favorites, groups, store, api, oauth)
    controls = Controls(site, store, faults, accounting, clock, gone, world.config)
    names = dict(zip(world.user_ids, world.user_names, strict=True))
    both = ["GET", "POST"]
    return Starlette(
        routes=[
            Route("/services/rest/", Rest(api, oauth, faults, accounting).__call__, methods=both),
            Route("/services/oauth/request_token", oauth_endpoint(oauth.request_token), methods=both),
            Route("/services/oauth/authorize", site.consent, methods=both),
            Route(
                "/services/oauth/access_token",
                oauth_endpoint(lambda call: oauth.access_token(call, names.__getitem__)),
                methods=both,
            ),
            Route("/sandbox/health", controls.health),
            Route("/sandbox/people", controls.people),
            Route("/sandbox/calls", controls.calls),
            Route("/sandbox/faults", controls.faults, methods=["GET", "PUT"]),
            Route("/sandbox/gone", controls.gone, methods=["GET", "PUT"]),
            Route("/sandbox/comments", controls.comments),
            Route("/sandbox/clock", controls.clock, methods=["GET", "PUT"]),
            Route("/pictures/{name}", site.picture),
            Route("/avatars/{name}", site.avatar),
            Route("/photos/{path}/{photo_id}/", site.photo_page),
            Route("/photos/{path}/", site.person_page),
            Route("/people/{path}/", site.person_page),
            Route("/", site.start),
        ]
    )


def serve_sandbox(
    config: WorldConfig,
    host: str,
    port: int,
    folder: Path,
    calls_per_hour: int | None = None,
    clock: str = LIVE,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGINT or SIGTERM. `folder` keeps the world's configuration and what people change.

    `on_ready` is called with the address once connections are accepted. Raises ConfigurationError when the port is
    used or the folder holds another world.
    """
    listener = _listen(host, port)
    with listener:
        address = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{listener.getsockname()[1]}"  # noqa: S104
        clock_now = Clock(clock)
        config = world_config(folder, config)
        store = Store(folder / "sandbox.db")
        app = build_app(generate_world(config), store, clock_now, base_url=address, calls_per_hour=calls_per_hour)
        listener.listen(512)
        if on_ready:
            on_ready(address)
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_level="warning", access_log=False, timeout_graceful_shutdown=1, timeout_keep_alive=120
            )
        )
        try:
            server.run(sockets=[listener])
        finally:
            store.close()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{host}:{port} can't be listened on ({error.strerror}): stop what uses it or choose another with --port",
            field="port",
        ) from None
    return listener
