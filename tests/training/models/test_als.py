"""ALS: fold-in against `implicit` and against a dense solve, and what favorites and dismissals do to taste."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import structlog
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features.settings import Settings
from tests.training.conftest import START, interactions_of, style_of
from training.confidence import signed_confidence
from training.interactions import Histories, History, Interactions
from training.models.als import ALS, confidence_matrix
from training.models.interface import reasons_of, scores_of
from training.models.recipes import Recipe, fit
from training.retrieval import top_rows


@pytest.fixture(scope="module")
def model(world: Interactions, recipe: Recipe) -> ALS:
    fitted = fit(recipe, world)
    assert isinstance(fitted, ALS)
    return fitted


@pytest.fixture(scope="module")
def styles(world: Interactions) -> NDArray[np.int64]:
    return np.array([style_of(photo_id) for photo_id in world.catalog.photo_ids])


def history(favorites: list[int], dismissed: list[int] | None = None) -> History:
    favored, refused = np.array(favorites, dtype=np.int64), np.array(dismissed or [], dtype=np.int64)
    at = START + 86_400 * 99
    return History.of(favored, np.full(len(favored), at), refused, np.full(len(refused), at))


def folded_in(model: ALS, what: History) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = model.fold_in(Histories.of([what]))[0]
    return vector


HISTORIES = [
    history([0]),
    history([1, 2, 3, 50]),
    history([1, 2], [3, 4, 5]),
    history(list(range(60)), list(range(70, 90))),
]


def confidences(model: ALS, what: History) -> NDArray[np.float32]:
    degree = int(what.positive.sum())
    return signed_confidence(model.weighting, what.photo_rows, what.times, what.positive, degree)


@pytest.mark.parametrize("what", HISTORIES)
def test_fold_in_equals_recalculate_user(model: ALS, what: History) -> None:
    bare = AlternatingLeastSquares(factors=8, regularization=model.regularization, alpha=1.0, num_threads=1)
    bare.item_factors = np.array(model.photo_factors)
    bare.user_factors = np.zeros((1, 8), dtype=np.float32)
    n = len(model.photo_factors)
    row = scipy.sparse.csr_matrix((confidences(model, what), what.photo_rows, [0, len(what.photo_rows)]), shape=(1, n))
    assert folded_in(model, what) == pytest.approx(bare.recalculate_user(0, row), abs=1e-4)


@pytest.mark.parametrize("what", HISTORIES)
def test_fold_in_equals_a_dense_solve_by_hand(model: ALS, what: History) -> None:
    factors = model.photo_factors.astype(np.float64)
    confidence, preference = np.ones(len(factors)), np.zeros(len(factors))
    values = confidences(model, what).astype(np.float64)
    confidence[what.photo_rows] = np.abs(values)
    preference[what.photo_rows] = values > 0
    left = factors.T @ np.diag(confidence) @ factors + model.regularization * np.eye(8)
    expected = np.linalg.solve(left, factors.T @ (confidence * preference))
    assert folded_in(model, what) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("what", HISTORIES)
def test_reasons_equal_what_implicit_explains(model: ALS, what: History) -> None:
    bare = AlternatingLeastSquares(factors=8, regularization=model.regularization, alpha=1.0)
    bare.item_factors = np.array(model.photo_factors)
    n = len(model.photo_factors)
    row = scipy.sparse.csr_matrix((confidences(model, what), what.photo_rows, [0, len(what.photo_rows)]), shape=(1, n))
    photos = np.array([100, 13])
    for photo, reasons in zip(photos, reasons_of(model, what, photos, 4), strict=True):
        _, explained, _ = bare.explain(0, row, photo, N=4)
        expected = [(int(item), float(score)) for item, score in explained if score > 0]
        assert [item for item, _ in reasons] == [item for item, _ in expected]
        assert [score for _, score in reasons] == pytest.approx([score for _, score in expected], abs=1e-4)


def test_a_user_of_the_training_set_folds_in_to_the_trained_vector(model: ALS, world: Interactions) -> None:
    assert model.user_factors is not None
    for user in (0, 11, 42):
        trained, folded = model.user_factors[user], folded_in(model, world.history(user))
        cosine = trained @ folded / np.linalg.norm(trained) / np.linalg.norm(folded)
        assert cosine > 0.99


def test_no_history_folds_in_to_zeros(model: ALS) -> None:
    assert (folded_in(model, history([])) == 0).all()


def test_each_user_gets_photos_of_the_style_liked(model: ALS, world: Interactions, styles: NDArray[np.int64]) -> None:
    shares = []
    for user in range(world.n_users):
        what = world.history(user)
        rows, _ = top_rows(scores_of(model, what), 10, what.photo_rows)
        shares.append((styles[rows] == user % 3).mean())
    assert np.mean(shares) > 0.9


@pytest.mark.parametrize("style", [0, 1, 2])
def test_a_favorite_raises_the_photo_and_its_style(model: ALS, styles: NDArray[np.int64], style: int) -> None:
    of_style, others = np.flatnonzero(styles == style), np.flatnonzero(styles != style)
    some = others[:6].tolist()
    before, after = scores_of(model, history(some)), scores_of(model, history([*some, int(of_style[0])]))
    assert after[of_style[0]] > before[of_style[0]]
    assert after[of_style[1:]].mean() > before[of_style[1:]].mean()


@pytest.mark.parametrize("style", [0, 1, 2])
def test_a_dismissal_lowers_the_photo_and_its_style(model: ALS, styles: NDArray[np.int64], style: int) -> None:
    of_style = np.flatnonzero(styles == style)
    liked, refused = [int(row) for row in of_style[:3]], int(of_style[5])
    before, after = scores_of(model, history(liked)), scores_of(model, history(liked, [refused]))
    assert after[refused] < before[refused]
    assert after[of_style[6:]].mean() < before[of_style[6:]].mean()


def test_dismissals_lower_a_photo_for_everybody_alike_in_training(recipe: Recipe) -> None:
    liked = {f"u{n}": ["a", "b", "c" if n % 2 else "d"] for n in range(8)}
    without = fit(recipe, interactions_of(liked))
    refused = {f"u{n}": ["d"] for n in range(1, 8, 2)}
    with_dismissals = fit(recipe, interactions_of(liked, dismissed=refused))
    interactions = interactions_of(liked)
    row = int(interactions.catalog.rows(["d"])[0])
    ab = history(interactions.catalog.rows(["a", "b"]).tolist())
    assert scores_of(with_dismissals, ab)[row] < scores_of(without, ab)[row]


def test_alpha_makes_favorites_count_more(world: Interactions, recipe: Recipe) -> None:
    weak, strong = (fit(recipe.changed(alpha=alpha), world) for alpha in (0.1, 50.0))
    favorites = world.history(0).favorites
    assert scores_of(strong, world.history(0))[favorites].mean() > scores_of(weak, world.history(0))[favorites].mean()


def test_another_seed_gives_other_factors(world: Interactions, recipe: Recipe, model: ALS) -> None:
    other = fit(recipe.changed(seed=1), world)
    assert isinstance(other, ALS)
    assert not np.allclose(other.photo_factors, model.photo_factors)


def test_the_matrix_has_a_row_for_each_user(world: Interactions, model: ALS) -> None:
    matrix = confidence_matrix(world, model.weighting)
    assert matrix.shape == (world.n_users, world.n_photos)
    assert matrix.nnz == len(world.favorites)


def test_user_factors_are_kept_with_their_users(model: ALS, world: Interactions, tmp_path: Path) -> None:
    model.save(tmp_path)
    assert pq.read_table(tmp_path / "users.parquet").column("user_id").to_pylist() == world.user_ids.tolist()
    assert np.load(tmp_path / "user_factors.npy").shape == (world.n_users, 8)


@pytest.mark.skipif("PHOTO_RECOMMENDER_DATA" not in os.environ, reason="needs the sample sets (PHOTO_RECOMMENDER_DATA)")
def test_the_defaults_beat_popularity_on_real_favorites() -> None:
    """The real sample is so sparse that careless settings fall below popularity; without times or owners."""
    from training.from_lake import Split

    folder = Path(os.environ["PHOTO_RECOMMENDER_DATA"]) / "flickr"
    pairs = pq.read_table(folder / "favorites.parquet").to_pandas().to_numpy()
    held_out = np.random.default_rng(0).random(len(pairs)) < 0.1
    train = interactions_of_pairs(pairs[~held_out])
    users = {user_id: row for row, user_id in enumerate(train.user_ids)}
    test: dict[int, list[int]] = {}
    for (user, _), photo in zip(
        pairs[held_out], train.catalog.rows([str(p) for p in pairs[held_out][:, 1]]), strict=True
    ):
        if str(user) in users and photo >= 0:
            test.setdefault(users[str(user)], []).append(int(photo))
    chosen = sorted(test)[::4]
    split = Split(
        START, train, np.array(chosen, dtype=np.int32), [np.array(test[user], dtype=np.int32) for user in chosen], 1.0
    )
    from training.evaluation.holdout import evaluate

    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    models = {kind: fit(Recipe.from_settings(settings, kind), train) for kind in ("als", "popularity")}
    found = evaluate(models, split)
    assert found["als"].ndcg.mean() > 1.2 * found["popularity"].ndcg.mean()


def interactions_of_pairs(pairs: NDArray[np.int64]) -> Interactions:
    liked: dict[str, list[str]] = {}
    for user, photo in pairs.tolist():
        liked.setdefault(str(user), []).append(str(photo))
    return interactions_of(liked)


def test_many_users_fold_in_together_as_each_does_alone(model: ALS) -> None:
    together = model.fold_in(Histories.of([*HISTORIES, history([])]))
    for what, vector in zip([*HISTORIES, history([])], together, strict=True):
        assert vector == pytest.approx(folded_in(model, what), abs=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_same_seed_gives_the_same_factors_however_many_threads_there_are(
    world: Interactions, recipe: Recipe, model: ALS, threads: int
) -> None:
    with threadpool_limits(threads, "openmp"):
        again = fit(recipe, world)
    assert isinstance(again, ALS)
    np.testing.assert_array_equal(again.photo_factors, model.photo_factors)


def test_a_watched_fit_stops_with_what_so_many_iterations_make(world: Interactions, recipe: Recipe) -> None:
    seen: list[int] = []
    stopped = fit(recipe, world, watch=lambda done, so_far: not seen.append(done) and done >= 6, watch_every=3)  # type: ignore[func-returns-value]
    short = fit(recipe.changed(iterations=6), world)
    assert seen == [3, 6]
    assert isinstance(stopped, ALS) and isinstance(short, ALS)
    np.testing.assert_array_equal(stopped.photo_factors, short.photo_factors)


def test_the_training_loss_falls_with_every_iteration(world: Interactions, recipe: Recipe) -> None:
    seen: list[tuple[int, float, float]] = []
    fit(recipe, world, on_iteration=lambda *one: seen.append(one))
    numbers, losses, seconds = zip(*seen, strict=True)
    assert numbers == tuple(range(1, 11))
    assert list(losses) == sorted(losses, reverse=True)
    assert all(one > 0 for one in seconds)


def test_without_a_gpu_the_processor_trains_and_the_log_says_so(
    world: Interactions, recipe: Recipe, model: ALS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("implicit.gpu.HAS_CUDA", False)
    wanted = Recipe.from_settings(Settings(als_gpu=True, _env_file=None), "als")  # type: ignore[call-arg]
    with structlog.testing.capture_logs() as logged:
        fitted = fit(recipe.changed(use_gpu=wanted.parameters["use_gpu"]), world)
    assert isinstance(fitted, ALS)
    np.testing.assert_array_equal(fitted.photo_factors, model.photo_factors)
    assert [line["event"] for line in logged] == ["no GPU for ALS: training on the processor"]
