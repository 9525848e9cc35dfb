"""What came of the walls that a model ranked: which actions count for which model, and how sure the rates are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.lake import Lake
from features.schema import IMPRESSIONS, INTERACTIONS, Kind
from features.settings import Settings
from pipelines.online_metrics import DAYS, Online, measure, measure_online
from tests.training.conftest import give_mlflow
from training import tracking
from training.gate import Decision
from training.tracking import TrainingRun, compare_versions
from training.tracking.minor import forget_minors, register_minor

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BEGAN = NOW - timedelta(days=5)
HOUR = timedelta(hours=1)


def shown(user: str, photo: str, model: str, hours: float = 0.0, own_wall: bool | None = True) -> dict[str, object]:
    at = BEGAN + hours * HOUR
    return {
        "user_id": user,
        "photo_id": photo,
        "rank": 0,
        "model_version": model,
        "variant": "champion",
        "shown_at": at,
        "created_timestamp": at,
        "own_wall": own_wall,
    }


def done(user: str, photo: str, kind: Kind, hours: float, source: str = "site") -> dict[str, object]:
    at = BEGAN + hours * HOUR
    return {
        "user_id": user,
        "photo_id": photo,
        "owner_id": "o",
        "kind": str(kind),
        "source": source,
        "event_timestamp": at,
        "created_timestamp": at,
        "ingest_date": at.date(),
    }


def measured(
    impressions: list[dict[str, object]], actions: list[dict[str, object]], **more: object
) -> dict[str, Online]:
    return measure(
        pa.Table.from_pylist(impressions, schema=IMPRESSIONS.schema),
        pa.Table.from_pylist(actions, schema=INTERACTIONS.schema),
        NOW,
        **more,  # type: ignore[arg-type]
    )


def counts(impressions: list[dict[str, object]], actions: list[dict[str, object]]) -> dict[str, tuple[int, int, int]]:
    """{model: (shown, faves, dismissals)}"""
    found = measured(impressions, actions)
    return {model: (one.shown, one.faves, one.dismissals) for model, one in found.items()}


def test_faves_and_dismissals_within_a_day_count_for_the_model_that_showed_the_photo() -> None:
    walls = [shown("u", "1", "7"), shown("u", "2", "7"), shown("v", "1", "7"), shown("v", "3", "8")]
    actions = [done("u", "1", Kind.FAVORITE, 1), done("v", "1", Kind.DISMISS_PHOTO, 23.9)]
    assert counts(walls, actions) == {"7": (3, 1, 1), "8": (1, 0, 0)}
    found = measured(walls, actions)["7"]
    assert (found.users, found.first_shown, found.last_shown) == (2, BEGAN, BEGAN)


@pytest.mark.parametrize(
    "action",
    [
        done("u", "1", Kind.FAVORITE, 24),
        done("u", "1", Kind.FAVORITE, -0.1),
        done("u", "2", Kind.FAVORITE, 1),
        done("v", "1", Kind.FAVORITE, 1),
        done("u", "1", Kind.DISMISS_USER, 1),
    ],
    ids=["a day later", "before it was shown", "another photo", "another person", "a person dismissed"],
)
def test_other_actions_do_not_count(action: dict[str, object]) -> None:
    assert counts([shown("u", "1", "7")], [action]) == {"7": (1, 0, 0)}


def test_what_is_taken_back_in_time_does_not_count() -> None:
    walls = [shown("u", "1", "7"), shown("u", "2", "7"), shown("u", "3", "7")]
    actions = [
        *(done("u", "1", Kind.FAVORITE, 1), done("u", "1", Kind.UNFAVORITE, 2)),
        *(done("u", "2", Kind.DISMISS_PHOTO, 1), done("u", "2", Kind.UNDISMISS_PHOTO, 2)),
        *(done("u", "3", Kind.UNDISMISS_PHOTO, 1), done("u", "3", Kind.DISMISS_PHOTO, 2)),
    ]
    assert counts(walls, actions) == {"7": (3, 0, 1)}


def test_a_photo_that_was_shown_often_is_counted_once() -> None:
    walls = [shown("u", "1", "7", hours) for hours in (0, 1, 2)]
    assert counts(walls, [done("u", "1", Kind.FAVORITE, 3)]) == {"7": (1, 1, 0)}


def test_of_two_models_that_showed_a_photo_the_last_one_before_the_action_gets_it() -> None:
    walls = [shown("u", "1", "7"), shown("u", "1", "8", 2)]
    assert counts(walls, [done("u", "1", Kind.FAVORITE, 1)]) == {"7": (1, 1, 0), "8": (1, 0, 0)}
    assert counts(walls, [done("u", "1", Kind.FAVORITE, 3)]) == {"7": (1, 0, 0), "8": (1, 1, 0)}


def test_what_was_shown_less_than_a_day_ago_is_not_measured_yet() -> None:
    young = 4 * 24 + 1
    assert counts([shown("u", "1", "7", young)], [done("u", "1", Kind.FAVORITE, young + 1)]) == {}
    # It has ended the time of the model before it all the same.
    assert counts(
        [shown("u", "1", "6", young - 2), shown("u", "1", "7", young)], [done("u", "1", Kind.FAVORITE, young + 1)]
    ) == {"6": (1, 0, 0)}


@pytest.mark.parametrize("wall", [shown("", "1", "7"), shown("u", "1", ""), shown("u", "1", "7", own_wall=False)])
def test_visitors_walls_without_a_model_and_other_peoples_walls_are_left_out(wall: dict[str, object]) -> None:
    assert counts([wall], [done("u", "1", Kind.FAVORITE, 1)]) == {}


def test_minor_versions_are_counted_with_their_training() -> None:
    walls = [shown("u", "1", "7"), shown("u", "2", "8"), shown("v", "1", "9")]
    found = measured(walls, [done("u", "2", Kind.FAVORITE, 1)], of_training={"7": "7", "8": "7"})
    assert {model: (one.users, one.shown, one.faves) for model, one in found.items()} == {
        "7": (1, 2, 1),
        "9": (1, 1, 0),
    }


def test_nothing_shown_is_nothing_measured() -> None:
    assert counts([], []) == {}


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))))
def test_an_interval_holds_its_rate_and_stays_between_0_and_1(numbers: tuple[int, int, int]) -> None:
    metrics = Online(1, *numbers, BEGAN, NOW).metrics()
    for name in ("fave_rate", "dismissal_rate"):
        assert 0 <= metrics[f"{name}_low"] <= metrics[name] + 1e-12
        assert metrics[name] - 1e-12 <= metrics[f"{name}_high"] <= 1


def test_an_interval_is_wilsons() -> None:
    # By hand, of 10 in 100: (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) ÷ (1 + z²/n), z = 1.96.
    metrics = Online(1, 100, 10, 0, BEGAN, NOW).metrics()
    assert (metrics["fave_rate_low"], metrics["fave_rate_high"]) == pytest.approx((0.0552, 0.1744), abs=1e-4)


# Of the lake, into MLflow


@pytest.fixture
def registered(settings: Settings, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Settings:
    """Settings whose MLflow has version 1, champion, and 2, refused."""
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "manifest.json").write_text("{}")
    for passed in (True, False):
        run = TrainingRun(settings, "train")
        run.register(tmp_path / "files", Decision(passed, "als", "why"), "f")
        run.finish("FINISHED")
    return settings


def append(lake: Lake, impressions: list[dict[str, object]], actions: list[dict[str, object]]) -> None:
    lake.append(IMPRESSIONS, pa.Table.from_pylist(impressions, schema=IMPRESSIONS.schema))
    lake.append(INTERACTIONS, pa.Table.from_pylist(actions, schema=INTERACTIONS.schema))


def test_what_was_measured_stands_beside_each_other_in_the_comparison(registered: Settings, lake: Lake) -> None:
    walls = [shown("u", str(photo), version) for photo, version in enumerate("1111222233")]
    pulled = done("u", "6", Kind.FAVORITE, 1, source="flickr")
    append(lake, walls, [done("u", "0", Kind.FAVORITE, 1), done("u", "4", Kind.DISMISS_PHOTO, 1), pulled])
    assert {version: one.shown for version, one in measure_online(registered, NOW).items()} == {"1": 4, "2": 4, "3": 2}
    found = compare_versions(registered, "champion", "2")
    assert (found.a.online["shown"], found.a.online["fave_rate"], found.a.online["dismissal_rate"]) == (4, 0.25, 0)
    assert (found.b.online["shown"], found.b.online["fave_rate"], found.b.online["dismissal_rate"]) == (4, 0, 0.25)
    assert found.metrics == {}


def test_minor_versions_count_for_their_training_though_they_are_registered_no_longer(
    registered: Settings, lake: Lake, tmp_path: Path
) -> None:
    trained = tracking.version_named(registered, "1")
    for _ in range(2):
        register_minor(registered, trained, tmp_path / "files", "minor version of 1")
    assert forget_minors(registered, keep=0) == ["3"]
    append(lake, [shown("u", "1", "1"), shown("u", "2", "3"), shown("u", "3", "4")], [])
    assert {version: one.shown for version, one in measure_online(registered, NOW).items()} == {"1": 3}
    assert compare_versions(registered, "champion", "1").a.online["shown"] == 3


def test_while_a_challenger_shares_walls_both_are_measured_since_it_does(registered: Settings, lake: Lake) -> None:
    tracking.challenge(registered, "2")
    since = datetime.fromisoformat(tracking.version_named(registered, "2").challenging_since)
    before, after = (since - BEGAN - HOUR) / HOUR, (since - BEGAN + HOUR) / HOUR
    append(lake, [shown("u", "1", "1", before), shown("u", "2", "1", after), shown("v", "2", "2", after)], [])
    found = measure_online(registered, since + timedelta(days=2))
    assert {version: one.shown for version, one in found.items()} == {"1": 1, "2": 1}


def test_without_a_challenger_the_last_weeks_are_measured(registered: Settings, lake: Lake) -> None:
    append(lake, [shown("u", "1", "1", -24 * DAYS), shown("u", "2", "1")], [])
    assert measure_online(registered, NOW)["1"].shown == 1


def test_nothing_is_measured_where_walls_showed_nothing(registered: Settings) -> None:
    assert measure_online(registered, NOW) == {}
