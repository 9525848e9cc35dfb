"""The BentoML service: `POST /recommend` and `POST /similar` for services, and the web application mounted beside them.

`bentoml serve` and `bentoml build` find it through `bentofile.yaml`. Importing it opens nothing; each worker does.
"""

from __future__ import annotations

import gc
import logging
import os

# Before NumPy is imported by anything: a request folds one person in, on one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# uvicorn would believe X-Forwarded-For of whoever is on this machine: `trusted_proxies` says whom to believe.
os.environ["FORWARDED_ALLOW_IPS"] = ""

from collections.abc import Callable
from typing import Annotated, TypeVar, cast

import bentoml
import structlog
from prometheus_client.multiprocess import mark_process_dead
from pydantic import BaseModel, Field
from starlette.responses import Response

from features.logs import configure_logging
from features.settings import get_settings
from serving.answers import MAX_LIMIT, PhotoId, Recommendation, SimilarPhotos, UserId
from serving.api.app import answer_of, create_app, log_failure
from serving.errors import as_known
from serving.observation import start_tracing, tracing_config
from serving.runtime import open_runtime
from serving.web.correlation import Correlation
from serving.web.counting import Counted
from serving.web.door import REQUESTS, Door
from serving.web.draining import Readiness, drain_on_sigterm
from serving.web.overload import Overload
from serving.web.rates import TrustedProxies
from serving.web.security import SecurityHeaders

THREADS = 16
"""Requests to the Bento APIs that are worked on at once in a worker; BentoML's own default is 1."""

HEALTH = ("/livez", "/readyz", "/healthz")

T = TypeVar("T", bound=BaseModel)

logger = structlog.get_logger(__name__)
app = create_app()

ENDPOINTS = (*app.openapi()["paths"], *REQUESTS, *HEALTH, "/metrics")
"""What requests are counted by."""


@bentoml.asgi_app(app, path="/")
@bentoml.service(
    name="photo_recommender",
    threads=THREADS,
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
    tracing=tracing_config(),
)
class PhotoRecommender:
    """Learns taste from Flickr favorites: a ranked wall of unseen photos for everybody, and photos alike."""

    def __init__(self) -> None:
        settings = get_settings()
        configure_logging(settings)
        # Addresses hold whose wall it is, and in OAuth's callback a secret: what was asked is not for the log.
        logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
        self._runtime = open_runtime(settings)
        self._runtime.watch.start()
        self._runtime.online.start()
        self._runtime.impressions.start()
        app.state.runtime = self._runtime
        start_tracing()
        drain_on_sigterm(settings.drain_seconds)
        # A full collection looks at all that was imported and loaded, a third of a million objects, while no request
        # gets on: what is here now is here for good.
        gc.collect()
        gc.freeze()

    @bentoml.api(route="/recommend")  # type: ignore[untyped-decorator]
    def recommend(
        self,
        user_id: UserId,
        limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 30,
        people: Annotated[int, Field(ge=0, le=50)] = 5,
        explain: bool = True,
    ) -> Recommendation:
        """The first `limit` photos of a person's wall and `people` worth following, with reasons if `explain`."""
        return _answered(
            lambda: self._runtime.recommender.recommend(user_id, limit=limit, people=people, explain=explain)
        )

    @bentoml.api(route="/similar")  # type: ignore[untyped-decorator]
    def similar(self, photo_id: PhotoId, limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 20) -> SimilarPhotos:
        """Photos that the same people like."""
        return _answered(lambda: self._runtime.recommender.similar(photo_id, limit))

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        self._runtime.close()
        mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


def _answered(work: Callable[[], T]) -> T:
    """What the work returns as JSON, or its error in our one shape: responses, which BentoML passes on as they are.

    It would validate an answer of ours again, and make JSON of it in Python.
    """
    try:
        return cast(T, Response(work().model_dump_json(), media_type="application/json"))
    except Exception as error:  # noqa: BLE001  (BentoML would answer in a shape of its own)
        known = as_known(error)
        log_failure(error, known)
        return cast(T, answer_of(known))


PhotoRecommender.add_asgi_middleware(Counted, templates=ENDPOINTS)  # type: ignore[attr-defined]
# Behind each other, in this order.
for middleware in (TrustedProxies, Correlation, SecurityHeaders, Readiness, Overload, Door):
    PhotoRecommender.add_asgi_middleware(middleware)  # type: ignore[attr-defined]  # the decorator's types hide it
