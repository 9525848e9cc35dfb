"""A report as a training on the sandbox's world would fill it, with numbers of that family."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from training.models.recipes import Recipe
from training.reports.content import (
    Check,
    ExampleWall,
    ModelReport,
    Photo,
    TrainingReport,
    calibration,
    intervals,
    popularity_shares,
    segments,
)
from training.tracking.datasets import LakeInput
from training.tracking.inputs import TrainingInputs

CUT = datetime(2026, 11, 11, 7, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 7, 38, tzinfo=UTC)

INPUTS = TrainingInputs(
    recipes={"als": Recipe("als", {"factors": 64, "alpha": 4.0}), "popularity": Recipe("popularity", {})},
    lake_uri="s3://lake",
    tables=(LakeInput("interactions", "s3://lake/interactions", 17, 48_210, "v17-5d1f0a", {"favorites": 47_001}),),
    as_of=NOW,
    cut=CUT,
    holdout_days=14.0,
    seed=0,
    git_commit="8493b77afe6d60305336b8ed3bdd4e523905a3d2",
)


def model(name: str, kind: str, quality: float, seed: int, milliseconds: float, megabytes: float) -> ModelReport:
    """A model whose users have that mean NDCG, more of it for the more active."""
    rng, n_users = np.random.default_rng(seed), 500
    degrees = np.random.default_rng(7).zipf(1.35, n_users).clip(1, 400) + 2
    ndcg = np.clip(rng.normal(quality * (0.7 + 0.15 * np.log10(degrees)), 0.12), 0, 1)
    values = {"ndcg_at_20": ndcg, "recall_at_20": ndcg * 0.8, "map_at_20": ndcg * 0.45}
    scores = np.sort(rng.normal(size=(n_users, 20)), axis=1)[:, ::-1]
    hits = rng.random((n_users, 20)) < quality * np.exp(scores) / 6
    popularity = np.arange(2000, 0, -1) ** 2
    rows = (rng.beta(1, 1 + 8 * (kind == "popularity") + 2 * quality, (n_users, 20)) * 2000).astype(int)
    return ModelReport(
        name=name,
        kind=kind,
        metrics=intervals(values, {"coverage_at_20": 0.4 - quality / 3, "novelty_at_20": 6.1}, seed=0),
        segments=segments(values, degrees, seed=0),
        popularity=popularity_shares(rows, popularity),
        calibration=calibration(scores, hits),
        milliseconds=milliseconds,
        megabytes=megabytes,
    )


def photos(names: str, user: int, n: int, host: str) -> list[Photo]:
    return [
        Photo(
            photo_id=f"{user}{names[0]}{number}",
            title=f"{names} {number} of <b>dunes</b>",
            owner=f"Ada {user}",
            page_url=f"{host}/photos/{user}/{number}",
            image_url=f"{host}/pictures/{user}{number}.svg",
        )
        for number in range(n)
    ]


def wall(user: int, host: str = "http://127.0.0.1:8123") -> ExampleWall:
    challenger, champion = photos("Challenger", user, 12, host), photos("Old", user, 12, host)
    hits = frozenset(photo.photo_id for photo in (*challenger[1:4], *champion[5:6]))
    lists = {"blend": challenger, "champion": champion}
    return ExampleWall(f"user {user}", photos("Favorite", user, 8, host), lists, hits)


def example() -> TrainingReport:
    """A challenger that won against a champion, and three others."""
    loss = [0.9 * 0.8**step + 0.3 for step in range(15)]
    blend = replace(
        model("blend", "blend", 0.36, 1, 3.1, 84.0),
        steps={"loss": loss, "validation_ndcg_at_20": [0.3 - 0.2 * 0.7**step for step in range(15)]},
    )
    return TrainingReport(
        title="train 2026-11-25 07:38 lake v17",
        created_at=NOW,
        models=[
            model("popularity", "popularity", 0.07, 4, 0.08, 0.4),
            model("neighbor_score", "neighbor_score", 0.21, 3, 0.9, 6.0),
            replace(model("champion", "als", 0.30, 2, 0.6, 51.0), version="16"),
            blend,
            model("als", "als", 0.31, 5, 0.6, 51.2),
        ],
        challenger="blend",
        champion="champion",
        passed=True,
        reason="NDCG 0.2971 against popularity's 0.0582 and the champion's 0.2486 (p = 1 of being no worse)",
        checks=[
            Check("quality", True, "NDCG@20 +0.0485 [+0.0411, +0.0561]"),
            Check("coverage", True, "0.28 of at least 0.24"),
            Check("segments", False, "1–4 favorites: −0.021, at most −0.010"),
        ],
        counts={"users": 2_004, "photos": 6_120, "favorites": 47_001, "test_users": 500},
        inputs=INPUTS,
        walls=[wall(1), wall(2)],
    )
