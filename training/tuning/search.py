"""The search for ALS's settings: Optuna's TPE over confidence and regularization together, by validation NDCG@20.

How strong regularization must be depends on α and on the weighting, so none of them is searched alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna

from training.evaluation import metrics
from training.evaluation.numbering import Holdout
from training.evaluation.ranking import rank
from training.models.interface import Scorer
from training.models.recipes import Recipe, fit

K = 20


def validation_ndcg(model: Scorer, holdout: Holdout) -> float:
    """Mean NDCG@20 over the users of the hold-out, all photos ranked."""
    rows = rank(model, holdout.histories, holdout.n_photos, holdout.hidden, K).rows
    hits = np.array([np.isin(listed, found) for listed, found in zip(rows, holdout.relevant_rows, strict=True)])
    return float(metrics.ndcg(hits, holdout.relevant).mean())


def search_als(
    start: Recipe,
    holdout: Holdout,
    *,
    trials: int,
    factors_max: int,
    has_times: bool,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Recipe:
    """The best recipe of `trials` tries, the first of which is `start`. `progress` gets (tried, trials)."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    searched = ("factors", "alpha", "regularization", "degree_exponent", *(("half_life_days",) if has_times else ()))
    study.enqueue_trial({name: start.parameters[name] for name in searched}, skip_if_exists=True)

    def objective(trial: optuna.Trial) -> float:
        parameters: dict[str, Any] = {
            "factors": trial.suggest_int("factors", min(16, factors_max), factors_max, log=True),
            "alpha": trial.suggest_float("alpha", 1.0, 200.0, log=True),
            "regularization": trial.suggest_float("regularization", 0.1, 300.0, log=True),
            "degree_exponent": trial.suggest_float("degree_exponent", 0.0, 0.7),
        }
        if has_times:
            parameters["half_life_days"] = trial.suggest_float("half_life_days", 30.0, 3_000.0, log=True)
        recipe = start.changed(**parameters)
        trial.set_user_attr("parameters", recipe.parameters)
        found = validation_ndcg(fit(recipe, holdout.train), holdout)
        if progress is not None:
            progress(trial.number + 1, trials)
        return found

    study.optimize(objective, n_trials=trials)
    return Recipe(start.kind, dict(study.best_trial.user_attrs["parameters"]))
