"""`/api/status` and, in the demo, `/api/sandbox`: how fresh things are, and whom one can try."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Query

from features.builds import Builds
from features.errors import DependencyError, NotFoundError
from serving.answers import ChallengerStatus, FeatureStatus, ModelStatus, SandboxPeople, SandboxPerson, Status
from serving.api.dependencies import RuntimeNow
from serving.champion.served import Champion

router = APIRouter(tags=["status"])


@router.get("/api/status")
def status(runtime: RuntimeNow) -> Status:
    """Which model and features are served, and what waits to be pulled."""
    served, depth = runtime.watch.served, runtime.queue.depth()
    champion, build = served.champion, Builds(runtime.settings.lake_uri).current()
    return Status(
        model=None if champion is None else ModelStatus(**_about(champion)),
        challenger=None
        if served.challenger is None
        else ChallengerStatus(**_about(served.challenger), share=served.challenger_share),
        model_error=served.error,
        features=FeatureStatus(version=build.version if build else None, built_at=build.built_at if build else None),
        queue={"waiting": sum(depth.waiting.values()), "leased": depth.leased, "dead": depth.dead},
    )


def _about(model: Champion) -> dict[str, Any]:
    return {
        "version": model.version,
        "kind": model.bundle.kind,
        "retrieval": model.bundle.retrieval,
        "photos": len(model.bundle.photo_ids),
        "loaded_at": model.loaded_at,
    }


@router.get("/api/sandbox/people")
def sandbox_people(runtime: RuntimeNow, limit: Annotated[int, Query(ge=1, le=200)] = 24) -> SandboxPeople:
    """People of the Flickr sandbox to look at or to be; 404 where real Flickr is served."""
    sandbox = runtime.settings.sandbox_url
    if not sandbox:
        raise NotFoundError("this service uses real Flickr; there is no sandbox")
    try:
        answer = httpx.get(f"{sandbox}/sandbox/people", params={"limit": limit}, timeout=10)
        answer.raise_for_status()
        return SandboxPeople(people=[SandboxPerson.model_validate(entry) for entry in answer.json()])
    except (httpx.HTTPError, ValueError) as error:
        raise DependencyError(f"the Flickr sandbox at {sandbox} does not answer: {error}") from error
