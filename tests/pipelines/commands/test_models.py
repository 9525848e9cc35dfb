"""The commands `models`: what they print, for people and for programs, and how they end."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from features.errors import DependencyError, InvalidInputError, NotFoundError
from features.lake import Lake
from features.schema import IMPRESSIONS, Kind
from features.settings import Settings
from tests.pipelines.commands.conftest import failed, run
from tests.training.conftest import DAY, START, append_to, recipe_of, world_rows
from training import tracking
from training.bundle import save_bundle
from training.from_lake import load_interactions
from training.gate import Decision
from training.models.recipes import Recipe, fit

PASSED = Decision(True, "als", "the best there is")
FAILED = Decision(False, "als", "worse than the champion")


@pytest.fixture
def versions(app: typer.Typer, settings: Settings, tmp_path: Path) -> list[str]:
    """Registered versions: two champions, then a challenger that was refused."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    decisions = (PASSED, PASSED, FAILED)
    return [tracking.TrainingRun(settings, "train").register(folder, decision, "f") for decision in decisions]


def test_models_without_any_say_what_to_run(app: typer.Typer) -> None:
    assert run(app, "models", "list") == "no model is registered yet: `photo-recommender train` makes the first\n"
    assert json.loads(run(app, "models", "list", "--json")) == []


def test_models_list_shows_a_row_for_each_version_newest_first(app: typer.Typer, versions: list[str]) -> None:
    header, *rows = [
        [cell.strip() for cell in line.strip("┃│ ").replace("┃", "│").split("│")]
        for line in run(app, "models", "list").splitlines()
        if line.startswith(("┃", "│"))
    ]
    assert header == ["version", "alias", "kind", "gate", "created", "reason"]
    assert [(row[0], row[1], row[3], row[5]) for row in rows] == [
        ("3", "challenger", "failed", FAILED.reason),
        ("2", "champion", "passed", PASSED.reason),
        ("1", "", "passed", PASSED.reason),
    ]


def test_models_list_json_holds_everything_that_is_known(
    app: typer.Typer, versions: list[str], settings: Settings
) -> None:
    listed = json.loads(run(app, "models", "list", "--json"))
    assert [version["version"] for version in listed] == ["3", "2", "1"]
    known = tracking.list_versions(settings)[0]
    assert listed[0] == {
        **vars(known),
        "aliases": ["challenger"],
        "minors": [],
        "created_at": known.created_at.isoformat(),
    }


def test_models_promote_makes_a_version_champion_whatever_the_gate_said(
    app: typer.Typer, versions: list[str], settings: Settings
) -> None:
    assert run(app, "models", "promote", "3") == "version 3 (als) is champion\n"
    current = tracking.champion(settings)
    assert current is not None
    assert current.version == "3"


def test_models_promote_json_is_the_version(app: typer.Typer, versions: list[str]) -> None:
    promoted = json.loads(run(app, "models", "promote", "1", "--json"))
    assert (promoted["version"], promoted["aliases"]) == ("1", ["champion"])


def test_models_promote_of_an_unknown_version_ends_with_the_status_of_not_found(
    app: typer.Typer, versions: list[str]
) -> None:
    error, _ = failed(app, "models", "promote", "17")
    assert isinstance(error, NotFoundError)
    assert error.exit_status == 3
    assert "no version '17'" in error.message
    assert "registered: 3, 2, 1" in error.message


def test_models_rollback_makes_the_champion_before_champion_again(app: typer.Typer, versions: list[str]) -> None:
    assert run(app, "models", "rollback") == "version 1 (als) is champion\n"


def test_models_rollback_json_is_the_version(app: typer.Typer, versions: list[str]) -> None:
    assert json.loads(run(app, "models", "rollback", "--json"))["version"] == "1"


def test_models_rollback_without_an_earlier_champion_ends_with_the_status_of_invalid_input(app: typer.Typer) -> None:
    error, _ = failed(app, "models", "rollback")
    assert isinstance(error, InvalidInputError)
    assert error.exit_status == 2
    assert "train first" in error.message


def test_models_freshen_says_why_nothing_was_registered(app: typer.Typer, settings: Settings) -> None:
    assert run(app, "models", "freshen").startswith("skipped: there is no champion yet")
    report = json.loads(run(app, "models", "freshen", "--json"))
    assert (report["version"], report["new_photos"]) == (None, 0)


def test_models_freshen_names_the_minor_version(
    app: typer.Typer, settings: Settings, lake: Lake, tmp_path: Path
) -> None:
    append_to(lake, world_rows())
    everything, recipe = load_interactions(lake), recipe_of("als")
    save_bundle(tmp_path / "trained", recipe, fit(recipe, everything), everything, {})
    tracking.TrainingRun(settings, "train").register(tmp_path / "trained", PASSED, "f")
    append_to(lake, [(f"u{user:03d}", "new", "ben", Kind.FAVORITE, START + 100 * DAY) for user in range(3)])
    shown = run(app, "models", "freshen")
    assert shown.splitlines()[-1] == "version 2 is champion: minor version of 1: 1 new photo"


def test_models_challenge_puts_a_version_beside_the_champion_until_it_is_ended(
    app: typer.Typer, versions: list[str], settings: Settings
) -> None:
    shown = run(app, "models", "challenge", "1")
    assert shown.startswith("version 1 (als) challenges the champion: it ranks 0 % of the people's walls")
    assert tracking.version_named(settings, "challenger").is_challenging
    assert json.loads(run(app, "models", "challenge", "3", "--json"))["version"] == "3"
    assert run(app, "models", "challenge", "--off") == "version 3 (als) no longer challenges the champion\n"
    assert not any(version.is_challenging for version in tracking.list_versions(settings))


@pytest.mark.parametrize(
    ("arguments", "status"), [([], 2), (["1", "--off"], 2), (["2"], 2), (["9"], 3), (["--off"], 3)]
)
def test_models_challenge_refuses_what_makes_no_sense(
    app: typer.Typer, versions: list[str], arguments: list[str], status: int
) -> None:
    error, _ = failed(app, "models", "challenge", *arguments)
    assert (error.exit_status, error.field) == (status, "version")


def test_models_measure_shows_what_came_of_walls_and_compare_shows_it_too(
    app: typer.Typer, versions: list[str], lake: Lake
) -> None:
    assert run(app, "models", "measure").startswith("nothing to measure")
    at = datetime.now(UTC) - timedelta(days=3)
    lake.append(IMPRESSIONS, walls_of("2", 4, at))
    rows = rows_of(run(app, "models", "measure"))
    assert rows["photos shown"] == ["4"]
    assert rows["faved within a day"] == ["0.00% (0.00% – 48.99%)"]
    assert json.loads(run(app, "models", "measure", "--json"))["2"]["dismissal_rate"] == 0
    shown = run(app, "models", "compare", "champion", "challenger")
    assert rows_of(shown)["photos shown"] == ["4", "–"]
    assert "different days" not in shown
    lake.append(IMPRESSIONS, walls_of("3", 2, at + timedelta(days=1)))
    run(app, "models", "measure")
    assert "their walls are of different days" in run(app, "models", "compare", "champion", "challenger")


def walls_of(version: str, photos: int, at: datetime) -> pa.Table:
    """So many photos that this version showed to somebody."""
    seen = {"user_id": "12@N01", "rank": 0, "model_version": version, "variant": "", "shown_at": at}
    rows = [{**seen, "photo_id": str(photo), "created_timestamp": at} for photo in range(photos)]
    return pa.Table.from_pylist(rows, schema=IMPRESSIONS.schema)


def test_models_fetch_copies_a_bundle_into_a_new_folder(app: typer.Typer, versions: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "floor"
    assert run(app, "models", "fetch", "champion", str(folder)) == f"version 2 (als) is in {folder}\n"
    assert (folder / "manifest.json").read_text() == "{}"
    error, _ = failed(app, "models", "fetch", "champion", str(folder))
    assert (error.exit_status, error.field) == (2, "folder")


def test_models_alone_shows_what_there_is(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["models"])
    assert result.exit_code == 2
    assert all(
        command in result.output for command in ("list", "compare", "promote", "challenge", "measure", "freshen")
    )


def test_models_of_an_mlflow_that_fails_end_with_the_status_of_a_dependency(
    app: typer.Typer, settings: Settings
) -> None:
    (settings.home / "mlflow" / "mlflow.db").write_bytes(b"no database at all" * 100)
    error, _ = failed(app, "models", "list")
    assert isinstance(error, DependencyError)
    assert error.exit_status == 4


# compare


CUT = datetime(2026, 11, 11, tzinfo=UTC)


@pytest.fixture
def measured(app: typer.Typer, settings: Settings, tmp_path: Path) -> None:
    """A champion, and a challenger with more factors that was measured beside it."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    manifest = {"lake_versions": {"interactions": 17}, "data_until": 1_700_000_000, "n_users": 1234}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for decision, factors, metrics in (
        (PASSED, 64, {"als/ndcg_at_20": 0.5}),
        (FAILED, 128, {"als/ndcg_at_20": 0.18, "als/coverage_at_20": 0.3, "champion/ndcg_at_20": 0.2}),
    ):
        run = tracking.TrainingRun(settings, "train")
        recipes = {"als": Recipe("als", {"factors": factors, "seed": 0})}
        run.log_inputs(tracking.TrainingInputs(recipes, settings.lake_uri, (), CUT, CUT, 14.0, 0))
        run.log_metrics(metrics)
        run.tag("champion_version", "1" if decision is FAILED else "")
        run.register(folder, decision, "f")


def rows_of(shown: str) -> dict[str, list[str]]:
    """{first cell: the other cells} of all tables."""
    lines = [line.strip("┃│ ").replace("┃", "│").split("│") for line in shown.splitlines() if line[:1] in "┃│"]
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_models_compare_shows_two_versions_side_by_side(app: typer.Typer, measured: None) -> None:
    rows = rows_of(run(app, "models", "compare", "champion", "challenger"))
    assert rows["alias"] == ["champion", "challenger"]
    assert rows["gate"] == ["passed", "failed"]
    assert rows["reason"] == [PASSED.reason, FAILED.reason]
    assert rows["lake"] == ["interactions v17", "interactions v17"]
    assert rows["learned until"] == ["2023-11-14 22:13", "2023-11-14 22:13"]
    assert rows["users"] == ["1,234", "1,234"]
    assert rows["als.factors"] == ["64", "128"]
    assert "als.seed" not in rows
    assert rows["NDCG@20"] == ["0.2000", "0.1800", "-0.0200 (-10.0%)"]
    assert rows["Coverage@20"] == ["–", "0.3000", "–"]


def test_models_compare_json_is_the_comparison(app: typer.Typer, measured: None, settings: Settings) -> None:
    content = json.loads(run(app, "models", "compare", "1", "2", "--json"))
    assert content == json.loads(json.dumps(tracking.compare_versions(settings, "1", "2").as_dict()))
    assert content["parameters"] == {"als.factors": ["64", "128"]}


def test_models_compare_says_when_the_days_differ(app: typer.Typer, versions: list[str], settings: Settings) -> None:
    assert "measured on different held-out days" in run(app, "models", "compare", "1", "3")


def test_models_compare_of_the_same_days_says_nothing_of_them(app: typer.Typer, measured: None) -> None:
    assert "measured on different" not in run(app, "models", "compare", "1", "2")


def test_models_compare_of_an_unknown_version_ends_with_the_status_of_not_found(
    app: typer.Typer, versions: list[str]
) -> None:
    error, _ = failed(app, "models", "compare", "champion", "17")
    assert isinstance(error, NotFoundError)
    assert "no version '17'" in error.message
