"""The application and the built site on a port, for a real browser, with pictures that need no network."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from playwright.sync_api import Page, Route

from serving.runtime import Runtime
from serving.web.security import SecurityHeaders
from tests.serving.browser import application_of

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="640" height="427"><rect width="640" height="427"/></svg>'


@contextmanager
def served_site(runtime: Runtime, port: int) -> Iterator[str]:
    """The address of the application and the built site over that runtime."""
    application = SecurityHeaders(application_of(runtime))
    config = uvicorn.Config(application, port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for(lambda: server.started)
        yield f"http://localhost:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def draw_pictures(page: Page) -> None:
    """Answer for where Flickr keeps its pictures."""

    def draw(route: Route) -> None:
        route.fulfill(body=PICTURE, content_type="image/svg+xml")

    page.route(re.compile(r"https://live\.staticflickr\.com/"), draw)


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
