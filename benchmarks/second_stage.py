"""Whether a learned second stage (LambdaRank over features, on the best photos of every model) beats the blend alone.

Of three successive fortnights of the sandbox's world the first teaches the blend, the second the second stage, and the
third judges. The value is the gain in NDCG@20 on exactly the same users, over all worlds; it is taken only if the lower
end of the interval is above 0, also against a blend that is weighed anew on the second fortnight.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import numpy as np
from _reporting import finish
from _second_stage_features import CANDIDATES, OF_PAIR, OF_PHOTO, OF_USER, Candidates, Known, candidates_of, each_user
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
from training.tuning.blending import learn_blend
from training.tuning.candidates import SERVED, candidates, tune

K = 20
TIMED = 50
ROUNDS, PATIENCE = 500, 50
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
        raise SystemExit("second_stage needs LightGBM, which nothing else does: pip install lightgbm") from missing


def reranked(booster: Any, given: Candidates) -> Ranked:
    rows = np.full((len(given.rows), K), -1, dtype=np.int64)
    scores = np.full((len(given.rows), K), -np.inf, dtype=np.float32)
    for user, (of_user, features) in enumerate(zip(given.rows, given.features, strict=True)):
        best, values = top_rows(booster.predict(features).astype(np.float32), K)
        rows[user, : len(best)], scores[user, : len(best)] = of_user[best], values
    return Ranked(rows, scores)


def milliseconds(booster: Any, blend: Blend, known: Known) -> dict[str, float]:
    """What a request takes beyond the blend's scores, for its best 200 photos, on one core."""
    taken = []
    for user, parts, blended in each_user(blend, known):
        rows, _ = top_rows(blended, CANDIDATES, known.holdout.hidden[user])
        begin = time.perf_counter()
        features = known.features(user, rows, np.vstack([blended[rows], parts[:, rows]]))
        made = time.perf_counter()
        booster.predict(features, num_threads=1)
        taken.append((made - begin, time.perf_counter() - made))
        if len(taken) == TIMED:
            break
    of_all = np.array(taken) * 1e3
    total = of_all.sum(axis=1)
    return {
        "features_median": round(float(np.median(of_all[:, 0])), 2),
        "trees_median": round(float(np.median(of_all[:, 1])), 2),
        "both_median": round(float(np.median(total)), 2),
        "both_p95": round(float(np.percentile(total, 95)), 2),
    }


def judge(seed: int, settings: Settings) -> tuple[dict[str, Values], dict[str, Any]]:
    """({model: metrics of the third fortnight's users}, details) in the world of that seed."""
    world = generate_world(WorldConfig(seed=seed))
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
    fitted = [fit_each({n: r for n, r in tuned.recipes.items() if n in names}, of.train) for of in (second, third)]
    known = [Known.at(world, log, follows, of) for of in (second, third)]
    blends = [blend_of(tuned.blend, models) for models in fitted]
    weights, units = learn_blend(dict(fitted[0]), known[0].holdout, settings.seed)
    anew = blend_of(blend_recipe({name: tuned.recipes[name] for name in names}, weights, units), fitted[1])
    booster = learn(candidates_of(blends[0], known[0]), settings.seed)
    given, holdout = candidates_of(blends[1], known[1]), known[1].holdout
    lists = {
        "blend": rank(blends[1], holdout.histories, holdout.n_photos, holdout.hidden, K),
        "blend_weighed_anew": rank(anew, holdout.histories, holdout.n_photos, holdout.hidden, K),
        "second_stage": reranked(booster, given),
    }
    columns = ["blend", *names]
    columns += [f"rank_{name}" for name in columns]
    split_gains = booster.feature_importance("gain")
    gains = dict(
        zip(
            [*columns, *OF_PHOTO, *OF_USER, *OF_PAIR],
            (split_gains / max(split_gains.sum(), 1e-9)).tolist(),
            strict=True,
        )
    )
    details = {
        "users": len(holdout),
        "taught_by": len(known[0].holdout),
        "trees": booster.best_iteration,
        "candidates": float(np.mean([len(rows) for rows in given.rows])),
        "found_among_candidates": float(sum(map(np.sum, given.relevant)) / holdout.relevant.sum()),
        "gain_share": {name: round(gain, 3) for name, gain in sorted(gains.items(), key=lambda one: -one[1])[:8]},
        "milliseconds": milliseconds(booster, blends[1], known[1]),
        "kilobytes": round(len(booster.model_to_string()) / 1024),
    }
    return {name: full_metrics(ranked, holdout, (K,)) for name, ranked in lists.items()}, details


def summed_up(found: Mapping[str, Values], seed: int) -> dict[str, dict[str, float]]:
    """Each model's metrics, and the second stage's paired differences from each blend, with intervals."""
    wanted = (f"ndcg_at_{K}", f"recall_at_{K}")
    values = {f"{model}/{name}": found[model][name] for model in found for name in wanted}
    for other in ("blend", "blend_weighed_anew"):
        for name in wanted:
            values[f"second_stage − {other}/{name}"] = found["second_stage"][name] - found[other][name]
    intervals = with_intervals(values, seed)
    return {name: {end: round(value, 4) for end, value in one.items()} for name, one in intervals.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9], help="of the worlds")
    seeds = parser.parse_args().seeds
    _lightgbm()
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    worlds: dict[int, Any] = {}
    together: list[dict[str, Values]] = []
    for seed in seeds:
        found, details = judge(seed, settings)
        together.append(found)
        worlds[seed] = {"metrics": summed_up(found, settings.seed), **details}
        print(seed, worlds[seed], flush=True)
    pooled = {
        model: {name: np.concatenate([found[model][name] for found in together]) for name in together[0][model]}
        for model in together[0]
    }
    metrics = summed_up(pooled, settings.seed)
    gain = metrics[f"second_stage − blend/ndcg_at_{K}"]
    wins = gain["low"] > 0 and metrics[f"second_stage − blend_weighed_anew/ndcg_at_{K}"]["low"] > 0
    details = {"wins_with_confidence": wins, "pooled": metrics, "worlds": worlds}
    finish("second_stage", gain["mean"], "NDCG@20 more than the blend", "higher", 0.0, details, ok=True)


if __name__ == "__main__":
    main()
