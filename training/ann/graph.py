"""A graph over photo factors, by which the greatest inner products are found without reading all factors.

HNSW (Malkov, Yashunin 2018, "Efficient and robust approximate nearest neighbor search using hierarchical navigable
small world graphs") by `usearch`, whose file is memory-mapped: the workers of a machine share one copy of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.keys import Rows
from training.retrieval import top_rows
from training.storage import corrupt, load_array, save_array

FILE = "photo_factors.usearch"
LONGEST = "longest_photo_factors"

CONNECTIVITY, EXPANSION_OF_BUILDING = 16, 200
"""Edges of a photo, and how many photos each looks at to choose them."""

AT_ONCE = 1_000
"""Photos that are added together, by all cores; more would no longer come in their order."""

APART = 64
"""One photo in so many, with the longest vectors, is kept apart and always scored."""


@dataclass(frozen=True)
class Graph:
    """photos: how many it knows, the first rows of the catalog. expansion: how many photos a search keeps in sight, so
    that the recall is what it was measured to be. Safe to share between threads.

    longest: int64 (m,), the rows kept apart, and longest_factors: float32 (m, factors). index: of the other rows.
    """

    photos: int
    expansion: int
    longest: Rows
    longest_factors: NDArray[np.float32]
    index: Any

    def near(self, vector: NDArray[np.float32], count: int) -> Rows:
        """About the `count` rows with the greatest inner products among those not kept apart, at most so many.

        vector: (factors,), not zero. Keeping more in sight finds more of the best: take some of many.
        """
        query = np.append(vector / np.linalg.norm(vector), np.float32(0)).astype(np.float32)
        # The search keeps as many in sight as it is to return.
        rows: Rows = self.index.search(query, min(count, len(self.index)), threads=1).keys.astype(np.int64)
        return rows

    def of_longest(self, vector: NDArray[np.float32], count: int, excluded: NDArray[np.bool_]) -> Rows:
        """The `count` rows with the greatest inner products among those kept apart, exactly.

        excluded: bool (n_photos,), rows to leave out.
        """
        return self.longest[top_rows(self.longest_factors @ vector, count, excluded[self.longest])[0]]

    def save(self, folder: Path) -> dict[str, int]:
        """Write the graph; the returned parameters belong into the manifest."""
        self.index.save(str(folder / FILE))
        save_array(folder, LONGEST, self.longest)
        return {"photos": self.photos, "expansion": self.expansion}


FEW = 10_000
"""Photos below which one thread makes the graph."""


def build_graph(factors: NDArray[np.float32], expansion: int) -> Graph:
    """The graph over the factors, float32 (n_photos, factors), made by all cores.

    Photos enter from the longest vector to the shortest: a person's vector is near the long ones, which must be well
    connected to one another. In other orders, and with the few very long ones among them, far fewer of the best are
    found (decisions/0026-retrieval.md).
    """
    from usearch.index import Index

    norms = np.einsum("ij,ij->i", factors, factors, dtype=np.float64)
    order = np.argsort(-norms, kind="stable")
    longest, others = np.sort(order[: len(order) // APART]), order[len(order) // APART :]
    index = Index(
        ndim=factors.shape[1] + 1,
        metric="ip",
        dtype="f32",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_OF_BUILDING,
    )
    length = float(norms[others].max(initial=0.0))
    # Where several threads add the first photos at once, some of few find no way to the others.
    threads = 1 if len(others) < FEW else 0
    for start in range(0, len(others), AT_ONCE):
        rows = others[start : start + AT_ONCE]
        index.add(rows, _of_equal_length(factors[rows], norms[rows], length), copy=True, threads=threads)
    return Graph(len(factors), expansion, longest, np.ascontiguousarray(factors[longest]), index)


def load_graph(folder: Path, parameters: dict[str, Any], factors: NDArray[np.float32]) -> Graph:
    """The graph with its file memory-mapped. factors: of the model beside it. Raises CorruptModelError."""
    from usearch.index import Index

    path, photos = folder / FILE, int(parameters["photos"])
    longest = load_array(folder, LONGEST, np.int64, (None,))
    if photos > len(factors) or (len(longest) and not 0 <= int(longest.min()) <= int(longest.max()) < photos):
        raise corrupt(folder / f"{LONGEST}.npy", f"names rows that {len(factors)} photos do not have")
    try:
        index = Index.restore(str(path), view=True)
    except (ValueError, RuntimeError, KeyError) as error:
        raise corrupt(path, f"not a graph of usearch ({error})") from None
    if index is None:
        raise corrupt(path, "the file is missing")
    found, wanted = (len(index), index.ndim), (photos - len(longest), factors.shape[1] + 1)
    if found != wanted:
        raise corrupt(path, f"{found[0]} photos of {found[1]} numbers instead of {wanted[0]} of {wanted[1]}")
    return Graph(photos, int(parameters["expansion"]), longest, np.ascontiguousarray(factors[longest]), index)


def _of_equal_length(factors: NDArray[np.float32], norms: NDArray[np.float64], length: float) -> NDArray[np.float32]:
    """One more coordinate gives all vectors the same length, and a query has 0 there: then the greatest inner product
    is the least angle, and neighbors of neighbors are near (Bachrach et al. 2014, "Speeding Up the Xbox Recommender
    System Using a Euclidean Transformation for Inner-Product Spaces", section 3.1).

    norms and length: squared. In half precision the added coordinate, mostly the largest by far, would drown the rest.
    """
    return np.column_stack([factors, np.sqrt(np.maximum(length - norms, 0.0))]).astype(np.float32)
