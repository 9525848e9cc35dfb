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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from features.errors import CorruptModelError, DependencyError, NotFoundError
from features.lake import open_lake
from features.progress import Report
from features.schema import INTERACTIONS
from features.settings import Settings
from training import tracking
from training.bundle import load_bundle, save_bundle
from training.evaluation.holdout import Evaluation, OtherCatalog, evaluate
from training.from_lake import Split, build_interactions, load_log, temporal_split, utc
from training.gate import Decision, decide, first_champion, undecided
from training.interactions import Interactions
from training.models.interface import Model, Scorer
from training.models.recipes import MODELS, Recipe, fit

UNREGISTERED = "unregistered-"
"""Bundles below `home/models` that MLflow did not take, or not yet, begin with this."""
SECONDS_KEPT = 86_400

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TrainReport:
    """What a training did. metrics: {model: {metric: value}}, "champion" beside the kinds; seconds: by stage.

    version: the registered version, None when nothing was registered; `bundle`: where the bundle lies then.
    problems: what MLflow could not take.
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

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Job:
    """What the stages of one training share."""

    settings: Settings
    progress: Report | None
    seconds: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        self.report(f"train: {name}", 0, 1)
        yield
        self.report(f"train: {name}", 1, 1)
        self.seconds[name] = round(time.perf_counter() - started, 3)
        log.info("training", stage=name, seconds=self.seconds[name])

    def report(self, name: str, made: int, total: int) -> None:
        if self.progress is not None:
            self.progress(name, made, total)

    @contextmanager
    def mlflow_may_fail(self) -> Iterator[None]:
        """Leave the block on a DependencyError and note it, once."""
        try:
            yield
        except DependencyError as error:
            if error.message not in self.problems:
                self.problems.append(error.message)
                log.warning("mlflow failed", error=error.message)


@dataclass(frozen=True)
class _Comparison:
    """Everything measured before the cut: by model, and what follows from it."""

    evaluations: dict[str, Evaluation]
    fitted: dict[str, Model]
    decision: Decision

    def metrics(self) -> dict[str, dict[str, float]]:
        return {name: evaluation.summary() for name, evaluation in self.evaluations.items()}


def train(settings: Settings, progress: Report | None = None, now: datetime | None = None) -> TrainReport:
    """Train, evaluate, decide and register; skipped when neither the lake nor the configuration changed since the last.

    `progress` gets (stage, made, total). Raises NotFoundError when the lake holds no favorite.
    """
    job = _Job(settings, progress)
    now = now or datetime.now(UTC)
    with job.stage("registry"):
        registry_works, versions = False, []
        with job.mlflow_may_fail():
            tracking.prepare_mlflow(settings)
            versions = tracking.list_versions(settings)
            registry_works = True
    with job.stage("read"):
        lake = open_lake(settings)
        rows, lake_version = load_log(lake)
        fingerprint = _fingerprint(settings, lake_version, rows.num_rows)
        # The champion, or a newer version that failed the gate: from the same data would come the same model again.
        if versions and versions[0].fingerprint == fingerprint and not _champion_is_corrupt(job, versions):
            return _skipped(job, versions)
        everything = build_interactions(rows, as_of=now, lake_versions={INTERACTIONS.name: lake_version})
        if len(everything.favorites) == 0:
            raise NotFoundError(
                f"the lake at {settings.lake_uri} holds no favorite to learn from: `photo-recommender pull USER` first"
            )
    with job.stage("split"):
        cut = utc(everything.data_until) - timedelta(days=settings.holdout_days)
        split = temporal_split(rows, cut, until=now)
    run = _start_run(job, everything, split, f"{lake.uri}/{INTERACTIONS.name}")
    status = "FAILED"
    try:
        comparison = _compare(job, split, versions if registry_works else None)
        report = _register(job, comparison, split, everything, run, fingerprint)
        status = "FINISHED"
        return report
    finally:
        if run is not None:
            with job.mlflow_may_fail():
                run.finish(status)


def _fingerprint(settings: Settings, lake_version: int, n_rows: int) -> str:
    """What decides the outcome of a training: the same fingerprint, the same result."""
    recipes = {kind: recipe.as_dict() for kind, recipe in _recipes(settings).items()}
    parts = {
        "lake": [settings.lake_uri, lake_version, n_rows],
        "recipes": recipes,
        "holdout_days": settings.holdout_days,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _recipes(settings: Settings) -> dict[str, Recipe]:
    return {kind: Recipe.from_settings(settings, kind) for kind in MODELS}


def _champion_of(versions: list[tracking.RegisteredVersion]) -> tracking.RegisteredVersion | None:
    return next((version for version in versions if tracking.CHAMPION in version.aliases), None)


def _champion_is_corrupt(job: _Job, versions: list[tracking.RegisteredVersion]) -> bool:
    """Then people are told to train again, and that must not be skipped."""
    current = _champion_of(versions)
    if current is not None:
        with job.mlflow_may_fail():
            try:
                load_bundle(tracking.bundle_folder(job.settings, current))
            except CorruptModelError:
                return True
    return False


def _skipped(job: _Job, versions: list[tracking.RegisteredVersion]) -> TrainReport:
    newest, metrics = versions[0], dict[str, dict[str, float]]()
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
    )


def _start_run(job: _Job, everything: Interactions, split: Split, table_uri: str) -> tracking.TrainingRun | None:
    settings, run = job.settings, None
    with job.stage("run"), job.mlflow_may_fail():
        run = tracking.TrainingRun(settings, f"train {datetime.now(UTC):%Y-%m-%d %H:%M:%S}")
        parameters = Recipe.from_settings(settings, "als").parameters
        cut = utc(split.cut).isoformat()
        run.log_parameters({**parameters, "holdout_days": settings.holdout_days, "cut": cut})
        for name, version in everything.lake_versions.items():
            run.log_dataset(name, table_uri, version, _counts(everything, split))
    return run


def _counts(everything: Interactions, split: Split) -> dict[str, int]:
    return {
        "users": everything.n_users,
        "photos": everything.n_photos,
        "favorites": len(everything.favorites),
        "dismissals": len(everything.dismissals),
        "test_users": len(split.test_users),
        "test_favorites": sum(len(photos) for photos in split.test_photos),
    }


def _compare(job: _Job, split: Split, versions: list[tracking.RegisteredVersion] | None) -> _Comparison:
    """Fit each kind before the cut, and evaluate all of them beside the champion. versions None: registry unknown."""
    current = _champion_of(versions or [])
    if len(split.test_users) == 0:
        return _Comparison({}, {}, undecided(versions is None or current is not None))
    recipes = _recipes(job.settings)
    fitted: dict[str, Model] = {}
    for kind in MODELS:
        with job.stage(f"fit {kind}"):
            fitted[kind] = fit(recipes[kind], split.train)
    asked: dict[str, Scorer] = dict(fitted)
    comparable = versions is not None
    if current is not None:
        comparable = False
        with job.mlflow_may_fail():
            champion = _champion_before(job, current, split, recipes, fitted)
            comparable = True
            if champion is not None:
                asked["champion"] = champion
    with job.stage("evaluate"):
        evaluations = evaluate(
            asked, split, progress=lambda made, total: job.report("train: rank test users", made, total)
        )
    return _Comparison(evaluations, fitted, _decide(evaluations, comparable=comparable))


def _champion_before(
    job: _Job,
    current: tracking.RegisteredVersion,
    split: Split,
    recipes: Mapping[str, Recipe],
    fitted: Mapping[str, Model],
) -> Scorer | None:
    """The champion as it may fairly be asked: its own bundle if that saw nothing after the cut, or else what its recipe
    makes of the data before the cut. None when it is corrupt: then nobody can serve it either.

    Raises DependencyError when it can't be fetched.
    """
    with job.stage("champion"):
        try:
            bundle = load_bundle(tracking.bundle_folder(job.settings, current), current.version)
        except CorruptModelError as error:
            job.problems.append(error.message)
            return None
        if bundle.manifest["data_until"] <= split.cut:
            return OtherCatalog.of(bundle, split.train.catalog)
        trained = Recipe.from_manifest(bundle.manifest["training"])
        return fitted[trained.kind] if trained == recipes.get(trained.kind) else fit(trained, split.train)


def _decide(evaluations: Mapping[str, Evaluation], *, comparable: bool) -> Decision:
    """comparable: False when there is, or may be, a champion that could not be asked."""
    ndcg = {name: evaluation.ndcg for name, evaluation in evaluations.items()}
    challenger = max((kind for kind in MODELS if kind != "popularity"), key=lambda kind: ndcg[kind].mean())
    if not comparable:
        return Decision(False, challenger, "MLflow failed: nothing replaces a champion unseen")
    if "champion" in ndcg:
        return decide(ndcg[challenger], ndcg["champion"], ndcg["popularity"], challenger)
    return first_champion({kind: ndcg[kind] for kind in MODELS})


def _register(
    job: _Job,
    comparison: _Comparison,
    split: Split,
    everything: Interactions,
    run: tracking.TrainingRun | None,
    fingerprint: str,
) -> TrainReport:
    """Save the bundle (fit on everything if it passed, else as it was measured), register it, and report."""
    decision, metrics = comparison.decision, comparison.metrics()
    recipe = Recipe.from_settings(job.settings, decision.kind)
    with job.stage("refit"):
        measured = None if decision.passed else comparison.fitted.get(decision.kind)
        data = everything if measured is None else split.train
        model = fit(recipe, everything) if measured is None else measured
    models = job.settings.home / "models"
    folder = models / f"{UNREGISTERED}{uuid.uuid4().hex[:8]}"
    with job.stage("save"):
        _sweep(models)
        save_bundle(folder, recipe, model, data, metrics)
    version = None
    with job.stage("register"), job.mlflow_may_fail():
        if run is not None:
            _log_metrics(run, metrics, decision, split)
            version = run.register(folder, decision, fingerprint)
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
        counts=_counts(everything, split),
        seconds=job.seconds,
        problems=job.problems,
    )


def _sweep(models: Path) -> None:
    """Remove what killed processes left, and bundles that nobody registered: a day later, somebody may be at it."""
    for folder in models.glob("*"):
        unfinished = folder.name.startswith(UNREGISTERED) or folder.name.endswith(".partial")
        if unfinished and time.time() - folder.stat().st_mtime > SECONDS_KEPT:
            shutil.rmtree(folder, ignore_errors=True)


def _log_metrics(
    run: tracking.TrainingRun, metrics: dict[str, dict[str, float]], decision: Decision, split: Split
) -> None:
    """The challenger's metrics by their plain names, everybody's as `model/metric`."""
    named = {f"{model}/{name}": value for model, values in metrics.items() for name, value in values.items()}
    run.log_metrics({**metrics.get(decision.kind, {}), **named, "test_reachable": split.reachable})
