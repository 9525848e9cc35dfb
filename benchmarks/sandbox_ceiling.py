"""How much of what can be predicted in the sandbox's world its models predict: NDCG@20 as a share of the ceiling.

The ceiling is the ranking by the world's own rates of favoriting at the cut, from which favorites are drawn and which
no model sees. All lists leave out what would not be shown, and are judged on the favorites of the two weeks after it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from datetime import timedelta

import numpy as np
import pyarrow as pa
from _reporting import finish

from features.schema import TIMESTAMP, Kind
from features.settings import Settings
from pipelines.sandbox.world import World, WorldConfig, generate_world
from training.evaluation import metrics
from training.evaluation.holdout import evaluate
from training.from_lake import Split, build_interactions, temporal_split, utc
from training.models.recipes import MODELS, Recipe, fit
from training.retrieval import top_rows

K = 20


def log_of(world: World) -> pa.Table:
    """The favorites and unfavorites of everybody who is pulled, as rows of the lake's log, up to the world's end."""
    faves, end = world.favorites, world.config.end.timestamp()
    users, photos = np.array(world.user_ids, dtype=object), np.array(world.photo_ids, dtype=object)
    pulled = ~world.visitor[faves.user]
    parts = []
    for kind, times in ((Kind.FAVORITE, faves.faved_at), (Kind.UNFAVORITE, faves.unfaved_at)):
        rows = np.flatnonzero(pulled & (times <= end))
        moments = pa.array(times[rows] * 1_000_000, pa.int64()).cast(TIMESTAMP)
        parts.append(
            pa.table(
                {
                    "user_id": pa.array(users[faves.user[rows]]),
                    "photo_id": pa.array(photos[faves.photo[rows]]),
                    "owner_id": pa.array(users[world.photo_owner[faves.photo[rows]]]),
                    "kind": pa.array([str(kind)] * len(rows)),
                    "event_timestamp": moments,
                    "created_timestamp": moments,
                    "faved_at": moments,
                }
            )
        )
    return pa.concat_tables(parts)


def ceiling(world: World, split: Split) -> np.ndarray:
    """NDCG@20 of the true rates, float64 (n_test_users,)."""
    train = split.train
    user_rows = {user_id: row for row, user_id in enumerate(world.user_ids)}
    photo_rows = {photo_id: row for row, photo_id in enumerate(world.photo_ids)}
    columns = np.array([photo_rows[photo_id] for photo_id in train.catalog.photo_ids])
    hits = np.zeros((len(split.test_users), K), dtype=bool)
    for begin in range(0, len(split.test_users), 64):
        users = split.test_users[begin : begin + 64]
        rows = np.array([user_rows[train.user_ids[user]] for user in users])
        scores = world.true_scores(rows, utc(split.cut))[:, columns]
        for place, user in enumerate(users, start=begin):
            own, _ = train.catalog.rows_of_owners([train.user_ids[user]])
            hidden = np.concatenate([train.history(user).photo_rows.astype(np.int64), own])
            ranked, _ = top_rows(scores[place - begin].astype(np.float32), K, hidden)
            hits[place, : len(ranked)] = np.isin(ranked, split.test_photos[place])
    return metrics.ndcg(hits, np.array([len(photos) for photos in split.test_photos]))


def main() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    world = generate_world(WorldConfig())
    log = log_of(world)
    data_until = build_interactions(log).data_until
    split = temporal_split(log, utc(data_until) - timedelta(days=settings.holdout_days))
    models = {kind: fit(Recipe.from_settings(settings, kind), split.train) for kind in MODELS}
    found = {name: float(evaluation.ndcg.mean()) for name, evaluation in evaluate(models, split, K).items()}
    best = float(ceiling(world, split).mean())
    details = {
        "ndcg_at_20": {name: round(value, 4) for name, value in {**found, "true_rates": best}.items()},
        "test_users": len(split.test_users),
        "test_reachable": round(split.reachable, 3),
        "als_over_popularity": round(found["als"] / found["popularity"], 3),
        "als_over_neighbor_score": round(found["als"] / found["neighbor_score"], 3),
    }
    ok = found["als"] > found["popularity"] and found["als"] > found["neighbor_score"] and best > found["als"]
    finish("sandbox_ceiling", found["als"] / best, "share of NDCG@20", "higher", 0.0, details, ok=ok)


if __name__ == "__main__":
    main()
