"""When a training is due: by new data, by drift or by age, never too soon again, and always with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.errors import DependencyError
from features.lake import Lake
from features.schema import Kind
from features.settings import Settings
from pipelines.retrain import PROFILE, RetrainDecision, drift_since_training, due
from tests.training.conftest import DAY, START, Row, append_to, give_mlflow, recipe_of, world_rows
from training import tracking
from training.bundle import CHECKSUM, MANIFEST, load_bundle, save_bundle
from training.drift import observe, profile
from training.from_lake import load_interactions
from training.gate import Decision
from training.models.recipes import fit
from training.storage import digest, load_json, save_json


def varied() -> list[Row]:
    """The world, of which each user has another share of the favorites: the first few, the last nearly all."""
    rng = np.random.default_rng(1)
    return [row for row in world_rows() if rng.random() < 0.3 + 0.7 * int(row[0][1:]) / 60]


WORLD = varied()
PASSED, REFUSED = Decision(True, "als", "better"), Decision(False, "als", "worse")


@pytest.fixture
def small(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with an empty MLflow."""
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    return settings


@dataclass(frozen=True)
class Trained:
    """Registers what a training on the lake as it is would."""

    settings: Settings
    lake: Lake
    folder: Path

    def __call__(self, decision: Decision = PASSED, *, keep_profile: bool = True) -> str:
        everything, recipe = load_interactions(self.lake), recipe_of("als")
        model = fit(recipe, everything)
        manifest = save_bundle(self.folder, recipe, model, everything, {})
        if keep_profile:
            manifest[PROFILE] = profile(observe(everything, model)).as_dict()
        save_json(self.folder / MANIFEST, {**manifest, CHECKSUM: digest(manifest)})
        return tracking.TrainingRun(self.settings, "train").register(self.folder, decision, "f")


@pytest.fixture
def trained(small: Settings, lake: Lake, tmp_path: Path) -> Trained:
    append_to(lake, WORLD)
    return Trained(small, lake, tmp_path / "bundle")


def after(settings: Settings, hours: float = 24.0, **changed: object) -> RetrainDecision:
    """The decision so long after now, which is when versions get registered here."""
    return due(settings.model_copy(update=changed), datetime.now(UTC) + timedelta(hours=hours))


def more(n: int, photo: str = "new") -> list[Row]:
    """n favorites of users of the world, on photos that nobody has favorited before."""
    return [(f"u{i % 60:03d}", f"{photo}-{i // 60}", "somebody", Kind.FAVORITE, START + 100 * DAY) for i in range(n)]


# Nothing to train on, nobody to compare with


def test_an_empty_lake_is_nothing_to_train_on(small: Settings, lake: Lake) -> None:
    assert after(small) == RetrainDecision(False, "the lake holds no interactions yet")
    append_to(lake, [("ann", "a", "ben", Kind.DISMISS_PHOTO, START)])
    assert after(small) == RetrainDecision(False, "the lake holds no favorite to learn from yet")


def test_without_a_champion_a_training_is_due(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    assert after(small) == RetrainDecision(True, "there is no champion")


def test_a_registry_that_can_not_be_read_is_no_answer(
    settings: Settings, lake: Lake, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    append_to(lake, WORLD)
    with pytest.raises(DependencyError, match="can't be used"):
        after(settings, mlflow_uri=f"http://127.0.0.1:{free_port()}")


# By new data, drift and age


def test_a_lake_that_has_not_changed_needs_no_training_however_old_the_champion_is(trained: Trained) -> None:
    trained()
    decision = after(trained.settings, hours=24 * 400)
    assert decision == RetrainDecision(False, "nothing has come to the lake since version 1 was trained")


def test_a_little_more_of_the_same_needs_no_training_and_the_reason_has_the_numbers(trained: Trained) -> None:
    trained()
    append_to(trained.lake, more(10))
    decision = after(trained.settings)
    assert not decision.due, decision.reason
    assert decision.reason.startswith("no training is needed since version 1: +1.0% favorites (limit 10%), ")
    assert decision.drift is not None
    most = decision.drift.features[0]
    assert f"1.0 days old (limit 30), drift of {most.name} {most.psi:.2f} (PSI, limit 0.25)" in decision.reason


def test_enough_new_favorites_make_it_due(trained: Trained) -> None:
    trained()
    append_to(trained.lake, more(110))
    decision = after(trained.settings)
    assert decision.due
    assert "a training is due since version 1: +11.0% favorites (limit 10%)" in decision.reason
    assert "days old" not in decision.reason


def test_so_do_favorites_that_are_gone(trained: Trained) -> None:
    trained()
    gone = [(user, photo, owner, Kind.UNFAVORITE, START + 101 * DAY) for user, photo, owner, _, _ in WORLD[::7]]
    append_to(trained.lake, gone)
    decision = after(trained.settings)
    assert decision.due
    assert "-14.3% favorites" in decision.reason


def test_another_population_makes_it_due_before_there_is_much_new_data(trained: Trained) -> None:
    trained()
    newcomers: list[Row] = [
        (f"new {user}", f"0-{3 * photo:04d}", "somebody", Kind.FAVORITE, START + 99 * DAY)
        for user in range(60)
        for photo in range(3)
    ]
    append_to(trained.lake, newcomers)
    decision = after(trained.settings, retrain_growth=1.0)
    assert decision.due
    assert "drift of " in decision.reason
    assert "favorites a user " in decision.reason
    assert "% favorites (limit" not in decision.reason
    assert not after(trained.settings, retrain_growth=1.0, retrain_drift=20.0).due


def test_of_few_users_drift_is_no_reason_as_chance_may_have_it(trained: Trained) -> None:
    trained()
    append_to(trained.lake, more(10))
    decision = after(trained.settings, retrain_drift=1e-6)
    assert not decision.due
    assert ", as chance may have it (PSI, limit 1e-06)" in decision.reason


def test_an_old_champion_makes_it_due_once_anything_is_new(trained: Trained) -> None:
    trained()
    append_to(trained.lake, more(1))
    assert not after(trained.settings, hours=29 * 24).due
    decision = after(trained.settings, hours=31 * 24)
    assert decision.due
    assert decision.reason == "a training is due since version 1: 31.0 days old (limit 30)"


def test_the_champions_own_scores_are_compared_too(trained: Trained) -> None:
    trained()
    champion = tracking.champion_folder(trained.settings)
    assert champion is not None
    bundle = load_bundle(champion[1], champion[0])
    # Other photos in front shift the rows, which must change nothing by itself.
    append_to(trained.lake, [(f"fan {i}", "unknown", "o", Kind.FAVORITE, START + 100 * DAY) for i in range(40)])
    report = drift_since_training(bundle, load_interactions(trained.lake))
    assert report is not None
    scores = next(feature for feature in report.features if feature.name == "scores of the best photos")
    assert scores.now_mean == pytest.approx(scores.then_mean, rel=0.6)
    assert report.counts["photos"] == (120, 121)


def test_a_champion_without_a_profile_is_judged_by_the_rest(trained: Trained) -> None:
    trained(keep_profile=False)
    append_to(trained.lake, more(10))
    decision = after(trained.settings)
    assert (decision.due, decision.drift) == (False, None)
    assert "drift unknown" in decision.reason


def test_a_decision_is_json(trained: Trained) -> None:
    trained()
    append_to(trained.lake, more(10))
    content = json.loads(json.dumps(after(trained.settings).as_dict()))
    assert (content["due"], content["drift"]["counts"]["photos"]) == (False, [120, 121])
    assert after(trained.settings, hours=1).as_dict()["drift"] is None


# Not too soon again


def test_soon_after_a_training_none_is_due_whatever_came(trained: Trained) -> None:
    trained()
    append_to(trained.lake, more(700))
    decision = after(trained.settings, hours=5)
    assert decision == RetrainDecision(False, "version 1 was trained 5.0 hours ago; the next not before 6")
    assert after(trained.settings, hours=6.1).due


def test_each_refusal_doubles_the_pause_up_to_the_greatest_age(trained: Trained) -> None:
    trained()
    append_to(trained.lake, more(700))
    for _ in range(2):
        trained(REFUSED)
    append_to(trained.lake, more(1, "another"))
    decision = after(trained.settings, hours=23)
    assert not decision.due
    assert "the next not before 24, as the gate refused 2 since the champion" in decision.reason
    assert after(trained.settings, hours=24.1).due
    assert after(trained.settings, hours=25, retrain_min_hours=10_000.0, retrain_max_days=1.0).due


def test_a_corrupt_champion_makes_it_due_at_once(trained: Trained) -> None:
    trained()
    champion = tracking.champion_folder(trained.settings)
    assert champion is not None
    manifest = load_json(champion[1] / MANIFEST)
    save_json(champion[1] / MANIFEST, {**manifest, "n_photos": 3})
    decision = after(trained.settings, hours=0.1)
    assert decision.due
    assert decision.reason.startswith("the champion is corrupt: ")
    assert MANIFEST in decision.reason
