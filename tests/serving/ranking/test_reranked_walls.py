"""Walls with re-ranking on: the page changes, and nothing that a wall promises does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.settings import Settings
from serving.answers import Recommendation
from serving.champion.served import Served
from serving.ranking.recommender import Recommender
from serving.ranking.rerank import OWNER_CAP, Weights
from serving.ranking.sources import PLACES, POOL
from tests.serving.conftest import PHOTOS, World, of_style, owner_of, showable, state_of

STRONG = Weights(diversity=5.0, freshness=3.0, exploration=0.3)
DEFAULT = Weights.of(Settings(_env_file=None))  # type: ignore[call-arg]

Make = Callable[..., Recommender]


@pytest.fixture
def wall(world: World, engine: sa.Engine) -> Callable[..., Recommendation]:
    """A function that makes a page of somebody's wall with these weights and favorites."""

    def make(weights: Weights, favorites: list[str], user_id: str = "70@N09", kind: str = "als", **more: object):  # type: ignore[no-untyped-def]
        world.online.write_user_states([replace(state_of(user_id, favorites), updated_at=datetime.now(UTC))])
        # Of its own, as cards that were read are remembered by it.
        champion = replace(world.champions[kind])
        served = Served(champion, world.popular)
        return Recommender(engine, world.online, lambda: served, weights=weights).recommend(user_id, **more)  # type: ignore[arg-type]

    return make


Wall = Callable[..., Recommendation]


def ids(answer: Recommendation) -> list[str]:
    return [photo.photo_id for photo in answer.photos]


@given(
    favorites=st.sets(st.sampled_from(PHOTOS), min_size=1, max_size=len(PHOTOS)),
    kind=st.sampled_from(["als", "blend"]),
    weights=st.sampled_from([STRONG, DEFAULT]),
    limit=st.integers(5, 40),
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_walk_to_the_end_shows_all_that_may_be_shown_once_whatever_the_weights(
    world: World, engine: sa.Engine, favorites: set[str], kind: str, weights: Weights, limit: int
) -> None:
    state = state_of("71@N09", sorted(favorites))
    world.online.write_user_states([replace(state, updated_at=datetime.now(UTC))])
    served = Served(world.champions[kind], world.popular)
    ranking = Recommender(engine, world.online, lambda: served, weights=weights)
    shown: list[str] = []
    cursor = None
    while True:
        page = ranking.recommend("71@N09", limit=limit, cursor=cursor)
        shown += ids(page)
        cursor = page.next_cursor
        if cursor is None:
            break
        assert len(page.photos) == limit
    assert len(shown) == len(set(shown))
    assert set(shown) == {photo_id for photo_id in PHOTOS if showable(photo_id)} - favorites


def test_a_page_that_is_loaded_again_is_the_same_page_whoever_makes_it(wall: Wall) -> None:
    pages = [wall(STRONG, of_style(0, 12), limit=20) for _ in range(3)]
    assert ids(pages[0]) == ids(pages[1]) == ids(pages[2])
    further = [wall(STRONG, of_style(0, 12), limit=20, cursor=page.next_cursor) for page in pages]
    assert ids(further[0]) == ids(further[1])
    assert not set(ids(pages[0])) & set(ids(further[0]))


def test_two_people_of_the_same_taste_are_shown_different_photos_to_find_out_about(wall: Wall) -> None:
    exploring = Weights(exploration=0.3)
    one, other = (ids(wall(exploring, of_style(0, 12), user_id, limit=20)) for user_id in ("72@N09", "73@N09"))
    plain = ids(wall(Weights(), of_style(0, 12), "72@N09", limit=20))
    assert one[:10] == other[:10] == plain[:10]
    assert 4 <= len(set(one) - set(plain)) <= 7
    assert set(one) != set(other)


def test_the_score_that_is_answered_stays_the_models(wall: Wall, world: World) -> None:
    answer = wall(STRONG, of_style(0, 12), limit=20)
    bundle = world.champions["als"].bundle
    scores = bundle.scores(bundle.history(state_of("70@N09", of_style(0, 12))))
    expected = [float(scores[bundle.photo_row(photo_id)]) for photo_id in ids(answer)]
    shown = [photo.score for photo in answer.photos]
    assert shown == pytest.approx(expected, rel=1e-3)
    assert shown != sorted(shown, reverse=True)


def test_diversity_makes_the_photos_of_a_page_less_alike(wall: Wall, world: World) -> None:
    facts = world.champions["als"].facts
    assert facts is not None
    favorites = [*of_style(0, 8), *of_style(1, 4)]

    def likeness(weights: Weights) -> float:
        rows = world.champions["als"].bundle.photo_rows(ids(wall(weights, favorites, limit=20)))
        directions = facts.directions(rows)
        return float((directions @ directions.T)[np.triu_indices(20, 1)].mean())

    plain, diverse = (likeness(Weights(diversity=diversity)) for diversity in (0.0, 3.0))
    assert diverse < plain - 0.02


def test_freshness_brings_new_photos_forward(world: World, engine: sa.Engine) -> None:
    user_id, favorites = "74@N09", of_style(0, 12)
    world.online.write_user_states([state_of(user_id, favorites)])
    today = datetime.now(UTC)
    served = Served(world.champions["als"], world.popular)

    def page(freshness: float) -> list[str]:
        weights = Weights(freshness=freshness)
        return ids(Recommender(engine, world.online, lambda: served, weights=weights).recommend(user_id, limit=20))

    cards = world.online.photo_cards(PHOTOS)

    def age(photo_id: str) -> timedelta:
        uploaded = cards[photo_id].uploaded_at
        assert uploaded is not None
        return today - uploaded

    old, fresh = ([age(photo_id) for photo_id in page(freshness)] for freshness in (0.0, 100.0))
    assert sum(fresh, timedelta()) < sum(old, timedelta())


@pytest.mark.parametrize("cap", [1, 2, 5])
def test_the_owner_cap_is_a_setting(wall: Wall, cap: int) -> None:
    answer = wall(replace(STRONG, owner_cap=cap), of_style(0, 10), limit=15)
    assert max(Counter(map(owner_of, ids(answer))).values()) <= cap


def test_without_any_weight_and_cap_the_page_is_the_champions_order(wall: Wall) -> None:
    scores = [photo.score for photo in wall(Weights(owner_cap=0), of_style(0, 10), limit=60).photos]
    assert scores == sorted(scores, reverse=True)
    assert DEFAULT.owner_cap == OWNER_CAP


def test_a_filter_that_removes_most_of_the_catalog_still_fills_the_page(wall: Wall) -> None:
    left = [p for p in PHOTOS if showable(p)][::5][:35]
    answer = wall(STRONG, [p for p in PHOTOS if p not in left], limit=30)
    assert len(answer.photos) == 30
    assert set(ids(answer)) <= set(left)


def test_lists_longer_than_what_is_reranked_go_on_by_score(wall: Wall) -> None:
    scores = [photo.score for photo in wall(replace(STRONG, owner_cap=0), of_style(0, 10), limit=400).photos]
    assert len(scores) > POOL * 30 > PLACES
    beyond = scores[PLACES + PLACES // 2 :]
    assert beyond == sorted(beyond, reverse=True)


def test_a_champion_without_factors_is_not_reranked(wall: Wall) -> None:
    plain, strong = (wall(weights, of_style(0, 10), kind="neighbor_score") for weights in (Weights(), STRONG))
    assert ids(plain) == ids(strong)
