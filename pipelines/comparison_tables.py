"""What the terminal shows of two versions beside each other: facts, parameters that differ, metrics, and walls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from training.reports.wording import metric_heading, metric_order
from training.tracking import Comparison, ModelFacts
from training.tracking.comparison import COUNTS

MISSING = "[dim]–[/]"


def comparison_tables(comparison: Comparison) -> Iterator[Table]:
    """The tables of `models compare`, in the order in which they are read; empty ones are left out."""
    a, b = comparison.a, comparison.b
    facts = _table("", a, b)
    for (name, of_a), (_, of_b) in zip(_facts(a), _facts(b), strict=True):
        if of_a or of_b:
            facts.add_row(name, escape(of_a) or MISSING, escape(of_b) or MISSING)
    yield facts
    if comparison.parameters:
        parameters = _table("Parameters that differ", a, b)
        for name, values in comparison.parameters.items():
            parameters.add_row(name, *(MISSING if value is None else escape(value) for value in values))
        yield parameters
    if comparison.metrics:
        metrics = _table("Metrics", a, b, "difference")
        for name in sorted(comparison.metrics, key=metric_order):
            before, after, difference = comparison.metrics[name]
            cells = [MISSING if value is None else f"{value:.4f}" for value in (before, after)]
            metrics.add_row(metric_heading(name), *cells, _difference(before, difference))
        yield metrics
    if a.online or b.online:
        yield online_table({f"version {one.version}": one.online for one in (a, b)})


def online_table(online: Mapping[str, Mapping[str, float]]) -> Table:
    """What came of the walls of each model, a column for each; an empty one was never measured."""
    table = Table(title="On walls", title_justify="left")
    table.add_column("")
    for name in online:
        table.add_column(name, justify="right")
    for name, tell in ONLINE.items():
        table.add_row(name, *(tell(metrics) if metrics else MISSING for metrics in online.values()))
    return table


def _rate(name: str) -> Callable[[Mapping[str, float]], str]:
    return lambda of: f"{of[name]:.2%} ({of[f'{name}_low']:.2%} – {of[f'{name}_high']:.2%})"


def _day(name: str) -> Callable[[Mapping[str, float]], str]:
    return lambda of: _moment(datetime.fromtimestamp(of[name], UTC))


ONLINE: dict[str, Callable[[Mapping[str, float]], str]] = {
    "people": lambda of: _count(int(of["users"])),
    "photos shown": lambda of: _count(int(of["shown"])),
    "faved within a day": _rate("fave_rate"),
    "dismissed within a day": _rate("dismissal_rate"),
    "first shown": _day("first_shown"),
    "last shown": _day("last_shown"),
}
"""What is told of walls, and how."""


def _table(title: str, a: ModelFacts, b: ModelFacts, *more: str) -> Table:
    table = Table(title=title or None, title_justify="left")
    table.add_column("")
    for version in (a, b):
        table.add_column(f"version {version.version}", justify="right" if more else "left")
    for column in more:
        table.add_column(column, justify="right")
    return table


def _facts(model: ModelFacts) -> list[tuple[str, str]]:
    return [
        ("alias", ", ".join(model.aliases)),
        ("kind", model.kind),
        ("gate", model.gate),
        ("reason", model.gate_reason),
        ("created", _moment(model.created_at)),
        ("promoted", _moment(datetime.fromisoformat(model.promoted_at)) if model.promoted_at else ""),
        ("learned until", _moment(model.data_until) if model.data_until else ""),
        ("lake", ", ".join(f"{table} v{version}" for table, version in sorted(model.lake_versions.items()))),
        *((name.removeprefix("n_"), _count(model.counts.get(name))) for name in COUNTS),
        ("run", model.run_id),
        ("revision", model.git_commit[:12]),
    ]


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _difference(of_a: float | None, difference: float | None) -> str:
    if difference is None:
        return MISSING
    relative = f" ({difference / of_a:+.1%})" if of_a else ""
    return f"{difference:+.4f}{relative}"
