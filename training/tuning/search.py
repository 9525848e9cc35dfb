"""The search for ALS's settings: Optuna's TPE over confidence and regularization together, by validation NDCG@20.

How strong regularization must be depends on α and on the weighting, so none of them is searched alone. Hopeless trials
are pruned, others end when validation no longer rises, and an interrupted search goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from features.errors import InvalidInputError
from training.evaluation import metrics
from training.evaluation.numbering import Holdout
from training.evaluation.ranking import rank
from training.models.interface import Scorer
from training.models.recipes import Recipe, fit

K = 20

CHECK_EVERY = 3
"""Iterations between two looks at the validation part."""

PATIENCE = 2
"""Looks without a rise after which a trial ends."""

UNPRUNED = 2 * CHECK_EVERY
"""Iterations before which nothing is pruned: what is best in the end, weighted by degree, is not ahead at first."""

ITERATIONS_MAX = 30

RANGES = {
    "alpha": (1.0, 200.0),
    "regularization": (0.1, 300.0),
    "degree_exponent": (0.0, 0.7),
    "half_life_days": (30.0, 3_000.0),
}
"""Where each is searched, on a logarithmic scale unless 0 is among them; wider where the search begins outside."""

MLLIB_REGULARIZATION = (0.003, 3.0)
"""Of Spark's own ALS, which multiplies it by a row's favorites."""

Step = tuple[int, float]
"""Iterations done, validation NDCG@20 then."""


@dataclass(frozen=True)
class Tried:
    """A finished trial. number: from 0, in the study. parameters: the whole recipe's, with the best iterations.

    value: the best NDCG@20 that was seen, of a pruned trial too. state: `complete` or `pruned`. began, ended: UTC.
    """

    number: int
    parameters: dict[str, Any]
    value: float
    state: str
    began: datetime
    ended: datetime
    steps: list[Step]


@dataclass(frozen=True)
class Searched:
    """recipe: the best, with NDCG@20 `value` on the validation part. trials: all that finished, in their order, those
    before an interruption too."""

    recipe: Recipe
    value: float
    trials: list[Tried]


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
    minutes: float | None = None,
    storage: Path | None = None,
    on_trial: Callable[[Tried], None] | None = None,
) -> Searched:
    """The best recipe of `trials` tries, the first of which is `start`; its iterations are the best ones.

    minutes: after so long no further trial begins (one always does). storage: a file (Optuna's journal) in which the
    search goes on if the same one was interrupted there; None keeps it in memory. `progress` gets (tried, trials),
    `on_trial` each trial that finishes now. Raises InvalidInputError (field `storage`) for a file that is none.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    until = None if minutes is None else time.monotonic() + 60 * minutes
    space = {"factors_max": factors_max, "has_times": has_times, "seed": seed}
    study = _study(fingerprint(start, holdout, space), storage)
    for broken_off in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(broken_off.number, state=TrialState.FAIL)
    searched = ("factors", "alpha", "regularization", "degree_exponent", *(("half_life_days",) if has_times else ()))
    if not _finished(study) and not study.get_trials(states=(TrialState.WAITING,)):
        study.enqueue_trial({name: start.parameters[name] for name in searched})

    factors_min = min(16, factors_max, start.parameters["factors"])
    watched = "engine" not in start.parameters  # Spark's iterations stay as they are

    def objective(trial: optuna.Trial) -> float:
        iterations = ITERATIONS_MAX if watched else start.parameters["iterations"]
        factors = trial.suggest_int("factors", factors_min, factors_max, log=True)
        suggested = {name: _suggested(trial, name, start) for name in searched if name != "factors"}
        recipe = start.changed(factors=factors, **suggested, iterations=iterations)
        steps: list[Step] = []

        def watch(iteration: int, model: Scorer) -> bool:
            steps.append((iteration, validation_ndcg(model, holdout)))
            best = max(steps, key=lambda step: step[1])
            trial.set_user_attr("steps", steps)
            trial.set_user_attr("parameters", recipe.changed(iterations=best[0]).parameters)
            trial.report(steps[-1][1], iteration)
            if trial.should_prune():
                raise optuna.TrialPruned
            return steps.index(best) < len(steps) - PATIENCE

        if watched:
            fit(recipe, holdout.train, watch=watch, watch_every=CHECK_EVERY)
        else:
            watch(iterations, fit(recipe, holdout.train))
        return max(value for _, value in steps)

    while (done := len(_finished(study))) < trials and (not done or until is None or time.monotonic() < until):
        # A sampler of its own for each trial: what comes next depends on the trials before, not on the process.
        study.sampler = optuna.samplers.TPESampler(seed=np.random.SeedSequence([seed, done]).generate_state(1)[0])
        study.optimize(objective, n_trials=1)
        if on_trial is not None:
            on_trial(_tried(_finished(study)[-1]))
        if progress is not None:
            progress(done + 1, trials)
    best = study.best_trial
    tried = [_tried(trial) for trial in _finished(study)]
    return Searched(Recipe(start.kind, dict(best.user_attrs["parameters"])), float(best.value or 0.0), tried)


def fingerprint(start: Recipe, holdout: Holdout, space: dict[str, Any]) -> str:
    """A name for a search: the same for the same data, start and space, whatever the number of trials."""
    digest = hashlib.sha256(json.dumps([start.as_dict(), space, CHECK_EVERY, ITERATIONS_MAX], sort_keys=True).encode())
    train = holdout.train
    for events in (train.favorites, train.dismissals):
        for column in (events.users, events.photos, events.times):
            digest.update(np.ascontiguousarray(column).tobytes())
    for rows in (holdout.histories.indptr, holdout.histories.photo_rows, holdout.relevant, *holdout.relevant_rows):
        digest.update(np.ascontiguousarray(rows).tobytes())
    return f"als-{digest.hexdigest()[:16]}"


def _study(name: str, path: Path | None) -> optuna.Study:
    storage: BaseStorage | None = None
    try:
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            storage = JournalStorage(JournalFileBackend(str(path)))
        return optuna.create_study(
            storage=storage,
            study_name=name,
            direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=UNPRUNED),
            load_if_exists=True,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"no search can be kept in {path} ({error!r}): name a new file, or the one of an earlier search",
            field="storage",
        ) from error


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def _suggested(trial: optuna.Trial, name: str, start: Recipe) -> float:
    of_mllib = name == "regularization" and start.parameters.get("engine") == "mllib"
    low, high = MLLIB_REGULARIZATION if of_mllib else RANGES[name]
    begin = float(start.parameters[name])
    return trial.suggest_float(name, min(low, begin), max(high, begin), log=low > 0)


def _tried(trial: FrozenTrial) -> Tried:
    steps: list[Step] = [(int(iteration), float(value)) for iteration, value in trial.user_attrs["steps"]]
    began, ended = (moment.astimezone(UTC) for moment in (trial.datetime_start, trial.datetime_complete) if moment)
    return Tried(
        number=trial.number,
        parameters=dict(trial.user_attrs["parameters"]),
        value=max(value for _, value in steps),
        state=trial.state.name.lower(),
        began=began,
        ended=ended,
        steps=steps,
    )
