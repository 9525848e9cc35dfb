"""Blends: weights that the validation favorites make most likely."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.training.conftest import recipe_of, world_rows
from training.evaluation.dataset import Dataset, load_dataset
from training.interactions import Histories
from training.models.popularity import Popularity
from training.models.recipes import fit
from training.tuning.blending import Sampled, learn_blend, most_likely_weights


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Users with one main style of three: three favorites in four to learn from, the others to be found."""
    folder = tmp_path_factory.mktemp("styles")
    rows = world_rows(users=90)
    for place, name in enumerate(("train", "test")):
        part = [row for at, row in enumerate(rows) if (at % 4 == 3) == bool(place)]
        lines = [f"{user}\t{photo}" for user, photo, *_ in part]
        (folder / f"{name}.tsv").write_text("\n".join(["user\titem", *lines]) + "\n")
    return load_dataset(folder / "train.tsv", folder / "test.tsv")


def noise(dataset: Dataset, seed: int) -> Popularity:
    """Scores that know nothing of anybody, the same for all."""
    rng = np.random.default_rng(seed)
    return Popularity(rng.normal(size=dataset.tuning.n_photos).astype(np.float32))


def test_a_model_that_knows_the_taste_outweighs_noise(dataset: Dataset) -> None:
    als = fit(recipe_of("als"), dataset.tuning.train)
    weights, _ = learn_blend({"als": als, "noise": noise(dataset, 1)}, dataset.tuning, seed=0)
    assert weights["als"] > 10 * weights.get("noise", 0.0)


def test_a_model_that_says_the_opposite_is_left_out(dataset: Dataset) -> None:
    als = fit(recipe_of("als"), dataset.tuning.train)

    class Opposite:
        def scores(self, histories: Histories) -> NDArray[np.float32]:
            return -als.scores(histories)

    weights, units = learn_blend({"als": als, "opposite": Opposite()}, dataset.tuning, seed=0)
    assert set(weights) == set(units) == {"als"}


def test_units_make_weights_independent_of_a_models_scale(dataset: Dataset) -> None:
    scores = noise(dataset, 1).photo_scores
    als = fit(recipe_of("als"), dataset.tuning.train)
    scaled = (Popularity(scores * np.float32(scale)) for scale in (1.0, 1_000.0))
    found = [learn_blend({"als": als, "fixed": fixed}, dataset.tuning, seed=0)[0] for fixed in scaled]
    assert found[0] == pytest.approx(found[1], rel=1e-2, abs=1e-3)


def test_the_same_seed_learns_the_same_blend(dataset: Dataset) -> None:
    models = {"als": fit(recipe_of("als"), dataset.tuning.train), "noise": noise(dataset, 2)}
    assert learn_blend(models, dataset.tuning, seed=3) == learn_blend(models, dataset.tuning, seed=3)


def test_weights_are_the_maximum_of_the_likelihood() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([1.5, 0.5])
    scores = rng.normal(size=(2, 4_000, 30)).astype(np.float32)
    chosen = (np.tensordot(truth, scores, 1) + rng.gumbel(size=(4_000, 30))).argmax(axis=1)
    relevant = np.arange(30) == chosen[:, None]
    sampled = Sampled(scores, np.ones(2), relevant, np.ones((4_000, 30), dtype=bool))
    assert most_likely_weights(sampled) == pytest.approx(truth, abs=0.1)
