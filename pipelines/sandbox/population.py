"""The people of the sandbox's world: what they like, whom they follow, when they are active, how much they favor.

Everything here is drawn before any photo is favorited, so that favorites follow from it and never the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

LOOKS = 6  # dimensions of liking beyond the style: light, mood, palette
FAVORITES_SIGMA = 1.4  # of the log-normal favorites of a user: fits quantiles 2/6/14/37/84/328 of the sample
FEWEST, MOST = 3, 5_000
SHARE_UNFAVED = 0.02
MUTUAL = 0.12  # share of contacts that are returned


@dataclass(frozen=True)
class Population:
    """n people. Rows are users; `n_days` counts from the world's first day through its future."""

    favorite_counts: NDArray[np.int64]  # (n,) favorites made by the world's end
    log_tastes: NDArray[np.float32]  # (n, n_styles) log weight of a style at the middle of the world's time
    drift: NDArray[np.float32]  # (n, n_styles) change of that a year
    looks: NDArray[np.float32]  # (n, LOOKS)
    photographer: NDArray[np.bool_]  # (n,)
    log_skill: NDArray[np.float32]  # (n,) how liked a photographer's photos are
    activity: NDArray[np.float32]  # (n, n_days) 0 on days without a session
    affinity: sparse.csr_array  # (n, n) log boost of an owner's photos, for the owners whom a user watches
    contacts: sparse.csr_array  # (n, n) 1 where the row's user follows the column's: half of those watched


def draw_population(
    rng: np.random.Generator,
    *,
    users: int,
    visitors: int,
    photos: int,
    favorites: int,
    styles: int,
    days: int,
    future: int,
) -> Population:
    """People with tastes, contacts and activity over `days` + `future` days. The visitors come last."""
    n = users + visitors
    counts = np.concatenate([_favorite_counts(rng, users, favorites, photos), _visitor_counts(rng, visitors, photos)])
    popularity = rng.dirichlet(np.full(styles, 8.0))
    tastes = _dirichlet_rows(rng, popularity * styles * 0.3, n)
    # A fifth of what somebody likes has nothing to do with style.
    log_tastes = np.log(0.2 / styles + 0.8 * tastes).astype(np.float32)
    photographer = np.zeros(n, dtype=bool)
    photographer[rng.permutation(users)[: max(1, int(0.45 * users))]] = True
    looks = rng.normal(0, 1, (n, LOOKS))
    affinity, contacts = _social_graph(rng, tastes, looks, photographer)
    return Population(
        favorite_counts=counts,
        log_tastes=log_tastes,
        drift=rng.normal(0, 0.3, (n, styles)).astype(np.float32),
        looks=(0.7 / np.sqrt(LOOKS) * looks).astype(np.float32),
        photographer=photographer,
        log_skill=rng.normal(0, 0.45, n).astype(np.float32),
        activity=_activity(rng, counts, days, future),
        affinity=affinity,
        contacts=contacts,
    )


def _favorite_counts(rng: np.random.Generator, users: int, favorites: int, photos: int) -> NDArray[np.int64]:
    """(users,) log-normal between FEWEST and MOST, summing to what leaves `favorites` after those taken back."""
    most = min(MOST, photos // 4)
    target = int(np.ceil(favorites / (1 - SHARE_UNFAVED)))
    spread = np.exp(rng.normal(0, FAVORITES_SIGMA, users))
    low, high = 0.0, 50.0 * target / users + most
    for _ in range(60):
        median = (low + high) / 2
        counts = np.clip(np.rint(median * spread), FEWEST, most).astype(np.int64)
        low, high = (median, high) if counts.sum() < target else (low, median)
    missing = target - int(counts.sum())
    adjustable = np.flatnonzero((counts > FEWEST + 1) & (counts < most - 1))
    if len(adjustable) >= abs(missing):
        counts[rng.choice(adjustable, abs(missing), replace=False)] += np.sign(missing)
    return counts


def _visitor_counts(rng: np.random.Generator, visitors: int, photos: int) -> NDArray[np.int64]:
    most = max(FEWEST + 1, min(400, photos // 10))
    return np.exp(rng.uniform(np.log(min(12, FEWEST + 1)), np.log(most), visitors)).astype(np.int64).clip(FEWEST, most)


def _dirichlet_rows(rng: np.random.Generator, alpha: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    gamma = rng.standard_gamma(np.broadcast_to(alpha, (rows, len(alpha)))) + 1e-12
    return np.asarray(gamma / gamma.sum(axis=1, keepdims=True))


def _social_graph(
    rng: np.random.Generator, tastes: NDArray[np.float64], looks: NDArray[np.float64], photographer: NDArray[np.bool_]
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Whom everybody watches, drawn by a race: attractive people of like taste, photographers mostly."""
    n = len(tastes)
    attraction = rng.normal(0, 1.0, n) + np.where(photographer, 0.0, -1.5)
    alike = np.hstack([2.2 * _unit(tastes), 1.1 * _unit(looks)])
    watched = np.clip(np.rint(2 * rng.gamma(2.3, 9.5, n)), 2, max(2, n // 3)).astype(np.int64)
    rows: list[NDArray[np.int64]] = []
    columns: list[NDArray[np.int64]] = []
    for row in range(n):
        keys = np.log(rng.standard_exponential(n)) - attraction - alike @ alike[row]
        keys[row] = np.inf
        nearest = np.argpartition(keys, watched[row] - 1)[: watched[row]]
        rows.append(np.full(len(nearest), row))
        columns.append(nearest)
    row_of, column_of = np.concatenate(rows), np.concatenate(columns)
    boost = rng.gamma(2.0, 0.7, len(row_of)).astype(np.float32)
    affinity = sparse.csr_array((boost, (row_of, column_of)), shape=(n, n))
    follows = rng.random(len(row_of)) < 0.5 * boost.clip(0.4, 1.6) / np.mean(boost.clip(0.4, 1.6))
    contacts = sparse.csr_array(
        (np.ones(follows.sum(), np.float32), (row_of[follows], column_of[follows])), shape=(n, n)
    )
    return affinity, _with_returned(rng, contacts)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _with_returned(rng: np.random.Generator, contacts: sparse.csr_array) -> sparse.csr_array:
    """`contacts` with as many follows returned as make the share MUTUAL mutual."""
    edges = contacts.nnz
    mutual = contacts.multiply(contacts.T).tocsr()
    one_way = (contacts - mutual).tocoo()
    keep = one_way.data > 0
    source, target = one_way.coords[0][keep], one_way.coords[1][keep]
    wanted = int(max(0, (MUTUAL * edges - mutual.nnz) / (2 - MUTUAL)))
    chosen = rng.choice(len(source), min(wanted, len(source)), replace=False)
    returned = sparse.csr_array(
        (np.ones(len(chosen), np.float32), (target[chosen], source[chosen])), shape=contacts.shape
    )
    result = (contacts + returned).tocsr()
    result.sort_indices()
    return result


def _activity(rng: np.random.Generator, counts: NDArray[np.int64], days: int, future: int) -> NDArray[np.float32]:
    """(n, days + future) how much a user favors on a day: sessions in bursts, none on most days or before joining."""
    n = len(counts)
    joined = np.where(rng.random(n) < 0.65, 0, rng.integers(0, int(days * 0.8), n))
    spread = (days + future - joined) / (days - joined)  # a user's sessions go on in the future
    sessions = np.maximum(2, np.rint(counts**0.7 * spread)).astype(np.int64)
    bursts = np.maximum(1, sessions // 5)
    user = np.repeat(np.arange(n), sessions)
    burst = (rng.random(len(user)) * bursts[user]).astype(np.int64) + np.concatenate([[0], np.cumsum(bursts)])[user]
    burst_user = np.repeat(np.arange(n), bursts)
    burst_start = joined[burst_user] + rng.random(len(burst_user)) * (days + future - joined[burst_user])
    day = (burst_start[burst] + rng.exponential(5.0, len(user))).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(sessions)[:-1]])
    day[first] = rng.integers(joined, days)  # everybody was there at least once before the end
    inside = day < days + future
    activity = np.zeros((n, days + future), dtype=np.float32)
    np.add.at(activity, (user[inside], day[inside]), rng.gamma(1.0, 1.0, int(inside.sum())).astype(np.float32) + 0.05)
    return activity
