"""Favorites that the model does not know yet: they are off the wall at once, but teach it only with the next training.

Told to the person on their own wall, so that nobody wonders why a favorite of today has changed so little.
"""

from __future__ import annotations

import numpy as np

from features.user_state import UserState
from serving.answers import Thumbnail
from serving.cards import Cards, thumbnails
from serving.champion.served import Champion

SHOWN = 6


def unlearned_of(cards: Cards, champion: Champion, state: UserState) -> tuple[int, list[Thumbnail]]:
    """How many of the favorites the champion does not know, and the newest `SHOWN` of them, as far as these can be
    shown. Cards are read only where there are any."""
    if not state.favorite_ids:
        return 0, []
    unknown = np.flatnonzero(champion.bundle.photo_rows(state.favorite_ids) < 0)
    if len(unknown) == 0:
        return 0, []
    times = np.array(state.favorite_times, dtype=np.int64)[unknown]
    newest = [state.favorite_ids[place] for place in unknown[np.argsort(-times, kind="stable")][:SHOWN]]
    found = thumbnails(cards, newest)
    return len(unknown), [found[photo_id] for photo_id in newest if photo_id in found]
