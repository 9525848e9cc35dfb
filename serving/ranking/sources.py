"""Where a page's photos come from, best first: the champion's taste, the neighbors' favorites, what is popular.

Each source is walked as far as the page needs it. The best of the champion's are re-ranked before they are proposed: of
others' photos nothing is known that would speak for another order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.batch import PopularPhotos
from features.online import NeighborCandidates
from serving.answers import Strategy
from serving.champion.served import Champion, Served
from serving.observation import stage
from serving.ranking.exclusions import Exclusions
from serving.ranking.facts import ReadCards
from serving.ranking.rerank import Order, Pool, Weights, in_turns
from training.interactions import History

POOL = 4
"""Candidates for each place, among which photos change places."""

PLACES = 100
"""Places that are re-ranked; services may ask for longer lists, which go on by score."""


@dataclass(frozen=True)
class Candidate:
    """A photo that a source proposes. `row`: its row in the champion's catalog, −1 when it came from elsewhere."""

    photo_id: str
    owner_id: str
    score: float
    strategy: Strategy
    row: int = -1


@dataclass(frozen=True)
class Placing:
    """What re-ranking takes of a request: weights, the seed of its draws, the day (since 1970), cards to read, and on
    how many earlier visits photos were shown (those that were)."""

    weights: Weights
    seed: int
    today: int
    read_cards: ReadCards
    visits: Mapping[str, int] = field(default_factory=dict)


def sources_of(
    served: Served,
    history: History | None,
    neighbors: NeighborCandidates | None,
    exclusions: Exclusions,
    limit: int,
    placing: Placing,
) -> Iterator[Iterator[Candidate]]:
    """What the page is filled from, best first; among the best, what the person saw on fewer visits comes first.

    A champion that is mere popularity ranks for everybody alike.
    """
    champion, depth = served.champion, POOL * min(limit, PLACES)
    if champion is not None and history is not None:
        if champion.bundle.kind == "popularity":
            yield in_turns_of(from_champion(champion, history, exclusions, "popular", limit), placing.visits, depth)
        elif len(history.favorites) or len(history.contacts):
            yield from_champion(champion, history, exclusions, "personalized", limit, placing)
    if neighbors is not None:
        near = from_lists(neighbors.photo_ids, neighbors.photo_owners, neighbors.photo_scores, "neighbors")
        yield in_turns_of(near, placing.visits, depth)
    popular: PopularPhotos = served.popular
    listed = from_lists(popular.photo_ids, popular.owner_ids, popular.scores, "popular")
    yield in_turns_of(listed, placing.visits, depth)


def from_champion(
    champion: Champion,
    history: History,
    exclusions: Exclusions,
    strategy: Strategy,
    limit: int,
    placing: Placing | None = None,
) -> Iterator[Candidate]:
    """The catalog by the champion's scores, best first; the best are re-ranked for a page of `limit` by `placing`.

    Enough for a page come first, then four times as many at a time.
    """
    bundle = champion.bundle
    excluded = exclusions.mask(champion, history)
    n = max(2 * limit + 20, POOL * min(limit, PLACES))
    while True:
        with stage("retrieve"):
            rows, scores = bundle.top(history, n, excluded)
        if len(rows) == 0:
            return
        if placing is not None:
            with stage("re-rank"):
                order = _order(champion, rows, scores, limit, placing)
            rows, scores, placing = rows[order], scores[order], None
        proposed = (bundle.photo_ids[rows], bundle.owner_ids[rows], scores.tolist(), rows.tolist())
        for photo_id, owner_id, score, row in zip(*proposed, strict=True):
            yield Candidate(photo_id, owner_id, score, strategy, row)
        excluded[rows] = True
        n *= 4


def _order(
    champion: Champion, rows: NDArray[np.int64], scores: NDArray[np.floating[Any]], limit: int, placing: Placing
) -> Order:
    """The candidates' places in the order of the page, int64 (len(rows),)."""
    facts, places = champion.facts, min(limit, PLACES)
    near = rows[: POOL * places]
    beyond = np.arange(len(near), len(rows))
    visits = np.zeros(len(near), dtype=np.int64)
    if placing.visits:
        visits[:] = [placing.visits.get(photo_id, 0) for photo_id in champion.bundle.photo_ids[near]]
    if facts is None or placing.weights.only_cap:
        return np.concatenate([np.argsort(visits, kind="stable"), beyond])
    fresh = placing.weights.freshness > 0
    pool = Pool(
        rows=near,
        scores=scores[: len(near)],
        owners=facts.owners[near],
        directions=facts.directions(near),
        ages=facts.ages(near, placing.today, placing.read_cards) if fresh else np.full(len(near), np.inf),
        favoriters=facts.favoriters(near),
    )
    # Some photos turn out to be gone, and others take their places.
    order = in_turns(pool, visits, placing.weights, places, placing.seed, spare=places // 2)
    return np.concatenate([order, beyond])


def in_turns_of(source: Iterator[Candidate], visits: Mapping[str, int], depth: int) -> Iterator[Candidate]:
    """The source, of its first `depth` candidates those first that were shown on fewer earlier visits."""
    yield from sorted(islice(source, depth), key=lambda candidate: visits.get(candidate.photo_id, 0))
    yield from source


def from_lists(
    photo_ids: Sequence[str], owner_ids: Sequence[str], scores: Sequence[float], strategy: Strategy
) -> Iterator[Candidate]:
    for photo_id, owner_id, score in zip(photo_ids, owner_ids, scores, strict=True):
        yield Candidate(photo_id, owner_id, score, strategy)
