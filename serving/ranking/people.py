"""People worth following: those whose favorites are like the person's, and those whose photos are.

The first are the neighbors, by the neighbor score; the second the owners of what is on the page, by what the champion
thinks of their photos. Whoever is one and the other comes first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.online import NeighborCandidates
from features.user_state import UserState
from serving.answers import PersonToFollow
from serving.cards import Cards, people
from serving.champion.served import Champion
from serving.ranking.exclusions import Exclusions
from serving.ranking.page import Placed
from training.interactions import History

OWN_PHOTOS = 0.3
"""What the owner's photos count beside the neighbor score. In the sandbox's world ten people found so include the most
of whom a user really follows: 14.6 %; by the neighbor score alone 14.2 %, by photos alone 8.1 %."""


def people_to_follow(
    cards: Cards,
    state: UserState,
    neighbors: NeighborCandidates | None,
    exclusions: Exclusions,
    limit: int,
    page: Sequence[Placed] = (),
    champion: Champion | None = None,
    history: History | None = None,
) -> list[PersonToFollow]:
    """At most `limit` people whom the person neither follows nor has dismissed, best first.

    champion, history: of which the page was made; without them, or factors of the champion's, neighbors alone count.
    """
    if limit == 0:
        return []
    ids, scores, common = _neighbors(neighbors)
    names: dict[str, str] = {}
    if champion is not None and champion.facts is not None and history is not None and len(history.favorites):
        names = {one.card.owner_id: one.card.owner_name for one in page if one.candidate.strategy == "personalized"}
        ids += [owner_id for owner_id in names if owner_id not in common]
        scores = blended(scores, champion.facts.owner_scores(history, ids))
    known = exclusions.owner_ids.union(state.contacts)
    best = [number for number in np.argsort(-scores, kind="stable").tolist() if ids[number] not in known]
    order: list[int] = []
    # Hardly anybody is gone: few are looked up at a time.
    for start in range(0, len(best), limit):
        some = best[start : start + limit]
        gone = cards.gone_people([ids[number] for number in some])
        order = [*order, *(number for number in some if ids[number] not in gone)][:limit]
        if len(order) == limit:
            break
    found = people(cards.online, [ids[number] for number in order])
    return [
        PersonToFollow(
            user_id=person.user_id,
            # Of somebody who was never pulled only the photos tell the name.
            name=names.get(person.user_id, person.name) if person.name == person.user_id else person.name,
            avatar_url=person.avatar_url,
            score=float(scores[number]),
            favorites_in_common=common.get(person.user_id, 0),
        )
        for person, number in zip(found, order, strict=True)
    ]


def blended(neighbor_scores: NDArray[np.float64], owner_scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Both as shares of their greatest, (1 − OWN_PHOTOS) to OWN_PHOTOS; float64 (n,) in [0, 1].

    owner_scores: (n,). neighbor_scores: (m ≤ n,), of the first m of the same people; the others have none.
    """
    result = np.zeros(len(owner_scores))
    result[: len(neighbor_scores)] = (1.0 - OWN_PHOTOS) * _shares(neighbor_scores)
    return result + OWN_PHOTOS * _shares(owner_scores)


def _shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    greatest = float(scores.max(initial=0.0))
    return np.maximum(scores, 0.0) / greatest if greatest > 0 else np.zeros(len(scores))


def _neighbors(neighbors: NeighborCandidates | None) -> tuple[list[str], NDArray[np.float64], dict[str, int]]:
    """The neighbors' ids and scores, best first, and how many favorites each has in common."""
    if neighbors is None:
        return [], np.empty(0), {}
    common = dict(zip(neighbors.people_ids, neighbors.people_common, strict=True))
    return list(neighbors.people_ids), np.array(neighbors.people_scores, dtype=np.float64), common
