"""Whether a model gets a graph: for a large catalog, and where the graph finds enough."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.conftest import recipe_of
from training.ann import choice
from training.ann.choice import graphs_for, recall_of
from training.interactions import Interactions
from training.models.als import ALS
from training.models.recipes import Recipe, fit


@pytest.fixture(scope="module")
def als(recipe: Recipe, world: Interactions) -> ALS:
    model = fit(recipe, world)
    assert isinstance(model, ALS)
    return model


@pytest.fixture(autouse=True)
def worth_it_in_a_small_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "WORTH", 1)
    monkeypatch.setattr(choice, "EXPANSIONS", (4, 120))


def test_below_the_setting_there_is_none(als: ALS, world: Interactions) -> None:
    assert graphs_for(als, world, world.n_photos + 1) == {}


def test_it_looks_as_far_as_it_must_to_find_enough(als: ALS, world: Interactions) -> None:
    graphs = graphs_for(als, world, world.n_photos)
    assert (graphs[""].photos, graphs[""].expansion) == (world.n_photos, 120)
    histories = world.histories(np.arange(world.n_users))
    assert recall_of(graphs[""], als, histories) >= choice.RECALL


def test_one_that_finds_too_few_is_left_away(als: ALS, world: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "EXPANSIONS", (4,))
    assert graphs_for(als, world, 0) == {}


def test_one_that_would_look_at_too_much_to_be_quicker_is_not_built(
    als: ALS, world: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "WORTH", 64)
    assert graphs_for(als, world, 0) == {}


def test_a_blend_gets_one_for_each_of_its_factorizations(world: Interactions) -> None:
    assert set(graphs_for(fit(recipe_of("blend"), world), world, 0)) == {"als"}


def test_what_has_no_factors_gets_none(world: Interactions) -> None:
    assert graphs_for(fit(recipe_of("popularity"), world), world, 0) == {}


def test_users_without_a_history_count_for_nothing(als: ALS, world: Interactions) -> None:
    graph = graphs_for(als, world, 0)[""]
    assert recall_of(graph, als, world.histories(np.array([-1]))) == 0.0
    assert recall_of(graph, als, world.histories(np.array([-1, 4]))) == recall_of(
        graph, als, world.histories(np.array([4]))
    )
