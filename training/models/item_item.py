"""Item-item models: a sparse operator S from the photos of a history to all photos, whatever fitted it.

A user's scores are the sum of the history's rows of S, so the cost of a request is that of a few short rows, at any
size of the catalog; `item_knn`, `local_ease` and `low_pass` make such operators.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from training.interactions import Histories, History, Interactions
from training.keys import ranges
from training.models.interface import Contributions, Scores
from training.retrieval import top_rows
from training.storage import corrupt, load_array, save_array

Sparse = scipy.sparse.csr_matrix
Operator = Callable[[Interactions], Sparse]

BLOCK_ENTRIES = 8 * 2**20
"""How many entries a block of rows may have before it is cut: what a fit needs of memory, about 12 bytes each, for each
core."""


@dataclass(frozen=True)
class ItemItem:
    """score(i) = Σ_j v_j S[j, i] over the photos j of the history; v_j is +1 for a favorite and −dismissal for a
    dismissal, divided by (number of favorites)^user_exponent. So a dismissal lowers the photos that a favorite of the
    same photo would raise, `dismissal` times as much, and S itself is fitted to favorites alone. All the photos of a
    dismissed person lower together what one dismissed photo would, by the mean of their rows (training/shares.py).

    kind: which operator S is, as in the recipe. S as CSR, (n_photos, n_photos), row = the history's photo, column = the
    scored photo: indptr int64 (n_photos + 1,), indices int32, data float32.
    """

    kind: str
    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float32]
    dismissal: float = 1.0
    user_exponent: float = 0.0

    @classmethod
    def fit(
        cls,
        interactions: Interactions,
        *,
        kind: str,
        operator: Operator,
        dismissal: float = 1.0,
        user_exponent: float = 0.0,
    ) -> ItemItem:
        """With the operator that `operator` makes of the favorites, its own parameters bound to it."""
        fitted = operator(interactions)
        return cls(
            kind,
            fitted.indptr.astype(np.int64),
            fitted.indices.astype(np.int32),
            fitted.data.astype(np.float32),
            dismissal,
            user_exponent,
        )

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos), 0 where no photo of the history reaches."""
        values = signed_values(histories, self.dismissal, self.user_exponent)
        n_photos = len(self.indptr) - 1
        if len(histories) == 1:
            # The general product takes time by the size of the catalog.
            starts, stops = self.indptr[histories.photo_rows], self.indptr[histories.photo_rows + 1]
            reached = ranges(starts, stops)
            result = np.zeros((1, n_photos), dtype=np.float32)
            np.add.at(result[0], self.indices[reached], self.data[reached] * np.repeat(values, stops - starts))
            return result
        product: Scores = (histories.matrix(values, n_photos) @ self._operator).toarray()
        return product

    @cached_property
    def _operator(self) -> Sparse:
        n_photos = len(self.indptr) - 1
        return scipy.sparse.csr_matrix((self.data, self.indices, self.indptr), shape=(n_photos, n_photos))

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """What each favorite adds to each row's score, (rows, favorites).

        Favorite j contributes v_j S[j, i] to photo i: with what dismissals take away, exactly its score.
        """
        values = signed_values(Histories.of([history]), self.dismissal, self.user_exponent)[history.positive]
        result: Contributions = (self._operator[history.favorites][:, rows].toarray() * values[:, None]).T.astype(
            np.float64
        )
        return result

    def similarities(self, row: int) -> Scores:
        """(n_photos,): that row of S; −inf for the photos that it does not reach."""
        part = slice(int(self.indptr[row]), int(self.indptr[row + 1]))
        result = np.full(len(self.indptr) - 1, -np.inf, dtype=np.float32)
        result[self.indices[part]] = self.data[part]
        return result

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the operator, in files named by its kind; the returned parameters belong into the manifest."""
        for part in ("indptr", "indices", "data"):
            save_array(folder, f"{self.kind}_{part}", getattr(self, part))
        return {"kind": self.kind, "dismissal": self.dismissal, "user_exponent": self.user_exponent}

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> ItemItem:
        """The model with its operator memory-mapped. Raises CorruptModelError."""
        kind = str(parameters["kind"])
        indptr = load_array(folder, f"{kind}_indptr", np.int64, (n_photos + 1,))
        indices = load_array(folder, f"{kind}_indices", np.int32, (None,))
        data = load_array(folder, f"{kind}_data", np.float32, (len(indices),))
        if indptr[0] != 0 or indptr[-1] != len(indices) or (np.diff(indptr) < 0).any():
            raise corrupt(folder / f"{kind}_indptr.npy", f"does not fit {kind}_indices.npy")
        if len(indices) and not 0 <= int(indices.min()) <= int(indices.max()) < n_photos:
            raise corrupt(folder / f"{kind}_indices.npy", f"names rows that {n_photos} photos do not have")
        return cls(kind, indptr, indices, data, float(parameters["dismissal"]), float(parameters["user_exponent"]))


def signed_values(histories: Histories, dismissal: float, user_exponent: float) -> NDArray[np.float32]:
    """What each event counts: +1 or −dismissal · share, divided by (the user's number of favorites)^user_exponent.

    float32 (n_events,); share: how much of a dismissal it is. Who has dismissals only is divided by 1.
    """
    signs = np.where(histories.positive, 1.0, -dismissal * histories.shares.astype(np.float64))
    sizes = np.maximum(histories.degrees, 1).astype(np.float64)
    result: NDArray[np.float32] = (signs / (sizes**user_exponent)[histories.users]).astype(np.float32)
    return result


def favorites_matrix(interactions: Interactions, degree_exponent: float = 0.0) -> Sparse:
    """Who favorited what, float64 CSR (n_users, n_photos); row u holds (number of favorites of u)^−degree_exponent."""
    favorites, n_users = interactions.favorites, interactions.n_users
    values = interactions.user_degrees.astype(np.float64)[favorites.users] ** -degree_exponent
    indptr = favorites.offsets(n_users)
    return scipy.sparse.csr_matrix((values, favorites.photos, indptr), shape=(n_users, interactions.n_photos))


def by_blocks(rows_of: Callable[[int, int], Sparse], costs: NDArray[np.integer]) -> Sparse:
    """The rows `rows_of(start, stop)` of all blocks, stacked; blocks are worked on by every core.

    costs: (n_rows,), how many entries `rows_of` has to hold for each row; a block holds about BLOCK_ENTRIES.
    """
    if len(costs) == 0:
        return rows_of(0, 0)
    block_of_row = np.cumsum(costs, dtype=np.int64) // BLOCK_ENTRIES
    edges = [0, *(np.flatnonzero(np.diff(block_of_row)) + 1).tolist(), len(costs)]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        return scipy.sparse.csr_matrix(scipy.sparse.vstack(list(pool.map(rows_of, edges[:-1], edges[1:])), "csr"))


def strongest_of_rows(matrix: Sparse, keep: int) -> Sparse:
    """The `keep` entries of greatest magnitude of each row; of equal ones the first columns, the more popular photos.

    Columns ascend within a row, and zeros are left out. Sorts `matrix` in place.
    """
    matrix.eliminate_zeros()
    matrix.sort_indices()
    lengths = np.diff(matrix.indptr)
    kept = np.ones(matrix.nnz, dtype=bool)
    for row in np.flatnonzero(lengths > keep):
        part = slice(int(matrix.indptr[row]), int(matrix.indptr[row + 1]))
        places, _ = top_rows(np.abs(matrix.data[part]), keep)
        kept[part] = False
        kept[part.start + places] = True
    indptr = np.concatenate([[0], np.cumsum(np.minimum(lengths, keep), dtype=np.int64)])
    return scipy.sparse.csr_matrix((matrix.data[kept], matrix.indices[kept], indptr), shape=matrix.shape)
