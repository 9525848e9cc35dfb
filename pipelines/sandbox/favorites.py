"""Who favors what at this moment: the world's favorites up to the clock's time, under what people changed since.

What a person adds or removes on the sandbox overrides the generated favorite of the same user and photo for good.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.sandbox.clock import Clock
from pipelines.sandbox.store import Store
from pipelines.sandbox.world import World


class FavoritesNow:
    """Favorites by rows of the world, at the clock's time."""

    def __init__(self, world: World, store: Store, clock: Clock) -> None:
        self._world, self._store, self._clock = world, store, clock
        self._user_rows = {user_id: row for row, user_id in enumerate(world.user_ids)}
        photo_rows = {photo_id: row for row, photo_id in enumerate(world.photo_ids)}
        self._changes: dict[int, dict[int, int | None]] = {}  # user row → photo row → faved_at, None for removed
        for user_id, photo_id, faved_at in store.favorite_changes():
            self._changes.setdefault(self._user_rows[user_id], {})[photo_rows[photo_id]] = faved_at

    def of(self, user: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Photo rows and times (unix seconds) of a user's favorites, newest first."""
        faves, now = self._world.favorites, self._clock.now()
        own = slice(faves.first[user], faves.first[user + 1])
        stands = (faves.faved_at[own] <= now) & (faves.unfaved_at[own] > now)
        photos, times = faves.photo[own][stands].astype(np.int64), faves.faved_at[own][stands]
        changes = self._changes.get(user)
        if not changes:
            return photos, times
        kept = ~np.isin(photos, list(changes))
        added = [(photo, at) for photo, at in changes.items() if at is not None]
        photos = np.concatenate([photos[kept], np.array([photo for photo, _ in added], dtype=np.int64)])
        times = np.concatenate([times[kept], np.array([at for _, at in added], dtype=np.int64)])
        order = np.lexsort((photos, -times))
        return photos[order], times[order]

    def holds(self, user: int, photo: int) -> bool:
        return photo in self.of(user)[0]

    def counts(self) -> NDArray[np.int64]:
        """(n_users,) favorites of each user."""
        faves, now = self._world.favorites, self._clock.now()
        stands = (faves.faved_at <= now) & (faves.unfaved_at > now)
        counts = np.bincount(faves.user[stands], minlength=len(self._world.user_ids))
        for user in self._changes:
            counts[user] = len(self.of(user)[0])
        return counts

    def add(self, user: int, photo: int) -> None:
        self._change(user, photo, self._clock.now())

    def remove(self, user: int, photo: int) -> None:
        self._change(user, photo, None)

    def _change(self, user: int, photo: int, faved_at: int | None) -> None:
        self._store.set_favorite(self._world.user_ids[user], self._world.photo_ids[photo], faved_at)
        self._changes.setdefault(user, {})[photo] = faved_at
