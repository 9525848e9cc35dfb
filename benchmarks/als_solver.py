"""Whether another solver of the same model would be better: irspack's iALS, regularization scaled by frequency.

Both get the same factors, first trial, number of trials and looks at validation. What is chosen by one half of the
validation users is compared on the other, and the reverse, over starts that were not searched with: on sparse data one
start can be a fifth better than the next. irspack is no dependency: install it where this runs
(`uv pip install --target FOLDER irspack==0.5.2`, and FOLDER in PYTHONPATH).
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from _reporting import finish
from numpy.typing import NDArray

from features.settings import Settings
from training.catalog import row_of_each
from training.confidence import Weighting, fit_weighting, signed_confidence
from training.evaluation.dataset import Holdout, load_dataset
from training.evaluation.measures import full_metrics, with_intervals
from training.evaluation.ranking import rank
from training.interactions import Histories, Interactions
from training.models.als import confidence_matrix
from training.models.interface import Scorer
from training.models.recipes import Recipe, fit
from training.tuning.search import CHECK_EVERY, ITERATIONS_MAX, PATIENCE, validation_ndcg

try:
    from irspack.recommenders import _ials_core as core
except ImportError:
    core = None

FACTORS, TRIALS, SEED = 64, 25, 0
COMPARED = (1, 2, 3, 4, 5)
"""The seeds over which the two are compared."""

Watch = Callable[[int, Scorer], bool]
Fit = Callable[[Interactions, dict[str, float], int, int, Watch | None], Scorer]
Suggest = Callable[[optuna.Trial], dict[str, float]]


@dataclass(frozen=True)
class FrequencyScaled:
    """irspack's trained solver as a scorer; users are folded in exactly (Cholesky), as ours are."""

    trainer: Any
    weighting: Weighting

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        degrees = histories.degrees[histories.users]
        values = signed_confidence(self.weighting, histories.photo_rows, histories.times, histories.positive, degrees)
        matrix = histories.matrix(values - 1.0, len(self.weighting.photo_degrees)).astype(np.float32)
        users = self.trainer.transform_user(matrix, _solver("CHOLESKY", 1))
        result: NDArray[np.float32] = users @ self.trainer.item.T
        return result


def _solver(kind: str, threads: int) -> Any:
    return (
        core.IALSSolverConfigBuilder()
        .set_n_threads(threads)
        .set_solver_type(getattr(core.SolverType, kind))
        .set_max_cg_steps(3)
        .build()
    )


def fit_irspack(
    train: Interactions, parameters: dict[str, float], iterations: int, seed: int, watch: Watch | None
) -> Scorer:
    """Rendle et al. 2021 ("Revisiting the Performance of iALS"): α₀ for what is unobserved, λ(degree + α₀·n)^ν."""
    weighting = fit_weighting(
        train,
        alpha=1.0,
        alpha_dismissal=1.0,
        half_life_days=365.0,
        degree_exponent=parameters["degree_exponent"],
    )
    matrix = confidence_matrix(train, weighting)
    matrix.data -= 1.0
    alpha0, nu = parameters["alpha0"], parameters["nu"]
    # λ is searched as it would be with ν = 1, so that one range fits every ν.
    sums = [sum(float(((degrees + alpha0 * n) ** power).sum()) for degrees, n in _sides(train)) for power in (1.0, nu)]
    config = (
        core.IALSModelConfigBuilder()
        .set_K(FACTORS)
        .set_init_stdev(0.1)
        .set_alpha0(alpha0)
        .set_reg(parameters["regularization"] * sums[0] / sums[1])
        .set_nu(nu)
        .set_loss_type(core.LossType.IALSPP)
        .set_random_seed(seed)
        .build()
    )
    trainer = core.IALSTrainer(config, matrix)
    model = FrequencyScaled(trainer, weighting)
    for done in range(1, iterations + 1):
        trainer.step(_solver("CG", os.cpu_count() or 1))
        looks = done % CHECK_EVERY == 0 or done == iterations
        if watch is not None and looks and watch(done, model):
            break
    return model


def _sides(train: Interactions) -> tuple[tuple[NDArray[np.int64], int], ...]:
    return (train.user_degrees, train.n_photos), (train.photo_degrees, train.n_users)


def suggest_irspack(trial: optuna.Trial) -> dict[str, float]:
    return {
        "alpha0": trial.suggest_float("alpha0", 0.005, 1.0, log=True),
        "regularization": trial.suggest_float("regularization", 1e-5, 1e-1, log=True),
        "nu": trial.suggest_float("nu", 0.0, 1.0),
        "degree_exponent": trial.suggest_float("degree_exponent", 0.0, 0.7),
    }


def fit_implicit(
    train: Interactions, parameters: dict[str, float], iterations: int, seed: int, watch: Watch | None
) -> Scorer:
    start = Recipe.from_settings(Settings(_env_file=None), "als")  # type: ignore[call-arg]
    recipe = start.changed(**parameters, factors=FACTORS, iterations=iterations, seed=seed)
    return fit(recipe, train) if watch is None else fit(recipe, train, watch=watch, watch_every=CHECK_EVERY)


def suggest_implicit(trial: optuna.Trial) -> dict[str, float]:
    return {
        "alpha": trial.suggest_float("alpha", 1.0, 200.0, log=True),
        "regularization": trial.suggest_float("regularization", 0.1, 300.0, log=True),
        "degree_exponent": trial.suggest_float("degree_exponent", 0.0, 0.7),
    }


STARTS: dict[str, dict[str, float]] = {
    "implicit": {"alpha": 4.0, "regularization": 5.0, "degree_exponent": 0.35},
    "irspack": {"alpha0": 0.25, "regularization": 0.0011, "nu": 0.0, "degree_exponent": 0.35},
}
"""The first trial of each: our defaults, and what they are in the other's terms on this data set."""

SOLVERS: dict[str, tuple[Fit, Suggest]] = {
    "implicit": (fit_implicit, suggest_implicit),
    "irspack": (fit_irspack, suggest_irspack),
}


def part_of(holdout: Holdout, chosen: NDArray[np.int64]) -> Holdout:
    """The hold-out of some of its users."""
    rows = row_of_each(holdout.train.user_ids, holdout.user_ids[chosen])
    return replace(
        holdout,
        user_ids=holdout.user_ids[chosen],
        histories=holdout.train.histories(rows),
        relevant_rows=[holdout.relevant_rows[user] for user in chosen],
        relevant=holdout.relevant[chosen],
        hidden=[holdout.hidden[user] for user in chosen],
        absent_users=np.empty(0, dtype=np.int64),
        absent_items=np.empty(0, dtype=object),
    )


def search(name: str, holdout: Holdout) -> dict[str, Any]:
    """The best of TRIALS tries by NDCG@20 on the hold-out, the number of iterations among what is chosen."""
    fit_one, suggest = SOLVERS[name]
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED))
    study.enqueue_trial(STARTS[name])
    for _ in range(TRIALS):
        trial = study.ask()
        parameters, steps = suggest(trial), []

        def watch(done: int, model: Scorer, steps: list[tuple[float, int]] = steps) -> bool:
            steps.append((validation_ndcg(model, holdout), -done))
            return steps.index(max(steps)) < len(steps) - PATIENCE

        fit_one(holdout.train, parameters, ITERATIONS_MAX, SEED, watch)
        value, iterations = max(steps)
        trial.set_user_attr("found", {"parameters": parameters, "iterations": -iterations, "ndcg_at_20": value})
        study.tell(trial, value)
    return dict(study.best_trial.user_attrs["found"])


def measure(name: str, chosen_on: Holdout, compared_on: Holdout) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """What was chosen, with seconds; and NDCG@20 of each user of the other half, the mean of the seeds."""
    began = time.monotonic()
    found = search(name, chosen_on)
    found["search_seconds"] = round(time.monotonic() - began, 1)
    return compared(name, found, compared_on)


def compared(name: str, found: dict[str, Any], on: Holdout) -> tuple[dict[str, Any], NDArray[np.float64]]:
    values, seconds = [], 0.0
    for seed in COMPARED:
        began = time.monotonic()
        model = SOLVERS[name][0](on.train, found["parameters"], found["iterations"], seed, None)
        seconds += time.monotonic() - began
        ranked = rank(model, on.histories, on.n_photos, on.hidden, 20)
        values.append(full_metrics(ranked, on, (20,))["ndcg_at_20"])
    found["seconds_per_iteration"] = round(seconds / len(COMPARED) / found["iterations"], 3)
    found["ndcg_at_20_of_the_others"] = [round(float(value.mean()), 5) for value in values]
    print(f"{name}: {found}", file=sys.stderr, flush=True)
    mean: NDArray[np.float64] = np.mean(values, axis=0)
    return found, mean


def main() -> None:
    data = os.environ.get("PHOTO_RECOMMENDER_DATA")
    if not data:
        raise SystemExit("als_solver needs the data sets: set PHOTO_RECOMMENDER_DATA to their folder")
    if core is None:
        raise SystemExit("als_solver needs irspack: uv pip install --target FOLDER irspack==0.5.2; PYTHONPATH=FOLDER")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    files = (Path(data) / "yelp" / f"{part}.parquet" for part in ("train", "test", "val"))
    holdout = load_dataset(*files).tuning
    halves = np.array_split(np.random.default_rng(SEED).permutation(len(holdout)), 2)
    parts = [part_of(holdout, np.sort(half)) for half in halves]
    chosen: dict[str, list[dict[str, Any]]] = {name: [] for name in SOLVERS}
    values: dict[str, list[NDArray[np.float64]]] = {name: [] for name in SOLVERS}
    for one, other in (parts, parts[::-1]):
        for name in SOLVERS:
            found, ndcg = measure(name, one, other)
            chosen[name].append(found)
            values[name].append(ndcg)
    ndcgs = {name: np.concatenate(found) for name, found in values.items()}
    intervals = with_intervals({**ndcgs, "irspack − implicit": ndcgs["irspack"] - ndcgs["implicit"]}, SEED)
    ratio = float(ndcgs["implicit"].mean() / ndcgs["irspack"].mean())
    # implicit stays while irspack is not ahead by more than chance.
    ok = intervals["irspack − implicit"]["low"] <= 0
    details = {"ndcg_at_20": intervals, "chosen": chosen, "factors": FACTORS, "trials": TRIALS, "users": len(holdout)}
    finish("als_solver", ratio, "NDCG@20 of implicit ÷ irspack", "higher", 1.0, details, ok=ok)


if __name__ == "__main__":
    main()
