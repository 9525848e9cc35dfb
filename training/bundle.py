"""The model bundle: one folder with everything that serving a person needs, memory-mapped; no pickle.

`manifest.json` says what the folder holds (components, recipe, lake versions, metrics, checksums), `photos.parquet`
which photo each row is; beside them the arrays of the model, and for ALS `user_factors.npy` with `users.parquet`.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.user_state import UserState
from training.catalog import Catalog, Ids, UserIds
from training.from_lake import history_of
from training.interactions import History, Interactions
from training.models.blend import Blend
from training.models.interface import Model, reasons_of, scores_of
from training.models.kinds import KINDS
from training.models.recipes import Recipe
from training.retrieval import top_rows
from training.storage import checksums, corrupt, digest, load_json, save_json, verify

__all__ = ["Bundle", "History", "load_bundle", "save_bundle"]

FORMAT = 1
MANIFEST = "manifest.json"
CHECKSUM = "sha256"
"""The manifest's entry that guards the others, as `files` guards the other files."""


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle. Rows are rows of `photo_ids`; safe to share between threads, as nothing in it changes.

    version: the registry's, or else the bundle's own id. manifest: the JSON object as it was saved.
    """

    version: str
    manifest: dict[str, Any]
    catalog: Catalog
    model: Model

    @property
    def kind(self) -> str:
        """ "blend", "als", "neighbor_score" or "popularity", for the most part: one of training/models."""
        return self.model.kind

    @property
    def photo_ids(self) -> Ids:
        """str objects, (n_photos,)."""
        return self.catalog.photo_ids

    @property
    def owner_ids(self) -> Ids:
        """str objects, (n_photos,)."""
        return self.catalog.owner_ids

    @property
    def followed(self) -> UserIds | None:
        """The users whose rows the contacts of a history are; None where contacts count for nothing."""
        return self.model.followed if isinstance(self.model, Blend) else None

    def photo_row(self, photo_id: str) -> int | None:
        """The photo's row; None when the model does not know it."""
        row = int(self.photo_rows([photo_id])[0])
        return None if row < 0 else row

    def photo_rows(self, photo_ids: Sequence[str] | Ids) -> NDArray[np.int64]:
        """Each photo's row, int64 (n,), −1 for photos that the model does not know."""
        return self.catalog.rows(photo_ids)

    def history(self, state: UserState) -> History:
        """The person's state in rows; photos that the model does not know are left out."""
        return history_of(self.catalog, state, self.followed)

    def scores(self, history: History) -> NDArray[np.float32]:
        """All photos' scores for the history, float32 (n_photos,). Do not write into it."""
        return scores_of(self.model, history)

    def top(
        self, history: History, n: int, exclude: NDArray[np.bool_] | NDArray[np.integer] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(rows, scores) of the at most n best photos, best first. exclude: bool (n_photos,), or rows; nothing else is
        left out, not even the favorites of the history."""
        return top_rows(self.scores(history), n, exclude)

    def reasons(
        self, history: History, rows: Sequence[int] | NDArray[np.integer], n: int = 3
    ) -> list[list[tuple[int, float]]]:
        """For each row at most n favorites that speak for it: (photo row, contribution), strongest first."""
        return reasons_of(self.model, history, np.asarray(rows, dtype=np.int64), n)

    def similar(self, row: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(rows, similarities) of the at most n photos most like that one; none where the model knows no likeness."""
        return top_rows(self.model.similarities(row), n, np.array([row]))


def save_bundle(
    folder: Path,
    recipe: Recipe,
    model: Model,
    interactions: Interactions,
    metrics: dict[str, dict[str, float]],
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the bundle into `folder`, whole or not at all, replacing what is there; returns the manifest.

    metrics: {model: {metric: value}}, of this model and of those that it was compared with. more: further entries of
    the manifest.
    """
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
    partial.mkdir(parents=True)
    try:
        catalog = interactions.catalog
        columns = {"photo_id": catalog.photo_ids, "owner_id": catalog.owner_ids}
        pq.write_table(
            pa.table({name: pa.array(ids, pa.string()) for name, ids in columns.items()}), partial / "photos.parquet"
        )
        parameters = model.save(partial)
        now = datetime.now(UTC)
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "bundle_id": f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
            "created_at": now.isoformat(),
            "components": [{"kind": model.kind, "weight": 1.0, "parameters": parameters}],
            "training": recipe.as_dict(),
            "lake_versions": interactions.lake_versions,
            "data_until": interactions.data_until,
            "n_users": interactions.n_users,
            "n_photos": interactions.n_photos,
            "n_favorites": len(interactions.favorites),
            "n_dismissals": len(interactions.dismissals),
            "metrics": metrics,
            "files": checksums(partial),
            **(more or {}),
        }
        save_json(partial / MANIFEST, {**manifest, CHECKSUM: digest(manifest)})
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def load_bundle(folder: str | os.PathLike[str], version: str | None = None) -> Bundle:
    """The bundle in the folder, arrays memory-mapped. `version` is how the registry calls it.

    Raises CorruptModelError, which names the file, when one is missing, cut short, changed, or not as it should be.
    """
    folder = Path(folder)
    manifest = load_json(folder / MANIFEST)
    try:
        if manifest["format"] != FORMAT:
            raise corrupt(folder / MANIFEST, f"format {manifest['format']}, this program reads {FORMAT}")
        if manifest.pop(CHECKSUM) != digest(manifest):
            raise corrupt(folder / MANIFEST, "the content differs from what was saved (checksum)")
        verify(folder, manifest["files"])
        catalog = _load_catalog(folder, int(manifest["n_photos"]))
        component = manifest["components"][0]
        kind = component["kind"]
        model = (Blend if kind == Blend.kind else KINDS[kind]).load(folder, component["parameters"], len(catalog))
        return Bundle(version or str(manifest["bundle_id"]), manifest, catalog, model)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise corrupt(folder / MANIFEST, f"not a manifest of this program ({error!r})") from None


def _load_catalog(folder: Path, n_photos: int) -> Catalog:
    path = folder / "photos.parquet"
    try:
        photos = pq.read_table(path, columns=["photo_id", "owner_id"])
    except (OSError, pa.ArrowException) as error:
        raise corrupt(path, f"not readable as Parquet ({error})") from None
    if photos.num_rows != n_photos:
        raise corrupt(path, f"{photos.num_rows} photos instead of {n_photos}")
    return Catalog(*(photos.column(name).to_numpy().astype(object) for name in ("photo_id", "owner_id")))
