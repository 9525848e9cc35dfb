"""MLflow: one run for each training, one registered version for each bundle, and which version is champion.

`client` speaks to MLflow, `run` writes what happened, `registry` says which bundle counts, `copies` brings it to this
machine; the rest reads it again.
"""

from training.tracking.client import prepare_mlflow
from training.tracking.comparison import Comparison, ModelFacts, compare_versions
from training.tracking.copies import (
    bundle_folder,
    challenger_folder,
    champion_folder,
    copies_here,
    discard_copy,
    manifest_of,
)
from training.tracking.datasets import LakeInput, digest_of_rows
from training.tracking.inputs import TrainingInputs, training_inputs
from training.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    TUNED,
    RegisteredVersion,
    challenge,
    champion,
    end_challenge,
    list_versions,
    promote,
    rollback,
    run_metrics,
    version_named,
)
from training.tracking.run import TrainingRun, run_name

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "TUNED",
    "Comparison",
    "LakeInput",
    "ModelFacts",
    "RegisteredVersion",
    "TrainingInputs",
    "TrainingRun",
    "bundle_folder",
    "challenge",
    "challenger_folder",
    "champion",
    "champion_folder",
    "compare_versions",
    "copies_here",
    "digest_of_rows",
    "discard_copy",
    "end_challenge",
    "list_versions",
    "manifest_of",
    "prepare_mlflow",
    "promote",
    "rollback",
    "run_metrics",
    "run_name",
    "training_inputs",
    "version_named",
]
