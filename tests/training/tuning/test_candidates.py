"""Which models are tried: only those for which the data say something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.training.conftest import interactions_of, recipe_of
from training.interactions import Contacts, Interactions
from training.tuning.candidates import QUICK, SERVED, candidates

ALWAYS = {"popularity", "user_knn", "item_knn", "local_ease", "low_pass", "exact_ease", "als"}
OF_TIMES = {"popularity_2d", "popularity_7d"}
OF_OWNERS = {"neighbor_score", "owner_share"}
OF_CONTACTS = {"contact_vectors", "contact_favorites"}


def tried(interactions: Interactions) -> set[str]:
    return {name.partition("/")[0] for name in candidates(recipe_of("als"), interactions, als_seeds=1)}


def following(interactions: Interactions) -> Interactions:
    """Everybody follows those after them of the same taste."""
    rows = np.arange(interactions.n_users)
    return replace(interactions, contacts=Contacts.of(rows, (rows + 3) % len(rows), len(rows)))


def test_what_knows_of_owners_contacts_and_times_is_tried_where_these_are_known(world: Interactions) -> None:
    timeless = replace(world, favorites=replace(world.favorites, times=np.zeros_like(world.favorites.times)))
    nothing = interactions_of({"u": ["a", "b"], "v": ["a"]}, owners={"a": "", "b": ""})
    assert tried(nothing) == ALWAYS
    assert tried(following(nothing)) == ALWAYS | OF_CONTACTS
    assert tried(timeless) == ALWAYS | OF_OWNERS
    assert tried(world) == ALWAYS | OF_OWNERS | OF_TIMES
    assert tried(following(world)) == ALWAYS | OF_OWNERS | OF_TIMES | OF_CONTACTS | {"followed_owner"}


def test_all_that_is_cheap_is_tried_by_the_quick_too(world: Interactions) -> None:
    for kinds in (SERVED, QUICK):
        found = candidates(recipe_of("als"), following(world), als_seeds=1, kinds=kinds)
        assert {"owner_share", "contact_favorites", "followed_owner", *OF_TIMES} <= set(found)
