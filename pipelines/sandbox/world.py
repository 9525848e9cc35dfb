"""The sandbox's world: who took which photos, who favored them and when, and the truth behind it.

It is generated from a seed. A favorite is drawn without replacement with a weight that multiplies taste (a mixture over
styles that drifts a little, and a finer liking), the photo's quality, the owners and contacts that the user watches,
and how fresh the photo was on the days on which the user was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipelines.sandbox import names
from pipelines.sandbox.config import DAY, WorldConfig
from pipelines.sandbox.events import (
    NEVER,
    Dismissals,
    Favorites,
    draw_dismissals,
    draw_favorites,
    draw_photos,
)
from pipelines.sandbox.population import draw_population
from pipelines.sandbox.truth import Truth, draw_truth, freshness, log_weights

__all__ = ["NEVER", "Dismissals", "Favorites", "Truth", "World", "WorldConfig", "generate_world"]

SHAPES = ((6000, 4000), (4000, 6000), (5200, 3900), (3900, 5200), (4800, 4800), (6400, 3600), (4000, 5000))
SHAPE_SHARES = (0.42, 0.2, 0.1, 0.08, 0.07, 0.08, 0.05)


@dataclass(frozen=True)
class World:
    """Users and photos are rows 0…n of these arrays; the visitors are the last users; photos are in order of upload."""

    config: WorldConfig
    user_ids: list[str]
    user_names: list[str]
    user_aliases: list[str]  # "" for none
    visitor: NDArray[np.bool_]  # (n_users,)
    photo_ids: list[str]
    photo_owner: NDArray[np.int32]  # (n_photos,) rows of users
    photo_style: NDArray[np.int8]  # (n_photos,) index into STYLES
    photo_seed: NDArray[np.int64]  # (n_photos,)
    photo_uploaded_at: NDArray[np.int64]  # (n_photos,) unix seconds
    photo_width: NDArray[np.int32]  # (n_photos,) of the original
    photo_height: NDArray[np.int32]  # (n_photos,)
    photo_safety: NDArray[np.int8]  # (n_photos,) 0 safe, 1 moderate, 2 restricted
    favorites: Favorites
    contacts: sparse.csr_array  # (n_users, n_users) 1 where the row's user follows the column's
    dismissals: Dismissals
    truth: Truth

    def favorites_at(self, at: datetime) -> NDArray[np.int64]:
        """Rows of `favorites` that stand at that time."""
        moment, faves = at.timestamp(), self.favorites
        return np.flatnonzero((faves.faved_at <= moment) & (faves.unfaved_at > moment))

    def tastes(self, users: NDArray[np.int64], at: datetime) -> NDArray[np.float32]:
        """(len(users), n_styles) how much of each user's liking each style has at that time; rows sum to 1."""
        n, factors = self.truth.n_styles, self.truth.user_factors[users]
        weights = np.exp(factors[:, :n] + factors[:, n : 2 * n] * self._years(at.timestamp()))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)

    def true_scores(self, users: NDArray[np.int64], at: datetime) -> NDArray[np.float32]:
        """(len(users), n_photos) log of the rate at which each user would favor each photo at that time.

        No model can rank better, as it is what favorites are drawn from: taste, quality, watched owners, what contacts
        had favorited by then, freshness. −inf for photos that are not uploaded yet and for the user's own.
        """
        now = at.timestamp()
        seen = self.favorites_at(at)
        favorites = sparse.csr_array(
            (np.ones(len(seen), np.float32), (self.favorites.user[seen], self.favorites.photo[seen])),
            shape=(len(self.user_ids), len(self.photo_ids)),
        )
        age = (now - self.photo_uploaded_at) // DAY
        fresh = np.where(age >= 0, freshness(np.maximum(age, 0)), 0.0)
        with np.errstate(divide="ignore"):
            return log_weights(self.truth, self.photo_owner, users, favorites) + np.log(fresh, dtype=np.float32)

    def _years(self, seconds: float) -> float:
        return (seconds - self.config.end.timestamp()) / (365 * DAY) + self.config.days / 730


def generate_world(config: WorldConfig) -> World:
    """The world of `config`, always the same for the same one. Takes seconds and grows with users × photos."""
    rng = np.random.default_rng(config.seed)
    people = draw_population(
        rng,
        users=config.users,
        visitors=config.visitors,
        photos=config.photos,
        favorites=config.favorites,
        styles=config.styles,
        days=config.days,
        future=config.future_days,
    )
    n_users = config.users + config.visitors
    start = int((config.end - timedelta(days=config.days)).timestamp())
    owner, style, uploaded_at = draw_photos(rng, config, people, start)
    n_photos = len(owner)
    truth = draw_truth(rng, config, people, owner, style, uploaded_at)
    favorites = draw_favorites(rng, config, people, truth, owner, uploaded_at, start)
    user_names = names.user_names(rng, n_users)
    shape = np.array(SHAPES, dtype=np.int32)[rng.choice(len(SHAPES), n_photos, p=SHAPE_SHARES)]
    return World(
        config=config,
        user_ids=names.nsids(rng, n_users),
        user_names=user_names,
        user_aliases=names.path_aliases(rng, user_names),
        visitor=np.arange(n_users) >= config.users,
        photo_ids=[str(i) for i in 52_000_000_000 + np.cumsum(rng.integers(1, 90_000, n_photos))],
        photo_owner=owner,
        photo_style=style,
        photo_seed=rng.integers(0, 2**31, n_photos),
        photo_uploaded_at=uploaded_at,
        photo_width=shape[:, 0],
        photo_height=shape[:, 1],
        photo_safety=rng.choice(np.arange(3, dtype=np.int8), n_photos, p=(0.98, 0.015, 0.005)),
        favorites=favorites,
        contacts=people.contacts,
        dismissals=draw_dismissals(rng, config, truth, favorites, owner, uploaded_at),
        truth=truth,
    )
