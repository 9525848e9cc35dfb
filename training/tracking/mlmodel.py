"""Describes a bundle in MLflow's own words: signature, input example, requirements, and who can open it.

The files lie beside the bundle's; none of them is needed to serve it.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from training.tracking import pyfunc

DISTRIBUTION = "photo-recommender"
EXAMPLE = "input_example.json"


def write_mlmodel(folder: Path, run_id: str, kind: str, example: Sequence[str]) -> None:
    """Write MLmodel, requirements.txt, python_env.yaml and, with an example, input_example.json into the folder.

    example: photo ids of a person's favorites that the model knows; none: no input example.
    """
    from mlflow.models import Model

    about = {"artifact_path": EXAMPLE, "type": "dataframe", "pandas_orient": "split"}
    model: Any = Model(
        run_id=run_id,
        signature=_signature(),
        saved_input_example_info=about if example else None,
        metadata={"kind": kind},
    )
    model.add_flavor(
        "python_function",
        loader_module=pyfunc.__name__,
        python_version=platform.python_version(),
        env={"virtualenv": "python_env.yaml"},
    )
    model.save(str(folder / "MLmodel"))
    if example:
        content = {"columns": ["favorites"], "data": [[list(example)]]}
        (folder / EXAMPLE).write_text(json.dumps(content), encoding="utf-8")
    (folder / "requirements.txt").write_text(requirements(), encoding="utf-8")
    environment = [f"python: {platform.python_version()}", "dependencies: [-r requirements.txt]"]
    (folder / "python_env.yaml").write_text("\n".join(environment) + "\n", encoding="utf-8")


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    ids = Array(DataType.string)
    return ModelSignature(
        inputs=Schema([ColSpec(ids, "favorites"), ColSpec(ids, "dismissed", required=False)]),
        outputs=Schema([ColSpec(ids, "photo_ids"), ColSpec(Array(DataType.double), "scores")]),
        params=ParamSchema([ParamSpec("limit", DataType.long, pyfunc.LIMIT)]),
    )


def requirements() -> str:
    """The program's direct dependencies at the versions that are installed, one a line, as in a requirements.txt."""
    wanted = [line for line in metadata.requires(DISTRIBUTION) or [] if "extra ==" not in line]
    # A name, and perhaps extras: what stands before a version, a marker or an address.
    names = [found[0] for line in wanted if (found := re.match(r"[\w.-]+(\[[^\]]*\])?", line)) is not None]
    pinned = [f"{name}=={metadata.version(name.split('[')[0])}" for name in sorted(names)]
    head = f"# and {DISTRIBUTION} {metadata.version(DISTRIBUTION)} itself, which is not in any index"
    return "\n".join([head, *pinned]) + "\n"
