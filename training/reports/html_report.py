"""The report on a training as one HTML file: challenger and champion side by side, figures, and example walls.

Self-contained: styles and figures are inside, there is no script, and pictures are only named by their address, and
only where that is allowed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from training.reports import figures
from training.reports.content import ExampleWall, Interval, ModelReport, Photo, TrainingReport
from training.reports.wording import metric_heading, metric_order, moment_text, recipe_text

TEMPLATE = "report.html.jinja"

WRITTEN_FIGURES = {
    "by_activity": "By activity",
    "quality_against_latency": "Quality against latency",
    "popularity_bias": "Popularity bias",
    "score_calibration": "Calibration of scores",
    "iterations": "Iterations",
}
"""{name of the figure: its heading}, in the order of the report."""


@dataclass(frozen=True)
class _Bar:
    """A model's interval of one metric, in percent of the row's width."""

    role: str
    name: str
    text: str
    left: float
    width: float
    mean: float


@dataclass(frozen=True)
class _Row:
    heading: str
    bars: list[_Bar]
    difference: str
    better: bool | None


def report_figures(report: TrainingReport) -> dict[str, Figure]:
    """The figures that there is something to draw of, by name."""
    models = report.in_order()
    drawn = {}
    if any(model.segments for model in models):
        drawn["by_activity"] = figures.by_activity(models, report.metric)
    if any(model.milliseconds is not None for model in models):
        drawn["quality_against_latency"] = figures.quality_against_latency(models, report.metric)
    if any(model.popularity is not None for model in models):
        drawn["popularity_bias"] = figures.popularity_bias(models)
    if any(model.calibration is not None for model in models):
        drawn["score_calibration"] = figures.score_calibration(models)
    if any(model.steps for model in models):
        drawn["iterations"] = figures.iterations(models)
    return drawn


def html_report(
    report: TrainingReport, drawn: dict[str, Figure] | None = None, *, allow_pictures: bool | None = None
) -> str:
    """The page. `drawn`: the figures, if somebody drew them before.

    allow_pictures: whether walls show pictures, from their addresses. None: those of the Flickr sandbox, which has
    loopback addresses, and of users who agreed; everything else appears by its title.
    """
    drawn = report_figures(report) if drawn is None else drawn
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(metric=metric_heading, moment=moment_text, recipe=recipe_text)
    champion = None if report.champion is None else report.model(report.champion)
    return environment.get_template(TEMPLATE).render(
        report=report,
        challenger=report.model(report.challenger),
        champion=champion,
        models=report.in_order(),
        metrics=sorted({name for model in report.models for name in model.metrics}, key=metric_order),
        rows=list(_rows(report.model(report.challenger), champion)),
        figures=[(title, _data_uri(drawn[name])) for name, title in WRITTEN_FIGURES.items() if name in drawn],
        walls=[_shown(wall, allow_pictures) for wall in report.walls],
        sides=[name for name in (report.champion, report.challenger) if name is not None],
    )


def _rows(challenger: ModelReport, champion: ModelReport | None) -> Iterator[_Row]:
    """A row for each metric that the challenger has: both intervals on one scale, and the difference."""
    sides = [("champion", champion), ("challenger", challenger)]
    for name in sorted(challenger.metrics, key=metric_order):
        found = [(role, model, model.metrics[name]) for role, model in sides if model and name in model.metrics]
        ends = [end for *_, value in found for end in (*_ends(value), value.mean)]
        # A tenth of the range on both sides, so that no interval touches the edge.
        low, high = min(ends), max(ends)
        margin = (high - low) * 0.1 or abs(high) * 0.1 or 1.0
        scale = 100.0 / (high - low + 2 * margin)
        bars = []
        for role, model, value in found:
            first, last = _ends(value)
            left, mean = ((at - low + margin) * scale for at in (first, value.mean))
            bars.append(_Bar(role, model.name, value.text, left, (last - first) * scale, mean))
        difference = challenger.metrics[name].mean - found[0][2].mean if len(found) == 2 else None
        yield _Row(
            heading=metric_heading(name),
            bars=bars,
            difference="" if difference is None else _difference(difference, found[0][2].mean),
            better=None if not difference else difference > 0,
        )


def _ends(value: Interval) -> tuple[float, float]:
    low, high = value.low, value.high
    return (value.mean, value.mean) if low is None or high is None else (low, high)


def _difference(difference: float, of: float) -> str:
    return f"{difference:+.4f}" + (f" ({difference / of:+.1%})" if of else "")


def _data_uri(figure: Figure) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(figures.svg(figure).encode()).decode()


def _shown(wall: ExampleWall, allow_pictures: bool | None) -> ExampleWall:
    """The wall with the addresses of only those pictures that may be shown."""

    def some(photos: Sequence[Photo]) -> list[Photo]:
        return [photo if _allowed(photo, wall, allow_pictures) else replace(photo, image_url="") for photo in photos]

    lists: dict[str, Any] = {name: some(photos) for name, photos in wall.lists.items()}
    return replace(wall, favorites=some(wall.favorites), lists=lists)


def _allowed(photo: Photo, wall: ExampleWall, allow_pictures: bool | None) -> bool:
    address = urlsplit(photo.image_url)
    if address.scheme not in ("http", "https"):
        return False
    if allow_pictures is not None:
        return allow_pictures
    return wall.consenting or _is_loopback(address.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
