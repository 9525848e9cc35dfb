"""What the terminal shows of a wall and of a training: tables for people, from the JSON that programs get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from training.reports.wording import metric_heading, metric_order

TOLD = ("ndcg", "recall", "map", "coverage", "novelty")

if TYPE_CHECKING:
    from training.tracking import RegisteredVersion


def wall_table(answer: Mapping[str, Any]) -> Table:
    """The photos of a recommendation (DESIGN.md's answer): photo, owner, score, because-of."""
    about = f"{answer['strategy']}" + (", degraded" if answer["degraded"] else "")
    model = f", model version {answer['model_version']}" if answer["model_version"] else ""
    table = Table(title=f"Wall of {answer['user_id']} ({about}{model})", title_justify="left", expand=True)
    table.add_column("", justify="right", style="dim", no_wrap=True)
    table.add_column("photo", style="bold", no_wrap=True, ratio=3)
    table.add_column("owner", no_wrap=True, ratio=2)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("because of", no_wrap=True, ratio=5)
    titles = answer.get("reason_photos", {})
    for rank, photo in enumerate(answer["photos"], start=1):
        because = (
            f"{titles.get(reason['photo_id'], {}).get('title') or reason['photo_id']} ({reason['weight']:.0%})"
            for reason in photo["reasons"]
        )
        table.add_row(
            str(rank),
            escape(photo["title"] or photo["photo_id"]),
            escape(photo["owner_name"] or photo["owner_id"]),
            f"{photo['score']:.3f}",
            escape(", ".join(because)),
        )
    return table


def metrics_table(title: str, metrics: Mapping[str, Mapping[str, float]], chosen: str) -> Table:
    """Models below each other, metrics beside each other; the best of each metric is bold, the chosen model marked."""
    names: Sequence[str] = sorted({name for values in metrics.values() for name in values}, key=metric_order)
    table = Table(title=title, title_justify="left")
    table.add_column("model")
    for name in names:
        table.add_column(metric_heading(name), justify="right")
    best = {name: max(values.get(name, float("-inf")) for values in metrics.values()) for name in names}
    for model, values in metrics.items():
        cells = [
            f"[bold]{values[name]:.4f}[/]"
            if values.get(name) == best[name]
            else f"{values[name]:.4f}"
            if name in values
            else ""
            for name in names
        ]
        table.add_row(f"{model} ◂" if model == chosen else model, *cells)
    return table


def training_table(metrics: Mapping[str, Mapping[str, float]], chosen: str) -> Table:
    """What a training compared, by the metrics that fit beside each other; the rest is in MLflow and in the JSON."""
    shown = {
        model: {name: value for name, value in values.items() if name.partition("_at_")[0] in TOLD}
        for model, values in metrics.items()
    }
    return metrics_table("Held-out favorites, ranked among all photos", shown, chosen)


def reproduction_table(metrics: Mapping[str, Mapping[str, Sequence[float]]]) -> Table:
    """Each model's metrics then and now, those of `TOLD`."""
    table = Table(title="Metrics then and now", title_justify="left")
    for column in ("model", "metric", "then", "now", "difference"):
        table.add_column(column, justify="left" if column in ("model", "metric") else "right")
    for model, values in metrics.items():
        for name in sorted(values, key=metric_order):
            if name.partition("_at_")[0] in TOLD:
                then, now = values[name]
                table.add_row(model, metric_heading(name), f"{then:.4f}", f"{now:.4f}", f"{now - then:+.2g}")
    return table


def versions_table(versions: Sequence[RegisteredVersion]) -> Table:
    """The registered versions, a row for each."""
    table = Table()
    for column in ("version", "alias", "kind", "gate", "created", "reason"):
        table.add_column(column)
    for version in versions:
        created = f"{version.created_at:%Y-%m-%d %H:%M}"
        aliases = ", ".join(version.aliases)
        table.add_row(version.version, aliases, version.kind, version.gate, created, escape(version.gate_reason))
    return table
