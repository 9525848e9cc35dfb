"""Whether a learned second stage (LambdaRank over features, on the best photos of every model) beats the blend alone.

Of three successive fortnights of the sandbox's world the first teaches the blend, the second the second stage, and the
third judges. The value is the gain in NDCG@20 on exactly the same users, over all worlds; it wins only if the lower end
of the interval is above 0, also against blends weighed on the second fortnight and a mere sum of the same features.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import numpy as np
from _dismissal_world import END
from _reporting import finish
from _second_stage_features import (
    OF_PAIR,
    OF_PHOTO,
    OF_USER,
    Candidates,
    Floats,
    Known,
    as_logs,
    best_of_each,
    candidates_of,
    each_user,
)
from numpy.typing import NDArray
from sandbox_ceiling import log_of
from taste_sandbox import follows_of

from features.settings import Settings
from pipelines.sandbox.world import WorldConfig, generate_world
from training.evaluation.holdout import holdout_of_split
from training.evaluation.measures import Values, full_metrics, with_intervals
from training.evaluation.ranking import Ranked, rank
from training.from_lake import Split, build_interactions, temporal_split, utc, with_contacts
from training.models.blend import Blend
from training.models.recipes import Recipe, blend_of, blend_recipe, fit_each
from training.retrieval import top_rows
from training.tuning.blending import Sampled, learn_blend, most_likely_weights
from training.tuning.candidates import SERVED, candidates, tune

K = 20
TIMED = 50
ROUNDS, PATIENCE = 500, 50
RIVALS: dict[str, dict[str, Recipe]] = {
    "blend_weighed_anew": {},
    "blend_with_recent_popularity": {
        f"popularity_{days}d": Recipe("popularity", {"half_life_days": float(days)}) for days in (2, 7)
    },
}
"""Blends that learn their weights where the second stage learns its trees, with these models besides their own."""

OTHERS = ("blend", *RIVALS, "sum_of_features")

PARAMETERS = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "eval_at": [K],
    "lambdarank_truncation_level": K + 10,
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "lambda_l2": 1.0,
    "num_threads": 2,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def learn(given: Candidates, seed: int) -> Any:
    """LambdaRank (Burges 2010, "From RankNet to LambdaRank to LambdaMART"), stopped early on a quarter of the users."""
    lightgbm = _lightgbm()
    telling = np.array([user for user, relevant in enumerate(given.relevant) if relevant.any()])
    drawn = np.random.default_rng(seed).permutation(telling)
    parts = [drawn[len(drawn) // 4 :], drawn[: len(drawn) // 4]]
    train, valid = (
        lightgbm.Dataset(
            np.concatenate([given.features[user] for user in users]),
            np.concatenate([given.relevant[user] for user in users]).astype(np.int32),
            group=[len(given.rows[user]) for user in users],
        )
        for users in parts
    )
    stop = lightgbm.early_stopping(PATIENCE, verbose=False)
    return lightgbm.train({**PARAMETERS, "seed": seed}, train, ROUNDS, valid_sets=[valid], callbacks=[stop])


def _lightgbm() -> Any:
    try:
        return import_module("lightgbm")
    except ModuleNotFoundError as missing:
        raise SystemExit(
            "second_stage needs LightGBM, which is no dependency of the project: .venv/bin/pip install lightgbm"
        ) from missing


@dataclass(frozen=True)
class Sum:
    """A weighted sum of the features' logs: what the blend is, on the second stage's candidates and features."""

    names: list[str]
    wanted: list[str]
    weights: NDArray[np.float64]

    @classmethod
    def learned(cls, given: Candidates, names: list[str], wanted: list[str]) -> Sum:
        """By the learner of the blend's weights, which knows no weight below 0."""
        telling = [user for user, relevant in enumerate(given.relevant) if relevant.any()]
        shape = (len(telling), max(len(given.rows[user]) for user in telling))
        scores = np.zeros((len(wanted), *shape), dtype=np.float32)
        relevant, present = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for place, user in enumerate(telling):
            many = len(given.rows[user])
            scores[:, place, :many] = as_logs(given.features[user], names, wanted)
            relevant[place, :many], present[place, :many] = given.relevant[user], True
        return cls(names, wanted, most_likely_weights(Sampled(scores, np.ones(len(wanted)), relevant, present)))

    def predict(self, features: Floats) -> Floats:
        result: Floats = self.weights @ as_logs(features, self.names, self.wanted)
        return result


def reranked(stage: Any, given: Candidates) -> Ranked:
    rows = np.full((len(given.rows), K), -1, dtype=np.int64)
    scores = np.full((len(given.rows), K), -np.inf, dtype=np.float32)
    for user, (of_user, features) in enumerate(zip(given.rows, given.features, strict=True)):
        best, values = top_rows(stage.predict(features).astype(np.float32), K)
        rows[user, : len(best)], scores[user, : len(best)] = of_user[best], values
    return Ranked(rows, scores)


def milliseconds(booster: Any, blend: Blend, known: Known) -> dict[str, float]:
    """What a request takes beyond the scores of the blend and its models, on one core: candidates, features, trees."""
    taken = []
    for user, parts, blended in each_user(blend, known):
        begin = time.perf_counter()
        rows = best_of_each(known, user, parts, blended)
        found = time.perf_counter()
        features = known.features(user, rows, np.vstack([blended, parts])[:, rows])
        made = time.perf_counter()
        booster.predict(features, num_threads=1)
        taken.append((found - begin, made - found, time.perf_counter() - made))
        if len(taken) == TIMED:
            break
    of_all = np.array(taken) * 1e3
    medians = dict(zip(("candidates", "features", "trees"), np.median(of_all, axis=0).tolist(), strict=True))
    total = of_all.sum(axis=1)
    found_all = {**medians, "all": float(np.median(total)), "all_p95": float(np.percentile(total, 95))}
    return {name: round(value, 2) for name, value in found_all.items()}


def judge(config: WorldConfig, settings: Settings) -> tuple[dict[str, Values], dict[str, Any]]:
    """({model: metrics of the third fortnight's users}, details) in that world."""
    world = generate_world(config)
    log, follows = log_of(world), follows_of(world)
    days = timedelta(days=settings.holdout_days)
    cut = utc(build_interactions(log).data_until) - days

    def split_at(moment: datetime, until: datetime | None) -> Split:
        split = temporal_split(log, moment, until=until)
        return replace(split, train=with_contacts(split.train, follows, -1))

    first, second, third = split_at(cut - 2 * days, cut - days), split_at(cut - days, cut), split_at(cut, None)
    als = Recipe.from_settings(settings, "als")
    tried = candidates(als, first.train, als_seeds=settings.blend_als_seeds, kinds=SERVED)
    tuned = tune(tried, holdout_of_split(first), settings.seed)
    names = [one["name"] for one in tuned.blend.parameters["components"]]
    recipes = {name: tuned.recipes[name] for name in names}
    learning, judging = (fit_each(recipes, of.train) for of in (second, third))
    taught, asked = (Known.at(world, log, follows, of) for of in (second, third))
    blend = blend_of(tuned.blend, judging)
    others = {"blend": blend}
    for rival, more in RIVALS.items():
        weights, units = learn_blend({**learning, **fit_each(more, second.train)}, taught.holdout, settings.seed)
        recipe = blend_recipe({**recipes, **more}, weights, units)
        others[rival] = blend_of(recipe, {**judging, **fit_each(more, third.train)})
    teaching = candidates_of(blend_of(tuned.blend, learning), taught)
    booster = learn(teaching, settings.seed)
    scores = ["blend", *names]
    columns = [*scores, *(f"rank_{name}" for name in scores), *OF_PHOTO, *OF_USER, *OF_PAIR]
    plain = Sum.learned(teaching, columns, [*scores, *OF_PHOTO, *OF_PAIR])
    given, holdout = candidates_of(blend, asked), asked.holdout
    lists = {
        name: rank(other, holdout.histories, holdout.n_photos, holdout.hidden, K) for name, other in others.items()
    }
    details = {
        "users": len(holdout),
        "taught_by": len(taught.holdout),
        "trees": booster.best_iteration,
        "candidates": float(np.mean([len(rows) for rows in given.rows])),
        "found_among_candidates": float(sum(map(np.sum, given.relevant)) / holdout.relevant.sum()),
        "gain_share": gain_shares(booster, columns),
        "weights_of_the_sum": {
            name: round(weight, 3) for name, weight in zip(plain.wanted, plain.weights.tolist(), strict=True)
        },
        "milliseconds": milliseconds(booster, blend, asked),
        "kilobytes": round(len(booster.model_to_string()) / 1024),
    }
    lists |= {"sum_of_features": reranked(plain, given), "second_stage": reranked(booster, given)}
    return {name: full_metrics(ranked, holdout, (K,)) for name, ranked in lists.items()}, details


def gain_shares(booster: Any, columns: list[str]) -> dict[str, float]:
    """The eight features whose splits gain most, each with its share of all gain."""
    gains = booster.feature_importance("gain")
    shares = dict(zip(columns, (gains / max(gains.sum(), 1e-9)).tolist(), strict=True))
    return {name: round(share, 3) for name, share in sorted(shares.items(), key=lambda one: -one[1])[:8]}


def summed_up(found: Mapping[str, Values], seed: int) -> dict[str, dict[str, float]]:
    """Each model's metrics, and the second stage's paired differences from the others, with intervals."""
    wanted = (f"ndcg_at_{K}", f"recall_at_{K}")
    values = {f"{model}/{name}": found[model][name] for model in found for name in wanted}
    for model, other in (*(("second_stage", other) for other in OTHERS), ("sum_of_features", "blend")):
        for name in wanted:
            values[f"{model} − {other}/{name}"] = found[model][name] - found[other][name]
    intervals = with_intervals(values, seed)
    return {name: {end: round(value, 4) for end, value in one.items()} for name, one in intervals.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9], help="of the worlds")
    for name in ("users", "photos", "favorites"):
        parser.add_argument(f"--{name}", type=int, default=getattr(WorldConfig, name), help="of each world")
    asked = parser.parse_args()
    size = {name: getattr(asked, name) for name in ("users", "photos", "favorites")}
    _lightgbm()
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    worlds: dict[int, Any] = {}
    together: list[dict[str, Values]] = []
    for seed in asked.seeds:
        found, details = judge(WorldConfig(seed=seed, end=END, **size), settings)
        together.append(found)
        worlds[seed] = {"metrics": summed_up(found, settings.seed), **details}
        print(seed, worlds[seed], flush=True)
    pooled = {
        model: {name: np.concatenate([found[model][name] for found in together]) for name in together[0][model]}
        for model in together[0]
    }
    metrics = summed_up(pooled, settings.seed)
    gain = metrics[f"second_stage − blend/ndcg_at_{K}"]
    wins = all(metrics[f"second_stage − {other}/ndcg_at_{K}"]["low"] > 0 for other in OTHERS)
    details = {"wins_with_confidence": wins, "pooled": metrics, "worlds": worlds}
    finish("second_stage", gain["mean"], "NDCG@20 more than the blend", "higher", 0.0, details, ok=True)


if __name__ == "__main__":
    main()
