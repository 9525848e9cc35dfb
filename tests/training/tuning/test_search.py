"""The search for ALS's settings: what it keeps, what it prunes, and that an interruption changes nothing."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from features.errors import InvalidInputError
from tests.training.conftest import world_rows
from training.evaluation.files import Pairs
from training.evaluation.numbering import Holdout, holdout_of, interactions_of
from training.models.recipes import Recipe, fit
from training.tuning.search import ITERATIONS_MAX, UNPRUNED, Tried, search_als, validation_ndcg


@pytest.fixture(scope="module")
def holdout() -> Holdout:
    rows = world_rows()
    train, test = [r for n, r in enumerate(rows) if n % 5], [r for n, r in enumerate(rows) if not n % 5]
    return holdout_of(interactions_of(pairs_of(train)), pairs_of(test))


def pairs_of(rows: list[Any]) -> Pairs:
    return Pairs(pa.array([r[0] for r in rows]), pa.array([r[1] for r in rows]))


def search(recipe: Recipe, holdout: Holdout, trials: int, **options: Any) -> tuple[Recipe, list[Tried]]:
    seen: list[Tried] = []
    common: dict[str, Any] = {"factors_max": 32, "has_times": False, "seed": 3, "on_trial": seen.append}
    found = search_als(recipe, holdout, trials=trials, **{**common, **options})
    assert seen == [] or found.trials[-len(seen) :] == seen
    return found.recipe, seen


def values(tried: list[Tried]) -> list[Any]:
    return [(one.parameters, one.steps, one.state) for one in tried]


def test_the_first_trial_is_the_start(recipe: Recipe, holdout: Holdout) -> None:
    (first,) = search(recipe.changed(factors=16), holdout, 1)[1]
    changed = {name for name, value in first.parameters.items() if value != recipe.changed(factors=16).parameters[name]}
    assert changed <= {"iterations"}


def test_what_is_found_reaches_its_validation_when_it_is_fit_again(recipe: Recipe, holdout: Holdout) -> None:
    found, tried = search(recipe, holdout, 4)
    best = max((one for one in tried if one.state == "complete"), key=lambda one: one.value)
    assert found.parameters == best.parameters
    assert dict(best.steps)[found.parameters["iterations"]] == best.value
    assert validation_ndcg(fit(found, holdout.train), holdout) == best.value


def test_the_same_seed_finds_the_same(recipe: Recipe, holdout: Holdout) -> None:
    assert values(search(recipe, holdout, 4)[1]) == values(search(recipe, holdout, 4)[1])


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(recipe: Recipe, holdout: Holdout, tmp_path: Path) -> None:
    seen: list[Tried] = []

    def stop(one: Tried) -> None:
        seen.append(one)
        if len(seen) == 3:
            raise KeyboardInterrupt

    storage = tmp_path / "searches" / "als.journal"
    with pytest.raises(KeyboardInterrupt):
        search(recipe, holdout, 8, storage=storage, on_trial=stop)
    found, rest = search(recipe, holdout, 8, storage=storage)
    whole, all_tried = search(recipe, holdout, 8)
    assert values(seen + rest) == values(all_tried)
    assert found == whole
    assert search(recipe, holdout, 8, storage=storage) == (whole, [])


def test_other_data_begin_a_search_of_their_own(recipe: Recipe, holdout: Holdout, tmp_path: Path) -> None:
    storage = tmp_path / "als.journal"
    search(recipe, holdout, 1, storage=storage)
    other = holdout_of(interactions_of(pairs_of(world_rows(seed=6))), pairs_of(world_rows(seed=7)))
    assert len(search(recipe, other, 1, storage=storage)[1]) == 1


def test_hopeless_trials_are_pruned_and_none_looks_on_in_vain(recipe: Recipe, holdout: Holdout) -> None:
    tried = search(recipe, holdout, 12)[1]
    assert {one.state for one in tried} == {"complete", "pruned"}
    for one in tried:
        iterations = [iteration for iteration, _ in one.steps]
        assert iterations == sorted(iterations) and iterations[-1] <= ITERATIONS_MAX
        assert one.state == "complete" or iterations[-1] >= UNPRUNED
        assert one.began <= one.ended and one.value == max(value for _, value in one.steps)


def test_without_minutes_left_one_trial_is_made_all_the_same(recipe: Recipe, holdout: Holdout) -> None:
    assert len(search(recipe, holdout, 5, minutes=0.0)[1]) == 1


def test_a_search_begins_outside_the_usual_ranges_where_the_settings_do(recipe: Recipe, holdout: Holdout) -> None:
    unusual = {"alpha": 0.5, "regularization": 0.01, "degree_exponent": 0.9}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (first,) = search(recipe.changed(**unusual), holdout, 1)[1]
    assert {name: first.parameters[name] for name in unusual} == unusual


def test_a_file_that_is_no_search_is_refused(recipe: Recipe, holdout: Holdout, tmp_path: Path) -> None:
    (tmp_path / "favorites.csv").write_text("user,item\nann,a\nben,b\n")
    for storage in (tmp_path / "favorites.csv", tmp_path / "favorites.csv" / "below", tmp_path):
        with pytest.raises(InvalidInputError, match="no search can be kept in") as refused:
            search(recipe, holdout, 1, storage=storage)
        assert refused.value.field == "storage"
    assert (tmp_path / "favorites.csv").read_text() == "user,item\nann,a\nben,b\n"
