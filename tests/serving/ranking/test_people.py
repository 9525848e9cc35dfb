"""People worth following: who is among them, who never is, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.privacy.tombstones import bury_users
from serving.answers import Recommendation
from serving.champion.served import Served
from serving.ranking.people import OWN_PHOTOS, blended
from serving.ranking.recommender import Recommender
from tests.serving.conftest import EPOCH, OWNERS, World, candidates_of, of_style, owner_of, state_of

Make = Callable[..., Recommender]
numbers = count()
few_owners = st.frozensets(st.sampled_from(OWNERS), max_size=12)
scores = st.lists(st.floats(-5, 5), min_size=1, max_size=20)


def people_of(answer: Recommendation) -> list[str]:
    return [person.user_id for person in answer.people]


@given(
    user_id=st.sampled_from([OWNERS[0], "50@N09"]),
    contacts=few_owners,
    dismissed=few_owners,
    gone=few_owners,
    near=st.lists(st.sampled_from(OWNERS), unique=True),
    kind=st.sampled_from(["als", "blend", "neighbor_score", None]),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_followed_dismissed_gone_or_oneself_is_ever_among_them_and_every_other_neighbor_is(
    world: World,
    engine: sa.Engine,
    user_id: str,
    contacts: frozenset[str],
    dismissed: frozenset[str],
    gone: frozenset[str],
    near: list[str],
    kind: str | None,
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM tombstones"))
    bury_users(engine, gone, "gone")
    state = state_of(
        user_id,
        of_style(1, 9),
        contacts=tuple(contacts),
        dismissed_people=tuple(dismissed),
        dismissed_people_times=(EPOCH,) * len(dismissed),
    )
    world.online.write_user_states([replace(state, updated_at=datetime.now(UTC))])
    world.online.write_neighbor_candidates([candidates_of(user_id, of_style(1, 5, skip=20), near)])
    served = Served(world.champions[kind] if kind else None, world.popular)
    answer = Recommender(engine, world.online, lambda: served).recommend(user_id, people=50)

    kept_from = contacts | dismissed | gone | {user_id}
    found = people_of(answer)
    assert not set(found) & kept_from
    assert len(set(found)) == len(found)
    assert set(found) >= set(near) - kept_from
    assert set(found) <= set(near) | {photo.owner_id for photo in answer.photos}
    assert [person.score for person in answer.people] == sorted((p.score for p in answer.people), reverse=True)


@given(neighbors=scores, more=st.integers(0, 5), data=st.data())
def test_a_blended_score_grows_with_either_part_and_is_at_most_one(
    neighbors: list[float], more: int, data: st.DataObject
) -> None:
    n = len(neighbors) + more
    owners = np.array(data.draw(st.lists(st.floats(-5, 5), min_size=n, max_size=n)))
    result = blended(np.maximum(neighbors, 0.0), owners)
    assert len(result) == n
    assert ((result >= 0) & (result <= 1 + 1e-9)).all()
    # Whoever is ahead in both parts is not behind in the blend.
    near = np.concatenate([np.maximum(neighbors, 0.0), np.zeros(more)])
    ahead = (near[:, None] >= near) & (owners[:, None] >= owners)
    assert (result[:, None] >= result - 1e-9)[ahead].all()


def test_the_nearest_by_favorites_with_the_best_photos_is_the_best_of_all() -> None:
    result = blended(np.array([4.0, 2.0]), np.array([1.0, 0.0, 2.0]))
    assert result == pytest.approx([1 - OWN_PHOTOS / 2, (1 - OWN_PHOTOS) / 2, OWN_PHOTOS])


def test_an_owner_of_what_is_on_the_page_may_enter_without_being_a_neighbor(recommender: Make, world: World) -> None:
    user_id = f"{next(numbers)}@N71"
    world.online.write_user_states([state_of(user_id, of_style(2, 12))])
    answer = recommender("als").recommend(user_id, limit=20, people=5)
    assert len(answer.people) == 5
    assert set(people_of(answer)) <= {photo.owner_id for photo in answer.photos}
    assert {person.favorites_in_common for person in answer.people} == {0}
    assert all(person.name == f"Owner {person.user_id}" for person in answer.people)


def test_neighbors_whose_photos_the_champion_likes_come_before_others_as_near(recommender: Make, world: World) -> None:
    user_id = f"{next(numbers)}@N71"
    favorites = [photo for photo in of_style(0, 60) if owner_of(photo) == OWNERS[4]]
    world.online.write_user_states([state_of(user_id, favorites)])
    near = replace(candidates_of(user_id, [], OWNERS), people_scores=(1.0,) * len(OWNERS))
    world.online.write_neighbor_candidates([near])
    answer = recommender("als").recommend(user_id, people=len(OWNERS))
    facts = world.champions["als"].facts
    assert facts is not None
    history = world.champions["als"].bundle.history(state_of(user_id, favorites))
    of_owner = dict(zip(OWNERS, facts.owner_scores(history, OWNERS), strict=True))
    shown = [of_owner[user_id] for user_id in people_of(answer)]
    assert np.all(np.diff(np.maximum(shown, 0)) <= 1e-9)
    assert of_owner[people_of(answer)[0]] == max(of_owner.values())


def test_a_champion_without_factors_leaves_the_neighbors_as_they_are(recommender: Make, world: World) -> None:
    user_id = f"{next(numbers)}@N71"
    world.online.write_user_states([state_of(user_id, of_style(2, 12))])
    world.online.write_neighbor_candidates([candidates_of(user_id, [], OWNERS[5:9])])
    assert people_of(recommender("neighbor_score").recommend(user_id)) == OWNERS[5:9]


def test_nobody_is_suggested_to_somebody_of_whom_nothing_is_known(recommender: Make) -> None:
    assert recommender("als").recommend(f"{next(numbers)}@N71").people == []
