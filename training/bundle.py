"""The model bundle: one folder with everything that serving a person needs, memory-mapped; no pickle.

`manifest.json` says what the folder holds (components, recipe, lake versions, metrics, checksums), `photos.parquet`
which photo each row is; beside them the arrays of the model, for ALS `user_factors.npy` with `users.parquet`, and the
graph over the photo factors of a large catalog.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from features.user_state import UserState
from training.ann.candidates import best_candidates, factors_of
from training.ann.graph import Graph, load_graph
from training.catalog import Catalog, Ids, UserIds, load_catalog, save_catalog
from training.from_lake import history_of
from training.interactions import History, Interactions
from training.models.blend import Blend
from training.models.interface import Model, reasons_of, scores_of
from training.models.kinds import KINDS
from training.models.recipes import Recipe
from training.retrieval import Best, Excluded, top_rows
from training.storage import checksums, corrupt, digest, load_json, save_json, verify

__all__ = ["Bundle", "History", "load_bundle", "save_bundle"]

FORMAT = 1
MANIFEST = "manifest.json"
CHECKSUM = "sha256"
"""The manifest's entry that guards the others, as `files` guards the other files."""


@dataclass(frozen=True)
class Bundle:
    """A loaded bundle. Rows are rows of `photo_ids`; safe to share between threads, as nothing in it changes.

    version: the registry's, or else the bundle's own id. manifest: the JSON object as it was saved. graphs: over the
    factors of the model, by the names of `factors_of`; {} where requests read them all.
    """

    version: str
    manifest: dict[str, Any]
    catalog: Catalog
    model: Model
    graphs: Mapping[str, Graph] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """ "blend", "als", "neighbor_score" or "popularity", for the most part: one of training/models."""
        return self.model.kind

    @property
    def retrieval(self) -> Literal["exact", "hnsw"]:
        """How `top` finds the best: "exact" scores all photos; "hnsw" those that a graph proposes."""
        return "hnsw" if self.graphs else "exact"

    @property
    def photo_ids(self) -> Ids:
        """str, (n_photos,)."""
        return self.catalog.photo_ids

    @property
    def owner_ids(self) -> Ids:
        """str, (n_photos,)."""
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

    def fold_in(self, history: History) -> None:
        """Compute the person's vectors, which then stay with the history: what is asked with it next finds them."""
        for als in factors_of(self.model).values():
            als.fold_in(history.alone)

    def scores(self, history: History) -> NDArray[np.float32]:
        """All photos' scores for the history, float32 (n_photos,). Do not write into it."""
        return scores_of(self.model, history)

    def top(self, history: History, n: int, exclude: Excluded | None = None) -> Best:
        """(rows, scores) of the at most n best photos, best first. exclude: bool (n_photos,), or rows; nothing else is
        left out, not even the favorites of the history.

        With a graph a few of the best may be missing, but never a place of the list, nor is a score another.
        """
        if self.graphs:
            excluded = np.zeros(len(self.catalog), dtype=bool)
            if exclude is not None:
                excluded[exclude] = True
            found = best_candidates(self.model, self.graphs, history, n, excluded)
            if found is not None:
                return found
        return top_rows(self.scores(history), n, exclude)

    def reasons(
        self, history: History, rows: Sequence[int] | NDArray[np.integer], n: int = 3
    ) -> list[list[tuple[int, float]]]:
        """For each row at most n favorites that speak for it: (photo row, contribution), strongest first."""
        return reasons_of(self.model, history, np.asarray(rows, dtype=np.int64), n)

    def similar(self, row: int, n: int) -> Best:
        """(rows, similarities) of the at most n photos most like that one; none where the model knows no likeness."""
        return top_rows(self.model.similarities(row), n, np.array([row]))


def save_bundle(
    folder: Path,
    recipe: Recipe,
    model: Model,
    interactions: Interactions,
    metrics: dict[str, dict[str, float]],
    more: Mapping[str, Any] | None = None,
    graphs: Mapping[str, Graph] | None = None,
) -> dict[str, Any]:
    """Write the bundle into `folder`, whole or not at all, replacing what is there; returns the manifest.

    metrics: {model: {metric: value}}, of this model and of those that it was compared with. more: further entries of
    the manifest. graphs: of `training/ann/choice.py`, or of the bundle whose photos are the first of these.
    """
    partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
    partial.mkdir(parents=True)
    try:
        save_catalog(interactions.catalog, partial)
        parameters = model.save(partial)
        saved = {name: graph.save(partial / name) for name, graph in (graphs or {}).items()}
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
            "graphs": saved,
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
        catalog = load_catalog(folder, int(manifest["n_photos"]))
        component = manifest["components"][0]
        kind = component["kind"]
        model = (Blend if kind == Blend.kind else KINDS[kind]).load(folder, component["parameters"], len(catalog))
        return Bundle(
            version or str(manifest["bundle_id"]), manifest, catalog, model, _load_graphs(folder, manifest, model)
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise corrupt(folder / MANIFEST, f"not a manifest of this program ({error!r})") from None


def _load_graphs(folder: Path, manifest: dict[str, Any], model: Model) -> dict[str, Graph]:
    factors = factors_of(model)
    return {
        name: load_graph(folder / name, parameters, factors[name].photo_factors)
        for name, parameters in manifest.get("graphs", {}).items()
    }
