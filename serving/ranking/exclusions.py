"""What must not be shown: the one place that decides it, for every way to a wall.

A photo that the person favorited, dismissed or took, or that a dismissed person took; one that they saw too often
(`Repetition` in pipelines/shown.py); one that is gone from Flickr or not safe for everybody; and, within one walk down
a wall, one that was shown before. What was taken down a moment ago never comes as far as here: its card is held back
(`Cards` in serving/cards.py).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.online import PhotoCard
from features.user_state import UserState
from serving.champion.served import Champion
from serving.ranking.cursor import mark
from training.interactions import History

SAFE = 0
"""Flickr's `safety_level`: 0 safe, 1 moderate, 2 restricted. Flickr leaves it out of some lists of public photos."""


def is_showable(card: PhotoCard) -> bool:
    """Whether anybody at all may see the photo here: still on Flickr, and safe."""
    return card.gone_at is None and card.safety_level in (None, SAFE)


@dataclass(frozen=True)
class Exclusions:
    """What is kept from one person: photos by id, everything of some owners, and what this walk has shown (marks).

    tired: those of the photos that they saw too often; user_id: the person, who is one of the owners.
    """

    photo_ids: frozenset[str]
    owner_ids: frozenset[str]
    shown: frozenset[int] = frozenset()
    tired: frozenset[str] = frozenset()
    user_id: str = ""

    @classmethod
    def of(
        cls, state: UserState, shown: frozenset[int] = frozenset(), tired: frozenset[str] = frozenset()
    ) -> Exclusions:
        """What the person's state keeps from them; `tired`: photos that they saw too often."""
        return cls(
            photo_ids=frozenset(state.favorite_ids).union(state.dismissed_ids, tired),
            owner_ids=frozenset(state.dismissed_people).union((state.user_id,)),
            shown=shown,
            tired=tired,
            user_id=state.user_id,
        )

    def allow(self, card: PhotoCard) -> bool:
        """The decision. Every photo that leaves has passed here."""
        return (
            card.photo_id not in self.photo_ids
            and card.owner_id not in self.owner_ids
            and mark(card.photo_id) not in self.shown
            and is_showable(card)
        )

    def could_allow(self, photo_id: str, owner_id: str) -> bool:
        """False when `allow` would refuse whatever the card says: saves reading the card."""
        return photo_id not in self.photo_ids and owner_id not in self.owner_ids and mark(photo_id) not in self.shown

    def mask(self, champion: Champion, history: History) -> NDArray[np.bool_]:
        """bool (n_photos,): True for each row that `could_allow` refuses, so that retrieval looks past them.

        history: of the same state, whose rows are what the person favorited and dismissed, dismissed people's too.
        """
        catalog = champion.bundle.catalog
        excluded = np.zeros(len(catalog), dtype=bool)
        excluded[history.photo_rows] = True
        rows = catalog.rows(_objects(self.tired))
        excluded[rows[rows >= 0]] = True
        excluded[catalog.rows_of_owners([self.user_id])[0]] = True
        excluded[champion.marks.rows(self.shown)] = True
        return excluded


def _objects(ids: Collection[str]) -> NDArray[np.object_]:
    return np.fromiter(ids, dtype=object, count=len(ids))
