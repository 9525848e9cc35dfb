"""`/metrics`: what all workers of this service count, and the state that all processes share."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response

from serving.api.dependencies import RuntimeNow

router = APIRouter(include_in_schema=False)


@router.get("/metrics")
def metrics(runtime: RuntimeNow) -> Response:
    """For Prometheus. The workers' counts come from files, which know no custom collector: those stand behind them."""
    counted = REGISTRY
    if values.ValueClass is not values.MutexValue:  # as BentoML has it for its workers
        counted = CollectorRegistry()
        MultiProcessCollector(counted)  # type: ignore[no-untyped-call]
    return Response(generate_latest(counted) + generate_latest(runtime.shared_state), media_type=CONTENT_TYPE_LATEST)
