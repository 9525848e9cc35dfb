"""Whose walls the challenger ranks: a share of the users, the same ones on every visit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.settings import Settings
from serving.champion.served import Served
from serving.champion.traffic import is_challenged
from serving.champion.watch import ChampionWatch
from serving.ranking.recommender import Recommender
from tests.serving.champion.conftest import served
from tests.serving.conftest import Registry, World, of_style, state_of

USERS = [f"{number}@N01" for number in range(10_000)]


@given(st.text(max_size=20), st.text(max_size=5), st.floats(0, 50), st.floats(0, 50))
def test_who_is_drawn_for_a_share_is_drawn_for_every_larger_one(user: str, version: str, a: float, b: float) -> None:
    less, more = sorted((a, b))
    assert is_challenged(user, version, less) <= is_challenged(user, version, more)
    assert not is_challenged(user, version, 0)


@pytest.mark.parametrize("share", [0.5, 10, 50])
def test_it_is_the_share_that_was_asked_for(share: float) -> None:
    drawn = sum(is_challenged(user, "8", share) for user in USERS) / len(USERS) * 100
    assert drawn == pytest.approx(share, abs=1.5)


def test_another_version_draws_others() -> None:
    both = sum(is_challenged(user, "8", 50) and is_challenged(user, "9", 50) for user in USERS) / len(USERS)
    assert both == pytest.approx(0.25, abs=0.02)


def test_the_answer_says_which_of_the_two_ranked_it(world: World, engine: object) -> None:
    served = Served(world.champions["als"], world.popular, None, world.champions["neighbor_score"], 50.0)
    recommender = Recommender(engine, world.online, lambda: served)  # type: ignore[arg-type]
    answers = {}
    for number in range(20):
        user = f"7{number:03d}@N05"
        world.online.write_user_states([state_of(user, of_style(number % 3, 6))])
        first, again = (recommender.recommend(user, limit=5) for _ in range(2))
        assert (first.variant, first.model_version) == (again.variant, again.model_version)
        answers[user] = (first.variant, first.model_version)
    assert set(answers.values()) == {("champion", "als"), ("challenger", "neighbor_score")}
    assert {user for user, (variant, _) in answers.items() if variant == "challenger"} == {
        user for user in answers if is_challenged(user, "neighbor_score", 50.0)
    }


def test_a_challenger_is_loaded_only_where_it_gets_a_share(
    settings: Settings, registry: Registry, world: World
) -> None:
    challenger = Registry(("8", world.bundles["neighbor_score"]))
    without = ChampionWatch(settings, registry.find, lambda _: world.popular, challenger.find)
    without.refresh()
    assert without.served.challenger is None
    shared = settings.model_copy(update={"challenger_share": 20.0})
    watch = ChampionWatch(shared, registry.find, lambda _: world.popular, challenger.find)
    watch.refresh()
    assert watch.served.challenger is not None
    assert (watch.served.challenger.version, watch.served.challenger_share) == ("8", 20.0)
    challenger.found = None
    watch.refresh()
    assert watch.served.challenger is None


def test_a_challenger_that_can_not_be_loaded_leaves_all_walls_to_the_champion(
    settings: Settings, registry: Registry, world: World, broken: Path
) -> None:
    shared = settings.model_copy(update={"challenger_share": 20.0})
    watch = ChampionWatch(shared, registry.find, lambda _: world.popular, Registry(("8", broken)).find)
    watch.refresh()
    version, _, error = served(watch)
    assert (version, watch.served.challenger) == ("1", None)
    assert error is not None
    assert error.startswith("challenger: ")
