"""Alternating least squares on signed confidences (`implicit`), and the exact fold-in of anybody's history.

Hu, Koren, Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets": factors by alternating ridge
regressions; a user's vector follows from the photo factors and the user's own history alone, so it is never stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.linalg
import scipy.sparse
import structlog
from implicit import gpu
from implicit.cpu import _als
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from training.catalog import Ids, load_users, save_users
from training.confidence import Weighting, fit_weighting, signed_confidence
from training.interactions import Histories, History, Interactions
from training.models.interface import Contributions, Scores
from training.storage import load_array, save_array

log = structlog.get_logger(__name__)

Factors = NDArray[np.float32]

Watch = Callable[[int, "ALS"], bool]
"""Gets the iterations done and the model so far; true ends the fit there."""

OnIteration = Callable[[int, float, float], None]
"""Gets each iteration, from 1, the training loss after it, and the seconds that it took, the loss's own among them."""


def confidence_matrix(interactions: Interactions, weighting: Weighting) -> scipy.sparse.csr_matrix:
    """The signed confidences of all interactions, float32 CSR (n_users, n_photos)."""
    matrices = []
    for events, positive in ((interactions.favorites, True), (interactions.dismissals, False)):
        degrees = interactions.user_degrees[events.users]
        sign = np.full(len(events), positive)
        values = signed_confidence(weighting, events.photos, events.times, sign, degrees, events.shares)
        # Events are sorted by user, then photo: they are the rows of a CSR already.
        indptr = events.offsets(interactions.n_users).astype(np.int32)
        shape = (interactions.n_users, interactions.n_photos)
        matrices.append(scipy.sparse.csr_matrix((values, events.photos, indptr), shape=shape))
    favorites, dismissals = matrices
    return favorites + dismissals if dismissals.nnz else favorites


def _solver(use_gpu: bool) -> Any:
    """`implicit`'s class for this machine; its two solvers treat a negative confidence alike."""
    if not use_gpu:
        return AlternatingLeastSquares
    if gpu.HAS_CUDA and gpu.get_device_count() > 0:
        from implicit.gpu.als import AlternatingLeastSquares as OnGPU

        return OnGPU
    log.warning(
        "no GPU for ALS: training on the processor",
        why="no device" if gpu.HAS_CUDA else "implicit has no CUDA here (it needs NVIDIA's driver and the package rmm)",
    )
    return AlternatingLeastSquares


def _counted_from(done: int, on_iteration: OnIteration | None) -> Callable[[int, float, float], None] | None:
    if on_iteration is None:
        return None
    return lambda iteration, seconds, loss: on_iteration(done + iteration + 1, float(loss), seconds)


@dataclass(frozen=True)
class ALS:
    """Matrix factorization. A dismissal is a negative: preference 0, held with confidence 1 + α_d·w, in training and in
    fold-in; it lowers the photo and what resembles it.

    photo_factors: float32 (n_photos, factors), C order; gram: YᵀY, float32 (factors, factors).
    user_factors: (n_users, factors), with `user_ids`, where it was trained and where contacts' vectors need them.
    """

    kind: ClassVar[str] = "als"

    photo_factors: Factors
    gram: Factors
    regularization: float
    weighting: Weighting
    user_factors: Factors | None = None
    user_ids: Ids | None = None

    @classmethod
    def fit(
        cls,
        interactions: Interactions,
        *,
        factors: int,
        regularization: float,
        iterations: int,
        seed: int,
        alpha: float,
        alpha_dismissal: float,
        half_life_days: float,
        degree_exponent: float,
        use_gpu: bool = False,
        watch: Watch | None = None,
        watch_every: int = 1,
        on_iteration: OnIteration | None = None,
    ) -> ALS:
        """Train on all cores; the same seed and interactions give the same factors, watched or not.

        use_gpu: on the GPU if `implicit` finds one, else as without, which the log says. watch: asked after every
        `watch_every` iterations and the last. on_iteration: the loss that it gets costs a fifth of the fit more.
        """
        weighting = fit_weighting(
            interactions,
            alpha=alpha,
            alpha_dismissal=alpha_dismissal,
            half_life_days=half_life_days,
            degree_exponent=degree_exponent,
        )
        solver = _solver(use_gpu)(
            factors=factors,
            regularization=regularization,
            alpha=1.0,
            calculate_training_loss=on_iteration is not None,
            random_state=seed,
        )
        matrix = confidence_matrix(interactions, weighting)
        chunk = iterations if watch is None else watch_every
        done = 0
        while done < iterations:
            # `fit` goes on from the factors that it left, so that chunks give what one fit gives.
            solver.iterations = min(chunk, iterations - done)
            with threadpool_limits(1, "blas"):
                solver.fit(matrix, show_progress=False, callback=_counted_from(done, on_iteration))
                fitted = solver if isinstance(solver, AlternatingLeastSquares) else solver.to_cpu()
                gram = fitted.item_factors.T @ fitted.item_factors
            done += solver.iterations
            # The next chunk writes into the same arrays; the model of this one is only good until then.
            model = cls(
                fitted.item_factors, gram, regularization, weighting, fitted.user_factors, interactions.user_ids
            )
            if watch is not None and watch(done, model):
                break
        return model

    def fold_in(self, histories: Histories) -> Factors:
        """The users' vectors, float32 (n, factors), by `implicit`'s own exact solver; zeros for an empty history.

        Of one user they stay with the history: do not write into them.
        """
        if len(histories) != 1:
            return self._solved(histories)
        # With the model, so that no other gets its id.
        _, users = histories.folded.get(id(self)) or histories.folded.setdefault(
            id(self), (self, self._solved(histories))
        )
        return users

    def _solved(self, histories: Histories) -> Factors:
        rows, places = np.unique(histories.photo_rows, return_inverse=True)
        users = np.zeros((len(histories), self.gram.shape[0]), dtype=np.float32)
        _als._least_squares(
            self.gram,
            histories.indptr.astype(np.int32),
            places.astype(np.int32),
            self._confidence(histories),
            users,
            np.ascontiguousarray(self.photo_factors[rows]),
            self.regularization,
            # One user alone takes longer by threads than the solving itself.
            num_threads=1 if len(histories) == 1 else 0,
        )
        return users

    def scores(self, histories: Histories) -> Scores:
        """(n, n_photos): the inner products of the photo factors with the folded-in users."""
        result: Scores = self.fold_in(histories) @ self.photo_factors.T
        return result

    def contributions(self, history: History, rows: NDArray[np.integer]) -> Contributions:
        """What each favorite adds to each row's score, (rows, favorites).

        score(i) = Σ_j y_iᵀ W y_j c_j over the favorites j, W the inverse of YᵀY + λI + Σ (|c| − 1) y yᵀ
        (section 5 of the paper; what `implicit`'s `explain` computes, here for all rows at once).
        """
        confidence = self._confidence(history.alone).astype(np.float64)
        factors = self.photo_factors[history.photo_rows].astype(np.float64)
        system = self.gram + self.regularization * np.eye(len(self.gram))
        system = system + (factors.T * (np.abs(confidence) - 1.0)) @ factors
        weighted = scipy.linalg.solve(system, self.photo_factors[rows].T.astype(np.float64), assume_a="pos")
        result: Contributions = ((factors[history.positive] @ weighted) * confidence[history.positive, None]).T
        return result

    def similarities(self, row: int) -> Scores:
        """(n_photos,): cosine of the photo factors with those of `row`."""
        result: Scores = (self.photo_factors @ self.photo_factors[row]) * (
            self._inverse_norms * self._inverse_norms[row]
        )
        return result

    @cached_property
    def _inverse_norms(self) -> NDArray[np.float32]:
        norms = np.sqrt(np.einsum("ij,ij->i", self.photo_factors, self.photo_factors))
        inverse: NDArray[np.float32] = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)
        return inverse

    def _confidence(self, histories: Histories) -> NDArray[np.float32]:
        degrees = histories.degrees[histories.users]
        return signed_confidence(
            self.weighting, histories.photo_rows, histories.times, histories.positive, degrees, histories.shares
        )

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the arrays; the returned parameters belong into the manifest."""
        save_array(folder, "photo_factors", self.photo_factors)
        save_array(folder, "gram", self.gram)
        save_array(folder, "photo_degrees", self.weighting.photo_degrees)
        if self.user_factors is not None and self.user_ids is not None:
            save_array(folder, "user_factors", self.user_factors)
            save_users(self.user_ids, folder)
        weighting = {name: value for name, value in vars(self.weighting).items() if name != "photo_degrees"}
        return {"factors": self.gram.shape[0], "regularization": self.regularization, "weighting": weighting}

    def with_users(self, folder: Path) -> ALS:
        """The same with the user factors that were saved in the folder, memory-mapped. Raises CorruptModelError."""
        ids = load_users(folder)
        factors = load_array(folder, "user_factors", np.float32, (len(ids), self.gram.shape[0]))
        return replace(self, user_factors=factors, user_ids=ids)

    @classmethod
    def load(cls, folder: Path, parameters: dict[str, Any], n_photos: int) -> ALS:
        """The model as serving needs it: photo factors memory-mapped, no user factors. Raises CorruptModelError."""
        factors = int(parameters["factors"])
        degrees = load_array(folder, "photo_degrees", np.float32, (n_photos,))
        return cls(
            photo_factors=load_array(folder, "photo_factors", np.float32, (n_photos, factors)),
            gram=load_array(folder, "gram", np.float32, (factors, factors)),
            regularization=float(parameters["regularization"]),
            weighting=Weighting(photo_degrees=degrees, **parameters["weighting"]),
        )
