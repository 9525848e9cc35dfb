"""What happens in the sandbox's world: uploads, favorites (and those taken back), dismissals, each with its time.

Favorites are drawn by exponential races: with rate = taste × exposure, the k first arrivals of a user are a draw of k
photos without replacement, and no loop over photos is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipelines.sandbox.config import DAY, WorldConfig
from pipelines.sandbox.population import SHARE_UNFAVED, Population
from pipelines.sandbox.truth import BLOCK, Truth, freshness, log_weights

NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Favorites:
    """n favorites, by user and newest first. Times are unix seconds; `unfaved_at` is NEVER for those that stay."""

    user: NDArray[np.int32]  # (n,) rows
    photo: NDArray[np.int32]  # (n,) rows
    faved_at: NDArray[np.int64]  # (n,)
    unfaved_at: NDArray[np.int64]  # (n,)
    first: NDArray[np.int64]  # (n_users + 1,) where each user's begin


@dataclass(frozen=True)
class Dismissals:
    """What users would dismiss if they were shown it: known to benchmarks alone, no server tells it."""

    user: NDArray[np.int32]  # (n,) rows
    photo: NDArray[np.int32]  # (n,) rows
    dismissed_at: NDArray[np.int64]  # (n,) unix seconds


def draw_photos(
    rng: np.random.Generator, config: WorldConfig, people: Population, start: int
) -> tuple[NDArray[np.int32], NDArray[np.int8], NDArray[np.int64]]:
    """Owner, style and time of upload of each photo: `config.uploads` before the end, the future's at the same rate."""
    later = int(np.ceil(config.uploads * config.future_days / config.days))
    end = int(config.end.timestamp())
    photographers = np.flatnonzero(people.photographer)
    output = np.exp(rng.normal(0, 1.0, len(photographers)))
    owner = rng.choice(photographers, config.uploads + later, p=output / output.sum()).astype(np.int32)
    # One to three styles each, among those that the photographer likes.
    likes = np.exp(people.log_tastes[photographers] - people.log_tastes[photographers].max(axis=1, keepdims=True))
    race = rng.standard_exponential(likes.shape) / likes
    style_count = rng.choice((1, 2, 3), len(photographers), p=(0.45, 0.35, 0.2))
    rank = race.argsort(axis=1).argsort(axis=1)
    share = np.where(rank < style_count[:, None], rng.gamma(2.0, 1.0, likes.shape), 0.0)
    cumulative = np.cumsum(share / share.sum(axis=1, keepdims=True), axis=1)
    row = np.searchsorted(photographers, owner)
    style = (rng.random(len(owner))[:, None] > cumulative[row]).sum(axis=1).clip(0, config.styles - 1).astype(np.int8)
    # Uploads come in batches: several photos of one owner within an hour.
    batch = owner.astype(np.int64) * 1_000 + rng.integers(0, 1 + np.bincount(owner).max() // 4, len(owner))
    _, batch_row = np.unique(batch, return_inverse=True)
    when = rng.random(batch_row.max() + 1)[batch_row]
    moment = np.concatenate(
        [
            start + when[: config.uploads] * (end - start - 7_200),
            end + when[config.uploads :] * (config.future_days * DAY - 7_200),
        ]
    )
    uploaded_at = (moment + rng.exponential(900, len(owner)).clip(0, 7_000)).astype(np.int64)
    order = np.argsort(uploaded_at, kind="stable")
    return owner[order], style[order], uploaded_at[order]


@dataclass(frozen=True)
class _Season:
    """A stretch of days and how many favorites each user makes in it."""

    activity: NDArray[np.float32]  # (n_users, days)
    kernel: NDArray[np.float32]  # (days, all days) freshness on a day of a photo uploaded on a day
    counts: NDArray[np.int64]  # (n_users,)
    first_day: int


def draw_favorites(
    rng: np.random.Generator,
    config: WorldConfig,
    people: Population,
    truth: Truth,
    owner: NDArray[np.int32],
    uploaded_at: NDArray[np.int64],
    start: int,
) -> Favorites:
    """Favorites of all users from the world's first day, at `start`, through its future."""
    n_users = len(people.photographer)
    upload_day = ((uploaded_at - start) // DAY).astype(np.int64)
    past, future = _seasons(rng, config, people)
    drawn: list[NDArray[np.int64]] = []  # (user, photo, day) by rows, a block each
    for users in _blocks(n_users):
        seen = np.hstack([block[:, block[2] < config.days] for block in drawn] or [np.empty((3, 0), np.int64)])
        standing = sparse.csr_array(
            (np.ones(seen.shape[1], np.float32), (seen[0], seen[1])), shape=(n_users, len(owner))
        )
        weights = log_weights(truth, owner, users, standing)
        drawn.append(_draw_block(rng, users, weights, (past, future), upload_day))
    user, photo, day = np.hstack(drawn)
    faved_at = _times_of_day(rng, n_users, user, start + day * DAY, uploaded_at[photo])
    unfaved_at = np.full(len(user), NEVER)
    taken_back = np.flatnonzero((rng.random(len(user)) < SHARE_UNFAVED) & (people.favorite_counts[user] > 10))
    regret = np.exp(rng.normal(np.log(8 * DAY), 1.5, len(taken_back)))
    unfaved_at[taken_back] = faved_at[taken_back] + regret.astype(np.int64)
    order = np.lexsort((photo, -faved_at, user))
    return Favorites(
        user=user[order].astype(np.int32),
        photo=photo[order].astype(np.int32),
        faved_at=faved_at[order],
        unfaved_at=unfaved_at[order],
        first=np.searchsorted(user[order], np.arange(n_users + 1)),
    )


def _seasons(rng: np.random.Generator, config: WorldConfig, people: Population) -> tuple[_Season, _Season]:
    """Before the world's end, with exactly as many favorites as planned, and after it."""
    n_days = config.days + config.future_days
    age = np.arange(n_days)[:, None] - np.arange(n_days)[None, :]
    kernel = np.where(age >= 0, freshness(np.maximum(age, 0)), 0).astype(np.float32)
    past, future = people.activity[:, : config.days], people.activity[:, config.days :]
    # Who was hardly there before would otherwise make all of his favorites again in the future.
    ahead = (future.sum(axis=1) / past.sum(axis=1)).clip(0, 6 * config.future_days / config.days)
    return (
        _Season(past, kernel[: config.days], people.favorite_counts, 0),
        _Season(future, kernel[config.days :], rng.poisson(people.favorite_counts * ahead), config.days),
    )


def _draw_block(
    rng: np.random.Generator,
    users: NDArray[np.int64],
    weights: NDArray[np.float32],
    seasons: tuple[_Season, ...],
    upload_day: NDArray[np.int64],
) -> NDArray[np.int64]:
    """(3, n): user, photo and day of the favorites of these users; no photo twice for one user."""
    parts: list[NDArray[np.int64]] = []
    taken: list[NDArray[np.int64]] = [np.empty(0, np.int64) for _ in users]
    for season in seasons:
        with np.errstate(divide="ignore"):
            exposure = np.log(season.activity[users] @ season.kernel)
        keys = _race(rng, weights, exposure[:, upload_day])
        for i, user in enumerate(users):
            keys[i, taken[i]] = np.inf
            photos = _winners(keys[i], int(season.counts[user]))
            days = season.first_day + _days_of(rng, season.activity[user], season.kernel, upload_day[photos])
            parts.append(np.stack([np.full(len(photos), user), photos, days]))
            taken[i] = photos
    return np.hstack(parts)


def _blocks(users: int) -> Iterator[NDArray[np.int64]]:
    for first in range(0, users, BLOCK):
        yield np.arange(first, min(first + BLOCK, users))


def _race(
    rng: np.random.Generator, weights: NDArray[np.float32], log_exposure: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Exponential arrival times (as logs) at those rates: the k first are a draw of k without replacement."""
    keys = np.log(rng.standard_exponential(weights.shape, dtype=np.float32) + np.float32(1e-30))
    keys -= weights
    keys -= log_exposure
    return np.asarray(keys)


def _winners(keys: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    if count == 0:
        return np.empty(0, dtype=np.int64)
    first = np.argpartition(keys, min(count, len(keys)) - 1)[:count]
    return np.asarray(first[np.isfinite(keys[first])])


def _days_of(
    rng: np.random.Generator, activity: NDArray[np.float32], kernel: NDArray[np.float32], upload_day: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The day on which each photo was favorited: one of the user's days, by activity × freshness on it."""
    there = np.flatnonzero(activity)
    if len(upload_day) == 0 or len(there) == 0:
        return np.empty(0, dtype=np.int64)
    cumulative = np.cumsum(kernel[np.ix_(there, upload_day)] * activity[there, None], axis=0)
    at = rng.random(len(upload_day), dtype=np.float32) * cumulative[-1]
    return np.asarray(there[(cumulative <= at).sum(axis=0).clip(0, len(there) - 1)])


def _times_of_day(
    rng: np.random.Generator,
    n_users: int,
    user: NDArray[np.int64],
    midnight: NDArray[np.int64],
    uploaded_at: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Seconds within one session a day, at about the user's hour, and after the upload."""
    hour = rng.random(n_users) * 24
    _, session = np.unique(user * 100_000_000 + midnight // DAY, return_inverse=True)
    opened = (hour[user] + rng.normal(0, 1.2, session.max() + 1)[session]) % 23.5 * 3_600
    moment = midnight + opened + rng.exponential(500, len(user)).clip(0, 1_700)
    soonest = uploaded_at + rng.exponential(600, len(user)).clip(30, None)
    last = np.maximum(midnight + DAY - 1, uploaded_at)
    return np.asarray(np.minimum(np.maximum(moment, soonest), last), dtype=np.int64)


def draw_dismissals(
    rng: np.random.Generator,
    config: WorldConfig,
    truth: Truth,
    favorites: Favorites,
    owner: NDArray[np.int32],
    uploaded_at: NDArray[np.int64],
) -> Dismissals:
    """A few a user, of photos that were shown but are far from the user's taste."""
    n_users, n_shown = len(truth.user_factors), 60
    wanted = rng.poisson(rng.gamma(0.6, 6.0, n_users)).clip(0, n_shown // 3)
    shown = rng.integers(0, config.uploads, (n_users, n_shown))
    liking = np.einsum("uf,upf->up", truth.user_factors, truth.photo_factors[shown])
    keys = np.log(rng.standard_exponential(liking.shape)) + 1.5 * liking
    user, place = np.nonzero(keys.argsort(axis=1).argsort(axis=1) < wanted[:, None])
    photo = shown[user, place]
    code, n_photos = user * len(owner) + photo, len(owner)
    free = ~np.isin(code, favorites.user.astype(np.int64) * n_photos + favorites.photo) & (owner[photo] != user)
    _, once = np.unique(code, return_index=True)
    kept = np.intersect1d(once, np.flatnonzero(free))
    left = config.end.timestamp() - uploaded_at[photo[kept]]
    return Dismissals(
        user=user[kept].astype(np.int32),
        photo=photo[kept].astype(np.int32),
        dismissed_at=(uploaded_at[photo[kept]] + rng.random(len(kept)) * left).astype(np.int64),
    )
