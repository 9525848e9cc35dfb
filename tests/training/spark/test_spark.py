"""Spark as the engine of ALS: the same model in the same bundle, from the same lake. One session serves all tests."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.errors import ConfigurationError, DependencyError
from features.lake import open_lake
from features.settings import Settings
from pipelines.train.job import train
from tests.training.conftest import DAY, START, append_to, give_mlflow, interactions_of, world_rows
from training import tracking
from training.bundle import load_bundle
from training.confidence import Weighting, fit_weighting
from training.evaluation.dataset import load_dataset
from training.from_lake import utc
from training.interactions import Interactions
from training.models.als import ALS, confidence_matrix
from training.models.recipes import Recipe, fit
from training.spark import alternation, mllib, session, staging
from training.tuning.search import search_als

WEIGHTS = {"alpha": 10.0, "alpha_dismissal": 20.0, "half_life_days": 365.0, "degree_exponent": 0.35}
SMALL = {"factors": 4, "regularization": 0.1, "iterations": 3, "seed": 0, "blocks": 2}


@pytest.fixture(scope="module")
def spark() -> Iterator[Settings]:
    """Settings with a session, which all tests here share; where there is no Spark they are skipped."""
    pytest.importorskip("pyspark", reason="pyspark is not installed (`make setup` installs it)")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed (`make packages` installs it)")
    settings = Settings(spark_master="local[2]", spark_memory="1g", _env_file=None)  # type: ignore[call-arg]
    opened = session.spark_session(settings)
    opened.conf.set("spark.sql.shuffle.partitions", "1")
    yield settings
    opened.stop()


@pytest.fixture(scope="module")
def disliking() -> Interactions:
    """Two tastes of a few photos each, and everybody dismissed a photo of the other."""
    tastes = [[f"{taste}{n}" for n in range(8)] for taste in "ab"]
    liked = {f"u{user:02d}": [p for n, p in enumerate(tastes[user % 2]) if (n + user) % 4] for user in range(12)}
    return interactions_of(liked, dismissed={user: [tastes[1 - int(user[1:]) % 2][0]] for user in liked})


@pytest.fixture(scope="module")
def weighting(disliking: Interactions) -> Weighting:
    return fit_weighting(disliking, **WEIGHTS)


@pytest.fixture(scope="module")
def by_mllib(spark: Settings, disliking: Interactions, weighting: Weighting) -> ALS:
    return mllib.fit_als(disliking, weighting, settings=spark, **SMALL)


def test_executors_fit_what_implicit_fits(spark: Settings, disliking: Interactions, weighting: Weighting) -> None:
    """To the optimum, as one solves each step exactly and the other nearly: the same scores, dismissals included."""
    parameters = {**SMALL, "regularization": 2.0, "iterations": 12}
    found = alternation.fit_als(disliking, weighting, settings=spark, **parameters)
    parameters.pop("blocks")
    expected = ALS.fit(disliking, **parameters, **WEIGHTS)
    assert found.user_factors is not None
    assert expected.user_factors is not None
    np.testing.assert_allclose(
        found.user_factors @ found.photo_factors.T, expected.user_factors @ expected.photo_factors.T, atol=0.02
    )
    assert (found.regularization, found.weighting.alpha) == (expected.regularization, expected.weighting.alpha)


def test_the_number_of_blocks_changes_nothing(spark: Settings, disliking: Interactions, weighting: Weighting) -> None:
    once = {**SMALL, "iterations": 1}
    one, other = (
        alternation.fit_als(disliking, weighting, settings=spark, **{**once, "blocks": blocks}) for blocks in (1, 5)
    )
    np.testing.assert_allclose(one.photo_factors, other.photo_factors, rtol=1e-4, atol=1e-6)


@given(
    arrays.arrays(
        np.float32,
        st.integers(1, 20),
        elements=st.floats(1.0, 1e6, width=32).flatmap(lambda strength: st.sampled_from([strength, -strength])),
    )
)
def test_mllib_makes_the_same_confidences_of_its_ratings(confidence: np.ndarray) -> None:
    found = mllib.ratings(confidence)
    np.testing.assert_allclose(1.0 + np.abs(found.astype(np.float64)), np.abs(confidence), rtol=1e-6)
    np.testing.assert_array_equal(found > 0, confidence > 0)  # its preference


def test_each_user_has_the_vector_that_the_confidences_and_the_photos_ask_for(
    disliking: Interactions, weighting: Weighting, by_mllib: ALS
) -> None:
    """Spark's last step, computed densely: (YᵀY + λ·n·I + Σ (|c| − 1) y yᵀ) x = Σ over favorites of c·y."""
    photos = by_mllib.photo_factors.astype(np.float64)
    confidence = confidence_matrix(disliking, weighting).toarray().astype(np.float64)
    assert (confidence < 0).any()
    assert by_mllib.user_factors is not None
    for row, found in zip(confidence, by_mllib.user_factors, strict=True):
        strength = np.where(row == 0, 0.0, np.abs(row) - 1.0)
        ridge = SMALL["regularization"] * (row > 0).sum() * np.eye(photos.shape[1])
        system = photos.T @ photos + ridge + (photos.T * strength) @ photos
        np.testing.assert_allclose(found, np.linalg.solve(system, photos.T @ np.maximum(row, 0.0)), atol=1e-4)


def test_fold_in_ranks_as_the_vectors_of_training_do(disliking: Interactions, by_mllib: ALS) -> None:
    folded = by_mllib.fold_in(disliking.histories(np.arange(disliking.n_users)))
    assert by_mllib.user_factors is not None
    for mine, trained in zip(folded, by_mllib.user_factors, strict=True):
        assert np.corrcoef(by_mllib.photo_factors @ mine, by_mllib.photo_factors @ trained)[0, 1] > 0.99


def test_the_same_seed_gives_the_same_factors_but_for_rounding(
    spark: Settings, disliking: Interactions, weighting: Weighting, by_mllib: ALS
) -> None:
    again = mllib.fit_als(disliking, weighting, settings=spark, **SMALL)
    np.testing.assert_allclose(again.photo_factors, by_mllib.photo_factors, atol=1e-4)
    other = mllib.fit_als(disliking, weighting, settings=spark, **{**SMALL, "seed": 1})
    assert not np.allclose(other.photo_factors, by_mllib.photo_factors, atol=1e-2)


def test_a_training_on_spark_passes_the_same_gate_into_the_same_bundle(
    spark: Settings, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    give_mlflow(settings, tmp_path_factory.getbasetemp())
    small = {"als_factors": 8, "als_iterations": 5, "als_regularization": 1.0, "train_blend": False}
    settings = settings.model_copy(update={**small, "als_engine": "spark", "spark_blocks": 2})
    strangers = [(user, photo, f"owner {owner}", kind, at) for user, photo, owner, kind, at in world_rows()]
    append_to(open_lake(settings), strangers)  # the neighbor score would win otherwise
    trained = train(settings, None, utc(START + 100 * DAY))
    assert (trained.problems, trained.passed, trained.kind) == ([], True, "als")
    assert trained.metrics["als"]["ndcg_at_20"] > 1.5 * trained.metrics["popularity"]["ndcg_at_20"]
    version = tracking.list_versions(settings)[0]
    bundle = load_bundle(tracking.bundle_folder(settings, version), version.version)
    assert isinstance(bundle.model, ALS)
    assert bundle.manifest["training"]["parameters"]["engine"] == "spark"
    assert bundle.model.photo_factors.shape == (len(bundle.photo_ids), 8)


def test_a_recipe_names_the_engine_only_where_it_is_another(settings: Settings) -> None:
    assert "engine" not in Recipe.from_settings(settings, "als").parameters
    other = settings.model_copy(update={"als_engine": "mllib", "mllib_regularization": 0.7, "spark_blocks": 3})
    parameters = Recipe.from_settings(other, "als").parameters
    assert [parameters[name] for name in ("engine", "regularization", "blocks")] == ["mllib", 0.7, 3]


@pytest.mark.parametrize("engine", ["spark", "mllib"])
def test_a_search_on_spark_keeps_the_iterations_of_the_settings(spark: Settings, engine: str, tmp_path: Path) -> None:
    rows = [f"u{user}\tp{photo}" for user in range(12) for photo in range(8) if (user + photo) % 3]
    for name, part in (("train", rows[::2]), ("test", rows[1::2])):
        (tmp_path / f"{name}.tsv").write_text("\n".join(["user\titem", *part]) + "\n")
    holdout = load_dataset(tmp_path / "train.tsv", tmp_path / "test.tsv").tuning
    start = Recipe.from_settings(spark.model_copy(update={"als_engine": engine, "als_iterations": 2}), "als")
    found = search_als(start.changed(factors=4, blocks=2), holdout, trials=1, factors_max=4, has_times=False, seed=0)
    parameters = found.recipe.parameters
    assert (parameters["engine"], parameters["iterations"]) == (engine, 2)


def test_without_pyspark_it_says_what_to_install(
    settings: Settings, disliking: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.errors", None)
    recipe = Recipe.from_settings(settings.model_copy(update={"als_engine": "spark"}), "als")
    with pytest.raises(ConfigurationError, match=r"photo-recommender\[spark\]"):
        fit(recipe, disliking)


def test_what_fails_in_spark_is_a_failed_dependency(spark: Settings, tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match="nowhere"), session.spark_errors():
        session.spark_session(spark).read.parquet(str(tmp_path / "nowhere"))


class OfCluster:
    """Of a session only what tells where it runs."""

    class sparkContext:  # noqa: N801
        master = "yarn"


def test_a_cluster_is_handed_tables_below_the_lake_and_nothing_stays(tmp_path: Path) -> None:
    with staging.staging(OfCluster, str(tmp_path)) as place:  # type: ignore[arg-type]
        path = place.write("rows", pa.table({"a": [1]}))
        assert path == f"file://{tmp_path}/staging/{Path(place.uri).name}/rows.parquet"
        assert Path(place.uri).is_dir()
    assert list((tmp_path / "staging").iterdir()) == []


def test_what_a_killed_training_left_below_the_lake_goes_after_a_day(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old, young = (staging.new_version(now - timedelta(hours=hours)) for hours in (25, 1))
    for name in (old, young):
        (tmp_path / "staging" / name).mkdir(parents=True)
    with staging.staging(OfCluster, str(tmp_path)):  # type: ignore[arg-type]
        assert {folder.name for folder in (tmp_path / "staging").iterdir()} == {young}
