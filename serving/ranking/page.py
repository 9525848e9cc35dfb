"""From candidates to a page: what may be shown, with not too much of one owner.

Candidates come in the order of the page (serving/ranking/sources.py); a page only leaves some out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from features.online import PhotoCard
from serving.ranking.exclusions import Exclusions
from serving.ranking.rerank import OWNER_CAP
from serving.ranking.sources import Candidate

SPARE = 6
"""For so many places a card more is read at first: some photos turn out to be gone."""

PATIENCE = 600
"""Photos passed over for the cap before a page is filled with them after all."""


@dataclass(frozen=True)
class Placed:
    candidate: Candidate
    card: PhotoCard


ReadCards = Callable[[Sequence[str]], dict[str, PhotoCard]]


def fill_page(
    candidates: Iterable[Candidate],
    exclusions: Exclusions,
    read_cards: ReadCards,
    limit: int,
    owner_cap: int = OWNER_CAP,
) -> list[Placed]:
    """The first `limit` candidates that may be shown, at most `owner_cap` of an owner (0: as many as there are).

    Where that leaves places free, those that were over the cap fill them, in their order. Cards are read in growing
    chunks, so a filter that refuses nearly everything costs few reads.
    """
    page: list[Placed] = []
    held: list[Placed] = []
    owners: Counter[str] = Counter()
    seen: set[str] = set()
    walk = iter(candidates)
    size = limit + limit // SPARE
    while chunk := list(islice(walk, size)):
        size = min(size * 2, 2000)
        wanted: dict[str, Candidate] = {}
        for candidate in chunk:
            if candidate.photo_id not in seen and exclusions.could_allow(candidate.photo_id, candidate.owner_id):
                seen.add(candidate.photo_id)
                wanted[candidate.photo_id] = candidate
        found = read_cards(list(wanted)) if wanted else {}
        for photo_id, candidate in wanted.items():
            card = found.get(photo_id)
            if card is None or not exclusions.allow(card):
                continue
            if owner_cap and owners[card.owner_id] >= owner_cap:
                held.append(Placed(candidate, card))
                continue
            owners[card.owner_id] += 1
            page.append(Placed(candidate, card))
            if len(page) == limit:
                return page
        if len(held) >= PATIENCE:
            break
    return page + held[: limit - len(page)]
