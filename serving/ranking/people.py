"""People worth following."""

from __future__ import annotations

from itertools import islice

from features.online import NeighborCandidates
from features.user_state import UserState
from serving.answers import PersonToFollow
from serving.cards import Cards, people
from serving.ranking.exclusions import Exclusions


def people_to_follow(
    cards: Cards, state: UserState, neighbors: NeighborCandidates | None, exclusions: Exclusions, limit: int
) -> list[PersonToFollow]:
    """The neighbors nearest in taste whom the person neither follows nor has dismissed."""
    if neighbors is None or limit == 0:
        return []
    known = exclusions.owner_ids.union(state.contacts, cards.gone_people(neighbors.people_ids))
    near = zip(neighbors.people_ids, neighbors.people_scores, neighbors.people_common, strict=True)
    chosen = list(islice((entry for entry in near if entry[0] not in known), limit))
    return [
        PersonToFollow(**person.model_dump(), score=score, favorites_in_common=common)
        for person, (_, score, common) in zip(
            people(cards.online, [user_id for user_id, _, _ in chosen]), chosen, strict=True
        )
    ]
