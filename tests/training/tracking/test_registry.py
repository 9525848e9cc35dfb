"""Registered versions in MLflow, which of them is champion, and how its bundle gets here."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import InvalidInputError, NotFoundError
from features.settings import Settings
from tests.training.tracking.conftest import FAILED, PASSED, client, register
from training import tracking
from training.tracking import TrainingRun


def aliases(settings: Settings) -> dict[str, str]:
    """{alias: version}"""
    return {alias: v.version for v in tracking.list_versions(settings) for alias in v.aliases}


# Registered versions


def test_what_passed_is_champion_and_nothing_else(mlflow: Settings, files: Path) -> None:
    version = register(mlflow, files, PASSED, "what it came from")
    (found,) = tracking.list_versions(mlflow)
    assert found.version == version == "1"
    assert found.aliases == ("champion",)
    assert (found.kind, found.gate, found.gate_reason) == ("als", "passed", "better")
    assert found.fingerprint == "what it came from"
    assert found.promoted_at
    assert tracking.champion(mlflow) == found


def test_what_failed_is_challenger_with_the_reason_in_a_tag(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    register(mlflow, files, FAILED)
    assert aliases(mlflow) == {"champion": "1", "challenger": "2"}
    newest = tracking.list_versions(mlflow)[0]
    assert (newest.gate, newest.gate_reason, newest.promoted_at) == ("failed", FAILED.reason, "")
    tags = client(mlflow).get_model_version(mlflow.model_name, "2").tags
    assert (tags["gate"], tags["gate_reason"]) == ("failed", FAILED.reason)


def test_a_new_champion_takes_the_alias_from_the_old_one(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    register(mlflow, files, FAILED)
    register(mlflow, files)
    assert aliases(mlflow) == {"champion": "3"}
    assert [v.promoted_at != "" for v in tracking.list_versions(mlflow)] == [True, False, True]


def test_versions_are_listed_newest_first_by_number(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    for _ in range(10):
        client(mlflow).create_model_version(mlflow.model_name, source=str(files))
    assert [v.version for v in tracking.list_versions(mlflow)] == [str(n) for n in range(11, 0, -1)]


def test_a_version_points_to_its_run(mlflow: Settings, files: Path) -> None:
    run = TrainingRun(mlflow, "train")
    run.register(files, PASSED, "f")
    (found,) = tracking.list_versions(mlflow)
    assert found.run_id == run.run_id
    assert found.created_at.tzinfo is not None


def test_nothing_is_listed_before_anything_was_registered(settings: Settings) -> None:
    assert tracking.list_versions(settings) == []
    assert tracking.champion(settings) is None
    assert tracking.champion_folder(settings) is None
    assert not settings.home.exists()


def test_models_of_another_name_are_not_listed(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    assert tracking.list_versions(mlflow.model_copy(update={"model_name": "another"})) == []


# Promoting and rolling back


def test_any_registered_version_can_be_promoted(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    register(mlflow, files, FAILED)
    promoted = tracking.promote(mlflow, "2")
    assert (promoted.version, promoted.aliases) == ("2", ("champion",))
    assert promoted.promoted_at
    assert aliases(mlflow) == {"champion": "2"}


def test_promoting_an_older_version_leaves_the_challenger(mlflow: Settings, files: Path) -> None:
    for decision in (PASSED, PASSED, FAILED):
        register(mlflow, files, decision)
    tracking.promote(mlflow, "1")
    assert aliases(mlflow) == {"champion": "1", "challenger": "3"}


@pytest.mark.parametrize("version", ["9", "", "latest"])
def test_a_version_that_is_not_registered_can_not_be_promoted(mlflow: Settings, files: Path, version: str) -> None:
    register(mlflow, files)
    with pytest.raises(NotFoundError, match="registered: 1") as caught:
        tracking.promote(mlflow, version)
    assert caught.value.field == "version"
    assert aliases(mlflow) == {"champion": "1"}


def test_promoting_without_any_version_says_that_there_is_none(settings: Settings) -> None:
    with pytest.raises(NotFoundError, match="registered: none"):
        tracking.promote(settings, "1")


def test_rolling_back_makes_the_champion_before_champion_again(mlflow: Settings, files: Path) -> None:
    for decision in (PASSED, PASSED, FAILED, PASSED):
        register(mlflow, files, decision)
    assert tracking.rollback(mlflow).version == "2"  # version 3 never was champion
    assert tracking.rollback(mlflow).version == "1"
    assert aliases(mlflow) == {"champion": "1"}


def test_the_oldest_champion_can_not_be_rolled_back(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    with pytest.raises(InvalidInputError, match="version 1 is the oldest champion"):
        tracking.rollback(mlflow)
    assert aliases(mlflow) == {"champion": "1"}


def test_without_a_champion_there_is_nothing_to_roll_back(mlflow: Settings, files: Path) -> None:
    with pytest.raises(InvalidInputError, match="no champion"):
        tracking.rollback(mlflow)
    register(mlflow, files, FAILED)
    with pytest.raises(InvalidInputError, match="no champion"):
        tracking.rollback(mlflow)


# Challenging


def test_a_challenger_that_somebody_chose_stays_until_it_is_ended(mlflow: Settings, files: Path) -> None:
    for decision in (PASSED, FAILED):
        register(mlflow, files, decision)
    assert not tracking.version_named(mlflow, "2").is_challenging
    chosen = tracking.challenge(mlflow, "2")
    assert (chosen.version, chosen.is_challenging) == ("2", True)
    register(mlflow, files, FAILED)
    register(mlflow, files, PASSED)
    assert aliases(mlflow) == {"champion": "4", "challenger": "2"}
    ended = tracking.end_challenge(mlflow)
    assert (ended.version, ended.is_challenging) == ("2", False)
    register(mlflow, files, FAILED)
    assert aliases(mlflow) == {"champion": "4", "challenger": "5"}
    assert not tracking.version_named(mlflow, "5").is_challenging


def test_another_takes_the_place_of_a_challenger_and_is_the_only_one(mlflow: Settings, files: Path) -> None:
    for decision in (PASSED, FAILED, FAILED):
        register(mlflow, files, decision)
    tracking.challenge(mlflow, "2")
    tracking.challenge(mlflow, "challenger")
    tracking.challenge(mlflow, "3")
    assert [version.version for version in tracking.list_versions(mlflow) if version.is_challenging] == ["3"]


def test_a_challenger_that_is_promoted_challenges_no_more(mlflow: Settings, files: Path) -> None:
    for decision in (PASSED, FAILED):
        register(mlflow, files, decision)
    tracking.challenge(mlflow, "2")
    assert not tracking.promote(mlflow, "challenger").is_challenging
    assert aliases(mlflow) == {"champion": "2"}
    with pytest.raises(NotFoundError, match="no version shares walls"):
        tracking.end_challenge(mlflow)


def test_the_champion_can_not_challenge_itself(mlflow: Settings, files: Path) -> None:
    register(mlflow, files)
    with pytest.raises(InvalidInputError, match="version 1 is champion"):
        tracking.challenge(mlflow, "1")
