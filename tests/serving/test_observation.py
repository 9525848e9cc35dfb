"""What is measured of recommendations, and the dashboards that show it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from fastapi.testclient import TestClient
from prometheus_client import REGISTRY

from features.builds import Build, Builds, new_version
from serving.last_known import LastKnown
from serving.observation import Stage, observed_recommendation, stage, tracing_config
from serving.ranking.recommender import Recommender
from serving.runtime import Runtime
from tests.serving.conftest import World, candidates_of, of_style, state_of

DOCS = Path(__file__).parents[2] / "docs"
DASHBOARDS = sorted((DOCS / "grafana").glob("*.json"))
PERSON = "71@N08"


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"photo_recommender_{name}", labels) or 0.0


@pytest.fixture
def growth() -> Callable[..., float]:
    """A function that tells by how much a metric has grown since it was asked for the first time."""
    before: dict[str, float] = {}

    def grown(name: str, **labels: str) -> float:
        now = value(name, **labels)
        return now - before.setdefault(f"{name}{labels}", now)

    return grown


# Stages


def test_a_stage_within_another_is_not_counted_in_both(growth: Callable[..., float]) -> None:
    for name in ("filter", "retrieve"):
        growth("stage_seconds_sum", stage=name)
    began = time.perf_counter()
    with stage("filter"):
        time.sleep(0.02)
        with stage("retrieve"):
            time.sleep(0.05)
        with stage("retrieve"):
            time.sleep(0.05)
    took = time.perf_counter() - began
    outer, inner = growth("stage_seconds_sum", stage="filter"), growth("stage_seconds_sum", stage="retrieve")
    assert inner >= 0.1
    assert outer + inner == pytest.approx(took, abs=0.005)


def test_a_stage_that_fails_is_timed_and_ends(growth: Callable[..., float]) -> None:
    for name in ("filter", "reasons"):
        growth("stage_seconds_count", stage=name)
    with pytest.raises(ZeroDivisionError), stage("filter"), stage("reasons"):
        raise ZeroDivisionError
    with stage("filter"):
        pass
    assert (growth("stage_seconds_count", stage="filter"), growth("stage_seconds_count", stage="reasons")) == (2, 1)


def test_every_stage_of_a_personal_wall_is_timed(
    recommender: Callable[..., Recommender], world: World, growth: Callable[..., float]
) -> None:
    world.online.write_user_states([state_of(PERSON, of_style(0, 8))])
    world.online.write_neighbor_candidates([candidates_of(PERSON, of_style(1, 10))])
    stages = set(get_args(Stage))
    for name in stages:
        growth("stage_seconds_count", stage=name)
    began = time.perf_counter()
    before = sum(value("stage_seconds_sum", stage=name) for name in stages)
    recommender("als").recommend(PERSON)
    took = time.perf_counter() - began
    assert {name for name in stages if growth("stage_seconds_count", stage=name) > 0} >= {
        *("features", "retrieve", "filter", "reasons", "people"),
    }
    assert 0 < sum(value("stage_seconds_sum", stage=name) for name in stages) - before <= took


def test_a_wall_is_counted_by_strategy_model_and_whether_it_is_degraded(
    recommender: Callable[..., Recommender], world: World, growth: Callable[..., float]
) -> None:
    world.online.write_user_states([state_of(PERSON, of_style(0, 8))])
    world.online.write_neighbor_candidates([candidates_of(PERSON, of_style(1, 10))])
    personal = {"strategy": "personalized", "model_version": "als", "degraded": "false"}
    untrained = {"strategy": "neighbors", "model_version": "", "degraded": "true"}
    for labels in (personal, untrained):
        growth("recommendations_total", **labels)
    growth("snapshot_age_seconds_count")
    recommender("als").recommend(PERSON)
    recommender(None).recommend(PERSON)
    assert (growth("recommendations_total", **personal), growth("recommendations_total", **untrained)) == (1, 1)
    assert growth("snapshot_age_seconds_count") == 2


def test_a_wall_that_fails_is_not_counted(growth: Callable[..., float]) -> None:
    growth("recommend_seconds_count", strategy="popular")
    with pytest.raises(ZeroDivisionError), observed_recommendation():
        raise ZeroDivisionError
    assert growth("recommend_seconds_count", strategy="popular") == 0


def test_the_ages_of_model_and_features_can_be_told(world: World, runtime: Runtime) -> None:
    built_at = datetime(2026, 10, 30, 12, tzinfo=UTC)
    settings = runtime.settings
    builds = Builds(settings.lake_uri)
    (Path(settings.lake_uri) / "features").mkdir(parents=True)
    builds.publish(Build(new_version(built_at), built_at, {}, {}))
    LastKnown(settings, lambda: runtime.watch.served).refresh()
    trained_at = datetime.fromisoformat(world.champions["als"].bundle.manifest["created_at"])
    assert value("features_built_timestamp_seconds") == built_at.timestamp()
    assert value("model_trained_timestamp_seconds") == trained_at.timestamp()
    LastKnown(settings, lambda: replace(runtime.watch.served, champion=None)).refresh()
    assert value("model_trained_timestamp_seconds") == 0


def test_the_metrics_of_a_process_and_the_state_that_all_share_are_on_one_page(client: TestClient) -> None:
    page = client.get("/metrics")
    assert page.headers["Content-Type"].startswith("text/plain")
    assert "photo_recommender_stage_seconds_bucket" in page.text
    assert "photo_recommender_queue_dead 0.0" in page.text


# Traces


def test_traces_are_made_where_opentelemetrys_own_variables_name_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert re.fullmatch(tracing_config()["excluded_urls"], "http://anywhere/recommend")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert tracing_config()["sample_rate"] == 1.0
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    assert tracing_config()["sample_rate"] == 0.25


# Dashboards


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_shows_metrics_that_exist_and_says_what_each_panel_is(path: Path) -> None:
    described = set(re.findall(r"^\| `(photo_recommender_\w+)` \|", (DOCS / "metrics.md").read_text(), re.MULTILINE))
    dashboard = json.loads(path.read_text())
    for panel in dashboard["panels"]:
        assert panel["title"] and panel["description"]
        for target in panel["targets"]:
            named = set(re.findall(r"photo_recommender_\w+", target["expr"]))
            assert named, target["expr"]
            assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} <= described


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_the_panels_of_a_dashboard_lie_beside_each_other(path: Path) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(path.read_text())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells and all(x < 24 for x, _ in cells)
        taken |= cells
