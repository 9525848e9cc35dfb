"""Why users favor what they favor: the causes from which favorites are drawn, and which no server tells.

Benchmarks use them as the ceiling of what a model can learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipelines.sandbox.config import DAY, WorldConfig
from pipelines.sandbox.population import LOOKS, Population

BLOCK = 128  # users drawn at once; a user sees what contacts of earlier blocks favorited


@dataclass(frozen=True)
class Truth:
    """The causes of favorites, known to benchmarks alone."""

    user_factors: NDArray[np.float32]  # (n_users, f) log tastes by style, their drift, looks
    photo_factors: NDArray[np.float32]  # (n_photos, f) style, style × years from the middle, look
    log_quality: NDArray[np.float32]  # (n_photos,)
    affinity: sparse.csr_array  # (n_users, n_users) log boost by owner
    influence: sparse.csr_array  # (n_users, n_users) contacts whose favorites a user sees
    n_styles: int


def draw_truth(
    rng: np.random.Generator,
    config: WorldConfig,
    people: Population,
    owner: NDArray[np.int32],
    style: NDArray[np.int8],
    uploaded_at: NDArray[np.int64],
) -> Truth:
    n = len(owner)
    one_hot = np.zeros((n, config.styles), dtype=np.float32)
    one_hot[np.arange(n), style] = 1
    years = ((uploaded_at - config.end.timestamp()) / (365 * DAY) + config.days / 730).astype(np.float32)
    look = 0.7 * rng.normal(0, 1, (len(people.looks), LOOKS))[owner] + 0.7 * rng.normal(0, 1, (n, LOOKS))
    row, column = people.contacts.tocoo().coords
    earlier = column // BLOCK < row // BLOCK
    influence = sparse.csr_array(
        (np.ones(int(earlier.sum()), np.float32), (row[earlier], column[earlier])), shape=people.contacts.shape
    )
    return Truth(
        user_factors=np.hstack([people.log_tastes, people.drift, people.looks]).astype(np.float32),
        photo_factors=np.hstack([one_hot, one_hot * years[:, None], look]).astype(np.float32),
        log_quality=(people.log_skill[owner] + rng.normal(0, 0.8, n)).astype(np.float32),
        affinity=people.affinity,
        influence=influence,
        n_styles=config.styles,
    )


def freshness(age: NDArray[np.float64]) -> NDArray[np.float32]:
    """Relative rate of favorites of a photo that many days after its upload: a burst, then a long tail."""
    burst = np.exp(-age / 1.2) / 1.8
    tail = (1 + age / 25) ** -1.4 / 45
    return np.asarray(0.6 * burst + 0.4 * tail, dtype=np.float32)


def log_weights(
    truth: Truth, photo_owner: NDArray[np.int32], users: NDArray[np.int64], favorites: sparse.csr_array
) -> NDArray[np.float32]:
    """(len(users), n_photos) log weights of favoring, freshness aside, where `favorites` (n_users, n_photos) stand."""
    weights = truth.user_factors[users] @ truth.photo_factors.T
    weights += truth.log_quality
    owners = truth.affinity[users].toarray()
    owners[np.arange(len(users)), users] = -np.inf
    weights += owners[:, photo_owner]
    by_contacts = (truth.influence[users] @ favorites).tocoo()
    weights[by_contacts.coords] += 2.4 * np.log1p(by_contacts.data)
    return weights
