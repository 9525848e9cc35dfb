"""Factors with the long-tailed lengths of trained ones, and people's vectors among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PHOTOS, FACTORS = 3_000, 16


def long_tailed(photos: int = PHOTOS, seed: int = 0) -> NDArray[np.float32]:
    """(photos, FACTORS): around some directions, lengths log-normal, the longest first."""
    rng = np.random.default_rng(seed)
    styles = rng.standard_normal((12, FACTORS))
    directions = styles[rng.integers(12, size=photos)] + 0.8 * rng.standard_normal((photos, FACTORS))
    lengths = np.sort(rng.lognormal(-2.0, 1.0, photos))[::-1]
    return (directions / np.linalg.norm(directions, axis=1, keepdims=True) * lengths[:, None]).astype(np.float32)


def people(factors: NDArray[np.float32], count: int = 40, seed: int = 1) -> NDArray[np.float32]:
    """(count, FACTORS): sums of a few photos."""
    rng = np.random.default_rng(seed)
    return np.stack([factors[rng.choice(len(factors), 6)].sum(axis=0) for _ in range(count)])
