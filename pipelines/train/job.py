"""Training as a job: from the lake to a registered bundle, and past the gate to the champion.

Models are compared on the newest days, held out; what passes is fit again on everything before it is registered.
MLflow may fail at any point: the training goes on, the bundle stays on disk, and the report says what went wrong.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from features.errors import CorruptModelError, NotFoundError
from features.lake import Lake, open_lake
from features.progress import Report
from features.settings import Settings
from pipelines.retrain import PROFILE, drift_since_training
from pipelines.train.comparison import Comparison, Data, champion_of, compare, recipes_of
from pipelines.train.reporting import example_walls, inputs_of, log_drift, log_refit, log_report, report_of
from pipelines.train.stages import IterationsByName, Job
from pipelines.train.tuning import Budget, Tuned, forget, search, tuned_before
from training import tracking
from training.ann.choice import graphs_for
from training.bundle import load_bundle, save_bundle
from training.drift import observe, profile
from training.from_lake import load_contacts, load_log
from training.gate import forced
from training.models.recipes import Recipe, fit, watching

UNREGISTERED = "unregistered-"
"""Bundles below `home/models` that MLflow did not take, or not yet, begin with this."""
SECONDS_KEPT = 86_400

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TrainReport:
    """What a training did. metrics: {model: {metric: value}}, "champion" beside the kinds; seconds: by stage.

    version: the registered version, None when nothing was registered; `bundle`: where the bundle lies then.
    tuned: what was found for ALS by a search, in this training or for the champion; None: its settings are the
    settings'. problems: what MLflow could not take.
    """

    skipped: bool
    reason: str
    kind: str
    passed: bool
    version: str | None
    run_id: str | None
    bundle: str | None
    metrics: dict[str, dict[str, float]]
    counts: dict[str, int]
    seconds: dict[str, float]
    problems: list[str]
    tuned: Tuned | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def train(
    settings: Settings,
    progress: Report | None = None,
    now: datetime | None = None,
    *,
    force: str = "",
    tune: Budget | None = None,
    untuned: bool = False,
) -> TrainReport:
    """Train, evaluate, decide and register; skipped when neither the lake nor the configuration changed since the last.

    `progress` gets (stage, made, total). force: why the result becomes champion whatever the gate says. tune: search
    ALS's settings first. untuned: begin from the settings, whatever the champion was tuned to. Raises NotFoundError
    when the lake holds no favorite, InvalidInputError when there are too few for a search.
    """
    job = Job(settings, progress)
    now = now or datetime.now(UTC)
    with job.stage("registry"):
        registry_works, versions = False, []
        with job.mlflow_may_fail():
            tracking.prepare_mlflow(settings)
            versions = tracking.list_versions(settings)
            registry_works = True
    with job.stage("read"):
        lake = open_lake(settings)
        log, follows = load_log(lake), load_contacts(lake)
        tuned = None if untuned else tuned_before(settings, versions)
        als = _als(settings, tuned)
        same = _made_before(versions, _fingerprint(settings, als, log[1], log[0].num_rows, follows[1]))
        if same is not None and not force and tune is None and not _champion_is_corrupt(job, versions):
            return _skipped(job, same, tuned)
    with job.stage("split"):
        data = Data.of(log, follows, as_of=now, holdout_days=settings.holdout_days)
    if len(data.everything.favorites) == 0:
        raise NotFoundError(
            f"the lake at {settings.lake_uri} holds no favorite to learn from: `photo-recommender pull USER` first"
        )
    run = _start_run(job, data, now)
    status = "FAILED"
    try:
        if tune is not None:
            tuned = search(job, run, lake, data, als, tune, now)
            als = _als(settings, tuned)
        fingerprint = _fingerprint(settings, als, log[1], log[0].num_rows, follows[1])
        comparison = compare(job, data, als, versions if registry_works else None)
        if force:
            comparison = replace(comparison, decision=forced(comparison.decision, force))
        card = _report(job, run, lake, data, comparison, tuned, now)
        _report_drift(job, run, data, versions)
        report = _register(job, comparison, data, run, fingerprint, card, tuned)
        if tune is not None and report.version is not None:
            forget(settings)
        status = "FINISHED"
        return report
    finally:
        if run is not None:
            with job.mlflow_may_fail():
                run.finish(status)


def _als(settings: Settings, tuned: Tuned | None) -> Recipe:
    return Recipe.from_settings(settings, "als") if tuned is None else tuned.recipe(settings)


def _made_before(versions: list[tracking.RegisteredVersion], fingerprint: str) -> tracking.RegisteredVersion | None:
    """The training with that outcome: the champion's, or a newer one, which failed the gate."""
    current = champion_of(versions)
    oldest = 0 if current is None else int(current.trained)
    return next(
        (v for v in versions if v.fingerprint == fingerprint and not v.minor_of and int(v.version) >= oldest), None
    )


def _fingerprint(settings: Settings, als: Recipe, lake_version: int, n_rows: int, contacts_version: int) -> str:
    """What decides the outcome of a training: the same fingerprint, the same result."""
    recipes = {kind: recipe.as_dict() for kind, recipe in recipes_of(settings, als).items()}
    parts = {
        "lake": [settings.lake_uri, lake_version, n_rows, contacts_version],
        "recipes": recipes,
        "holdout_days": settings.holdout_days,
        "blend": [settings.train_blend, settings.blend_thorough, settings.blend_als_seeds],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _champion_is_corrupt(job: Job, versions: list[tracking.RegisteredVersion]) -> bool:
    """Then people are told to train again, and that must not be skipped."""
    current = champion_of(versions)
    if current is not None:
        with job.mlflow_may_fail():
            try:
                load_bundle(tracking.bundle_folder(job.settings, current))
            except CorruptModelError:
                return True
    return False


def _skipped(job: Job, newest: tracking.RegisteredVersion, tuned: Tuned | None) -> TrainReport:
    metrics = dict[str, dict[str, float]]()
    with job.mlflow_may_fail():
        metrics = tracking.run_metrics(job.settings, newest.run_id)
    return TrainReport(
        skipped=True,
        reason=f"neither the lake nor the configuration changed since version {newest.version}",
        kind=newest.kind,
        passed=newest.gate == "passed",
        version=newest.version,
        run_id=newest.run_id,
        bundle=None,
        metrics=metrics,
        counts={},
        seconds=job.seconds,
        problems=job.problems,
        tuned=tuned,
    )


def _start_run(job: Job, data: Data, now: datetime) -> tracking.TrainingRun | None:
    run = None
    with job.stage("run"), job.mlflow_may_fail():
        run = tracking.TrainingRun(job.settings, tracking.run_name(now, data.log_version))
        run.watch_system()
    return run


def _report(
    job: Job,
    run: tracking.TrainingRun | None,
    lake: Lake,
    data: Data,
    comparison: Comparison,
    tuned: Tuned | None,
    now: datetime,
) -> str | None:
    """Inputs, metrics and figures into the run; the model card, "" where nothing could be measured. None when MLflow
    failed: a version without its numbers is not registered, and the next training makes it anew."""
    with job.stage("report"), job.mlflow_may_fail():
        if run is not None:
            card = ""
            inputs = inputs_of(job.settings, data, comparison.recipes, now)
            run.log_inputs(inputs)
            if tuned is not None:
                run.log_parameters({f"tuned.{name}": value for name, value in tuned.found.items()})
                run.tag("tuned_in", tuned.run_id)
            if comparison.evaluations:
                title = tracking.run_name(now, data.log_version)
                report = report_of(title, data, comparison, inputs, example_walls(lake, data, comparison))
                card = log_report(run, report, comparison, data.split.reachable)
            return card
    return None


def _report_drift(
    job: Job, run: tracking.TrainingRun | None, data: Data, versions: list[tracking.RegisteredVersion]
) -> None:
    """How far the data has moved since the champion was trained, where there is one that can be asked."""
    current = champion_of(versions)
    if run is None or current is None:
        return
    with job.stage("drift"), job.mlflow_may_fail():
        try:
            bundle = load_bundle(tracking.bundle_folder(job.settings, current), current.version)
        except CorruptModelError:
            return  # the comparison has noted it
        drifted = drift_since_training(bundle, data.everything)
        if drifted is not None:
            log_drift(run, drifted)


def _register(
    job: Job,
    comparison: Comparison,
    data: Data,
    run: tracking.TrainingRun | None,
    fingerprint: str,
    card: str | None,
    tuned: Tuned | None,
) -> TrainReport:
    """Save the bundle (fit on everything if it passed, else as it was measured), register it, and report."""
    decision, metrics = comparison.decision, comparison.metrics()
    recipe = comparison.recipes[decision.kind]
    with job.stage("refit"):
        measured = None if decision.passed else comparison.fitted.get(decision.kind)
        learned_from = data.everything if measured is None else data.split.train
        iterations, model = IterationsByName(), measured
        if model is None:
            model = fit(recipe, data.everything, **watching(decision.kind, recipe, iterations.note))
    with job.stage("graph"):
        graphs = graphs_for(model, learned_from, job.settings.ann_photos)
    models = job.settings.home / "models"
    folder = models / f"{UNREGISTERED}{uuid.uuid4().hex[:8]}"
    with job.stage("save"):
        _sweep(models)
        learned = profile(observe(learned_from, model)).as_dict()
        more = {PROFILE: learned, **({} if tuned is None else {tracking.TUNED: asdict(tuned)})}
        save_bundle(folder, recipe, model, learned_from, metrics, more, graphs)
    version = None
    with job.stage("register"), job.mlflow_may_fail():
        if run is not None and card is not None:
            log_refit(run, iterations)
            example = [str(photo) for photo in data.everything.catalog.photo_ids[:3]]
            tags = {} if tuned is None else {tracking.TUNED: tuned.as_tag()}
            version = run.register(folder, decision, fingerprint, card=card, example=example, tags=tags)
            shutil.rmtree(folder)
    return TrainReport(
        skipped=False,
        reason=decision.reason,
        kind=decision.kind,
        passed=decision.passed,
        version=version,
        run_id=None if run is None else run.run_id,
        bundle=str(folder) if version is None else None,
        metrics=metrics,
        counts=data.counts(),
        seconds=job.seconds,
        problems=job.problems,
        tuned=tuned,
    )


def _sweep(models: Path) -> None:
    """Remove what killed processes left, and bundles that nobody registered: a day later, somebody may be at it."""
    for folder in models.glob("*"):
        unfinished = folder.name.startswith(UNREGISTERED) or folder.name.endswith(".partial")
        if unfinished and time.time() - folder.stat().st_mtime > SECONDS_KEPT:
            shutil.rmtree(folder, ignore_errors=True)
