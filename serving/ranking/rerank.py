"""From the best photos to a good page: not all alike, not all of one owner, some new ones, a few to find out about.

Arrays in, arrays out, and the same every time for the same seed: a page that is loaded again is the same page. Scores
stay what they are; only the order changes.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from features.settings import Settings

OWNER_CAP = 3

FRESH_DAYS = 7.0
"""Half-life of the boost for a new photo: most favorites come in the days after an upload."""

Order = NDArray[np.int64]


@dataclass(frozen=True)
class Weights:
    """How much each reason to leave the order of the scores counts; 0: not at all.

    diversity, freshness: in standard deviations of the candidates' scores, what a photo loses that is just like one
    placed before it (cosine 1), and what one gains that was uploaded now. exploration: the share of the places that
    go to photos of which little is known. owner_cap: photos of one owner on a page, while others have any left.
    """

    diversity: float = 0.0
    freshness: float = 0.0
    exploration: float = 0.0
    owner_cap: int = OWNER_CAP

    @classmethod
    def of(cls, settings: Settings) -> Weights:
        return cls(
            diversity=settings.rerank_diversity,
            freshness=settings.rerank_freshness,
            exploration=settings.rerank_exploration,
            owner_cap=settings.rerank_owner_cap,
        )

    @property
    def only_cap(self) -> bool:
        """Whether the order of the scores stands, but for the owner cap."""
        return not (self.diversity or self.freshness or self.exploration)


@dataclass(frozen=True)
class Pool:
    """n candidates, best first.

    rows: (n,), what tells one photo from another in the draw. scores: (n,). owners: (n,), equal numbers for one owner.
    directions: float32 (n, factors), of length 1, or 0 where nothing is known: such a photo is like no other.
    ages: (n,), days since the upload; inf: unknown. favoriters: (n,); inf: nothing is to be found out.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.floating]
    owners: NDArray[np.integer]
    directions: NDArray[np.float32]
    ages: NDArray[np.float64]
    favoriters: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, some: Order) -> Pool:
        """Those of the candidates, in that order."""
        return Pool(
            rows=self.rows[some],
            scores=self.scores[some],
            owners=self.owners[some],
            directions=self.directions[some],
            ages=self.ages[some],
            favoriters=self.favoriters[some],
        )


def reranked(pool: Pool, weights: Weights, places: int, seed: int, spare: int = 0) -> Order:
    """All candidates' numbers in the order of the page, int64 (n,): `places` of it and `spare` more by what the weights
    say, then the rest by score.

    Each place goes to the candidate with the most of z − diversity · (the greatest cosine with a photo placed before) +
    freshness · 2^(−age ÷ FRESH_DAYS), z being the scores less their mean in standard deviations: maximal marginal
    relevance (Carbonell and Goldstein 1998) with an unbounded unit. Explored photos are drawn first and keep out.
    """
    if weights.only_cap or len(pool) < 2:
        return np.arange(len(pool))
    explored, at = _explored(pool, weights, places, seed)
    worth = _standardized(pool.scores)
    if weights.freshness:
        worth += weights.freshness * np.exp2(-pool.ages / FRESH_DAYS)
    worth[explored] = -np.inf
    order = _placed(pool, worth, weights, min(places + spare, len(pool)) - len(explored), explored)
    for place, candidate in zip(at.tolist(), explored.tolist(), strict=True):
        order.insert(place, candidate)
    left = np.ones(len(pool), dtype=bool)
    left[order] = False
    return np.concatenate([np.array(order, dtype=np.int64), np.flatnonzero(left)])


def _placed(pool: Pool, worth: NDArray[np.float64], weights: Weights, places: int, before: Order) -> list[int]:
    """Candidates for so many places, one after the other; `before` counts for the owner cap. −inf is never placed."""
    distinct, owners = np.unique(pool.owners, return_inverse=True)
    of_owner = np.bincount(owners[before], minlength=len(distinct))
    cap = weights.owner_cap or len(pool)
    worth[of_owner[owners] >= cap] = -np.inf
    alike = np.zeros(len(pool), dtype=np.float32)
    order: list[int] = []
    for _ in range(places):
        best = int(np.argmax(worth - weights.diversity * alike if weights.diversity else worth))
        if worth[best] == -np.inf:
            break
        order.append(best)
        worth[best] = -np.inf
        owner = owners[best]
        of_owner[owner] += 1
        if of_owner[owner] >= cap:
            worth[owners == owner] = -np.inf
        if weights.diversity:
            np.maximum(alike, pool.directions @ pool.directions[best], out=alike)
    return order


def _explored(pool: Pool, weights: Weights, places: int, seed: int) -> tuple[Order, Order]:
    """Whom to find out about, and their places, both int64 (m,), the places ascending.

    Drawn without replacement from what the scores alone would not show, in proportion to 1 ÷ (1 + favoriters), as the
    variance of a mean falls (keys of Efraimidis and Spirakis 2006). They come in the lower half: by the upper one a
    person judges the page.
    """
    nobody = np.empty(0, dtype=np.int64)
    first_eligible, lower = places, np.arange(places // 2, min(places, len(pool)))
    # Keys belong to photos, not to places in the pool, so that a dismissal does not draw all of them anew.
    chance = uniform(seed, pool.rows)
    count = min(int(weights.exploration * places + uniform(seed, np.array([-1]))[0]), len(lower))
    if count == 0:
        return nobody, nobody
    keys = -np.log(chance) * (1.0 + pool.favoriters)
    keys[:first_eligible] = np.inf
    drawn: list[int] = []
    of_owner: dict[int, int] = {}
    for candidate in np.argsort(keys, kind="stable"):
        owner = int(pool.owners[candidate])
        if len(drawn) == count or not np.isfinite(keys[candidate]):
            break
        if of_owner.get(owner, 0) < (weights.owner_cap or count):
            of_owner[owner] = of_owner.get(owner, 0) + 1
            drawn.append(int(candidate))
    at = np.argsort(uniform(seed, -2 - lower), kind="stable")[: len(drawn)]
    return np.array(drawn, dtype=np.int64), np.sort(lower[at])


def _standardized(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Less their mean, in standard deviations; zeros where all are equal."""
    centered = scores.astype(np.float64) - float(scores.mean())
    spread = float(centered.std())
    return centered / spread if spread > 0 else np.zeros(len(scores))


def in_turns(pool: Pool, visits: NDArray[np.int64], weights: Weights, places: int, seed: int, spare: int = 0) -> Order:
    """`reranked`, but what the person saw on fewer visits comes first (what is new above all); int64 (n,).

    visits: int64 (n,), on how many earlier visits each candidate was shown. Who comes daily so sees all candidates in
    turn. Those of one number are re-ranked among themselves, for the places that are left to them.
    """
    parts: list[Order] = []
    for number in np.unique(visits):
        part = np.flatnonzero(visits == number)
        left = places - sum(map(len, parts))
        if left > 0:
            part = part[reranked(pool.of(part), weights, left, seed, spare)]
        parts.append(part)
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)


def seed_of(user_id: str, day: date) -> int:
    """What a person's page is drawn with on that day."""
    return zlib.crc32(f"{user_id} {day.isoformat()}".encode())


def uniform(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in (0, 1) for each whole number, the same for the same seed (the finalizer of SplitMix64)."""
    with np.errstate(over="ignore"):
        mixed = (numbers.astype(np.uint64) + np.uint64(seed + 1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed += np.uint64(seed) << np.uint64(32)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    result: NDArray[np.float64] = ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    return result
