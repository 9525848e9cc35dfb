"""The one ranking, for every face of the service: retrieve, leave out what must not be shown, cap owners, explain.

Sources are walked in the order of their worth (the champion's taste, the neighbors' favorites, what is popular), each
as far as the page needs it; `strategy` names the one that the page begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa

from features.actions import actions_after
from features.online import OnlineFeatures
from features.user_state import UserState, apply_actions
from pipelines.privacy.suppression import Suppression
from serving import cards
from serving.answers import (
    RankedPhoto,
    Reason,
    Recommendation,
    SimilarPhoto,
    SimilarPhotos,
    Strategy,
    Thumbnail,
)
from serving.champion.watch import Served
from serving.errors import NoModelError, UnknownPhotoError
from serving.ranking.cursor import MAX_SHOWN, decode_cursor, encode_cursor, mark
from serving.ranking.exclusions import Exclusions, is_showable
from serving.ranking.page import Placed, fill_page
from serving.ranking.people import people_to_follow
from serving.ranking.reasons import reasons_of_page
from serving.ranking.sources import sources_of


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
        sources = sources_of(served, history, neighbors, exclusions, limit)
        page = fill_page((c for source in sources for c in source), exclusions, self.cards.photos, limit)
        strategy: Strategy = page[0].candidate.strategy if page else "popular"
        reasons: dict[str, list[Reason]] = {}
        reason_photos: dict[str, Thumbnail] = {}
        if explain and served.champion and history is not None:
            reasons, reason_photos = reasons_of_page(self.cards, served.champion, history, page)
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
            people=people_to_follow(self.cards, state, neighbors, exclusions, people),
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
