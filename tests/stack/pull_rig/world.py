"""The sandbox's world of these tests, and what the lake must hold of it: small, with several pages and awkward ids.

Some users and photos have ids of 64 characters, some of them beyond ASCII, so that every test meets them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np

from pipelines.sandbox.world import World, WorldConfig, generate_world

CONFIG = WorldConfig(users=60, photos=4_000, favorites=15_000, seed=5)
LONG = 64
EARLIER = timedelta(days=150)
"""How long before the world's end a first pull takes place; a second one, at the end, finds much new and much gone."""

Favorite = tuple[str, str, str, int]
"""user, photo, owner, unix seconds"""


def small_world(config: WorldConfig) -> World:
    """The world of `config`, always the same; every fifth user and every ninth photo has an awkward id."""
    world = generate_world(config)
    users = [_awkward(f"ж{row}·日本🙂@N0", 5, row, name) for row, name in enumerate(world.user_ids)]
    photos = [_awkward(f"{row:064d}", 9, row, name) for row, name in enumerate(world.photo_ids)]
    return replace(world, user_ids=users, photo_ids=photos)


def _awkward(beginning: str, every: int, row: int, name: str) -> str:
    return name if row % every else beginning.ljust(LONG, "é")[:LONG]


@dataclass(frozen=True)
class Truth:
    """What stands in the world at a moment."""

    world: World
    at: datetime

    def favorites(self, user_id: str) -> set[Favorite]:
        return self._favorites[user_id]

    @cached_property
    def _favorites(self) -> dict[str, set[Favorite]]:
        world = self.world
        stand = world.favorites_at(self.at)
        found: dict[str, set[Favorite]] = {user_id: set() for user_id in world.user_ids}
        columns = (world.favorites.user[stand], world.favorites.photo[stand], world.favorites.faved_at[stand])
        for row, photo, faved_at in zip(*(column.tolist() for column in columns), strict=True):
            user, owner = world.user_ids[row], world.user_ids[world.photo_owner[photo]]
            found[user].add((user, world.photo_ids[photo], owner, faved_at))
        return found

    def newest_until_now(self, user_id: str) -> int | None:
        """The newest date of any favorite that the user has made by now, taken back or not."""
        faves = self.world.favorites
        mine = faves.faved_at[(faves.user == self.world.user_ids.index(user_id))]
        mine = mine[mine <= self.at.timestamp()]
        return int(mine.max()) if len(mine) else None

    def neighbors(self, user_id: str) -> set[str]:
        return {owner for _, _, owner, _ in self.favorites(user_id)} - {user_id}

    def contacts(self, user_id: str) -> set[tuple[str, str]]:
        row, contacts = self.world.user_ids.index(user_id), self.world.contacts
        followed = contacts.indices[contacts.indptr[row] : contacts.indptr[row + 1]]
        return {(user_id, self.world.user_ids[one]) for one in followed}

    def people(self) -> list[str]:
        """The visitors, who have favorites and take no photos."""
        return [self.world.user_ids[row] for row in np.flatnonzero(self.world.visitor)]
