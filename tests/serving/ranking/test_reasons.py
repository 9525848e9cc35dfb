"""Who of the neighbors is named, where photos are there because neighbors favorited them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import sqlalchemy as sa

from features.online import UserCard
from pipelines.privacy.tombstones import bury_users
from serving.ranking.reasons import REASONS
from serving.ranking.recommender import Recommender
from tests.serving.conftest import EPOCH, World, candidates_of, of_style, state_of

Make = Callable[..., Recommender]
numbers = count(100)
LIKED = of_style(2, 8, skip=5)


def neighbors(world: World, *favorites: list[str]) -> list[str]:
    """Somebody new for each list of favorites."""
    ids = [f"{next(numbers)}@N72" for _ in favorites]
    world.online.write_user_states(state_of(user_id, liked) for user_id, liked in zip(ids, favorites, strict=True))
    world.online.write_user_cards(UserCard(user_id, f"Neighbor {user_id}") for user_id in ids)
    return ids


def test_each_photo_names_the_neighbors_who_favorited_it_nearest_first_and_tells_who_they_are(
    recommender: Make, world: World
) -> None:
    near = neighbors(world, LIKED[:4], LIKED[2:6], LIKED)
    world.online.write_user_states([state_of("60@N09", of_style(2, 3))])
    world.online.write_neighbor_candidates([candidates_of("60@N09", LIKED, near)])
    answer = recommender(None).recommend("60@N09", limit=8)
    named = {photo.photo_id: photo.neighbors for photo in answer.photos if photo.photo_id in LIKED}
    liked_by = dict(zip(near, (LIKED[:4], LIKED[2:6], LIKED), strict=True))
    assert named == {photo: [user_id for user_id in near if photo in liked_by[user_id]] for photo in LIKED}
    assert {user_id: person.name for user_id, person in answer.reason_people.items()} == {
        user_id: f"Neighbor {user_id}" for user_id in near
    }


def test_at_most_three_are_named_and_whom_the_person_follows_comes_first(recommender: Make, world: World) -> None:
    followed, *near = neighbors(world, *[LIKED] * 5)
    favorites = of_style(2, 3)
    state = state_of("61@N09", favorites, favorite_owners=(followed,) * 3, contacts=(followed,))
    world.online.write_user_states([state])
    world.online.write_neighbor_candidates([candidates_of("61@N09", LIKED, near)])
    answer = recommender(None).recommend("61@N09", limit=8)
    assert {tuple(photo.neighbors) for photo in answer.photos} == {(followed, *near[: REASONS - 1])}


def test_nobody_dismissed_or_gone_is_named(recommender: Make, world: World, engine: sa.Engine) -> None:
    dismissed, gone, left = neighbors(world, *[LIKED] * 3)
    bury_users(engine, [gone], "gone")
    world.online.write_user_states(
        [state_of("62@N09", of_style(2, 3), dismissed_people=(dismissed,), dismissed_people_times=(EPOCH,))]
    )
    world.online.write_neighbor_candidates([candidates_of("62@N09", LIKED, [dismissed, gone, left])])
    answer = recommender(None).recommend("62@N09", limit=8)
    assert {tuple(photo.neighbors) for photo in answer.photos} == {(left,)}
    assert set(answer.reason_people) == {left}


def test_a_photo_that_nobody_near_favorited_names_nobody_and_nothing_is_named_without_explain(
    recommender: Make, world: World
) -> None:
    near = neighbors(world, [], LIKED[:1])
    world.online.write_user_states([state_of("63@N09", of_style(2, 3))])
    world.online.write_neighbor_candidates([candidates_of("63@N09", LIKED, near)])
    answer = recommender(None).recommend("63@N09", limit=8)
    assert [photo.neighbors for photo in answer.photos if photo.photo_id in LIKED[1:]] == [[]] * 7
    silent = recommender(None).recommend("63@N09", limit=8, explain=False)
    assert not any(photo.neighbors for photo in silent.photos)
    assert silent.reason_people == {}


def test_photos_of_the_champions_taste_name_favorites_and_no_neighbors(recommender: Make, world: World) -> None:
    near = neighbors(world, LIKED)
    world.online.write_user_states([state_of("64@N09", of_style(2, 3))])
    world.online.write_neighbor_candidates([candidates_of("64@N09", LIKED, near)])
    answer = recommender("als").recommend("64@N09", limit=8)
    assert all(photo.reasons and not photo.neighbors for photo in answer.photos)
