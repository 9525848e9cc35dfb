"""The one ranking, for every face of the service: retrieve, leave out what must not be shown, cap owners, explain.

Sources are walked in the order of their worth (the champion's taste, the neighbors' favorites, what is popular), each
as far as the page needs it; `strategy` names the one that the page begins with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

import sqlalchemy as sa

from features.actions import actions_after
from features.batch import PopularPhotos
from features.online import NeighborCandidates, OnlineFeatures, PhotoCard
from features.user_state import UserState, apply_actions
from pipelines.privacy.suppression import Suppression
from serving import cards
from serving.answers import (
    PersonToFollow,
    RankedPhoto,
    Reason,
    Recommendation,
    SimilarPhoto,
    SimilarPhotos,
    Strategy,
    Thumbnail,
)
from serving.champion import Champion, Served
from serving.cursor import MAX_SHOWN, decode_cursor, encode_cursor, mark
from serving.errors import NoModelError, UnknownPhotoError
from serving.exclusions import Exclusions, is_showable
from training.interactions import History

OWNER_CAP = 3
"""Photos of one owner on a page, while others have any left."""

PATIENCE = 600
"""Photos passed over for the cap before a page is filled with them after all."""

REASONS = 3


@dataclass(frozen=True)
class Candidate:
    """A photo that a source proposes. `row`: its row in the champion's catalog, −1 when it came from elsewhere."""

    photo_id: str
    owner_id: str
    score: float
    strategy: Strategy
    row: int = -1


@dataclass(frozen=True)
class Placed:
    candidate: Candidate
    card: PhotoCard


ReadCards = Callable[[Sequence[str]], dict[str, PhotoCard]]


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


def fill_page(
    candidates: Iterable[Candidate], exclusions: Exclusions, read_cards: ReadCards, limit: int
) -> list[Placed]:
    """The first `limit` candidates that may be shown, at most `OWNER_CAP` of an owner.

    Where that leaves places free, those that were over the cap fill them, in their order. Cards are read in growing
    chunks, so a filter that refuses nearly everything costs few reads.
    """
    page: list[Placed] = []
    held: list[Placed] = []
    owners: Counter[str] = Counter()
    seen: set[str] = set()
    walk = iter(candidates)
    size = limit + limit // 2
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
            if owners[card.owner_id] >= OWNER_CAP:
                held.append(Placed(candidate, card))
                continue
            owners[card.owner_id] += 1
            page.append(Placed(candidate, card))
            if len(page) == limit:
                return page
        if len(held) >= PATIENCE:
            break
    return page + held[: limit - len(page)]


class Recommender:
    """Ranks for one person at a time; thread-safe, holds no state of a person.

    served: what to rank with now, read once a request; suppression: who was erased (None: nobody can be).
    """

    def __init__(
        self,
        engine: sa.Engine,
        online: OnlineFeatures,
        served: Callable[[], Served],
        suppression: Suppression | None = None,
    ) -> None:
        self._engine = engine
        self._online = online
        self._served = served
        self.cards = cards.Cards(online, engine, suppression)

    def state(self, user_id: str) -> UserState:
        """The newest snapshot and every action since: what the person did a moment ago is in it."""
        snapshot = self._online.user_state(user_id)
        return apply_actions(snapshot, actions_after(self._engine, user_id, snapshot.watermark))

    def recommend(
        self, user_id: str, *, limit: int = 30, people: int = 5, explain: bool = True, cursor: str | None = None
    ) -> Recommendation:
        """A page of the person's wall. Somebody unknown gets what is popular, with coverage 0.

        Raises InvalidInputError for a cursor that can't be read.
        """
        served = self._served()
        shown = decode_cursor(cursor) if cursor else frozenset[int]()
        state = self.state(user_id)
        neighbors = self._online.neighbor_candidates(user_id)
        exclusions = Exclusions.of(state, shown)
        history = served.champion.bundle.history(state) if served.champion else None
        sources = _sources(served, history, neighbors, exclusions, limit)
        page = fill_page((c for source in sources for c in source), exclusions, self.cards.photos, limit)
        strategy: Strategy = page[0].candidate.strategy if page else "popular"
        reasons: dict[str, list[Reason]] = {}
        reason_photos: dict[str, Thumbnail] = {}
        if explain and served.champion and history is not None:
            reasons, reason_photos = self._reasons(served.champion, history, page)
        return Recommendation(
            user_id=user_id,
            user=cards.people(self._online, [user_id])[0],
            strategy=strategy,
            degraded=_is_degraded(served, state, strategy),
            coverage=neighbors.coverage if neighbors else 0.0,
            model_version=served.champion.version if served.champion else None,
            generated_at=datetime.now(UTC),
            next_cursor=_next_cursor(shown, page, limit),
            photos=[_ranked(placed, reasons) for placed in page],
            people=self._people(state, neighbors, exclusions, people),
            reason_photos=reason_photos,
        )

    def similar(self, photo_id: str, limit: int = 20) -> SimilarPhotos:
        """Photos that the same people like, the most alike first.

        Raises NoModelError when there is no champion, UnknownPhotoError when it does not hold the photo.
        """
        champion = self._served().champion
        if champion is None:
            raise NoModelError("no model has been trained yet; run `photo-recommender train`, then ask again")
        bundle = champion.bundle
        row = bundle.photo_row(photo_id)
        if row is None:
            raise UnknownPhotoError(f"model {champion.version} knows no photo {photo_id!r}", field="photo_id")
        rows, scores = bundle.similar(row, 2 * limit + 20)
        found = self.cards.photos([bundle.photo_ids[other] for other in rows])
        alike: list[SimilarPhoto] = []
        for other, score in zip(rows, scores.tolist(), strict=True):
            card = found.get(bundle.photo_ids[other])
            if card is not None and is_showable(card) and len(alike) < limit:
                alike.append(SimilarPhoto(**cards.photo_fields(card), score=score))
        return SimilarPhotos(photo_id=photo_id, model_version=champion.version, photos=alike)

    def _reasons(
        self, champion: Champion, history: History, page: Sequence[Placed]
    ) -> tuple[dict[str, list[Reason]], dict[str, Thumbnail]]:
        """Why each personalized photo is there: the favorites that speak for it, those that can still be shown."""
        explained = [placed.candidate for placed in page if placed.candidate.strategy == "personalized"]
        if not explained:
            return {}, {}
        bundle = champion.bundle
        found = bundle.reasons(history, [candidate.row for candidate in explained], REASONS)
        thumbnails = cards.thumbnails(self.cards, (bundle.photo_ids[row] for part in found for row, _ in part))
        reasons = {
            candidate.photo_id: [
                Reason(photo_id=bundle.photo_ids[row], weight=contribution / max(candidate.score, 1e-9))
                for row, contribution in part
                if bundle.photo_ids[row] in thumbnails
            ]
            for candidate, part in zip(explained, found, strict=True)
        }
        return reasons, thumbnails

    def _people(
        self, state: UserState, neighbors: NeighborCandidates | None, exclusions: Exclusions, limit: int
    ) -> list[PersonToFollow]:
        """The neighbors nearest in taste whom the person neither follows nor has dismissed."""
        if neighbors is None or limit == 0:
            return []
        known = exclusions.owner_ids.union(state.contacts, self.cards.gone_people(neighbors.people_ids))
        near = zip(neighbors.people_ids, neighbors.people_scores, neighbors.people_common, strict=True)
        chosen = list(islice((entry for entry in near if entry[0] not in known), limit))
        return [
            PersonToFollow(**person.model_dump(), score=score, favorites_in_common=common)
            for person, (_, score, common) in zip(
                cards.people(self._online, [user_id for user_id, _, _ in chosen]), chosen, strict=True
            )
        ]


def _sources(
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


def _is_degraded(served: Served, state: UserState, strategy: Strategy) -> bool:
    """Whether the wall is less than it should be: no champion though there is one, or favorites that went unused."""
    if served.champion is None:
        return served.error is not None or bool(state.favorite_ids)
    return strategy == "popular" and bool(state.favorite_ids) and served.champion.bundle.kind != "popularity"


def _next_cursor(shown: frozenset[int], page: Sequence[Placed], limit: int) -> str | None:
    """None where the wall ends: nothing was left to fill the page, or `MAX_SHOWN` is reached."""
    after = shown.union(mark(placed.card.photo_id) for placed in page)
    if len(page) < limit or len(after) + limit > MAX_SHOWN:
        return None
    return encode_cursor(after)


def _ranked(placed: Placed, reasons: dict[str, list[Reason]]) -> RankedPhoto:
    card, score = placed.card, placed.candidate.score
    return RankedPhoto(
        **cards.photo_fields(card),
        score=score,
        new=cards.is_new(card, datetime.now(UTC)),
        reasons=reasons.get(card.photo_id, []),
    )
