"""How good the models are on a real data set with a social graph (Yelp), everything chosen on its validation part.

Three seeds, each with 30 trials of tuning; the test part is looked at once a seed. Full ranking, and each user's test
items among 1,000 negatives. The value is the blend's HR@10 among the negatives.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from _reporting import finish

from features.settings import Settings
from training.evaluation.dataset import load_dataset
from training.evaluation.negatives import sampled_cases
from training.models.recipes import Recipe
from training.tuning.comparison import compare

SEEDS, TRIALS, NEGATIVES = (0, 1, 2), 30, 1_000
SHORT = (("sampled", "hr_at_10"), ("sampled", "ndcg_at_10"), ("full", "recall_at_20"))
BARS = {
    "als": {"sampled/hr_at_10": 0.290, "sampled/ndcg_at_10": 0.176},
    "blend": {"sampled/hr_at_10": 0.310, "sampled/ndcg_at_10": 0.188, "full/recall_at_20": 0.045},
}


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """Everything `evaluate` says, for one seed."""
    files = (folder / f"{part}.parquet" for part in ("train", "test", "val", "contacts"))
    dataset = load_dataset(*files, seed=seed)
    cases = sampled_cases(dataset.final, NEGATIVES, seed)
    start = Recipe.from_settings(Settings(_env_file=None), "als")  # type: ignore[call-arg]
    began = time.monotonic()
    result = compare(
        dataset,
        cases,
        start,
        ks=(10, 20),
        trials=TRIALS,
        factors_max=128,
        seed=seed,
        progress=lambda stage, made, total: None,
    ).result
    result["seconds"] = round(time.monotonic() - began)
    found = {
        name: {metric: round(result["models"][name][kind][metric]["mean"], 4) for kind, metric in SHORT}
        for name in ("als", "blend")
    }
    print(f"seed {seed}: {result['seconds']} s, chosen {result['chosen']}, {found}", file=sys.stderr, flush=True)
    return result


def main() -> None:
    data = os.environ.get("PHOTO_RECOMMENDER_DATA")
    if not data:
        raise SystemExit("taste_yelp needs the data sets: set PHOTO_RECOMMENDER_DATA to their folder")
    results = [measure(Path(data) / "yelp", seed) for seed in SEEDS]
    means = {
        name: {
            f"{kind}/{metric}": round(float(np.mean([r["models"][name][kind][metric]["mean"] for r in results])), 4)
            for kind in ("full", "sampled")
            for metric in ("recall_at_20", "ndcg_at_20", "hr_at_10", "ndcg_at_10")
        }
        for name in results[0]["models"]
    }
    ok = all(means[name][metric] >= bar for name, bars in BARS.items() for metric, bar in bars.items())
    details = {
        "means_of_seeds": means,
        "bars": BARS,
        "chosen": [result["chosen"] for result in results],
        "blends": [result["blend"] for result in results],
        "als": [result["recipes"]["als"]["parameters"] for result in results],
        "seconds": [result["seconds"] for result in results],
    }
    value = means["blend"]["sampled/hr_at_10"]
    finish("taste_yelp", value, "HR@10 of the blend", "higher", BARS["blend"]["sampled/hr_at_10"], details, ok=ok)


if __name__ == "__main__":
    main()
