"""What a training leaves behind for people: inputs, metrics, nested runs, figures, a page and a model card in MLflow.

The plain data of the report is filled here, from what was compared; training/reports draws and writes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from features.lake import Lake, one_of
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, USERS
from features.settings import Settings
from pipelines.train.comparison import CHAMPION, Comparison, Data
from pipelines.train.stages import IterationsByName
from training.drift import DriftReport
from training.evaluation.sanity import size_in_memory
from training.from_lake import utc
from training.models.recipes import Recipe
from training.reports.content import (
    Check,
    ExampleWall,
    ModelReport,
    Photo,
    TrainingReport,
    calibration,
    intervals,
    popularity_shares,
    segments,
)
from training.reports.html_report import html_report, report_figures
from training.reports.model_card import model_card
from training.tracking import LakeInput, TrainingInputs, TrainingRun
from training.tracking.inputs import flat
from training.tracking.run import COMPARED_WITH, git_commit

WALLS, LISTED, FAVORITES = 4, 12, 8
"""Example walls in a report, and how many photos of a list and of a person's favorites each shows."""


def inputs_of(settings: Settings, data: Data, recipes: Mapping[str, Recipe], as_of: datetime) -> TrainingInputs:
    """Everything that decided what came out; recipes: of all that was compared, the blend as it was learned too."""

    def read(name: str, version: int, rows: pa.Table) -> LakeInput:
        return LakeInput.of(name, f"{settings.lake_uri}/{name}", version, rows, data.counts())

    tables = [read(INTERACTIONS.name, data.log_version, data.log)]
    if data.follows_version >= 0:
        tables.append(read(CONTACTS.name, data.follows_version, data.follows))
    return TrainingInputs(
        recipes=dict(recipes),
        lake_uri=settings.lake_uri,
        tables=tuple(tables),
        as_of=as_of,
        cut=utc(data.split.cut),
        holdout_days=settings.holdout_days,
        seed=settings.seed,
        engine=settings.als_engine,
        git_commit=git_commit(),
    )


def report_of(
    title: str, data: Data, comparison: Comparison, inputs: TrainingInputs, walls: Sequence[ExampleWall] = ()
) -> TrainingReport:
    """The report on a training in which something could be measured."""
    decision = comparison.decision
    return TrainingReport(
        title=title,
        created_at=datetime.now(UTC),
        models=[_model_report(name, data, comparison, inputs.seed) for name in comparison.evaluations],
        challenger=decision.kind,
        champion=CHAMPION if CHAMPION in comparison.evaluations else None,
        passed=decision.passed,
        reason=decision.reason,
        checks=[Check(check.name, check.passed, check.detail) for check in decision.checks],
        counts=data.counts(),
        inputs=inputs,
        walls=walls,
    )


def _model_report(name: str, data: Data, comparison: Comparison, seed: int) -> ModelReport:
    split, found = data.split, comparison.evaluations[name]
    measured, model = comparison.measured[name], comparison.fitted.get(name)
    return ModelReport(
        name=name,
        kind=measured.kind,
        metrics=intervals(found.values, found.of_lists, seed),
        segments=segments(found.values, split.train.user_degrees[split.test_users], seed),
        version=comparison.champion_version if name == CHAMPION else "",
        popularity=popularity_shares(found.ranked.rows, split.train.photo_degrees),
        calibration=calibration(found.ranked.scores, found.hits),
        milliseconds=measured.latency_ms,
        megabytes=None if model is None else size_in_memory(model) / 2**20,
        steps={metric: list(values.values()) for metric, values in _steps(comparison, name).items()},
    )


def _steps(comparison: Comparison, name: str) -> dict[str, dict[int, float]]:
    """What the model did in its iterations, as step metrics: of an ALS that was fit in this process."""
    return comparison.iterations[name].steps() if name in comparison.iterations else {}


def example_walls(lake: Lake, data: Data, comparison: Comparison) -> list[ExampleWall]:
    """Walls of the challenger, and of the champion beside it, for a few test users: from few favorites to many."""
    split = data.split
    shown = [name for name in (comparison.decision.kind, CHAMPION) if name in comparison.evaluations]
    order = np.argsort(split.train.user_degrees[split.test_users], kind="stable")
    places = order[np.unique(np.linspace(0, len(order) - 1, WALLS).round().astype(np.int64))].tolist()
    ids = split.train.catalog.photo_ids
    favorites = {place: _newest(data, place) for place in places}
    listed = {
        (place, name): [str(ids[row]) for row in comparison.evaluations[name].ranked.rows[place, :LISTED] if row >= 0]
        for place in places
        for name in shown
    }
    photos = _photos(lake, {photo for found in (*favorites.values(), *listed.values()) for photo in found})
    return [
        ExampleWall(
            user=str(split.train.user_ids[split.test_users[place]]),
            favorites=[photos[photo] for photo in favorites[place]],
            lists={name: [photos[photo] for photo in listed[place, name]] for name in shown},
            hits=frozenset(str(ids[row]) for row in split.test_photos[place]),
        )
        for place in places
    ]


def _newest(data: Data, place: int) -> list[str]:
    """The newest favorites before the cut of a test user."""
    history = data.split.train.history(int(data.split.test_users[place]))
    order = np.argsort(-history.times[history.positive], kind="stable")[:FAVORITES]
    return [str(photo) for photo in data.split.train.catalog.photo_ids[history.favorites[order]]]


def _photos(lake: Lake, photo_ids: set[str]) -> dict[str, Photo]:
    """What the lake knows of these photos; of one that it does not, the id."""
    columns = ["photo_id", "owner_id", "title", "page_url", "image_url"]
    rows = lake.scan(PHOTOS, columns=columns, where=one_of("photo_id", sorted(photo_ids))).to_pylist()
    owners = sorted({row["owner_id"] for row in rows})
    people = lake.scan(USERS, columns=["user_id", "name"], where=one_of("user_id", owners)).to_pylist()
    names = {person["user_id"]: person["name"] for person in people}
    known = {
        row["photo_id"]: Photo(
            photo_id=row["photo_id"],
            title=row["title"] or "",
            owner=names.get(row["owner_id"], row["owner_id"]),
            page_url=row["page_url"] or "",
            image_url=row["image_url"] or "",
        )
        for row in rows
    }
    return {photo_id: known.get(photo_id, Photo(photo_id, "", "")) for photo_id in photo_ids}


def log_report(run: TrainingRun, report: TrainingReport, comparison: Comparison, reachable: float) -> str:
    """Everything about the training into its run; the model card. The challenger's metrics go by their plain names,
    everybody's as `model/metric`. Raises DependencyError."""
    metrics = comparison.metrics()
    named = {f"{model}/{name}": value for model, values in metrics.items() for name, value in values.items()}
    run.log_metrics({**metrics[report.challenger], **named, "test_reachable": reachable})
    if report.champion is not None:
        run.tag(COMPARED_WITH, comparison.champion_version)
    for kind, recipe in comparison.recipes.items():
        if kind in metrics:
            run.nested(kind, dict(flat(recipe.parameters)), metrics[kind], _steps(comparison, kind))
    drawn = report_figures(report)
    for name, figure in drawn.items():
        run.log_figure(figure, f"figures/{name}.png")
    run.log_text(html_report(report, drawn), "report.html")
    card = model_card(report)
    run.log_text(card, "model_card.md")
    return card


def log_refit(run: TrainingRun, iterations: IterationsByName) -> None:
    """What each ALS did in the iterations of the last fit, on everything. Raises DependencyError."""
    for name, of_model in iterations.items():
        for metric, values in of_model.steps(f"refit/{name}_").items():
            run.log_steps(metric, values)


def log_drift(run: TrainingRun, report: DriftReport) -> None:
    """How far the data has moved since the champion was trained. Raises DependencyError."""
    run.log_text(json.dumps(report.as_dict(), indent=2), "drift/drift.json")
    run.log_text(report.markdown(), "drift/drift.md")
    run.log_metrics({f"drift/{one.name.replace(' ', '_')}": one.psi for one in report.features})
