"""ALS's settings in a training: what the settings say, what an earlier search found, or what a search finds now.

A search is long and gets interrupted, so it is kept below `home/tuning` until its result is registered, and goes on
with the very rows that it began with, whatever has come to the lake since.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from features.errors import CorruptModelError, DependencyError, InvalidInputError
from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS
from features.settings import Settings
from pipelines.train.comparison import LEAST_USERS, Data, champion_of
from pipelines.train.reproduce import read_as_of
from pipelines.train.stages import Job
from training import tracking
from training.evaluation.holdout import holdout_of_split
from training.evaluation.numbering import Holdout
from training.from_lake import utc
from training.models.recipes import Recipe
from training.reports.figures import search_history
from training.storage import load_json, save_json
from training.tracking.inputs import flat
from training.tuning.search import Searched, Tried, search_als

FOLDER = "tuning"
"""Of `home`: a search that is not over, or whose result is not registered."""

RESUMED_WITHIN = timedelta(days=7)
"""An older search has seen too little of what people favorite now."""

FOUND = ("factors", "alpha", "regularization", "degree_exponent", "half_life_days", "iterations")
"""What a search decides of ALS's recipe: the rest is the settings', whenever it was searched."""

METRIC = "validation_ndcg_at_20"
STATUS = {"complete": "FINISHED", "pruned": "KILLED"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Budget:
    """trials: of the search, those before an interruption among them. minutes: after which no more begins; None: any.

    factors_max: the greatest number of factors that is tried.
    """

    trials: int
    minutes: float | None = None
    factors_max: int = 128


@dataclass(frozen=True)
class Tuned:
    """What a search found, kept in the manifest and as the version's tag: it holds for the trainings after it, too.

    found: by name of FOUND. instead_of: what the settings said of each then. ndcg_at_20: on validation, of the first
    trial and of the best. run_id: of the training that searched, "" where MLflow failed.
    """

    found: dict[str, Any]
    instead_of: dict[str, Any]
    trials: int
    ndcg_at_20: tuple[float, float]
    run_id: str

    def recipe(self, settings: Settings) -> Recipe:
        return Recipe.from_settings(settings, "als").changed(**self.found)

    def as_tag(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_tag(cls, text: str) -> Tuned:
        """The inverse of `as_tag`. Raises KeyError, TypeError or ValueError for anything else."""
        content = json.loads(text)
        first, best = content.pop("ndcg_at_20")
        return cls(**content, ndcg_at_20=(float(first), float(best)))


def tuned_before(settings: Settings, versions: Sequence[tracking.RegisteredVersion]) -> Tuned | None:
    """What the champion was tuned to; None where it was not, or since somebody has changed one of those settings."""
    current = champion_of(list(versions))
    trained = next((one for one in versions if current is not None and one.version == current.trained), None)
    if trained is None or not trained.tuned:
        return None
    try:
        tuned = Tuned.from_tag(trained.tuned)
        changed = tuned.instead_of != _said_by(settings)
    except (KeyError, TypeError, ValueError) as error:
        log.warning("the tag is not of this program", tag=tracking.TUNED, version=trained.version, error=repr(error))
        return None
    if changed:
        log.warning("ALS's settings have changed since it was tuned, and hold again", version=trained.version)
        return None
    return tuned


def search(
    job: Job, run: tracking.TrainingRun | None, lake: Lake, data: Data, start: Recipe, budget: Budget, now: datetime
) -> Tuned:
    """Search on the days before the cut, from `start` on; each trial becomes a nested run as it ends.

    Raises InvalidInputError where too few people favorited anything in those days.
    """
    settings, logged = job.settings, set[int]()
    # From another start than is kept: else the luckiest start of all would be, and look better than it is.
    begin = start.changed(
        seed=settings.seed + settings.blend_als_seeds, factors=min(start.parameters["factors"], budget.factors_max)
    )

    def on_trial(one: Tried) -> None:
        with job.mlflow_may_fail():
            if run is not None and one.number not in logged:
                _log_trial(run, one)
                logged.add(one.number)

    def progress(tried: int, trials: int) -> None:
        job.report("tune ALS", tried, trials)

    with job.stage("tune"):
        holdout = _holdout(settings, lake, data, start, now)
        progress(0, budget.trials)
        searched = search_als(
            begin,
            holdout,
            trials=budget.trials,
            factors_max=budget.factors_max,
            has_times=True,
            seed=settings.seed,
            progress=progress,
            minutes=budget.minutes,
            storage=settings.home / FOLDER / "als.journal",
            on_trial=on_trial,
        )
        for one in searched.trials:  # of before an interruption, and what MLflow could not take at its time
            on_trial(one)
        found = {name: searched.recipe.parameters[name] for name in FOUND}
        first = searched.trials[0].value
        run_id = "" if run is None else run.run_id
        tuned = Tuned(found, _said_by(settings), len(searched.trials), (first, searched.value), run_id)
        with job.mlflow_may_fail():
            if run is not None:
                _log_search(run, searched, budget, tuned)
    return tuned


def forget(settings: Settings) -> None:
    """Remove what is kept of the search: the next begins anew."""
    shutil.rmtree(settings.home / FOLDER, ignore_errors=True)


def _said_by(settings: Settings) -> dict[str, Any]:
    parameters = Recipe.from_settings(settings, "als").parameters
    return {name: parameters[name] for name in FOUND}


def _holdout(settings: Settings, lake: Lake, data: Data, start: Recipe, now: datetime) -> Holdout:
    split = _data_of_search(settings, lake, data, start, now).before(settings.holdout_days)
    if len(split.test_users) < LEAST_USERS:
        forget(settings)
        raise InvalidInputError(
            f"only {len(split.test_users)} users favorited known photos in the {settings.holdout_days:g} days before "
            f"the held-out ones, and a search needs {LEAST_USERS}: pull more people, or raise HOLDOUT_DAYS",
            field="tune",
        )
    return holdout_of_split(split)


def _data_of_search(settings: Settings, lake: Lake, data: Data, start: Recipe, now: datetime) -> Data:
    """What an interrupted search from the same start read; of a new search, what the training did."""
    path = settings.home / FOLDER / "search.json"
    same = {"start": start.as_dict(), "lake": settings.lake_uri, "holdout_days": settings.holdout_days}
    begun = _begun(path, same, now)
    versions = {INTERACTIONS.name: data.log_version, CONTACTS.name: data.follows_version}
    if begun is not None:
        if begun["versions"] == versions:
            return data
        read = {table: version for table, version in begun["versions"].items() if version >= 0}
        cut = datetime.fromisoformat(begun["cut"])
        try:
            log.info("the search goes on with what it began with", versions=read)
            return Data.of(
                *read_as_of(lake, read),
                as_of=datetime.fromisoformat(begun["at"]),
                holdout_days=settings.holdout_days,
                cut=cut,
            )
        except DependencyError as error:
            log.warning("the search begins anew", error=error.message)
    forget(settings)
    path.parent.mkdir(parents=True)
    save_json(path, {**same, "versions": versions, "cut": utc(data.split.cut).isoformat(), "at": now.isoformat()})
    return data


def _begun(path: Path, same: dict[str, Any], now: datetime) -> dict[str, Any] | None:
    """What is kept of a search of the same, not too long ago."""
    try:
        kept = load_json(path)
        recent = now - datetime.fromisoformat(kept["at"]) <= RESUMED_WITHIN
    except (CorruptModelError, KeyError, ValueError):
        return None
    return kept if recent and all(kept.get(name) == value for name, value in same.items()) else None


def _log_trial(run: tracking.TrainingRun, one: Tried) -> None:
    run.nested(
        f"trial {one.number:02d}",
        dict(flat(one.parameters)),
        {f"best_{METRIC}": one.value},
        {METRIC: dict(one.steps)},
        status=STATUS[one.state],
        began=one.began,
        ended=one.ended,
    )


def _log_search(run: tracking.TrainingRun, searched: Searched, budget: Budget, tuned: Tuned) -> None:
    first, best = tuned.ndcg_at_20
    values = [one.value for one in searched.trials]
    pruned = [one.state == "pruned" for one in searched.trials]
    tried = {name: [one.parameters[name] for one in searched.trials] for name in tuned.found}
    run.log_parameters({f"tune.{name}": value for name, value in asdict(budget).items()})
    run.log_metrics(
        {
            f"tuning/first_{METRIC}": first,
            f"tuning/best_{METRIC}": best,
            "tuning/trials": len(values),
            "tuning/pruned": sum(pruned),
        }
    )
    run.log_figure(search_history(values, pruned, tried), "figures/search.png")
