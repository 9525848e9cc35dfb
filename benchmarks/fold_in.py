"""How long a person's vector takes to compute at request time, and whether it is the vector that it should be.

ALS is trained on generated favorites of 200,000 photos at 64 factors. People with few and with many favorites, and a
tenth as many dismissals, are folded in on one thread; the value is the median of the milliseconds at 1,000 favorites.
Vectors are compared with `implicit`'s `recalculate_user`, and with a dense solve of all photos in double precision, for
the favorites alone: of a dismissal ours counts only what sets the photo apart.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from typing import Any

import numpy as np
import scipy.sparse
from _reporting import finish
from _serving_world import generated
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray

from features.settings import Settings
from training.confidence import signed_confidence
from training.interactions import NOBODY, Histories, History, Interactions
from training.models.als import ALS
from training.models.recipes import Recipe, fit

PHOTOS, USERS, FAVORITES, FACTORS = 200_000, 50_000, 2_400_000, 64
SIZES = (10, 100, 1_000, 2_000)
OF_VALUE, PEOPLE, ROUNDS = 1_000, 20, 25
MILLISECONDS, DIFFERENCE = 1.0, 1e-4


def people(world: Interactions, favorites: int) -> list[History]:
    """Histories of so many favorites, and a tenth as many dismissals, of photos drawn by their popularity."""
    rng = np.random.default_rng(favorites)
    length = favorites + favorites // 10
    chances = world.photo_degrees / world.photo_degrees.sum()
    histories = []
    for _ in range(PEOPLE):
        rows = rng.choice(world.n_photos, length, replace=False, p=chances)
        times = world.data_until - rng.integers(300 * 86_400, size=length)
        parts = (part[some] for some in (slice(favorites), slice(favorites, None)) for part in (rows, times))
        histories.append(History.of(*parts))
    return histories


def milliseconds(als: ALS, histories: list[History]) -> float:
    """The median over the people of their median."""
    of_people = []
    for history in histories:
        seconds = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            als.fold_in(Histories.of([history]))
            seconds.append(time.perf_counter() - started)
        of_people.append(np.median(seconds))
    return 1_000 * float(np.median(of_people))


def confidence_of(als: ALS, history: History) -> NDArray[np.float32]:
    degree = int(np.count_nonzero(history.positive))
    return signed_confidence(als.weighting, history.photo_rows, history.times, history.positive, degree, history.shares)


def recalculated(als: ALS, history: History) -> NDArray[np.float32]:
    """By `implicit`'s own class."""
    model = AlternatingLeastSquares(factors=FACTORS, regularization=als.regularization, alpha=1.0, num_threads=1)
    model.item_factors = als.photo_factors
    row = (confidence_of(als, history), history.photo_rows, [0, len(history.photo_rows)])
    vector: NDArray[np.float32] = model.recalculate_user(0, scipy.sparse.csr_matrix(row, (1, PHOTOS)))
    return vector.reshape(-1)


def solved(als: ALS, history: History) -> NDArray[np.float64]:
    """(Yᵀ C Y + λI)⁻¹ Yᵀ C p over all photos: equation 4 of Hu, Koren, Volinsky 2008, as it stands."""
    factors = als.photo_factors.astype(np.float64)
    confidence, preference = np.ones(PHOTOS), np.zeros(PHOTOS)
    confidence[history.favorites] = confidence_of(als, history)
    preference[history.favorites] = 1.0
    system = (factors.T * confidence) @ factors + als.regularization * np.eye(FACTORS)
    return np.linalg.solve(system, factors.T @ (confidence * preference))


def main() -> None:
    world = generated(PHOTOS, USERS, FAVORITES)
    start = Recipe.from_settings(Settings(_env_file=None), "als")  # type: ignore[call-arg]
    als = fit(start.changed(factors=FACTORS, iterations=5), world)
    assert isinstance(als, ALS)
    taken: dict[str, float] = {}
    differences: dict[str, dict[str, float]] = {}
    for size in SIZES:
        histories = people(world, size)
        taken[str(size)] = round(milliseconds(als, histories), 3)
        liking = [History.of(one.favorites, one.times[one.positive], NOBODY, NOBODY) for one in histories[:5]]
        vectors = [als.fold_in(Histories.of([history]))[0] for history in liking]
        for name, other in (("recalculate_user", recalculated), ("full_solve", solved)):
            pairs = [(vector, other(als, history)) for vector, history in zip(vectors, liking, strict=True)]
            differences.setdefault(name, {})[str(size)] = max(
                float(np.abs(vector - right).max() / np.abs(right).max()) for vector, right in pairs
            )
    value, furthest = taken[str(OF_VALUE)], max(max(of.values()) for of in differences.values())
    details: dict[str, Any] = {
        "milliseconds": taken,
        "largest_difference": {
            name: {size: float(f"{value:.2g}") for size, value in of.items()} for name, of in differences.items()
        },
        "difference_is": "the largest of the 64, ÷ the largest of the vector",
        "bars": {"milliseconds": MILLISECONDS, "difference": DIFFERENCE},
        "photos": PHOTOS,
        "factors": FACTORS,
        "load_average": round(os.getloadavg()[0], 1),
    }
    ok = value < MILLISECONDS and furthest <= DIFFERENCE
    finish("fold_in", value, "ms at 1,000 favorites", "lower", MILLISECONDS, details, ok=ok)


if __name__ == "__main__":
    main()
