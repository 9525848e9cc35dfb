"""Why a photo is there: the favorites that speak for it, or the neighbors who favorited it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from features.feature_tables import USER_SNAPSHOT
from features.online import NeighborCandidates
from features.user_state import UserState
from serving.answers import Person, Reason, Thumbnail
from serving.cards import Cards, people, thumbnails
from serving.champion.served import Champion
from serving.ranking.exclusions import Exclusions
from serving.ranking.page import Placed
from training.interactions import History

REASONS = 3

NEIGHBORS_ASKED = 20
"""Neighbors whose favorites are looked through for a page: their snapshots are read, all in one."""


def reasons_of_page(
    cards: Cards, champion: Champion, history: History, page: Sequence[Placed]
) -> tuple[dict[str, list[Reason]], dict[str, Thumbnail]]:
    """Why each personalized photo is there: the favorites that speak for it, those that can still be shown."""
    explained = [placed.candidate for placed in page if placed.candidate.strategy == "personalized"]
    if not explained:
        return {}, {}
    bundle = champion.bundle
    found = bundle.reasons(history, [candidate.row for candidate in explained], REASONS)
    rows = np.unique(np.array([row for part in found for row, _ in part], dtype=np.int64))
    ids = dict(zip(rows.tolist(), bundle.photo_ids[rows], strict=True))
    shown = thumbnails(cards, ids.values())
    reasons = {
        candidate.photo_id: [
            Reason(photo_id=ids[row], weight=contribution / max(candidate.score, 1e-9))
            for row, contribution in part
            if ids[row] in shown
        ]
        for candidate, part in zip(explained, found, strict=True)
    }
    return reasons, shown


def neighbors_of_page(
    cards: Cards,
    state: UserState,
    neighbors: NeighborCandidates | None,
    exclusions: Exclusions,
    page: Sequence[Placed],
) -> tuple[dict[str, list[str]], dict[str, Person]]:
    """Who of the person's neighbors favorited each photo that is there for them: at most `REASONS`, nearest first, and
    what is shown of these people.

    Looked for among the `NEIGHBORS_ASKED` nearest; a photo that only others favorited has nobody.
    """
    explained = {placed.card.photo_id for placed in page if placed.candidate.strategy == "neighbors"}
    if not explained or neighbors is None:
        return {}, {}
    asked = _nearest(state, neighbors, exclusions)
    gone = cards.gone_people(asked)
    snapshots = cards.online.read(USER_SNAPSHOT, [user_id for user_id in asked if user_id not in gone])
    found: dict[str, list[str]] = {}
    for user_id in asked:
        if user_id in snapshots:
            for photo_id in explained.intersection(snapshots[user_id][1]["favorite_ids"] or ()):
                found.setdefault(photo_id, []).append(user_id)
    found = {photo_id: named[:REASONS] for photo_id, named in found.items()}
    named = list(dict.fromkeys(user_id for of_photo in found.values() for user_id in of_photo))
    return found, {person.user_id: person for person in people(cards.online, named)}


def _nearest(state: UserState, neighbors: NeighborCandidates, exclusions: Exclusions) -> list[str]:
    """The nearest neighbors who may be named. Whom the person follows is not among the candidates' people, as they are
    nobody new, but the likeliest to have favorited something: they come first, by how much of theirs is a favorite.
    """
    followed = frozenset(state.contacts)
    theirs = Counter(owner_id for owner_id in state.favorite_owners if owner_id in followed)
    nearest = [*(owner_id for owner_id, _ in theirs.most_common(NEIGHBORS_ASKED // 2)), *neighbors.people_ids]
    return [user_id for user_id in nearest if user_id not in exclusions.owner_ids][:NEIGHBORS_ASKED]
