"""Favorites that the model does not know yet are counted on the person's own page, and there alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from serving.ranking.recommender import Recommender
from serving.ranking.unlearned import SHOWN
from tests.serving.conftest import EPOCH, World, card_of, of_style, state_of

Make = Callable[..., Recommender]
USER = "1@N77"
KNOWN = of_style(1, 10)
NEW = [str(7_700_000 + number) for number in range(9)]


@pytest.fixture
def newcomer(world: World) -> None:
    """Ten favorites that the model knows, nine newer ones that it does not; of the newest there is no card."""
    world.online.write_photo_cards(replace(card_of(photo), safety_level=0, gone_at=None) for photo in NEW[:-1])
    state = state_of(USER, [*NEW, *KNOWN])
    times = (*(EPOCH + number for number in range(len(NEW))), *([EPOCH - 1] * len(KNOWN)))
    world.online.write_user_states([replace(state, favorite_times=times)])


@pytest.mark.usefixtures("newcomer")
def test_on_ones_own_page_they_are_counted_and_the_newest_shown(recommender: Make) -> None:
    answer = recommender("als").recommend(USER, own_page=True)
    assert answer.unlearned == len(NEW)
    newest = list(reversed(NEW))[1:SHOWN]
    assert [photo.title for photo in answer.unlearned_photos] == [f"Photo {photo}" for photo in newest]


@pytest.mark.usefixtures("newcomer")
def test_nobody_else_is_told_and_nothing_is_read_for_them(
    recommender: Make, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    read = world.online.photo_cards
    monkeypatch.setattr(world.online, "photo_cards", lambda ids: asked.extend(ids) or read(ids))
    for own in (False, True):
        answer = recommender("als").recommend(USER, own=own)
        assert (answer.unlearned, answer.unlearned_photos) == (0, [])
    assert not set(asked) & set(NEW)


def test_a_model_that_knows_all_favorites_has_nothing_left_to_learn(recommender: Make, world: World) -> None:
    world.online.write_user_states([state_of("2@N77", KNOWN)])
    assert recommender("als").recommend("2@N77", own_page=True).unlearned == 0


@pytest.mark.usefixtures("newcomer")
def test_without_a_model_nothing_is_said(recommender: Make) -> None:
    assert recommender(None).recommend(USER, own_page=True).unlearned == 0
