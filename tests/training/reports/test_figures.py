"""Figures hold what was measured, and are drawn without any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.reports.examples import example
from training.reports import figures
from training.reports.html_report import report_figures

REPORT = example()
MODELS = REPORT.in_order()


def test_a_training_is_drawn_in_five_figures() -> None:
    drawn = report_figures(REPORT)
    assert list(drawn) == [
        "by_activity",
        "quality_against_latency",
        "popularity_bias",
        "score_calibration",
        "iterations",
    ]
    for figure in drawn.values():
        assert figures.svg(figure).lstrip().startswith("<?xml")


def test_what_nobody_measured_is_not_drawn() -> None:
    bare = [
        replace(model, segments=(), popularity=None, calibration=None, steps={}, milliseconds=None) for model in MODELS
    ]
    assert report_figures(replace(REPORT, models=bare)) == {}


def test_the_same_figure_gives_the_same_text() -> None:
    first, second = (figures.svg(figures.by_activity(MODELS, "ndcg_at_20")) for _ in range(2))
    assert first == second


def test_activity_shows_each_segment_with_its_users() -> None:
    axes = figures.by_activity(MODELS, "ndcg_at_20").axes[0]
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == [f"{segment.label}\n{segment.users} users" for segment in MODELS[0].segments]
    assert axes.get_ylabel() == "NDCG@20"


def test_popularity_shows_recommendations_beside_favorites() -> None:
    axes = figures.popularity_bias(MODELS).axes[0]
    assert MODELS[0].popularity is not None
    assert np.allclose(axes.lines[0].get_ydata(), MODELS[0].popularity.recommendations)
    assert np.allclose([bar.get_height() for bar in axes.patches], MODELS[0].popularity.favorites)


def test_each_step_metric_has_a_panel() -> None:
    loss, quality = figures.iterations(MODELS).axes
    assert (loss.get_ylabel(), quality.get_ylabel()) == ("Loss", "Validation ndcg@20")
    assert list(loss.lines[0].get_xdata()) == list(range(1, 16))


def test_latency_names_each_model_with_its_size() -> None:
    axes = figures.quality_against_latency(MODELS, "ndcg_at_20").axes[0]
    assert set(axes.get_legend_handles_labels()[1]) == {
        "blend, 84 MB",
        "champion, 51 MB",
        "als, 51.2 MB",
        "neighbor_score, 6 MB",
        "popularity, 0.4 MB",
    }


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.by_activity([], "ndcg_at_20"),
        lambda: figures.popularity_bias([]),
        lambda: figures.score_calibration([]),
        lambda: figures.iterations([]),
        lambda: figures.quality_against_latency([], "ndcg_at_20"),
    ],
)
def test_nothing_can_be_drawn(draw: object) -> None:
    assert figures.svg(draw())  # type: ignore[operator]


points = st.lists(st.tuples(st.floats(0.01, 100), st.floats(0, 1)), min_size=1, max_size=12)


@given(points)
def test_nothing_beats_what_is_on_the_front_and_something_beats_all_else(measured: list[tuple[float, float]]) -> None:
    costs, values = zip(*measured, strict=True)
    front = figures.pareto_front(costs, values)

    def beaten(place: int) -> bool:
        return any(
            costs[other] <= costs[place] and values[other] >= values[place] and measured[other] != measured[place]
            for other in range(len(measured))
        )

    for place in range(len(measured)):
        assert beaten(place) != any(measured[place] == measured[kept] for kept in front)
    assert [costs[place] for place in front] == sorted(costs[place] for place in front)


def test_a_search_is_drawn_by_trial_and_against_each_parameter_with_the_best_marked() -> None:
    factors = [64, 16, 32]
    figure = figures.search_history(
        [0.1, 0.3, 0.2], [False, False, True], {"factors": factors, "alpha": [1.0, 50.0, 9]}
    )
    by_trial, by_factors, by_alpha = figure.axes
    assert [axes.get_xlabel() for axes in figure.axes] == ["trial", "factors", "alpha"]
    assert by_trial.lines[0].get_ydata().tolist() == [0.1, 0.3, 0.3]  # type: ignore[union-attr]
    finished, pruned, best = (marks.get_offsets().tolist() for marks in by_factors.collections)  # type: ignore[union-attr]
    assert (finished, pruned, best) == ([[64, 0.1], [16, 0.3]], [[32, 0.2]], [[16, 0.3]])
    assert (by_factors.get_xscale(), by_alpha.get_xscale()) == ("linear", "log")
