"""The blend in a training: learned on the days before those on which all models are compared."""

from __future__ import annotations

import pytest

from features.lake import Lake
from features.schema import Kind
from features.settings import Settings
from tests.pipelines.train.conftest import (
    BAD,
    WORLD,
    champion,
    changed,
    split_of,
    trained,
)
from tests.training.conftest import DAY, append_to, log_of
from training.from_lake import build_interactions
from training.models.blend import Blend
from training.models.interface import scores_of
from training.models.recipes import Recipe, fit


def test_a_blend_that_is_best_is_registered_with_weights_from_before_the_cut(small: Settings, lake: Lake) -> None:
    """An ALS that can't learn leaves the place to item-item operators, which the blend finds on the days before."""
    append_to(lake, WORLD)
    report = trained(changed(small, **BAD, train_blend=True))
    assert (report.kind, report.version) == ("blend", "1")
    assert report.metrics["blend"]["ndcg_at_20"] > 2 * report.metrics["als"]["ndcg_at_20"]
    bundle = champion(small)
    assert isinstance(bundle.model, Blend)
    learned = {one.name: one.weight for one in bundle.model.components}
    assert max(learned, key=lambda name: learned[name]) in ("item_knn", "popularity")
    recipe = Recipe.from_manifest(bundle.manifest["training"])
    again = fit(recipe, build_interactions(log_of(WORLD)))
    history = build_interactions(log_of(WORLD)).history(3)
    assert bundle.scores(history) == pytest.approx(scores_of(again, history), rel=1e-4)


def test_what_comes_after_the_cut_does_not_change_the_weights(small: Settings, lake: Lake) -> None:
    settings = changed(small, **BAD, train_blend=True)
    append_to(lake, WORLD)
    trained(settings)
    first = champion(small).manifest["training"]
    cut = split_of(WORLD).cut
    append_to(
        lake, [(user, photo, owner, Kind.UNFAVORITE, cut + DAY) for user, photo, owner, _, at in WORLD if at > cut][:9]
    )
    trained(settings)
    assert champion(small).manifest["training"] == first


def test_with_few_people_before_the_cut_there_is_no_blend(small: Settings, lake: Lake) -> None:
    append_to(lake, [row for row in WORLD if row[0] < "u012"])
    assert "blend" not in trained(changed(small, train_blend=True)).metrics
