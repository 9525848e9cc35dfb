"""Who becomes champion: challengers that are better, worse, or made champion by somebody's word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient

from features.lake import Lake
from features.settings import Settings
from pipelines.train.job import train
from tests.pipelines.train.conftest import (
    BAD,
    NOW,
    WORLD,
    after,
    aliases,
    champion,
    changed,
    split_of,
    trained,
    until,
)
from tests.training.conftest import append_to
from training import tracking
from training.bundle import load_bundle
from training.evaluation.holdout import evaluate
from training.models.recipes import Recipe, fit


def test_a_bad_challenger_is_refused_and_the_champion_stays(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    report = trained(changed(small, **BAD))
    assert (report.passed, report.version) == (False, "2")
    assert report.reason.startswith(("worse than the champion", "not better than popularity"))
    assert aliases(small) == {"champion": "1", "challenger": "2"}
    tags = MlflowClient(small.mlflow_uri).get_model_version(small.model_name, "2").tags
    assert (tags["gate"], tags["gate_reason"]) == ("failed", report.reason)


def test_a_refused_challenger_is_kept_as_it_was_measured(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    trained(changed(small, **BAD))
    refused = tracking.list_versions(small)[0]
    bundle = load_bundle(tracking.bundle_folder(small, refused))
    assert bundle.manifest["data_until"] <= split_of(WORLD).cut
    assert bundle.manifest["metrics"]["champion"]["ndcg_at_20"] > bundle.manifest["metrics"]["als"]["ndcg_at_20"]


def test_a_refused_training_is_not_repeated_either(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    bad = changed(small, **BAD)
    trained(bad)
    again = trained(bad)
    assert (again.skipped, again.passed, again.version) == (True, False, "2")


def test_a_good_challenger_replaces_a_bad_champion(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    trained(changed(small, **BAD))
    tracking.promote(small, "2")
    report = trained(small)
    assert (report.passed, report.version) == (True, "3")
    assert report.metrics["als"]["ndcg_at_20"] > report.metrics["champion"]["ndcg_at_20"]
    assert aliases(small) == {"champion": "3"}


def test_a_champion_that_saw_what_came_after_the_cut_is_fit_again_without_it(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    seen, split = champion(small), split_of(WORLD)
    assert seen.manifest["data_until"] > split.cut
    report = trained(changed(small, confidence_alpha=1.0))
    recipe = Recipe.from_settings(small, "als")
    fair = evaluate({"champion": fit(recipe, split.train)}, split)["champion"].summary()
    assert report.metrics["champion"] == pytest.approx(fair)
    assert report.metrics["champion"] != pytest.approx(report.metrics["als"])


def test_a_champion_that_saw_nothing_after_the_cut_is_asked_itself(small: Settings, lake: Lake) -> None:
    append_to(lake, until(80))
    trained(small)
    old = champion(small)
    append_to(lake, after(80))
    split = split_of(WORLD)
    assert old.manifest["data_until"] <= split.cut
    report = trained(changed(small, seed=1))

    class Asked:
        """The champion itself, asked in its own rows photo by photo."""

        def scores(self, histories):  # type: ignore[no-untyped-def]
            return np.stack([self.scores_of_one(history) for history in histories])

        def scores_of_one(self, history):  # type: ignore[no-untyped-def]
            ids = split.train.catalog.photo_ids
            rows = old.photo_rows(ids[history.photo_rows])
            known = rows >= 0
            own = replace(
                history,
                photo_rows=rows[known].astype(np.int32),
                times=history.times[known],
                positive=history.positive[known],
                shares=history.shares[known],
            )
            by_id = dict(zip(old.photo_ids, old.scores(own), strict=True))
            return np.array([by_id.get(photo, -np.inf) for photo in ids], dtype=np.float32)

    assert report.metrics["champion"] == pytest.approx(evaluate({"it": Asked()}, split)["it"].summary())


def test_a_forced_training_makes_a_champion_of_what_the_gate_refuses_and_keeps_why(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(small)
    report = train(changed(small, **BAD), None, NOW, force="to see whether the wall still fills")
    assert (report.passed, report.version) == (True, "2")
    assert "forced: to see whether the wall still fills (it would have failed" in report.reason
    assert aliases(small)["champion"] == "2"
