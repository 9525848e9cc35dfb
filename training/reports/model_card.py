"""The model card of a version, in Markdown: what it is for, what it learned from, how good it is, where it fails.

After Mitchell et al. 2019, "Model Cards for Model Reporting". The first lines are the version's description in MLflow.
"""

from __future__ import annotations

from collections.abc import Iterator

from training.reports.content import ModelReport, TrainingReport
from training.reports.wording import metric_heading, metric_order, moment_text, recipe_text

LIMITS = """Favorites are not taste: they depend on what a person came to see, and popular photos are seen more often.
Held-out favorites can't tell what a person would have favorited had it been shown. Photos that nobody of the training
data favorited are unknown to the model; for people with a handful of favorites it knows little more than what is liked
beside them."""


def model_card(report: TrainingReport) -> str:
    """The card of the report's challenger."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: TrainingReport) -> Iterator[str]:
    model = report.model(report.challenger)
    value = model.metrics[report.metric]
    yield f"# {report.title}: {model.kind}"
    yield ""
    yield f"{metric_heading(report.metric)} {value.text}{_against_champion(report)}."
    yield f"{'Passed' if report.passed else 'Failed'} the gate: {report.reason}"
    yield ""
    yield f"Trained {moment_text(report.created_at)}{_data(report)}."
    yield ""
    yield "## What it is for"
    yield ""
    yield "Ranks photos for a person by the person's favorites and dismissals on Flickr; it folds in anybody at request"
    yield "time. It is not made to judge photos or people, nor for anything but showing a person what they may like."
    yield ""
    yield from _measured(report)
    yield from _segments(report, model)
    yield from _made(report)
    yield "## Limits"
    yield ""
    yield LIMITS


def _measured(report: TrainingReport) -> Iterator[str]:
    models = report.in_order()
    names = sorted({name for model in models for name in model.metrics}, key=metric_order)
    yield "## How good it is"
    yield ""
    yield "Means over users of held-out favorites, ranked among all photos; 95 % intervals by bootstrap over the users."
    yield ""
    yield _row("model", *(metric_heading(name) for name in names))
    yield _row("---", *("---:" for _ in names))
    for model in models:
        yield _row(model.name, *(model.metrics[name].text if name in model.metrics else "" for name in names))
    yield ""


def _segments(report: TrainingReport, model: ModelReport) -> Iterator[str]:
    if not model.segments:
        return
    yield "## For whom"
    yield ""
    yield _row("favorites in training", "users", metric_heading(report.metric))
    yield _row("---", "---:", "---:")
    for segment in model.segments:
        yield _row(segment.label, f"{segment.users:,}", segment.metrics[report.metric].text)
    yield ""


def _made(report: TrainingReport) -> Iterator[str]:
    if report.inputs is None:
        return
    yield "## How it was made"
    yield ""
    for table in report.inputs.tables:
        yield f"- `{table.table}` version {table.version}: {table.rows:,} rows, digest `{table.digest}`"
    yield f"- held out: the {report.inputs.holdout_days:g} days from {moment_text(report.inputs.cut)} on"
    kind = report.model(report.challenger).kind
    recipe = report.inputs.recipes.get(kind)
    if recipe is not None and recipe.parameters:
        yield f"- {kind}: {recipe_text(recipe.parameters)}"
    yield f"- seed {report.inputs.seed}, engine {report.inputs.engine}"
    if report.inputs.git_commit:
        yield f"- program revision `{report.inputs.git_commit}`"
    yield ""


def _against_champion(report: TrainingReport) -> str:
    if report.champion is None:
        return ", no champion before it"
    return f", the champion's {report.model(report.champion).metrics[report.metric].text}"


def _data(report: TrainingReport) -> str:
    parts = [f"{count:,} {name.replace('_', ' ')}" for name, count in report.counts.items()]
    return f" on {', '.join(parts)}" if parts else ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
