"""A wall knows what it showed: it says what is new, and shows nothing for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from pipelines.shown import VISIT, Repetition, Showing, note_shown
from serving.answers import Recommendation
from serving.champion.served import Served
from serving.ranking.recommender import Recommender
from serving.ranking.rerank import Weights
from serving.ranking.sources import POOL
from tests.serving.conftest import World, candidates_of, of_style, state_of

Make = Callable[..., Recommender]
ANNA = "81@N09"
DAY = timedelta(days=1)


@pytest.fixture
def wall(recommender: Make, world: World) -> Callable[..., Recommendation]:
    """A function that makes Anna's wall."""
    world.online.write_user_states([state_of(ANNA, of_style(0, 8))])
    return lambda **more: recommender().recommend(ANNA, **more)


Wall = Callable[..., Recommendation]


def ids(answer: Recommendation) -> list[str]:
    return [photo.photo_id for photo in answer.photos]


def show(engine: sa.Engine, photo_ids: list[str], ago: timedelta, to: str = ANNA) -> datetime:
    at = datetime.now(UTC) - ago
    note_shown(engine, [Showing(to, photo_id, at) for photo_id in photo_ids], Repetition())
    return at


def test_before_anything_was_shown_nothing_is_new_and_nothing_was_recommended(wall: Wall) -> None:
    assert {(photo.new, photo.first_recommended_at) for photo in wall().photos} == {(False, None)}


def test_what_no_earlier_visit_showed_is_new_and_what_one_did_says_since_when(wall: Wall, engine: sa.Engine) -> None:
    known = ids(wall(limit=10))
    since = show(engine, known, ago=2 * DAY)
    show(engine, known, ago=DAY)
    for photo in wall(limit=240).photos:
        expected = (False, since) if photo.photo_id in known else (True, None)
        assert (photo.new, photo.first_recommended_at) == expected


def test_what_this_visit_showed_stays_new_and_the_wall_as_it_is(wall: Wall, engine: sa.Engine) -> None:
    show(engine, of_style(1, 3), ago=DAY)
    before = wall(limit=20)
    since = show(engine, ids(before)[:5], ago=VISIT / 2)
    after = wall(limit=20)
    assert ids(after) == ids(before)
    assert [photo.new for photo in after.photos] == [photo.new for photo in before.photos]
    assert {photo.first_recommended_at for photo in after.photos[:5]} == {since}


def test_what_was_seen_on_five_visits_is_left_out_and_comes_back_after_its_rest(
    wall: Wall, engine: sa.Engine, recommender: Make, world: World
) -> None:
    tired, rule = ids(wall(limit=4)), Repetition()
    for visit in range(rule.visits):
        assert set(tired) <= set(ids(wall(limit=240)))
        show(engine, tired, ago=rule.rest + 3 * DAY - visit * DAY / 8)
    assert set(tired) <= set(ids(wall(limit=240)))  # these visits are long ago
    for visit in range(rule.visits):
        assert set(tired) <= set(ids(wall(limit=240)))
        show(engine, tired, ago=DAY - visit * DAY / 8)
    assert not set(tired) & set(ids(wall(limit=240)))
    # On everybody else's wall they are what they were.
    world.online.write_user_states([state_of("82@N09", of_style(0, 8))])
    assert set(tired) <= set(ids(recommender().recommend("82@N09", limit=240)))


def test_others_who_look_see_the_same_wall_and_learn_nothing_of_what_its_person_saw(
    wall: Wall, engine: sa.Engine
) -> None:
    show(engine, ids(wall(limit=10)), ago=DAY)
    own, others = wall(limit=240), wall(limit=240, own=False)
    assert ids(own) == ids(others)
    assert {photo.new for photo in own.photos} == {True, False}
    assert {(photo.new, photo.first_recommended_at) for photo in others.photos} == {(False, None)}


@pytest.mark.parametrize("kind", ["als", "neighbor_score", "popularity", None])
@pytest.mark.parametrize("weights", [Weights(), Weights(diversity=0.2, freshness=0.2, exploration=0.05)])
def test_whoever_comes_daily_and_faves_nothing_sees_all_of_the_best_in_turn_and_none_for_ever(
    world: World, engine: sa.Engine, kind: str | None, weights: Weights
) -> None:
    """Twenty days of a page of eight photos, of which five visits make one tired."""
    world.online.write_user_states([state_of(ANNA, of_style(0, 8))])
    served = Served(world.champions[kind] if kind else None, world.popular)
    recommender, limit = Recommender(engine, world.online, lambda: served, weights=weights), 8
    best = ids(recommender.recommend(ANNA, limit=POOL * limit))
    days: list[list[str]] = []
    for day in range(20, 0, -1):
        answer = recommender.recommend(ANNA, limit=limit)
        known = {photo_id for page in days for photo_id in page}
        assert [photo.new for photo in answer.photos] == [bool(days) and p not in known for p in ids(answer)]
        days.append(ids(answer))
        show(engine, days[-1], ago=day * DAY)
    assert all(len(page) == limit for page in days)
    assert not set(days[0]) & set(days[1])
    times = Counter(photo_id for page in days for photo_id in page)
    assert max(times.values()) <= Repetition().visits
    # Most of the best are seen, and before any of them comes a third time.
    so_far = [Counter(photo_id for page in days[: day + 1] for photo_id in page) for day in range(20)]
    assert next(day for day in range(20) if max(so_far[day].values()) == 3) >= 5
    assert len(set(best) & set(times)) >= 0.7 * len(best)


def test_on_a_service_that_ranks_by_neighbors_new_photos_come_first_too(
    recommender: Make, world: World, engine: sa.Engine
) -> None:
    user, photos = "83@N09", of_style(1, 30)
    world.online.write_user_states([state_of(user, [])])
    world.online.write_neighbor_candidates([candidates_of(user, photos)])
    first = ids(recommender(None).recommend(user, limit=8))
    show(engine, first, ago=DAY, to=user)
    second = recommender(None).recommend(user, limit=8)
    assert (second.strategy, set(ids(second)) & set(first)) == ("neighbors", set())
