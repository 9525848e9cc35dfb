"""Everything that decides what comes out of a training, as a run keeps it: with it the run can be made again.

Logged whole as one JSON artifact, since MLflow's parameters are text; they are logged too, for people and their tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from features.errors import InvalidInputError, NotFoundError
from features.settings import Settings
from training.models.recipes import Recipe
from training.tracking.client import artifact_text, mlflow_client
from training.tracking.datasets import LakeInput
from training.tracking.registry import list_versions

INPUTS = "training_inputs.json"
GIT_COMMIT = "mlflow.source.git.commit"


@dataclass(frozen=True)
class TrainingInputs:
    """What a training started from.

    recipes: of each kind that was compared. tables: what was read of the lake at `lake_uri`. as_of: the moment until
    which events counted; cut: everything later was held out. holdout_days: the length of what was, in days.
    git_commit: of the program, "" when it is not known.
    """

    recipes: Mapping[str, Recipe]
    lake_uri: str
    tables: tuple[LakeInput, ...]
    as_of: datetime
    cut: datetime
    holdout_days: float
    seed: int
    engine: str = "implicit"
    git_commit: str = ""

    @property
    def lake_versions(self) -> dict[str, int]:
        return {table.table: table.version for table in self.tables}

    @property
    def lake_digest(self) -> str:
        """Of all that was read, 24 hexadecimal digits: the same where the same rows of the same versions were."""
        digests = sorted(f"{table.table}:{table.digest}" for table in self.tables)
        return hashlib.sha256("|".join(digests).encode()).hexdigest()[:24]

    def parameters(self) -> dict[str, Any]:
        """As MLflow's parameters: `als.factors`, `holdout_days`, `cut`, …"""
        general = {
            "seed": self.seed,
            "engine": self.engine,
            "holdout_days": self.holdout_days,
            "cut": self.cut.isoformat(),
            "as_of": self.as_of.isoformat(),
            "lake_digest": self.lake_digest,
        }
        recipes = {kind: recipe.parameters for kind, recipe in self.recipes.items()}
        return {**general, **dict(flat(recipes))}

    def as_dict(self) -> dict[str, Any]:
        times = {"as_of": self.as_of.isoformat(), "cut": self.cut.isoformat()}
        return {**asdict(self), **times}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TrainingInputs:
        """The inverse of `as_dict`. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            **{
                **content,
                "recipes": {kind: Recipe.from_manifest(recipe) for kind, recipe in content["recipes"].items()},
                "tables": tuple(LakeInput(**table) for table in content["tables"]),
                "as_of": datetime.fromisoformat(content["as_of"]),
                "cut": datetime.fromisoformat(content["cut"]),
            }
        )


def flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, by their path with dots between; entries of a list go by their `name`."""
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple) and value and all(isinstance(one, Mapping) for one in value):
            named = {str(one.get("name", place)): one for place, one in enumerate(value)}
            yield from flat(named, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def run_named(settings: Settings, name: str) -> str:
    """The run's id, for a run's id or a registered version's number or alias. Raises NotFoundError, DependencyError."""
    of_version = next((v.run_id for v in list_versions(settings) if name in (v.version, *v.aliases)), name)
    with mlflow_client(settings) as client:
        from mlflow.exceptions import MlflowException

        try:
            run_id: str = client.get_run(of_version).info.run_id
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise NotFoundError(
                f"no run {name!r}: name a run's id, a version's number or an alias (`photo-recommender models list`)",
                field="run",
            ) from None
    return run_id


def training_inputs(settings: Settings, name: str) -> TrainingInputs:
    """What the run (an id, or a version's number or alias) was made from.

    Raises NotFoundError when there is no such run, InvalidInputError when it does not say, DependencyError.
    """
    run_id = run_named(settings, name)
    with mlflow_client(settings) as client:
        kept = any(artifact.path == INPUTS for artifact in client.list_artifacts(run_id))
        root = client.get_run(run_id).info.artifact_uri
    if not kept:
        raise InvalidInputError(f"run {run_id} holds no {INPUTS}, so that it can't be made again", field="run")
    try:
        return TrainingInputs.from_dict(json.loads(artifact_text(settings, f"{root}/{INPUTS}")))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInputError(f"{INPUTS} of run {run_id} is not of this program: {error!r}", field="run") from None
