"""ALS on Spark beside `implicit`'s: as good on a real data set (Yelp), how long, what it costs, and where it pays.

Each engine gets the best of its own settings by the validation part; the test part is looked at once a seed.
Time and memory are measured again on a generated set of five times the size, read from a lake,
so that what Spark takes by itself can be told from what it takes for each interaction.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from _reporting import finish

from features.lake import Lake
from features.schema import INTERACTIONS, TIMESTAMP, Kind
from features.settings import Settings
from training import from_lake
from training.evaluation.dataset import load_dataset
from training.models.recipes import Recipe, fit
from training.spark.session import spark_session
from training.tuning.search import validation_ndcg

BAR, SEEDS, FACTORS, CORES = 0.97, (0, 1, 2), 32, 2
GRIDS = {
    "implicit": {20.0: (10.0, 20.0, 30.0)},
    "spark": {20.0: (10.0, 20.0, 30.0)},
    "mllib": {4.0: (0.1, 0.2), 20.0: (0.4, 0.8)},
}
"""α, and the regularizations that are tried with it: how strong it must be depends on α, so neither is chosen alone."""

GENERATED = 1_000_000
MEASURED_AT_SIZE = ("implicit", "spark")

# List prices in us-east-1, on demand, Linux/x86, in dollars: of a vCPU and of a GB for an hour.
EMR = ("EMR Serverless", 0.052624, 0.0057785)
PRICES = {"implicit": ("Fargate", 0.04048, 0.004445), "spark": EMR, "mllib": EMR}
GB = {"implicit": 4, "spark": 8, "mllib": 8}
LARGEST_GB = 768
"""Of the machines that are rented without asking anybody (r7i.24xlarge): beyond it, one machine can't be bought."""

T = TypeVar("T")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


def dollars(engine: str, seconds: float, interactions: int) -> float:
    """For a million interactions, on `CORES` cores and `GB` of memory."""
    _, core, memory = PRICES[engine]
    return seconds / 3600 * (CORES * core + GB[engine] * memory) / interactions * 1e6


def quality(start: Recipe, grid: dict[float, tuple[float, ...]], folder: Path) -> tuple[Recipe, dict[str, Any]]:
    """The best recipe of the grid by validation, its NDCG@20 on the test part, and the seconds of its fits."""
    files = (folder / f"{part}.parquet" for part in ("train", "test", "val", "contacts"))
    dataset = load_dataset(*files, seed=0)
    tried = {}
    for alpha, regularization in ((alpha, one) for alpha, values in grid.items() for one in values):
        recipe = start.changed(alpha=alpha, regularization=regularization)
        found = validation_ndcg(fit(recipe, dataset.tuning.train), dataset.tuning)
        tried[f"α {alpha:g}, λ {regularization:g}"] = found, recipe
        say(f"α {alpha:g}, λ {regularization:g} a favorite: NDCG@20 {found:.5f} in validation")
    _, best = max(tried.values(), key=lambda one: one[0])
    of_seeds, seconds = [], []
    for seed in SEEDS:
        model, took = timed(lambda seed=seed: fit(best.changed(seed=seed), dataset.final.train))  # type: ignore[misc]
        of_seeds.append(validation_ndcg(model, dataset.final))
        seconds.append(took)
        say(f"seed {seed}: NDCG@20 {of_seeds[-1]:.5f} in test, {took:.1f} s")
    return best, {
        "alpha": best.parameters["alpha"],
        "regularization": best.parameters["regularization"],
        "validation": {name: round(ndcg, 5) for name, (ndcg, _) in tried.items()},
        "ndcg_at_20": round(float(np.mean(of_seeds)), 5),
        "of_seeds": [round(one, 5) for one in of_seeds],
        "fit_seconds": round(min(seconds), 2),
        "interactions": len(dataset.final.train.favorites),
    }


def generate_lake(folder: Path, n: int) -> None:
    """n favorites of n/20 users on n/20 photos, popularity by a power law."""
    rng = np.random.default_rng(0)
    users, photos = rng.integers(n // 20, size=n), (n // 20 * rng.random(n) ** 2).astype(np.int64)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    when = pa.array(int(now.timestamp() * 1e6) - rng.integers(10**13, size=n)).cast(TIMESTAMP)
    columns = {
        "user_id": pa.array(users.astype(str)),
        "photo_id": pa.array(photos.astype(str)),
        "owner_id": pa.array((photos % 1_000).astype(str)),
        "kind": pa.repeat(str(Kind.FAVORITE), n),
        "source": pa.repeat("flickr", n),
        "event_timestamp": when,
        "created_timestamp": pa.repeat(pa.scalar(now, TIMESTAMP), n),
        "faved_at": when,
        "ingest_date": pa.repeat(pa.scalar(date(2026, 1, 1)), n),
    }
    Lake(str(folder)).append(INTERACTIONS, pa.table(columns))


def peak_gb() -> float:
    """Of this program alone: `getrusage` counts what the process that started it held, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024**2


def at_size(engine: str, start: Recipe, folder: str) -> dict[str, Any]:
    """Seconds in which an engine reads the generated lake and fits it, and how much more memory this process takes."""
    settings, lake = Settings(_env_file=None), Lake(folder)  # type: ignore[call-arg]
    if engine == "spark":
        spark_session(settings)
    before = peak_gb()
    interactions, read_seconds = timed(lambda: from_lake.load_interactions(lake))
    read_gb = peak_gb() - before
    _, fit_seconds = timed(lambda: fit(start, interactions))
    return {
        "interactions": len(interactions.favorites),
        "read_seconds": round(read_seconds, 1),
        "fit_seconds": round(fit_seconds, 1),
        "gb_to_read": round(read_gb, 2),
        "gb_in_all": round(peak_gb() - before, 2),
    }


def in_a_process_of_its_own(engine: str, start: Recipe, folder: str) -> dict[str, Any]:
    """The same; a peak of memory is of a whole process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(at_size, engine, start, folder).result()
    say(f"{engine}: {found}")
    return found


def where_it_pays(small: dict[str, dict[str, Any]], large: dict[str, Any]) -> dict[str, Any]:
    """Seconds of a fit for a further million, from two sizes; and how many millions the largest machine holds."""
    slope = {
        engine: (large[engine]["fit_seconds"] - small[engine]["fit_seconds"])
        / (large[engine]["interactions"] - small[engine]["interactions"])
        * 1e6
        for engine in MEASURED_AT_SIZE
    }
    gb = large["implicit"]["gb_in_all"] / large["implicit"]["interactions"] * 1e6
    return {
        "fit_seconds_a_further_million": {engine: round(found, 1) for engine, found in slope.items()},
        "one_process_gb_a_million": round(gb, 2),
        "million_interactions_at_768_gb": round(LARGEST_GB / gb),
    }


def main() -> None:
    data = os.environ.get("PHOTO_RECOMMENDER_DATA")
    if not data:
        raise SystemExit("spark_parity needs the data sets: set PHOTO_RECOMMENDER_DATA to their folder")
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    starts = {
        engine: Recipe.from_settings(settings.model_copy(update={"als_engine": engine}), "als").changed(factors=FACTORS)
        for engine in GRIDS
    }
    _, start_seconds = timed(lambda: spark_session(settings))
    chosen = {engine: quality(starts[engine], GRIDS[engine], Path(data) / "yelp") for engine in GRIDS}
    found = {engine: numbers for engine, (_, numbers) in chosen.items()}
    with tempfile.TemporaryDirectory() as folder:
        generate_lake(Path(folder), GENERATED)
        large = {engine: in_a_process_of_its_own(engine, chosen[engine][0], folder) for engine in MEASURED_AT_SIZE}
    for engine, numbers in (*found.items(), *large.items()):
        numbers["dollars_per_million"] = round(dollars(engine, numbers["fit_seconds"], numbers["interactions"]), 5)
    ratio = found["spark"]["ndcg_at_20"] / found["implicit"]["ndcg_at_20"]
    details = {
        "mllib_ratio": round(found["mllib"]["ndcg_at_20"] / found["implicit"]["ndcg_at_20"], 4),
        "factors": FACTORS,
        "iterations": settings.als_iterations,
        "spark_start_seconds": round(start_seconds, 1),
        "yelp": found,
        "generated": large,
        "prices": PRICES,
        "where_it_pays": where_it_pays(found, large),
    }
    finish("spark_parity", ratio, "NDCG@20 ÷ implicit's", "higher", BAR, details, ok=ratio >= BAR)


if __name__ == "__main__":
    main()
