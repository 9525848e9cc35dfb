"""The one ranking, for every face of the service: retrieve, re-rank, leave out what must not be shown, explain.

Sources are walked in the order of their worth (the champion's taste, the neighbors' favorites, what is popular), each
as far as the page needs it; `strategy` names the one that the page begins with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from threading import BoundedSemaphore

import sqlalchemy as sa

from features.actions import actions_after
from features.database import Readable
from features.online import OnlineFeatures
from features.user_state import UserState, apply_actions
from pipelines.privacy.suppression import Suppression
from pipelines.shown import Memory, Repetition, first_shown, recall
from serving import cards
from serving.answers import (
    Person,
    RankedPhoto,
    Reason,
    Recommendation,
    SimilarPhoto,
    SimilarPhotos,
    Strategy,
    Thumbnail,
)
from serving.champion.served import Served
from serving.errors import NoModelError, UnknownPhotoError
from serving.last_known import Reads, watched_reads
from serving.observation import observe_snapshot, observed_recommendation, stage
from serving.ranking.cursor import MAX_SHOWN, decode_cursor, encode_cursor, mark
from serving.ranking.exclusions import Exclusions
from serving.ranking.page import Placed, fill_page
from serving.ranking.people import people_to_follow
from serving.ranking.reasons import neighbors_of_page, reasons_of_page
from serving.ranking.rerank import Weights, seed_of
from serving.ranking.sources import Candidate, Placing, sources_of
from serving.ranking.unlearned import unlearned_of

EPOCH = date(1970, 1, 1)

REMEMBERED_DEPTH = 2_000
"""Candidates of each source that are looked at while cards come from memory: far from all photos have one there."""


class Recommender:
    """Ranks for one person at a time; thread-safe, holds no state of a person.

    served: what to rank with now, read once a request; suppression: who was erased (None: nobody can be); repetition:
    when a photo was shown too often; weights: of re-ranking, none but the owner cap without them.
    """

    def __init__(
        self,
        engine: sa.Engine,
        online: OnlineFeatures,
        served: Callable[[], Served],
        suppression: Suppression | None = None,
        repetition: Repetition | None = None,
        weights: Weights | None = None,
    ) -> None:
        self._engine = engine
        self._online = online
        self._served = served
        self._repetition = repetition or Repetition()
        self._weights = weights or Weights()
        # One wall at a time: of several, each waits for Python's lock after every read, and all get fewer done. A
        # semaphore's next is who waits the longest; a lock's is anybody, and some wait long.
        self._turn = BoundedSemaphore(1)
        self.cards = cards.Cards(online, engine, suppression)

    def state(self, user_id: str) -> UserState:
        """The newest snapshot and every action since: what the person did a moment ago is in it."""
        return _since(self._engine, self._online.user_state(user_id))

    def recommend(
        self,
        user_id: str,
        *,
        limit: int = 30,
        people: int = 5,
        explain: bool = True,
        cursor: str | None = None,
        own: bool = True,
        own_page: bool = False,
    ) -> Recommendation:
        """A page of the person's wall. Somebody unknown gets what is popular, with coverage 0.

        own: False for the eyes of others, who are not told what the person saw when; own_page: the person's own page
        begins with it, which also tells what is not learned yet. Raises InvalidInputError for a
        cursor that can't be read.
        """
        with observed_recommendation() as observed, watched_reads() as reads:
            with self._turn, self._engine.connect() as connection:
                answer = self._wall(connection, user_id, limit, people, explain, cursor, own, own_page, reads)
            answer.degraded = answer.degraded or reads.stale
            observed(answer.strategy, answer.model_version, answer.degraded)
        return answer

    def _wall(
        self,
        connection: sa.Connection,
        user_id: str,
        limit: int,
        people: int,
        explain: bool,
        cursor: str | None,
        own: bool,
        own_page: bool,
        reads: Reads,
    ) -> Recommendation:
        served = self._served().to(user_id)
        shown = decode_cursor(cursor) if cursor else frozenset[int]()
        door = replace(self.cards, source=connection)
        with stage("features"):
            person = self._online.person(user_id)
            neighbors, state = person.neighbors, _since(connection, person.state)
            memory = recall(connection, user_id, self._repetition, datetime.now(UTC))
        observe_snapshot(state.updated_at)
        exclusions = Exclusions.of(state, shown, memory.tired)
        history = served.champion.bundle.history(state) if served.champion else None
        if served.champion and history is not None:
            with stage("fold-in"):
                served.champion.bundle.fold_in(history)
        sources = sources_of(served, history, neighbors, exclusions, limit, self._placing(user_id, memory))
        with stage("filter"):
            page = fill_page(_walk(sources, reads), exclusions, door.photos, limit, self._weights.owner_cap)
        strategy: Strategy = page[0].candidate.strategy if page else "popular"
        reasons: dict[str, list[Reason]] = {}
        reason_photos: dict[str, Thumbnail] = {}
        favoriters: dict[str, list[str]] = {}
        reason_people: dict[str, Person] = {}
        if explain and served.champion and history is not None:
            with stage("reasons"):
                reasons, reason_photos = reasons_of_page(door, served.champion, history, page)
        if explain:
            with stage("reasons"):
                favoriters, reason_people = neighbors_of_page(door, state, neighbors, exclusions, page)
        unlearned, unlearned_photos = 0, list[Thumbnail]()
        if own_page and served.champion:
            unlearned, unlearned_photos = unlearned_of(door, served.champion, state)
        with stage("people"):
            to_follow = people_to_follow(door, state, neighbors, exclusions, people, page, served.champion, history)
        return Recommendation(
            user_id=user_id,
            user=cards.person(user_id, person.card),
            strategy=strategy,
            degraded=_is_degraded(served, state, strategy),
            coverage=neighbors.coverage if neighbors else 0.0,
            model_version=served.champion.version if served.champion else None,
            variant=served.variant,
            generated_at=datetime.now(UTC),
            next_cursor=_next_cursor(shown, page, limit),
            photos=_ranked(connection, page, reasons, favoriters, user_id if own else None, memory),
            people=to_follow,
            reason_photos=reason_photos,
            reason_people=reason_people,
            unlearned=unlearned,
            unlearned_photos=unlearned_photos,
        )

    def _placing(self, user_id: str, memory: Memory) -> Placing:
        today = datetime.now(UTC).date()
        seed, days = seed_of(user_id, today), (today - EPOCH).days
        return Placing(self._weights, seed, days, self._online.photo_cards, memory.visits)

    def similar(self, photo_id: str, limit: int = 20, exclusions: Exclusions | None = None) -> SimilarPhotos:
        """Photos that the same people like, the most alike first, without what `exclusions` keep from the asker.

        Raises NoModelError when there is no champion, UnknownPhotoError when it does not hold the photo.
        """
        champion = self._served().champion
        if champion is None:
            raise NoModelError("no model has been trained yet; run `photo-recommender train`, then ask again")
        bundle = champion.bundle
        row = bundle.photo_row(photo_id)
        if row is None:
            raise UnknownPhotoError(f"model {champion.version} knows no photo {photo_id!r}", field="photo_id")
        kept_back = exclusions or Exclusions(frozenset(), frozenset())
        enough = 2 * limit + 20
        rows, scores = bundle.similar(row, enough + len(kept_back.photo_ids))
        near = {bundle.photo_ids[other]: score for other, score in zip(rows, scores.tolist(), strict=True)}
        asked = [other for other in near if other not in kept_back.photo_ids][:enough]
        with watched_reads() as reads:
            found = self.cards.photos(asked)
        cards_near = [found[other] for other in asked if other in found and kept_back.allow(found[other])]
        alike = [SimilarPhoto(**cards.photo_fields(card), score=near[card.photo_id]) for card in cards_near[:limit]]
        return SimilarPhotos(photo_id=photo_id, model_version=champion.version, degraded=reads.stale, photos=alike)


def _since(source: Readable, snapshot: UserState) -> UserState:
    """The snapshot with the person's actions since."""
    return apply_actions(snapshot, actions_after(source, snapshot.user_id, snapshot.watermark))


def _ranked(
    connection: sa.Connection,
    page: Sequence[Placed],
    reasons: dict[str, list[Reason]],
    favoriters: dict[str, list[str]],
    person: str | None,
    memory: Memory,
) -> list[RankedPhoto]:
    """The page's photos, with what is between them and the person; None: nothing of that is told."""
    ids = [placed.card.photo_id for placed in page]
    since = first_shown(connection, person, ids) if person is not None and ids else {}
    return [
        RankedPhoto(
            **cards.photo_fields(placed.card),
            score=placed.candidate.score,
            new=person is not None and memory.is_new(placed.card.photo_id),
            first_recommended_at=since.get(placed.card.photo_id),
            reasons=reasons.get(placed.card.photo_id, []),
            neighbors=favoriters.get(placed.card.photo_id, []),
        )
        for placed in page
    ]


def _walk(sources: Iterator[Iterator[Candidate]], reads: Reads) -> Iterator[Candidate]:
    """The sources' candidates, one source after another."""
    for source in sources:
        for place, candidate in enumerate(source):
            if reads.stale and place >= REMEMBERED_DEPTH:
                break
            yield candidate


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
