"""What is measured of a recommendation: how long each stage took, what ranked it with which model, how old both are.

A stage is a histogram's observation and, where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector, a span of the request's
trace. docs/metrics.md names every metric; docs/grafana has dashboards of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any, Literal, get_args

from opentelemetry import trace
from prometheus_client import Counter, Gauge, Histogram

Stage = Literal["features", "fold-in", "retrieve", "filter", "re-rank", "reasons", "people"]

STAGE_SECONDS = Histogram(
    "photo_recommender_stage_seconds",
    "Time of a recommendation's stage, without the stages within it.",
    ["stage"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
RECOMMEND_SECONDS = Histogram(
    "photo_recommender_recommend_seconds",
    "Time of a whole recommendation.",
    ["strategy"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.5, 5.0),
)
RECOMMENDATIONS = Counter(
    "photo_recommender_recommendations",
    "Recommendations by what ranked them.",
    ["strategy", "model_version", "degraded"],
)
MODEL_TRAINED = Gauge(
    "photo_recommender_model_trained_timestamp_seconds",
    "When the served model was trained; 0: none is served.",
    multiprocess_mode="livemin",
)
FEATURES_BUILT = Gauge(
    "photo_recommender_features_built_timestamp_seconds",
    "When the current batch features were built; 0: never.",
    multiprocess_mode="livemax",
)
SNAPSHOT_AGE = Histogram(
    "photo_recommender_snapshot_age_seconds",
    "Age of the snapshot that a recommendation began from; newer actions are applied to it.",
    buckets=(60, 600, 3600, 6 * 3600, 86400, 2 * 86400, 7 * 86400, 30 * 86400),
)

HEALTH = "livez,healthz,readyz,metrics"
"""Paths that nobody wants traces of."""

_tracer = trace.get_tracer("photo_recommender")


@dataclass(slots=True)
class _Within:
    """The stage that runs now, and how long the stages within it took."""

    seconds: float = 0.0


_running: ContextVar[_Within | None] = ContextVar("running_stage", default=None)
_OF_STAGE = {name: STAGE_SECONDS.labels(name) for name in get_args(Stage)}
_NO_SPAN = nullcontext()


def _span(name: str) -> AbstractContextManager[Any]:
    """A span where somebody collects them: one that nobody does costs as much as a small stage."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NO_SPAN
    return _tracer.start_as_current_span(name)


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    """Time what runs within as that stage; a stage within another is not counted in both."""
    outer, own = _running.get(), _Within()
    token = _running.set(own)
    began = perf_counter()
    try:
        with _span(name):
            yield
    finally:
        took = perf_counter() - began
        _running.reset(token)
        _OF_STAGE[name].observe(max(0.0, took - own.seconds))
        if outer is not None:
            outer.seconds += took


@contextmanager
def observed_recommendation() -> Iterator[Callable[[str, str | None, bool], None]]:
    """Time a whole recommendation; what it yields takes (strategy, model version, degraded) once they are known.

    One that fails is not counted.
    """
    began, known = perf_counter(), list[tuple[str, str | None, bool]]()
    with _tracer.start_as_current_span("recommend") as span:
        yield lambda *what: known.append(what)
        for strategy, version, degraded in known:
            RECOMMEND_SECONDS.labels(strategy).observe(perf_counter() - began)
            RECOMMENDATIONS.labels(strategy, version or "", str(degraded).lower()).inc()
            span.set_attributes({"strategy": strategy, "model_version": version or "", "degraded": degraded})


def observe_snapshot(updated_at: datetime | None) -> None:
    """Count the age of the snapshot that a wall begins from; None: there is none."""
    if updated_at is not None:
        SNAPSHOT_AGE.observe(max(0.0, (datetime.now(UTC) - updated_at.astimezone(UTC)).total_seconds()))


def tracing_config() -> dict[str, Any]:
    """BentoML's `tracing` as OpenTelemetry's own variables ask for it; nothing is traced where they name no endpoint.

    The exporter reads the endpoint and its headers itself; `OTEL_TRACES_SAMPLER_ARG` is the share of traces kept (1).
    """
    if not _is_traced():
        # BentoML makes spans of every request that is not excluded, a tenth of its work, for nobody.
        return {"excluded_urls": ".*"}
    return {
        "exporter_type": "otlp",
        "sample_rate": float(os.environ.get("OTEL_TRACES_SAMPLER_ARG") or 1.0),
        "excluded_urls": HEALTH,
        "otlp": {"protocol": "http"},
    }


def _is_traced() -> bool:
    return any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("TRACES_ENDPOINT", "ENDPOINT"))


def start_tracing() -> None:
    """Let stages use the provider that BentoML made for its requests, so that both are in one trace.

    Does nothing where no endpoint is named: a stage then costs no span.
    """
    if not _is_traced():
        return
    # BentoML has no public way to its provider, and does not make it the global one.
    from bentoml._internal.configuration.containers import BentoMLContainer

    trace.set_tracer_provider(BentoMLContainer.tracer_provider.get())
