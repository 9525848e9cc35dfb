"""The figures of a training, drawn with Matplotlib's objects alone: no window, no state that threads would share.

Every function takes models in the same order (the challenger, the champion, then the others), and a model has the same
color in all figures.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from training.reports.content import Interval, ModelReport
from training.reports.wording import metric_heading

COLORS = ("#d92645", "#1467d8", "#c77700", "#178a5b", "#7a4fbf", "#00808c", "#8a5a2b", "#5f6670", "#a3a8ae")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "d", "*")
INK, MUTED, LINE = "#191a1b", "#62666b", "#e0e0db"
STYLE: Any = {  # its keys are typed as one long Literal
    "font.family": "sans-serif",
    "font.sans-serif": ["Liberation Sans", "Arial", "DejaVu Sans"],
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "figure.facecolor": "white",
    "savefig.dpi": 160,
    "svg.hashsalt": "photo-recommender",
}

P = ParamSpec("P")


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    @wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(STYLE):
            return draw(*args, **kwargs)

    return styled


def svg(figure: Figure) -> str:
    """The figure as an SVG document; the same figure gives the same text."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


@_styled
def by_activity(models: Sequence[ModelReport], metric: str) -> Figure:
    """The metric by how many favorites the users had in training, with 95 % intervals."""
    figure, axes = _axes("favorites of the user in training", metric_heading(metric))
    ranges = sorted({(segment.least, segment.label) for model in models for segment in model.segments})
    users = {segment.least: segment.users for model in models for segment in model.segments}
    place = {least: position for position, (least, _) in enumerate(ranges)}
    width = 0.7 / max(len(models), 1)
    for number, model in enumerate(models):
        found = [segment for segment in model.segments if metric in segment.metrics]
        x = [place[segment.least] + (number - (len(models) - 1) / 2) * width for segment in found]
        _points(axes, x, [segment.metrics[metric] for segment in found], number, model.name)
    labels = [f"{label}\n{users[least]:,} {'user' if users[least] == 1 else 'users'}" for least, label in ranges]
    axes.set_xticks(range(len(ranges)), labels)
    axes.grid(visible=False, axis="x")
    axes.set_ylim(bottom=0)
    _legend(figure, axes)
    return figure


@_styled
def popularity_bias(models: Sequence[ModelReport]) -> Figure:
    """What share of the recommendations goes to each tenth of the photos, beside the share of favorites it has."""
    figure, axes = _axes("photos by popularity, in tenths: the most favorited first", "share")
    tenths = np.arange(1, 11)
    shown = [(number, model.popularity) for number, model in enumerate(models) if model.popularity is not None]
    for number, popularity in shown:
        _line(axes, tenths, popularity.recommendations, number, models[number].name)
    if shown:
        axes.bar(tenths, shown[0][1].favorites, color="#e4e4df", width=0.8, label="all favorites", zorder=1)
    axes.set_xticks(tenths)
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(bottom=0)
    _legend(figure, axes)
    return figure


@_styled
def score_calibration(models: Sequence[ModelReport]) -> Figure:
    """How often a recommendation was favorited afterwards, by the tenth of the scores that its own belongs to."""
    figure, axes = _axes("recommendations by score, in tenths: the lowest first", "favorited afterwards")
    for number, model in enumerate(models):
        if model.calibration is not None:
            rates = model.calibration.hit_rates
            _line(axes, np.arange(1, len(rates) + 1), rates, number, model.name)
    axes.set_xticks(range(1, 11))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=1))
    axes.set_ylim(bottom=0)
    _legend(figure, axes)
    return figure


@_styled
def iterations(models: Sequence[ModelReport]) -> Figure:
    """Each step metric (loss, validation NDCG, …) by iteration, in a panel of its own."""
    names = list(dict.fromkeys(name for model in models for name in model.steps))
    figure = Figure(figsize=(7.2, max(1, len(names)) * 2.3 + 0.6), layout="constrained")
    panels = figure.subplots(max(1, len(names)), sharex=True, squeeze=False)[:, 0]
    for panel, name in zip(panels, names, strict=False):
        for number, model in enumerate(models):
            values = model.steps.get(name, ())
            if len(values):
                _line(panel, np.arange(1, len(values) + 1), np.asarray(values), number, model.name)
        panel.set_ylabel(metric_heading(name).replace("_", " "))
        panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panels[-1].set_xlabel("iteration")
    _legend(figure, panels[0])
    return figure


@_styled
def quality_against_latency(models: Sequence[ModelReport], metric: str) -> Figure:
    """The metric against the milliseconds of one recommendation; the line is Pareto's: nothing is better and faster."""
    figure, axes = _axes("milliseconds for one recommendation, 95th percentile", metric_heading(metric))
    measured = [
        (number, model, model.milliseconds, model.metrics[metric])
        for number, model in enumerate(models)
        if model.milliseconds is not None and metric in model.metrics
    ]
    for number, model, milliseconds, value in measured:
        size = f", {model.megabytes:.3g} MB" if model.megabytes is not None else ""
        _points(axes, [milliseconds], [value], number, f"{model.name}{size}")
    front = pareto_front([milliseconds for *_, milliseconds, _ in measured], [value.mean for *_, value in measured])
    x, y = ([measured[place][2] for place in front], [measured[place][3].mean for place in front])
    axes.plot(x, y, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), drawstyle="steps-post", zorder=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.margins(x=0.1, y=0.15)
    axes.set_ylim(bottom=0)
    # Beside the figure: models that are alike in both would cover each other's names.
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside right upper", labelcolor=INK)
    return figure


@_styled
def search_history(
    values: Sequence[float], pruned: Sequence[bool], parameters: Mapping[str, Sequence[float]]
) -> Figure:
    """A search, trial by trial: validation NDCG@20 in the order of the trials, with the best so far, and against each
    parameter in a panel of its own. values, pruned, and each of parameters: (n_trials,); pruned trials are hollow."""
    panels = ["trial", *parameters]
    columns = 2
    figure = Figure(figsize=(7.2, 2.3 * -(-len(panels) // columns) + 0.6), layout="constrained")
    grid = figure.subplots(-(-len(panels) // columns), columns, sharey=True, squeeze=False).ravel()
    x = {"trial": list(range(len(values))), **parameters}
    best = int(np.argmax(values))
    for axes, name in zip(grid, panels, strict=False):
        for hollow, label in ((False, "finished"), (True, "pruned")):
            places = [place for place, one in enumerate(pruned) if one == hollow]
            axes.scatter(
                [x[name][place] for place in places],
                [values[place] for place in places],
                facecolors="none" if hollow else COLORS[1],
                edgecolors=COLORS[1],
                s=28,
                label=label,
                zorder=2,
            )
        axes.scatter([x[name][best]], [values[best]], color=COLORS[0], marker="D", s=44, label="best", zorder=3)
        if name != "trial" and min(x[name]) > 0 and max(x[name]) > 10 * min(x[name]):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlabel(name.replace("_", " "))
    grid[0].plot(x["trial"], np.maximum.accumulate(values), color=MUTED, linewidth=1, drawstyle="steps-post", zorder=1)
    grid[0].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in grid[::columns]:
        axes.set_ylabel("validation NDCG@20")
    for axes in grid[len(panels) :]:
        axes.remove()
    _legend(figure, grid[0])
    return figure


def pareto_front(costs: Sequence[float], values: Sequence[float]) -> list[int]:
    """Places of those that nothing beats, being at most as costly and better; cheapest first."""
    front: list[int] = []
    for place in sorted(range(len(costs)), key=lambda place: (costs[place], -values[place])):
        if not front or values[place] > values[front[-1]]:
            front.append(place)
    return front


def _axes(x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    return figure, axes


def _look(number: int) -> tuple[str, str]:
    return COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]


def _line(axes: Axes, x: NDArray[np.int64], y: NDArray[np.floating], number: int, label: str) -> None:
    color, marker = _look(number)
    ahead = number < 2  # challenger and champion
    axes.plot(
        x, y, color=color, marker=marker, ms=4, label=label, linewidth=2 if ahead else 1.2, zorder=3 if ahead else 2
    )


def _points(axes: Axes, x: Sequence[float], values: Sequence[Interval], number: int, label: str | None) -> None:
    color, marker = _look(number)
    means = np.array([value.mean for value in values])
    below = [value.mean - (value.mean if value.low is None else value.low) for value in values]
    above = [(value.mean if value.high is None else value.high) - value.mean for value in values]
    errors = np.maximum([below, above], 0)
    axes.errorbar(x, means, errors, fmt=marker, color=color, ms=6, elinewidth=1.4, label=label, zorder=3)


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 6), labelcolor=INK)
