"""`/api/status` and, in the demo, `/api/sandbox`: how fresh things are, and whom one can try."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import structlog
from fastapi import APIRouter, Query

from features.builds import Builds
from features.errors import DependencyError, NotFoundError
from pipelines.budget.breaker import WORDS
from pipelines.budget.windows import limits_of, open_budget
from pipelines.commands.budget import report_of
from pipelines.operation.presence import at_work
from serving.api.dependencies import RuntimeNow
from serving.champion.served import Champion
from serving.runtime import Runtime
from serving.status_answers import (
    BudgetStatus,
    ChallengerStatus,
    DeadLetterStatus,
    FeatureStatus,
    ModelStatus,
    SandboxPeople,
    SandboxPerson,
    ShareStatus,
    Status,
    StatusDetails,
)

DEAD_LETTERS = 5
"""So many of the oldest are shown to operators."""

MODEL_ERROR = "the newest model could not be loaded; the service's log says why"

router = APIRouter(tags=["status"])
logger = structlog.get_logger(__name__)


@router.get("/api/status")
def status(runtime: RuntimeNow) -> Status:
    """Which model and features are served and how old they are, what waits to be pulled, by whom, with which budget."""
    served, depth = runtime.watch.served, runtime.queue.depth()
    champion, build = served.champion, Builds(runtime.settings.lake_uri).current()
    budget, shows_details = _budget(runtime), runtime.settings.status_details
    return Status(
        model=None if champion is None else ModelStatus(**_about(champion)),
        challenger=None
        if served.challenger is None
        else ChallengerStatus(**_about(served.challenger), share=served.challenger_share),
        model_error=served.error if shows_details or served.error is None else MODEL_ERROR,
        features=FeatureStatus(version=build.version if build else None, built_at=build.built_at if build else None),
        queue={"waiting": sum(depth.waiting.values()), "leased": depth.leased, "dead": depth.dead},
        budget=None if budget is None else _as_told(budget),
        workers=dict(at_work(runtime.engine, datetime.now(UTC))),
        details=_details(runtime, budget) if shows_details else None,
    )


def _budget(runtime: Runtime) -> dict[str, Any] | None:
    try:
        return report_of(open_budget(runtime.settings), limits_of(runtime.settings))
    except DependencyError as error:
        logger.warning("budget_not_read", reason=error.message)
        return None


def _as_told(report: dict[str, Any]) -> BudgetStatus:
    return BudgetStatus(
        calls_per_hour=report["calls_per_hour"],
        spent=report["spent"],
        paused_seconds=report["paused"]["seconds"] if report["paused"] else 0.0,
        shares={name: ShareStatus(**_without_methods(share)) for name, share in report["purposes"].items()},
    )


def _without_methods(share: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in share.items() if name != "methods"}


def _details(runtime: Runtime, budget: dict[str, Any] | None) -> StatusDetails:
    """What was asked for is left out of dead letters: it says whose favorites."""
    pause = budget["paused"] if budget else None
    return StatusDetails(
        paused_because=WORDS[pause["reason"]] if pause else None,
        dead_letters=[
            DeadLetterStatus(reason=letter.reason, buried_at=letter.buried_at)
            for letter in runtime.queue.dead(DEAD_LETTERS)
        ],
    )


def _about(model: Champion) -> dict[str, Any]:
    manifest = model.bundle.manifest
    return {
        "version": model.version,
        "kind": model.bundle.kind,
        "retrieval": model.bundle.retrieval,
        "photos": len(model.bundle.photo_ids),
        "loaded_at": model.loaded_at,
        "trained_at": manifest.get("created_at"),
        "data_until": manifest.get("data_until"),
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
