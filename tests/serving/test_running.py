"""The service as a process that is watched, overrun and ended. One process for all, as starting it takes longest.

It has room for few requests, sends its traces to a collector of the test's own, and takes two seconds to leave.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from features.settings import Settings
from tests.serving.running_service import STOP_SECONDS, Service, running

USER = "97@N09"
ROOM = 4
DRAIN_SECONDS = 2.0

pytestmark = pytest.mark.timeout(240)


class Collector:
    """What an OpenTelemetry collector is: it takes spans by HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        collected = self.spans

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path == "/v1/traces":
                    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                        for scope in resource.scope_spans:
                            collected.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def trace(self, trace_id: str) -> dict[str, Span]:
        """The spans of a trace, by name."""
        return {span.name: span for span in list(self.spans) if span.trace_id.hex() == trace_id}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.fixture(scope="module")
def service(
    collector: Collector, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    settings = Settings(
        home=tmp_path_factory.mktemp("running") / "home",
        max_inflight=ROOM,
        drain_seconds=DRAIN_SECONDS,
        _env_file=None,  # type: ignore[call-arg]
    )
    port = collector.server.server_address[1]
    tracing = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    with running(settings, free_port(), environment=tracing) as service:
        yield service


def metric(service: Service, name: str) -> float:
    """The sum of the metric's values; 0 when it is not there."""
    lines = service.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


# Watched


def test_a_request_is_one_trace_from_the_callers_span_down_to_each_stage(
    service: Service, collector: Collector
) -> None:
    trace_id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    answer = httpx.post(
        f"{service.url}/recommend",
        json={"user_id": USER},
        headers={"traceparent": f"00-{trace_id}-{parent}-01"},
        timeout=30,
    )
    assert answer.status_code == 200
    deadline = time.monotonic() + 20
    while not {"recommend", "features", "filter", "people", "POST /recommend"} <= set(collector.trace(trace_id)):
        assert time.monotonic() < deadline, sorted(collector.trace(trace_id))
        time.sleep(0.05)
    spans = collector.trace(trace_id)
    assert spans["POST /recommend"].parent_span_id.hex() == parent
    assert spans["features"].parent_span_id == spans["recommend"].span_id
    attributes = {entry.key: entry.value.string_value for entry in spans["recommend"].attributes}
    assert attributes["strategy"] == "popular"


def test_what_nobody_wants_traces_of_has_none(service: Service, collector: Collector) -> None:
    service.get("/livez")
    service.get("/metrics")
    assert not [span for span in collector.spans if "livez" in span.name or "metrics" in span.name]


def test_recommendations_are_counted_by_strategy_and_their_stages_timed(service: Service) -> None:
    service.post("/recommend", {"user_id": USER})
    text = service.get("/metrics").text
    assert 'photo_recommender_recommendations_total{degraded="false",model_version="",strategy="popular"}' in text, text
    for stage in ("features", "filter", "people"):
        assert f'photo_recommender_stage_seconds_count{{stage="{stage}"}}' in text
    assert "photo_recommender_model_trained_timestamp_seconds 0.0" in text
    assert "photo_recommender_online_store_lost 0.0" in text


# Overrun


def test_more_than_there_is_room_for_is_refused_at_once_and_the_rest_is_served(service: Service) -> None:
    def ask(_: int) -> tuple[int, float, str | None]:
        began = time.perf_counter()
        answer = client.post("/recommend", json={"user_id": USER})
        return answer.status_code, time.perf_counter() - began, answer.headers.get("Retry-After")

    with httpx.Client(base_url=service.url, timeout=30) as client, ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(ask, range(200)))
    refused = [answer for answer in answers if answer[0] == 429]
    assert {answer[0] for answer in answers} == {200, 429}
    assert {retry_after for _, _, retry_after in refused} == {"1"}
    assert metric(service, "photo_recommender_requests_refused_total") == len(refused)
    assert metric(service, "photo_recommender_requests_inflight") == 0
    assert service.post("/recommend", {"user_id": USER}).status_code == 200


# Ended


def test_sigterm_first_takes_readiness_away_then_serves_what_comes_and_then_ends(service: Service) -> None:
    began = time.monotonic()
    service.process.terminate()
    while service.get("/readyz").status_code == 200:
        assert time.monotonic() - began < DRAIN_SECONDS
        time.sleep(0.02)
    refused = service.get("/readyz")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
    assert service.get("/livez").status_code == 200
    assert service.post("/recommend", {"user_id": USER}).status_code == 200
    assert service.process.wait(STOP_SECONDS) is not None
    assert time.monotonic() - began >= DRAIN_SECONDS
    assert "Completed cleanup hook: close" in service.log.read_text()
