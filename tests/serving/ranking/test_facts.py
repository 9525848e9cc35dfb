"""What is known of a champion's photos and owners: against the same, computed one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from features.online import PhotoCard
from serving.ranking.facts import FEW_PHOTOS, als_of, facts_of
from tests.serving.conftest import NOW, OWNERS, World, card_of, of_style, owner_of, state_of
from training.models.als import ALS
from training.models.blend import Blend

DAYS = (NOW - datetime(1970, 1, 1, tzinfo=UTC)).days


def test_an_owners_score_is_the_mean_of_the_scores_of_the_photos_and_little_for_a_few(world: World) -> None:
    champion = world.champions["als"]
    facts, bundle = champion.facts, champion.bundle
    assert facts is not None
    history = bundle.history(state_of("65@N09", of_style(0, 12)))
    scores = bundle.scores(history)
    expected = []
    for owner_id in OWNERS:
        own = [score for score, owner in zip(scores, bundle.owner_ids, strict=True) if owner == owner_id]
        expected.append(sum(own) / (len(own) + FEW_PHOTOS))
    found = facts.owner_scores(history, [*OWNERS, "nobody@N00"])
    assert found == pytest.approx([*expected, 0.0], abs=1e-5)


def test_directions_are_of_length_one_and_a_photo_without_factors_has_none(world: World) -> None:
    facts = world.champions["als"].facts
    assert facts is not None
    factors = np.array(facts.als.photo_factors)
    factors[3] = 0.0
    facts = replace(facts, als=replace(facts.als, photo_factors=factors))
    lengths = np.linalg.norm(facts.directions(np.arange(6)), axis=1)
    assert lengths == pytest.approx([1, 1, 1, 0, 1, 1], abs=1e-5)


def test_a_card_is_read_for_its_age_once_and_again_only_when_there_was_none(world: World) -> None:
    facts = facts_of(world.champions["als"].bundle)
    assert facts is not None
    asked: list[list[str]] = []
    missing = str(facts.photo_ids[2])
    undated = str(facts.photo_ids[1])

    def read(photo_ids: Sequence[str]) -> dict[str, PhotoCard]:
        asked.append(list(photo_ids))
        cards = {photo_id: card_of(photo_id) for photo_id in photo_ids if photo_id != missing}
        return {p: replace(card, uploaded_at=None) if p == undated else card for p, card in cards.items()}

    rows = np.arange(4)
    expected = [int(photo_id) % 90 for photo_id in facts.photo_ids[rows]]
    for _ in range(2):
        ages = facts.ages(rows, DAYS, read)
        assert ages.tolist() == [expected[0], np.inf, np.inf, expected[3]]
    assert asked == [[str(photo_id) for photo_id in facts.photo_ids[rows]], [missing]]
    tomorrow = facts.ages(rows, DAYS + 1, read)
    assert tomorrow[0] == expected[0] + 1


def test_a_photo_that_claims_to_come_from_tomorrow_is_new(world: World) -> None:
    facts = facts_of(world.champions["als"].bundle)
    assert facts is not None
    ahead = {str(p): replace(card_of(str(p)), uploaded_at=NOW + timedelta(days=9)) for p in facts.photo_ids[:1]}
    assert facts.ages(np.array([0]), DAYS, lambda _: ahead).tolist() == [0.0]


def test_owners_are_numbered_as_their_photos_are(world: World) -> None:
    facts = world.champions["als"].facts
    assert facts is not None
    owners = facts.owner_lookup.rows([owner_of(photo_id) for photo_id in facts.photo_ids])
    assert owners.tolist() == facts.owners.tolist()


@pytest.mark.parametrize(("kind", "has"), [("als", True), ("blend", True), ("neighbor_score", False)])
def test_only_a_champion_with_factors_has_facts(world: World, kind: str, has: bool) -> None:
    assert (facts_of(world.champions[kind].bundle) is not None) == has


def test_of_a_blends_als_the_weightiest_speaks(world: World) -> None:
    bundle = world.champions["blend"].bundle
    assert isinstance(bundle.model, Blend)
    mine = next(one for one in bundle.model.components if isinstance(one.model, ALS))
    other = replace(mine, weight=mine.weight * 2, model=replace(mine.model, regularization=7.0))
    heavier = replace(bundle, model=Blend((mine, other)))
    assert als_of(heavier) is other.model
