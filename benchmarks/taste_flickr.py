"""How good the models are on real Flickr favorites, most users with very few: a seeded tenth of each user's held out.

Everything is chosen on a validation part drawn the same way, the test part is looked at once. The value is the blend's
Recall@20 ÷ popularity's, all photos ranked.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from _reporting import finish

from features.settings import Settings
from training.evaluation.dataset import load_dataset
from training.evaluation.files import read_pairs
from training.evaluation.validation import split_validation
from training.models.recipes import Recipe
from training.tuning.comparison import compare

SEED, TRIALS, RATIO = 0, 30, 1.5


def hold_out(favorites: Path, folder: Path) -> tuple[Path, Path]:
    """Files of what is known and of what is to be found."""
    parts = split_validation(read_pairs(favorites, "train"), SEED)
    paths = folder / "train.parquet", folder / "test.parquet"
    for part, path in zip(parts, paths, strict=True):
        pq.write_table(pa.table({"user_id": part.users, "photo_id": part.items}), path)
    return paths


def main() -> None:
    data = os.environ.get("PHOTO_RECOMMENDER_DATA")
    if not data:
        raise SystemExit("taste_flickr needs the data sets: set PHOTO_RECOMMENDER_DATA to their folder")
    source = Path(data) / "flickr"
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        train, test = hold_out(source / "favorites.parquet", Path(folder))
        dataset = load_dataset(train, test, None, source / "contacts.parquet", seed=SEED)
    start = Recipe.from_settings(Settings(_env_file=None), "als")  # type: ignore[call-arg]
    result = compare(
        dataset,
        None,
        start,
        ks=(10, 20),
        trials=TRIALS,
        factors_max=128,
        seed=SEED,
        progress=lambda stage, made, total: None,
    ).result
    recall = {name: found["full"]["recall_at_20"]["mean"] for name, found in result["models"].items()}
    ahead = {name: found["recall_at_20"] for name, found in result["ahead"].items()}
    checks = {
        "als_over_popularity": round(recall["als"] / recall["popularity"], 3),
        "blend_over_als": round(recall["blend"] / recall["als"], 3),
        "blend_over_neighbor_score": round(recall["blend"] / recall["user_knn"], 3),
    }
    details = {
        "chosen": result["chosen"],
        "recall_at_20": {name: result["models"][name]["full"]["recall_at_20"] for name in recall},
        "ndcg_at_20": {name: result["models"][name]["full"]["ndcg_at_20"] for name in recall},
        "chosen_ahead_in_recall_at_20": ahead,
        "bars": {"als_over_popularity": RATIO, "blend_over_als": 1.0, "blend_over_neighbor_score": 1.0},
        **checks,
        "blend": result["blend"],
        "als": result["recipes"]["als"]["parameters"],
        "counts": result["counts"],
        "seconds": round(time.monotonic() - began),
    }
    ok = (
        checks["als_over_popularity"] > RATIO and min(checks["blend_over_als"], checks["blend_over_neighbor_score"]) > 1
    )
    value = recall["blend"] / recall["popularity"]
    finish("taste_flickr", value, "times popularity's Recall@20", "higher", RATIO, details, ok=ok)


if __name__ == "__main__":
    main()
