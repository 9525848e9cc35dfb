"""`photo-recommender evaluate`: from files to the best model of each kind, and lists that anybody can check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from features.errors import InvalidInputError
from photo_recommender import app

MODELS = {
    "popularity",
    "user_knn",
    "item_knn",
    "local_ease",
    "low_pass",
    "exact_ease",
    "als",
    "contact_vectors",
    "contact_favorites",
    "blend",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 users who like one of three kinds of items, 90 items; ids are numbers, one of them a large one."""
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    pairs = np.array([(user, item) for user in range(150) for item in rng.choice(30, 14, replace=False)])
    pairs[:, 1] = pairs[:, 1] * 3 + pairs[:, 0] % 3
    pairs[pairs[:, 1] == 4, 1] = 10_000_000
    last = np.arange(len(pairs)) % 14
    for name, part in (("train", last < 10), ("test", last >= 12), ("validation", (last >= 10) & (last < 12))):
        columns = {"user_id": pairs[part, 0], "item_id": pairs[part, 1].astype(np.int32)}
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    follows = [(user, (user + 3 * step) % 150) for user in range(150) for step in (1, 2)]
    lines = [f"{follower},{followed}" for follower, followed in follows]
    (folder / "contacts.csv").write_text("\n".join(["user_id,contact_id", *lines]) + "\n")
    return folder


def run(files: Path, *arguments: str) -> str:
    parts = [f"--{name}={files / name}.parquet" for name in ("train", "test", "validation")]
    found = CliRunner().invoke(app, ["evaluate", *parts, *arguments], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.fixture(scope="module")
def result(files: Path) -> dict[str, Any]:
    contacts, lists = f"--contacts={files / 'contacts.csv'}", f"--lists={files / 'lists.parquet'}"
    printed = run(files, contacts, lists, "--negatives=20", "--tune=3", "--factors-max=8", "--k=5,10", "--json")
    answer: dict[str, Any] = json.loads(printed)
    return answer


def test_every_model_is_measured_in_full_and_among_negatives(result: dict[str, Any]) -> None:
    assert set(result["models"]) == MODELS
    for measured in result["models"].values():
        for kind in ("full", "sampled"):
            for metric in ("recall", "ndcg", "hr", "map", "mrr"):
                one = measured[kind][f"{metric}_at_10"]
                assert 0 <= one["low"] <= one["mean"] <= one["high"] <= 1
        assert {"coverage_at_10", "novelty_at_10", "diversity_at_10"} == set(measured["lists"])
        assert sum(segment["users"] for segment in measured["segments"]) == result["counts"]["test_users"] == 150


def test_taste_is_found_where_there_is_one(result: dict[str, Any]) -> None:
    recall = {name: measured["full"]["recall_at_10"]["mean"] for name, measured in result["models"].items()}
    assert recall["als"] > 1.5 * recall["popularity"]
    assert recall[result["chosen"]] > 1.5 * recall["popularity"]
    assert result["recipes"]["als"]["parameters"]["factors"] <= 8


def test_what_could_never_be_served_is_a_ceiling_only(result: dict[str, Any]) -> None:
    assert "exact_ease" in result["models"]
    assert "exact_ease" not in result["blend"]
    assert result["chosen"] != "exact_ease"


def test_the_lists_give_the_recall_that_is_printed(files: Path, result: dict[str, Any]) -> None:
    lists, test, train = (pq.read_table(files / f"{name}.parquet").to_pandas() for name in ("lists", "test", "train"))
    assert lists["item"].dtype == np.int32
    wanted = set(zip(test["user_id"], test["item_id"], strict=True))
    assert not set(zip(lists["user"], lists["item"], strict=True)) & set(
        zip(train["user_id"], train["item_id"], strict=True)
    )
    first = lists[lists["rank"] <= 10]
    hits = [pair in wanted for pair in zip(first["user"], first["item"], strict=True)]
    found = first[hits].groupby("user").size().reindex(test["user_id"].unique(), fill_value=0)
    recall = (found / test.groupby("user_id").size()).mean()
    assert recall == pytest.approx(result["models"][result["chosen"]]["full"]["recall_at_10"]["mean"])


def test_the_same_seed_gives_the_same_result(files: Path) -> None:
    first, again = (json.loads(run(files, "--negatives=20", "--json")) for _ in range(2))
    for result in (first, again):
        for measured in result["models"].values():
            del measured["latency_ms"]  # of the clock
    assert first == again


def test_a_search_that_is_kept_in_a_file_is_not_made_again(files: Path, tmp_path: Path) -> None:
    search = ("--tune=2", "--minutes=10", f"--storage={tmp_path / 'als.journal'}", "--factors-max=8", "--json")
    recipe = json.loads(run(files, *search))["recipes"]["als"]
    before = (tmp_path / "als.journal").read_text()
    assert json.loads(run(files, *search))["recipes"]["als"] == recipe
    assert (tmp_path / "als.journal").read_text().count('"trial_id"') == before.count('"trial_id"') > 2


def test_lists_of_one_have_no_diversity(files: Path) -> None:
    measured = json.loads(run(files, "--k=1", "--json"))["models"]["als"]
    assert set(measured["lists"]) == {"coverage_at_1", "novelty_at_1"}


def test_people_see_a_table(files: Path) -> None:
    printed = run(files)
    assert "NDCG@20" in printed
    assert "is best on validation" in printed


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ("--k=0", "k"),
        ("--k=ten", "k"),
        ("--negatives=0", "negatives"),
        ("--negatives=nowhere.parquet", "negatives"),
        ("--contacts=nowhere.csv", "contacts"),
        ("--minutes=5", "minutes"),
        ("--storage=als.journal", "storage"),
    ],
)
def test_bad_input_names_its_option(files: Path, argument: str, field: str) -> None:
    with pytest.raises(InvalidInputError) as raised:
        run(files, argument)
    assert raised.value.field == field
