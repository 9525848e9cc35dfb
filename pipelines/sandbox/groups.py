"""The groups of the sandbox's world: a name, a description and a pool of good photos of one style each.

They are drawn apart from the world, from the same seed, so that a world stays what it is with or without them, and
whoever knows the seed knows the ids of its groups before any world is generated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.sandbox.clock import Clock
from pipelines.sandbox.config import DAY
from pipelines.sandbox.gone import Gone
from pipelines.sandbox.payloads import Payloads
from pipelines.sandbox.pictures import STYLES

MOST_GROUPS = 8
GOOD = 0.6
"""The share of a style's photos that are less good than those of its pool."""
DAYS_TO_POOL = 2.0
"""How long after its upload a photo is added to the pool, on average."""

SUBJECTS = {
    "dusk_seascape": "seas at dusk",
    "misty_ridges": "ridges in the mist",
    "city_bokeh": "city lights out of focus",
    "macro_petals": "petals from near",
    "dunes": "dunes",
    "night_sky": "night skies",
    "street_silhouettes": "silhouettes in the street",
    "forest_light": "light in the forest",
    "minimal_architecture": "buildings and little else",
    "profiles": "faces from the side",
    "long_exposure": "long exposures",
    "snow": "snow",
}
NAMES = ("The best of {}", "Only {}", "{} & nothing else", "A love of {}", "{}, daily")


@dataclass(frozen=True)
class Group:
    """photos: rows of the world, in the order in which they are added; added_at: (n,) unix seconds, ascending."""

    group_id: str
    name: str
    description: str
    members: int
    photos: NDArray[np.int64]
    added_at: NDArray[np.int64]


def group_ids(seed: int, styles: int = len(STYLES)) -> list[str]:
    """The ids of the groups of every world with that seed; no user of any world has one like them."""
    rng = np.random.default_rng((seed, MOST_GROUPS))
    numbers = rng.choice(10**9, min(MOST_GROUPS, styles), replace=False) + 10**9
    return [f"{number}@N2{rng.integers(6)}" for number in numbers.tolist()]


def draw_groups(payloads: Payloads) -> list[Group]:
    """The groups of that world, always the same for the same one."""
    config = payloads.world.config
    rng = np.random.default_rng((config.seed, MOST_GROUPS, 1))
    ids = group_ids(config.seed, config.styles)
    styles = rng.choice(config.styles, len(ids), replace=False).tolist()
    return [_group(rng, payloads, group_id, style) for group_id, style in zip(ids, styles, strict=True)]


def _group(rng: np.random.Generator, payloads: Payloads, group_id: str, style: int) -> Group:
    world = payloads.world
    of_style = np.flatnonzero(world.photo_style == style)
    quality = world.truth.log_quality[of_style]
    good = of_style[quality >= np.quantile(quality, GOOD)] if len(of_style) else of_style
    added_at = world.photo_uploaded_at[good] + (rng.exponential(DAYS_TO_POOL, len(good)) * DAY).astype(np.int64)
    order = np.argsort(added_at, kind="stable")
    subject = SUBJECTS[STYLES[style]]
    name = NAMES[rng.integers(len(NAMES))].format(subject)
    return Group(
        group_id=group_id,
        name=name[0].upper() + name[1:],
        # As groups describe themselves on Flickr: with some HTML.
        description=f"A pool of <b>{subject}</b>: the good ones &amp; no others.\n\nOne photo a day, please.",
        members=int(rng.integers(40, 20_000)),
        photos=good[order],
        added_at=added_at[order],
    )


class Groups:
    """The groups as they are at the clock's time, without what is gone."""

    def __init__(self, payloads: Payloads, clock: Clock, gone: Gone) -> None:
        self._payloads, self._clock, self._gone = payloads, clock, gone
        self._groups = {group.group_id: group for group in draw_groups(payloads)}

    def find(self, group_id: str) -> Group | None:
        return self._groups.get(group_id)

    def pool(self, group: Group) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Photo rows and the times at which they were added (unix seconds), newest first."""
        there = ~(self._gone.photos | self._gone.private)[group.photos] & (group.added_at <= self._clock.now())
        return group.photos[there][::-1], group.added_at[there][::-1]

    def info(self, group: Group) -> dict[str, object]:
        """The answer of groups.getInfo."""
        return {
            "id": group.group_id,
            "nsid": group.group_id,
            "path_alias": None,
            "iconserver": "65535",
            "iconfarm": 66,
            "lang": None,
            "ispoolmoderated": 0,
            "name": {"_content": group.name},
            "description": {"_content": group.description},
            "rules": {"_content": ""},
            "members": {"_content": group.members},
            "pool_count": {"_content": len(self.pool(group)[0])},
            "privacy": {"_content": 3},
        }

    def listed(self, photo: int, added_at: int, extras: frozenset[str]) -> bytes:
        """A photo of a pool as JSON: always with its owner's name, as on Flickr."""
        return b'%b,"dateadded":"%d"}' % (self._payloads.listed_photo(photo, extras | {"owner_name"}), added_at)

    def icon(self, group_id: str) -> int | None:
        """The row of the photo whose square is the group's icon, its first; None when there is no such group."""
        group = self.find(group_id)
        return None if group is None or len(group.photos) == 0 else int(group.photos[0])
