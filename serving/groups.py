"""The Flickr groups that a person without favorites begins with, as Flickr told of them within the last minutes.

Whatever visitors look at, a process asks Flickr for each group once an hour and for each page of its pool once in ten
minutes; those who ask for the same at the same time wait for one call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog
from cachetools import TTLCache, cachedmethod

from features.feature_tables import PhotoCard
from pipelines.flickr.answers import Photo
from pipelines.flickr.client import POOL_PER_PAGE, Flickr, Group, GroupNotFoundError, PoolPage

INFO_SECONDS = 3_600.0
POOL_SECONDS = 600.0
POOLS_KEPT = 32
"""Pages of pools, at about 3 kB a photo: 12 MB at most."""

logger = structlog.get_logger(__name__)


class Groups:
    """Those groups, read from Flickr when somebody asks. Safe to share between threads.

    Every method raises what Flickr's client raises; what failed is asked for again by whoever comes next.
    """

    def __init__(self, group_ids: Sequence[str], flickr: Callable[[], Flickr]) -> None:
        self._group_ids, self._flickr = tuple(dict.fromkeys(group_ids)), flickr
        self._infos: TTLCache[str, Group | None] = TTLCache(max(1, len(self._group_ids)), INFO_SECONDS)
        self._pools: TTLCache[tuple[str, int], PoolPage] = TTLCache(POOLS_KEPT, POOL_SECONDS)
        self._asking = threading.Condition()

    def __contains__(self, group_id: str) -> bool:
        return group_id in self._group_ids

    def all(self) -> list[Group]:
        """The groups in their order; one that Flickr does not know, or does not show to everybody, is left out."""
        found = (self._info(group_id) for group_id in self._group_ids)
        return [group for group in found if group is not None]

    def photos(self, group_id: str, page: int, per_page: int) -> tuple[list[PhotoCard], bool]:
        """The cards of a page of the pool, what was added last first, and whether there are more behind it.

        page: from 1; per_page: a divisor of `POOL_PER_PAGE`. Raises GroupNotFoundError.
        """
        call, first = divmod((page - 1) * per_page, POOL_PER_PAGE)
        pool = self._pool(group_id, call + 1)
        last = first + per_page
        return [card_of(photo) for photo in pool.photos[first:last]], pool.more or len(pool.photos) > last

    @cachedmethod(lambda self: self._infos, key=lambda self, group_id: group_id, condition=lambda self: self._asking)
    def _info(self, group_id: str) -> Group | None:
        try:
            return self._flickr().group(group_id)
        except GroupNotFoundError as error:
            logger.warning("onboarding_group_left_out", group_id=group_id, reason=error.message)
            return None

    @cachedmethod(lambda self: self._pools, key=lambda self, *page: page, condition=lambda self: self._asking)
    def _pool(self, group_id: str, page: int) -> PoolPage:
        return self._flickr().group_photos(group_id, page)


def card_of(photo: Photo) -> PhotoCard:
    """A photo that Flickr listed, as the online store has it."""
    return PhotoCard(
        photo_id=photo.photo_id,
        owner_id=photo.owner.user_id,
        owner_name=photo.owner.name,
        title=photo.title,
        image_url=photo.image_url,
        sizes=photo.sizes,
        page_url=photo.page_url,
        width=photo.width,
        height=photo.height,
        tags=photo.tags,
        safety_level=photo.safety_level,
        uploaded_at=photo.uploaded_at,
    )
