"""Where a page's photos come from, best first: the champion's taste, the neighbors' favorites, what is popular.

Each source is walked as far as the page needs it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from features.batch import PopularPhotos
from features.online import NeighborCandidates
from serving.answers import Strategy
from serving.champion.watch import Champion, Served
from serving.ranking.exclusions import Exclusions
from training.interactions import History


@dataclass(frozen=True)
class Candidate:
    """A photo that a source proposes. `row`: its row in the champion's catalog, −1 when it came from elsewhere."""

    photo_id: str
    owner_id: str
    score: float
    strategy: Strategy
    row: int = -1


def sources_of(
    served: Served,
    history: History | None,
    neighbors: NeighborCandidates | None,
    exclusions: Exclusions,
    limit: int,
) -> Iterator[Iterator[Candidate]]:
    """What the page is filled from, best first. A champion that is mere popularity ranks for everybody alike."""
    champion = served.champion
    first = 2 * limit + 20
    if champion is not None and history is not None:
        if champion.bundle.kind == "popularity":
            yield from_champion(champion, history, exclusions, "popular", first)
        elif len(history.favorites) or len(history.contacts):
            yield from_champion(champion, history, exclusions, "personalized", first)
    if neighbors is not None:
        yield from_lists(neighbors.photo_ids, neighbors.photo_owners, neighbors.photo_scores, "neighbors")
    popular: PopularPhotos = served.popular
    yield from_lists(popular.photo_ids, popular.owner_ids, popular.scores, "popular")


def from_champion(
    champion: Champion, history: History, exclusions: Exclusions, strategy: Strategy, first: int
) -> Iterator[Candidate]:
    """The catalog by the champion's scores, best first; `first` at a time to begin with, then four times as many."""
    bundle = champion.bundle
    excluded = exclusions.mask(champion)
    n = first
    while True:
        rows, scores = bundle.top(history, n, excluded)
        if len(rows) == 0:
            return
        for row, score in zip(rows.tolist(), scores.tolist(), strict=True):
            yield Candidate(bundle.photo_ids[row], bundle.owner_ids[row], score, strategy, row)
        excluded[rows] = True
        n *= 4


def from_lists(
    photo_ids: Sequence[str], owner_ids: Sequence[str], scores: Sequence[float], strategy: Strategy
) -> Iterator[Candidate]:
    for photo_id, owner_id, score in zip(photo_ids, owner_ids, scores, strict=True):
        yield Candidate(photo_id, owner_id, score, strategy)
