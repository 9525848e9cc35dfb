"""What a wall holds, and what it never holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.actions import record_action
from features.errors import InvalidInputError
from features.schema import Kind
from features.user_state import UserState
from serving.answers import Recommendation
from serving.champion.served import Served
from serving.errors import NoModelError, UnknownPhotoError
from serving.ranking.recommender import Recommender
from serving.ranking.rerank import OWNER_CAP
from tests.serving.conftest import (
    EPOCH,
    OWNERS,
    PHOTOS,
    World,
    candidates_of,
    fan_of,
    is_gone,
    is_unsafe,
    of_style,
    owner_of,
    showable,
    state_of,
    style_of,
)

Make = Callable[..., Recommender]


def ids(answer: Recommendation) -> list[str]:
    return [photo.photo_id for photo in answer.photos]


def walk(recommender: Recommender, user_id: str, limit: int = 30) -> list[Recommendation]:
    """All pages to the end of the wall."""
    pages, cursor = [], None
    while True:
        pages.append(recommender.recommend(user_id, limit=limit, cursor=cursor))
        cursor = pages[-1].next_cursor
        if cursor is None:
            return pages


photo_sets = st.sets(st.sampled_from(PHOTOS), max_size=len(PHOTOS))


@st.composite
def states(draw: st.DrawFn) -> UserState:
    favorites, dismissed = sorted(draw(photo_sets)), sorted(draw(photo_sets))
    people = sorted(draw(st.sets(st.sampled_from(OWNERS), max_size=5)))
    return state_of(
        draw(st.sampled_from([*OWNERS, "77@N09"])),
        favorites,
        dismissed_ids=tuple(dismissed),
        dismissed_owners=tuple(owner_of(p) for p in dismissed),
        dismissed_times=(EPOCH,) * len(dismissed),
        dismissed_people=tuple(people),
        dismissed_people_times=(EPOCH,) * len(people),
        contacts=tuple(sorted(draw(st.sets(st.sampled_from(OWNERS), max_size=5)))),
    )


@given(
    state=states(),
    kind=st.sampled_from(["als", "blend", "neighbor_score", "popularity", None]),
    candidates=st.lists(st.sampled_from(PHOTOS), unique=True, max_size=60),
    limit=st.integers(5, 40),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_must_not_be_shown_is_ever_on_a_wall_and_no_photo_is_there_twice(
    world: World,
    session_engine: sa.Engine,
    state: UserState,
    kind: str | None,
    candidates: list[str],
    limit: int,
) -> None:
    world.online.write_user_states([replace(state, updated_at=datetime.now(UTC))])
    world.online.write_neighbor_candidates([candidates_of(state.user_id, candidates)])
    served = Served(world.champions[kind] if kind else None, world.popular)
    pages = walk(Recommender(session_engine, world.online, lambda: served), state.user_id, limit)

    kept_from = set(state.dismissed_people) | {state.user_id}
    allowed = {
        p
        for p in PHOTOS
        if showable(p) and p not in state.favorite_ids and p not in state.dismissed_ids and owner_of(p) not in kept_from
    }
    shown = [photo_id for page in pages for photo_id in ids(page)]
    assert set(shown) <= allowed
    assert len(shown) == len(set(shown))
    assert set(shown) == allowed  # the catalog is small enough: the walk ends when everything was shown
    assert all(len(page.photos) == limit for page in pages[:-1])
    for page in pages:
        for person in page.people:
            assert person.user_id not in kept_from | set(state.contacts)
        refers_to = {reason.photo_id for photo in page.photos for reason in photo.reasons}
        assert refers_to <= set(page.reason_photos)
        assert all(showable(photo_id) for photo_id in page.reason_photos)


def test_a_wall_follows_the_taste_of_the_favorites(recommender: Make, world: World) -> None:
    for style in range(3):
        world.online.write_user_states([state_of("30@N09", of_style(style, 12))])
        answer = recommender("als").recommend("30@N09", limit=20)
        assert answer.strategy == "personalized"
        assert not answer.degraded
        assert Counter(style_of(p) for p in ids(answer))[style] >= 15


@pytest.mark.parametrize("kind", ["als", "blend"])
def test_each_wall_says_which_favorites_speak_for_its_photos(recommender: Make, world: World, kind: str) -> None:
    world.online.write_user_states([state_of("29@N09", of_style(1, 12))])
    answer = recommender(kind).recommend("29@N09", limit=20)
    assert Counter(style_of(p) for p in ids(answer))[1] >= 15
    for photo in answer.photos:
        assert 0 < sum(reason.weight for reason in photo.reasons) <= 1.001
        assert all(showable(reason.photo_id) for reason in photo.reasons)


def test_whom_a_person_follows_makes_a_wall_before_the_first_favorite(recommender: Make, world: World) -> None:
    for style in range(3):
        fans = tuple(fan_of(style, number) for number in range(6))
        world.online.write_user_states([state_of("28@N09", [], contacts=fans)])
        answer = recommender("blend").recommend("28@N09", limit=20)
        assert (answer.strategy, answer.degraded) == ("personalized", False)
        assert Counter(style_of(p) for p in ids(answer))[style] >= 12
        assert recommender("als").recommend("28@N09", limit=20).strategy == "popular"


def test_a_favorite_of_a_second_ago_changes_the_wall_and_leaves_it(
    recommender: Make, world: World, engine: sa.Engine
) -> None:
    world.online.write_user_states([state_of("31@N09", of_style(0, 3))])
    before = recommender().recommend("31@N09", limit=20)
    for photo_id in of_style(1, 12, skip=10):
        record_action(engine, user_id="31@N09", kind=Kind.FAVORITE, photo_id=photo_id, owner_id=owner_of(photo_id))
    after = recommender().recommend("31@N09", limit=20)
    of_new_style = [Counter(style_of(p) for p in ids(answer))[1] for answer in (before, after)]
    assert of_new_style[1] >= of_new_style[0] + 8
    assert not set(ids(after)) & set(of_style(1, 12, skip=10))


def test_dismissing_hides_at_once_and_undoing_brings_back(recommender: Make, world: World, engine: sa.Engine) -> None:
    user = "32@N09"
    world.online.write_user_states([state_of(user, of_style(0, 5))])
    first = recommender().recommend(user, limit=20)
    photo = first.photos[0]
    record_action(engine, user_id=user, kind=Kind.DISMISS_PHOTO, photo_id=photo.photo_id, owner_id=photo.owner_id)
    record_action(engine, user_id=user, kind=Kind.DISMISS_USER, owner_id=first.photos[1].owner_id)
    dismissed = recommender().recommend(user, limit=20)
    assert photo.photo_id not in ids(dismissed)
    assert first.photos[1].owner_id not in {p.owner_id for p in dismissed.photos}
    record_action(engine, user_id=user, kind=Kind.UNDISMISS_PHOTO, photo_id=photo.photo_id, owner_id=photo.owner_id)
    record_action(engine, user_id=user, kind=Kind.UNDISMISS_USER, owner_id=first.photos[1].owner_id)
    assert ids(recommender().recommend(user, limit=20)) == ids(first)


def test_a_page_never_repeats_one_before_it_while_the_person_faves_and_dismisses(
    recommender: Make, world: World, engine: sa.Engine
) -> None:
    user = "33@N09"
    world.online.write_user_states([state_of(user, of_style(2, 6))])
    seen: list[str] = []
    cursor = None
    for page_number in range(4):
        answer = recommender().recommend(user, limit=20, cursor=cursor)
        assert not set(ids(answer)) & set(seen)
        seen += ids(answer)
        cursor = answer.next_cursor
        kinds = (Kind.FAVORITE, Kind.DISMISS_PHOTO, Kind.DISMISS_USER)
        for photo, kind in zip(answer.photos[page_number:], kinds, strict=False):
            photo_id = "" if kind is Kind.DISMISS_USER else photo.photo_id
            record_action(engine, user_id=user, kind=kind, photo_id=photo_id, owner_id=photo.owner_id)


def test_pages_do_not_repeat_when_a_model_arrives_between_them(recommender: Make, world: World) -> None:
    world.online.write_user_states([state_of("34@N09", of_style(0, 6))])
    first = recommender(None).recommend("34@N09", limit=30)
    second = recommender("als").recommend("34@N09", limit=30, cursor=first.next_cursor)
    assert (first.strategy, second.strategy) == ("popular", "personalized")
    assert not set(ids(first)) & set(ids(second))


def test_a_filter_that_removes_most_of_the_catalog_still_fills_the_page(recommender: Make, world: World) -> None:
    left = [p for p in PHOTOS if showable(p)][::5][:35]
    favorites = [p for p in PHOTOS if p not in left]
    world.online.write_user_states([state_of("35@N09", favorites)])
    answer = recommender().recommend("35@N09", limit=30)
    assert len(answer.photos) == 30
    assert set(ids(answer)) <= set(left)


def test_an_owner_has_few_photos_on_a_page_while_others_have_any(recommender: Make, world: World) -> None:
    world.online.write_user_states([state_of("36@N09", of_style(0, 10))])
    answer = recommender().recommend("36@N09", limit=30)
    assert max(Counter(p.owner_id for p in answer.photos).values()) <= OWNER_CAP


def test_with_one_owner_left_the_page_is_filled_from_that_one(recommender: Make, world: World) -> None:
    world.online.write_user_states(
        [
            state_of(
                "37@N09",
                of_style(0, 4),
                dismissed_people=tuple(OWNERS[1:]),
                dismissed_people_times=(EPOCH,) * len(OWNERS[1:]),
            )
        ]
    )
    answer = recommender().recommend("37@N09", limit=8)
    assert {p.owner_id for p in answer.photos} == {OWNERS[0]}
    assert len(answer.photos) > OWNER_CAP


def test_reasons_are_favorites_of_the_person_strongest_first(recommender: Make, world: World) -> None:
    favorites = [*of_style(0, 8), *of_style(1, 2)]
    world.online.write_user_states([state_of("38@N09", favorites)])
    answer = recommender().recommend("38@N09", limit=10)
    assert all(photo.reasons for photo in answer.photos)
    for photo in answer.photos:
        weights = [reason.weight for reason in photo.reasons]
        assert weights == sorted(weights, reverse=True)
        assert {reason.photo_id for reason in photo.reasons} <= set(favorites)
        if style_of(photo.photo_id) == 0:
            assert [style_of(reason.photo_id) for reason in photo.reasons].count(0) >= 2


def test_without_explain_nothing_is_explained(recommender: Make, world: World) -> None:
    world.online.write_user_states([state_of("39@N09", of_style(0, 8))])
    answer = recommender().recommend("39@N09", limit=10, explain=False)
    assert answer.reason_photos == {}
    assert not any(photo.reasons for photo in answer.photos)


def test_an_unsafe_or_gone_favorite_is_no_reason_to_look_at(recommender: Make, world: World) -> None:
    hidden = [p for p in PHOTOS if is_gone(p) or is_unsafe(p)]
    world.online.write_user_states([state_of("40@N09", hidden)])
    answer = recommender().recommend("40@N09", limit=10)
    assert answer.strategy == "personalized"
    assert answer.reason_photos == {}


def test_neighbors_rank_before_any_training(recommender: Make, world: World) -> None:
    liked = of_style(2, 25)
    world.online.write_user_states([state_of("41@N09", of_style(2, 3, skip=30))])
    world.online.write_neighbor_candidates([candidates_of("41@N09", liked)])
    answer = recommender(None).recommend("41@N09", limit=20, people=3)
    assert answer.strategy == "neighbors"
    assert set(ids(answer)) <= set(liked)
    assert answer.coverage == 0.5
    assert [person.user_id for person in answer.people] == OWNERS[:3]
    assert answer.people[0].favorites_in_common == len(OWNERS)
    assert answer.model_version is None


def test_people_already_followed_dismissed_or_oneself_are_not_suggested(recommender: Make, world: World) -> None:
    user = OWNERS[0]
    world.online.write_user_states(
        [
            state_of(
                user,
                of_style(2, 3),
                contacts=(OWNERS[1],),
                dismissed_people=(OWNERS[2],),
                dismissed_people_times=(EPOCH,),
            )
        ]
    )
    world.online.write_neighbor_candidates([candidates_of(user, of_style(2, 9))])
    answer = recommender().recommend(user, people=50)
    assert {person.user_id for person in answer.people} == set(OWNERS[3:])


def test_somebody_unknown_gets_what_is_popular(recommender: Make, world: World) -> None:
    answer = recommender().recommend("999999@N99", limit=20)
    assert answer.strategy == "popular"
    assert (answer.coverage, answer.degraded, answer.people) == (0.0, False, [])
    owners: Counter[str] = Counter()
    expected = []
    for photo_id in world.popular.photo_ids:
        if showable(photo_id) and owners[owner_of(photo_id)] < OWNER_CAP:
            owners[owner_of(photo_id)] += 1
            expected.append(photo_id)
    assert ids(answer) == expected[:20]


def test_a_champion_of_popularity_says_popular(recommender: Make, world: World) -> None:
    world.online.write_user_states([state_of("43@N09", of_style(0, 8))])
    answer = recommender("popularity").recommend("43@N09", limit=20)
    assert (answer.strategy, answer.degraded, answer.model_version) == ("popular", False, "popularity")


def test_favorites_that_go_unused_are_called_degraded(recommender: Make, world: World) -> None:
    world.online.write_user_states([state_of("44@N09", of_style(0, 8))])
    assert recommender(None).recommend("44@N09").degraded
    assert recommender(None, error="a champion that can't be loaded").recommend("45@N09").degraded


def test_nothing_at_all_is_an_empty_wall(world: World, engine: sa.Engine) -> None:
    answer = Recommender(engine, world.online, Served).recommend("46@N09")
    assert (answer.photos, answer.people, answer.next_cursor) == ([], [], None)


def test_similar_photos_are_of_the_same_style(recommender: Make) -> None:
    photo_id = of_style(1, 1, skip=4)[0]
    answer = recommender().similar(photo_id, 10)
    assert len(answer.photos) == 10
    assert photo_id not in {photo.photo_id for photo in answer.photos}
    assert all(showable(photo.photo_id) for photo in answer.photos)
    assert sum(style_of(photo.photo_id) == 1 for photo in answer.photos) >= 8


def test_similar_to_an_unknown_photo_or_without_a_model_is_an_error(recommender: Make) -> None:
    with pytest.raises(UnknownPhotoError):
        recommender().similar("424242", 5)
    with pytest.raises(NoModelError):
        recommender(None).similar("1000", 5)


def test_a_cursor_that_is_none_is_refused(recommender: Make) -> None:
    with pytest.raises(InvalidInputError):
        recommender().recommend("48@N09", cursor="nonsense")
