"""The sandbox's world as `dismissal_effect` asks about it: some dismissals known, others held out, and the truth.

The known ones go into the log as what people dismiss on the site does, so that training reads them the same way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sandbox_ceiling import log_of

from features.schema import TIMESTAMP, Kind
from pipelines.sandbox.world import World, WorldConfig, generate_world
from training.from_lake import Split, build_interactions, temporal_split, utc
from training.interactions import Events, Interactions

END = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Setting:
    """A world at the cut. `split.train` knows a random half of the dismissals made before it; the rest is `held_out`:
    for each training user, the rows of photos that they would dismiss and that are no favorites by then.
    """

    world: World
    split: Split
    held_out: dict[int, NDArray[np.int64]]

    @property
    def train(self) -> Interactions:
        return self.split.train

    @cached_property
    def without(self) -> Interactions:
        """The same without any dismissal."""
        nothing = Events.of_keys(np.empty(0, np.int64), np.empty(0, np.int64), self.train.n_photos)
        return replace(self.train, dismissals=nothing)

    @cached_property
    def photos(self) -> NDArray[np.int64]:
        """The world's row of each photo of the catalog."""
        rows = {photo_id: row for row, photo_id in enumerate(self.world.photo_ids)}
        return np.array([rows[photo_id] for photo_id in self.train.catalog.photo_ids])

    @cached_property
    def users(self) -> NDArray[np.int64]:
        """The world's row of each training user."""
        rows = {user_id: row for row, user_id in enumerate(self.world.user_ids)}
        return np.array([rows[user_id] for user_id in self.train.user_ids])

    @cached_property
    def tastes(self) -> NDArray[np.float64]:
        """(n_users, n_styles): how much of each training user's liking each style has at the cut."""
        return self.world.tastes(self.users, utc(self.split.cut)).astype(np.float64)

    @cached_property
    def rates(self) -> NDArray[np.float32]:
        """(n_users, n_photos) at which rate each user favors each photo at the cut, 1 for the greatest."""
        parts = []
        for block in np.array_split(self.users, 1 + self.train.n_users // 128):
            logs = self.world.true_scores(block, utc(self.split.cut))[:, self.photos]
            parts.append(np.exp(logs - logs.max(axis=1, keepdims=True)))
        return np.concatenate(parts)

    @cached_property
    def test(self) -> dict[int, NDArray[np.int32]]:
        """The favorites after the cut of each user who has any."""
        return dict(zip(self.split.test_users.tolist(), self.split.test_photos, strict=True))

    def own(self, user: int) -> NDArray[np.int64]:
        return self.train.catalog.rows_of_owners([self.train.user_ids[user]])[0]


def setting_of(seed: int, holdout_days: float) -> Setting:
    """The world of that seed, cut so many days before its last favorite."""
    world = generate_world(WorldConfig(seed=seed, end=END))
    made = world.dismissals
    learned = np.random.default_rng(seed).random(len(made.user)) < 0.5
    users, photos = np.array(world.user_ids, dtype=object), np.array(world.photo_ids, dtype=object)
    moments = pa.array(made.dismissed_at * 1_000_000, pa.int64()).cast(TIMESTAMP)
    dismissals = pa.table(
        {
            "user_id": pa.array(users[made.user]),
            "photo_id": pa.array(photos[made.photo]),
            "owner_id": pa.array(users[world.photo_owner[made.photo]]),
            "kind": pa.array([str(Kind.DISMISS_PHOTO)] * len(made.user)),
            "event_timestamp": moments,
            "created_timestamp": moments,
            "faved_at": moments,
        }
    )
    favorites = log_of(world)
    cut = utc(build_interactions(favorites).data_until) - timedelta(days=holdout_days)
    split = temporal_split(pa.concat_tables([favorites, dismissals.filter(pa.array(learned))]), cut)
    user_rows, photo_rows = {u: row for row, u in enumerate(split.train.user_ids)}, split.train.catalog.rows(photos)
    held_out: dict[int, list[int]] = {}
    for place in np.flatnonzero(~learned):
        user, row = user_rows.get(users[made.user[place]], -1), int(photo_rows[made.photo[place]])
        if user >= 0 and row >= 0 and row not in split.train.history(user).photo_rows:
            held_out.setdefault(user, []).append(row)
    return Setting(world, split, {user: np.array(rows) for user, rows in held_out.items()})
