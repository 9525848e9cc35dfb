"""How metrics, segments and moments are called and ordered, in the terminal as in reports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

ABBREVIATED = ("ndcg", "map", "hr", "mrr")
FIRST = ("ndcg", "recall", "map", "mrr", "hr", "coverage", "novelty", "diversity")


def metric_heading(metric: str) -> str:
    """`ndcg_at_20` as people write it: NDCG@20."""
    name, _, k = metric.partition("_at_")
    heading = name.upper() if name in ABBREVIATED else name.capitalize()
    return f"{heading}@{k}" if k else heading


def metric_order(metric: str) -> tuple[int, str]:
    """Sorts metrics by how much one looks at them."""
    return next((n for n, prefix in enumerate(FIRST) if metric.startswith(prefix)), len(FIRST)), metric


def favorites_between(least: int, most: int | None) -> str:
    """A range of numbers of favorites: `0`, `5–9`, `100 and more`."""
    if most is None:
        return f"{least} and more"
    return f"{least}" if least == most else f"{least}–{most}"


def moment_text(moment: datetime) -> str:
    """`2026-11-25 07:38 UTC`."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def recipe_text(parameters: Mapping[str, Any]) -> str:
    """`factors 64, regularization 5.0`; of a blend what its components weigh: `als 1.74, popularity 0.721`."""
    components = parameters.get("components")
    if components is not None:
        return ", ".join(f"{one['name']} {one['weight']:.3g}" for one in components)
    return ", ".join(f"{name} {value}" for name, value in parameters.items())
