"""New photos in the champion: which get in, what is registered of it, and what trainings and the service make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

import pipelines.new_photos
from features.lake import Lake
from features.schema import PHOTOS, Kind
from features.settings import Settings
from pipelines.new_photos import FreshenReport, freshen
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import Reason, bury_photos, bury_users
from pipelines.retrain import PROFILE, due
from pipelines.train.job import train
from serving.champion.loading import load_champion
from serving.champion.watch import ChampionWatch
from tests.training.conftest import DAY, START, Row, append_to, give_mlflow, recipe_of, world_rows
from training import tracking
from training.bundle import Bundle, load_bundle, save_bundle
from training.drift import observe, profile
from training.from_lake import load_interactions
from training.gate import Decision
from training.models.als import ALS
from training.models.interface import Model
from training.models.recipes import fit

LATER = START + 100 * DAY


def favorites_of(photo: str, *users: int, at: int = LATER) -> list[Row]:
    return [(f"u{user:03d}", photo, f"owner of {photo}", Kind.FAVORITE, at) for user in users]


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

    def __call__(self, kind: str = "als", *, passed: bool = True, spoil: Callable[[Model], Model] | None = None) -> str:
        everything = load_interactions(self.lake)
        model = fit(recipe_of(kind), everything)
        more = {PROFILE: profile(observe(everything, model)).as_dict()}
        model = model if spoil is None else spoil(model)
        save_bundle(self.folder, recipe_of(kind), model, everything, {kind: {"ndcg_at_20": 0.5}}, more)
        run = tracking.TrainingRun(self.settings, "train")
        return run.register(self.folder, Decision(passed, kind, "because"), "what it came from")


@pytest.fixture
def trained(small: Settings, lake: Lake, tmp_path: Path) -> Trained:
    append_to(lake, world_rows())
    return Trained(small, lake, tmp_path / "bundle")


def champion(settings: Settings) -> Bundle:
    found = tracking.champion_folder(settings)
    assert found is not None
    return load_bundle(found[1], found[0])


def listed(settings: Settings) -> list[str]:
    return [version.version for version in tracking.list_versions(settings)]


def new_in(bundle: Bundle) -> list[str]:
    return [str(photo) for photo in bundle.photo_ids[120:]]


# What gets in


@pytest.mark.parametrize("kind", ["als", "blend"])
def test_photos_with_enough_favorites_get_into_the_champion_as_a_minor_version(kind: str, trained: Trained) -> None:
    settings = trained.settings
    trained(kind)
    before = champion(settings).manifest
    enough = [*favorites_of("one", 0, 3, 6), *favorites_of("two", 1, 4, 7, 10)]
    append_to(trained.lake, [*enough, *favorites_of("too few", 2, 5)])
    report = freshen(settings)
    assert replace(report, seconds={}) == FreshenReport("2", "1", 2, "minor version of 1: 2 new photos")
    bundle = champion(settings)
    assert (bundle.version, bundle.kind, new_in(bundle)) == ("2", kind, ["two", "one"])
    assert bundle.catalog.owner_ids[-1] == "owner of one"
    manifest = bundle.manifest
    assert (manifest["minor_of"], manifest["new_photos"]["count"], manifest["n_photos"]) == ("1", 2, 122)
    assert manifest["data_until"] == LATER
    of_training = ("training", "metrics", "lake_versions", "n_favorites", "n_users", PROFILE)
    assert {name: manifest[name] for name in of_training} == {name: before[name] for name in of_training}
    assert [path.name for path in (settings.home / "models").glob("unregistered-*")] == []


def test_without_new_photos_nothing_is_registered(trained: Trained) -> None:
    trained()
    assert freshen(trained.settings).reason == "nothing has come to the lake since version 1"
    append_to(trained.lake, favorites_of("x", 2, 5))
    assert freshen(trained.settings).reason == "version 1 knows every photo with enough favorites"
    assert listed(trained.settings) == ["1"]


def test_how_many_favorites_are_enough_is_a_setting(trained: Trained) -> None:
    trained()
    append_to(trained.lake, favorites_of("x", 2, 5))
    freshen(trained.settings.model_copy(update={"fresh_photos_favoriters": 2}))
    assert new_in(champion(trained.settings)) == ["x"]


def test_without_a_champion_there_is_nothing_to_get_into(trained: Trained) -> None:
    assert freshen(trained.settings).reason.startswith("there is no champion yet: `photo-recommender train`")
    trained(passed=False)
    assert freshen(trained.settings).version is None


def test_events_after_now_do_not_count(trained: Trained) -> None:
    trained()
    append_to(trained.lake, favorites_of("one", 0, 3, 6))
    assert freshen(trained.settings, datetime.fromtimestamp(LATER - 1, UTC)).version is None


def vanished(lake: Lake, photo_id: str, gone_at: datetime | None, created: datetime) -> None:
    row: dict[str, Any] = {field.name: None for field in PHOTOS.schema}
    text = {field.name: "" for field in PHOTOS.schema if field.type == pa.string()}
    row |= {**text, "photo_id": photo_id, "gone_at": gone_at, "created_timestamp": created}
    lake.append(PHOTOS, pa.Table.from_pylist([row], schema=PHOTOS.schema))


def test_what_must_not_be_shown_does_not_get_in(trained: Trained, engine: sa.Engine) -> None:
    settings = trained.settings
    trained()
    photos = ("buried", "of the buried", "of the erased", "gone", "back", "fine")
    append_to(trained.lake, [row for photo in photos for row in favorites_of(photo, 0, 3, 6)])
    bury_photos(engine, ["buried"], Reason.TAKEDOWN)
    bury_users(engine, ["owner of of the buried"], Reason.DELETED)
    Suppression(settings, engine).suppress("owner of of the erased")
    then, now = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)
    vanished(trained.lake, "gone", now, now)
    vanished(trained.lake, "back", then, then)
    vanished(trained.lake, "back", None, now)
    assert freshen(settings).new_photos == 2
    assert new_in(champion(settings)) == ["back", "fine"]


# From hour to hour


def test_the_training_is_extended_anew_each_time(trained: Trained, engine: sa.Engine) -> None:
    settings = trained.settings
    trained()
    append_to(trained.lake, [*favorites_of("one", 0, 3, 6), *favorites_of("gone", 1, 4, 7)])
    freshen(settings)
    first = champion(settings)
    append_to(trained.lake, [*favorites_of("one", *range(9, 60, 3)), *favorites_of("two", 1, 4, 7)])
    bury_photos(engine, ["gone"], Reason.VANISHED)
    report = freshen(settings)
    assert (report.version, report.reason) == ("3", "minor version of 1: 2 new photos")
    second = champion(settings)
    assert (second.manifest["minor_of"], new_in(second)) == ("1", ["one", "two"])
    assert isinstance(first.model, ALS)
    assert isinstance(second.model, ALS)
    assert np.array_equal(first.model.photo_factors[:120], second.model.photo_factors[:120])
    weak, strong = (
        float(np.linalg.norm(model.photo_factors[bundle.photo_rows(["one"])]))
        for bundle, model in ((first, first.model), (second, second.model))
    )
    assert strong > 1.1 * weak
    assert freshen(settings).reason == "nothing has come to the lake since version 3"


def test_only_the_last_few_are_kept(trained: Trained) -> None:
    trained()
    for number in range(6):
        append_to(trained.lake, favorites_of(f"new {number}", 0, 3, 6))
        freshen(trained.settings)
    assert listed(trained.settings) == ["7", "6", "5", "4", "1"]


def test_a_training_that_became_champion_meanwhile_stays_champion(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained()
    append_to(trained.lake, favorites_of("one", 0, 3, 6))
    extend = pipelines.new_photos.with_new_photos

    def slowly(*arguments: Any) -> Model:
        trained()
        return extend(*arguments)

    monkeypatch.setattr(pipelines.new_photos, "with_new_photos", slowly)
    report = freshen(trained.settings)
    assert (report.version, report.reason) == (None, "version 1 is champion no longer")
    assert (champion(trained.settings).version, listed(trained.settings)) == ("2", ["2", "1"])


def test_what_is_not_finite_is_not_registered(trained: Trained) -> None:
    def spoil(model: Model) -> Model:
        assert isinstance(model, ALS)
        return replace(model, gram=np.full_like(model.gram, np.nan))

    trained(spoil=spoil)
    append_to(trained.lake, favorites_of("one", 0, 3, 6))
    report = freshen(trained.settings)
    assert report.version is None
    assert report.reason.startswith("not finite: ALS.photo_factors")
    assert listed(trained.settings) == ["1"]


# Trainings


def test_a_minor_version_is_no_training(trained: Trained) -> None:
    settings, hour = trained.settings, timedelta(hours=1)
    trained()
    trained(passed=False)
    append_to(trained.lake, favorites_of("one", 0, 3, 6))
    assert freshen(settings).version == "3"
    decision = due(settings, datetime.now(UTC) + 10 * hour)
    assert decision.reason == (
        "version 2 was trained 10.0 hours ago; the next not before 12, as the gate refused 1 since the champion"
    )
    decision = due(settings, datetime.now(UTC) + 31 * 24 * hour)
    assert decision.reason == "a training is due since version 1: 31.0 days old (limit 30)"
    assert decision.drift is not None
    assert decision.drift.counts["photos"] == (120, 121)


def test_what_came_is_still_to_be_learned_after_it_was_folded_in(trained: Trained) -> None:
    trained()
    rows = [row for number in range(60) for row in favorites_of(f"new {number}", 0, 3, 6)]
    append_to(trained.lake, rows)
    freshen(trained.settings)
    decision = due(trained.settings, datetime.now(UTC) + timedelta(hours=10))
    assert decision.due
    assert "% favorites (limit 10%)" in decision.reason


def test_a_lake_that_was_trained_on_is_not_trained_on_again_for_a_minor_version(small: Settings, lake: Lake) -> None:
    settings = small.model_copy(update={"als_factors": 8, "als_iterations": 3, "train_blend": False})
    append_to(lake, [*world_rows(), *favorites_of("one", 0, 3)])
    now = datetime.fromtimestamp(LATER, UTC)
    assert train(settings, now=now).version == "1"
    append_to(lake, favorites_of("one", 6))
    # The days that are held out have changed nothing, so the same model is refused, or passes, as version 2.
    assert train(settings, now=now).version == "2"
    tracking.promote(settings, "1")
    append_to(lake, favorites_of("two", 0, 3, 6, at=LATER + DAY))  # after `now`, so not learned from
    assert train(settings, now=now).version == "3"
    tracking.promote(settings, "1")
    assert freshen(settings).version == "4"
    report = train(settings, now=now)
    assert (report.skipped, report.version) == (True, "3")
    assert report.reason == "neither the lake nor the configuration changed since version 3"


# The service


def test_the_service_takes_it_and_shows_a_new_photo_to_who_likes_its_style(trained: Trained) -> None:
    settings = trained.settings
    trained()
    watch = ChampionWatch(settings, tracking.champion_folder)
    watch.refresh()
    assert watch.served.champion is not None
    assert watch.served.champion.version == "1"
    append_to(trained.lake, [*favorites_of("style 0", *range(0, 30, 3)), *favorites_of("style 1", *range(1, 30, 3))])
    freshen(settings)
    watch.refresh()
    assert watch.served.error is None
    served = watch.served.champion
    assert served.version == "2"
    bundle = load_champion(served.version, tracking.champion_folder(settings)[1]).bundle  # type: ignore[index]
    interactions = load_interactions(trained.lake)
    known = bundle.catalog.rows(interactions.catalog.photo_ids)
    for user, style in ((57, 0), (58, 1)):  # who have not seen the new photos
        history = interactions.history(user)
        history = replace(history, photo_rows=known[history.photo_rows].astype(np.int32))
        rows, _ = bundle.top(history, 20, history.photo_rows)
        assert f"style {style}" in bundle.photo_ids[rows]
        assert f"style {1 - style}" not in bundle.photo_ids[rows]
        reasons = bundle.reasons(history, np.array([bundle.photo_row(f"style {style}")]))
        assert len(reasons[0]) == 3
