"""An old training made again, from the versions of the lake, the recipes, the moment and the seed that its run holds.

It says how far everything came out the same: the rows that were read, every metric, and the scores of the model itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from features.errors import DependencyError, NotFoundError
from features.lake import Lake, open_lake
from features.progress import Report
from features.schema import CONTACTS, INTERACTIONS, LakeTable
from features.settings import Settings
from features.state import dated_contacts
from pipelines.train.comparison import Data
from pipelines.train.stages import Job
from training import tracking
from training.bundle import Bundle, load_bundle
from training.evaluation.holdout import evaluate
from training.from_lake import load_contacts, load_log
from training.interactions import Interactions
from training.models.interface import Model, scores_of
from training.models.recipes import fit
from training.tracking.inputs import run_named
from training.tracking.run import git_commit

PEOPLE = 100
"""Whose scores by the old bundle and by the new model are compared."""

EQUAL = 1e-9


@dataclass(frozen=True)
class Reproduction:
    """How far a run came out the same.

    same_rows: {table: whether the rows read are those of then}. metrics: {model: {metric: [then, now]}}. version: the
    registered one that was made again, kind: of it; scores_apart: the greatest difference of any score of its bundle to
    the new model's, in standard deviations of the scores. commits: the program's revision then and now.
    """

    run_id: str
    version: str
    kind: str
    same_rows: dict[str, bool]
    metrics: dict[str, dict[str, list[float]]]
    scores_apart: float
    commits: tuple[str, str]

    @property
    def metrics_apart(self) -> float:
        """The greatest difference of any metric."""
        return max((abs(now - then) for of in self.metrics.values() for then, now in of.values()), default=0.0)

    @property
    def same(self) -> bool:
        """Whether the rows are those of then and every metric came out as it was."""
        return all(self.same_rows.values()) and self.metrics_apart <= EQUAL

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "metrics_apart": self.metrics_apart, "same": self.same}


def reproduce(settings: Settings, name: str, progress: Report | None = None) -> Reproduction:
    """Make the run again: name is its id, or the number or alias of the version that it registered. Nothing is written.

    Raises NotFoundError when there is no such run or it registered nothing, InvalidInputError when it does not say what
    it was made of, DependencyError when the lake no longer keeps what it read, or MLflow can't be used.
    """
    job = Job(settings, progress)
    with job.stage("inputs"):
        inputs = tracking.training_inputs(settings, name)
        run_id = run_named(settings, name)
        versions = tracking.list_versions(settings)
        made = next((version for version in versions if version.run_id == run_id and not version.minor_of), None)
        if made is None:
            raise NotFoundError(
                f"run {run_id} registered no version, so that there is nothing to compare with", field="run"
            )
        bundle = load_bundle(tracking.bundle_folder(settings, made), made.version)
        then = tracking.run_metrics(settings, run_id)
    with job.stage("read"):
        lake = open_lake(settings)
        log, follows = read_as_of(lake, inputs.lake_versions)
        found = {INTERACTIONS.name: log, CONTACTS.name: follows}
        same_rows = {
            table.table: tracking.LakeInput.of(table.table, table.uri, table.version, found[table.table][0]).digest
            == table.digest
            for table in inputs.tables
        }
        data = Data.of(log, follows, as_of=inputs.as_of, holdout_days=inputs.holdout_days, cut=inputs.cut)
    with job.stage("fit"):
        fitted = {kind: fit(recipe, data.split.train) for kind, recipe in inputs.recipes.items() if kind in then}
    with job.stage("evaluate"):
        evaluations = evaluate(fitted, data.split, progress=partial(job.report, "rank test users"))
    with job.stage("refit"):
        on_everything = bundle.manifest["data_until"] == data.everything.data_until
        known = data.everything if on_everything else data.split.train
        measured = None if on_everything else fitted.get(made.kind)
        model = measured or fit(inputs.recipes[made.kind], known)
    return Reproduction(
        run_id=run_id,
        version=made.version,
        kind=made.kind,
        same_rows=same_rows,
        metrics={
            kind: {metric: [then[kind][metric], value] for metric, value in evaluation.summary().items()}
            for kind, evaluation in evaluations.items()
        },
        scores_apart=_scores_apart(bundle, model, known),
        commits=(inputs.git_commit, git_commit()),
    )


def read_as_of(lake: Lake, versions: Mapping[str, int]) -> tuple[tuple[pa.Table, int], tuple[pa.Table, int]]:
    """The log and the follows, each with its version, at these versions of their tables; no follows where none is
    named. Raises DependencyError when the lake no longer keeps one of them."""

    def still_kept(table: LakeTable) -> DependencyError:
        return DependencyError(
            f"version {versions[table.name]} of {table.name} can't be read from the lake at {lake.uri}: files that "
            "nothing needs are removed after LAKE_RETENTION_DAYS"
        )

    try:
        log = load_log(lake, versions[INTERACTIONS.name])
    except DependencyError as error:
        raise still_kept(INTERACTIONS) from error
    if CONTACTS.name not in versions:
        return log, (dated_contacts(CONTACTS.schema.empty_table()), -1)
    try:
        return log, load_contacts(lake, versions[CONTACTS.name])
    except DependencyError as error:
        raise still_kept(CONTACTS) from error


def _scores_apart(bundle: Bundle, model: Model, known: Interactions) -> float:
    """Of the users of what the model learned from; infinite when the bundle knows other photos."""
    if bundle.photo_ids.tolist() != known.catalog.photo_ids.tolist():
        return float("inf")
    apart = 0.0
    for user in np.unique(np.linspace(0, known.n_users - 1, PEOPLE).round().astype(np.int64)).tolist():
        history = known.history(user)
        then, now = bundle.scores(history), scores_of(model, history)
        apart = max(apart, float(np.abs(then - now).max()) / (float(then.std()) or 1.0))
    return apart
