"""What training from the lake costs beside a bare `implicit` fit of the same matrix, in time and in memory.

A lake is generated (by default 20 million favorites of 500,000 users on 500,000 photos, and a twentieth of other rows:
repeats, unfavorites, dismissals). One process reads it and fits ALS, 15 iterations at 64 factors; the next fits
`implicit` on the same confidences as a ready CSR; both in turn, some rounds, of which the fastest counts. The value is
the larger of two ratios: of the times by the clock, from the start of reading to the last iteration (what both import
is left out), and of those that their processor times mean on cores that do nothing else, where the bare fit keeps all
of them busy and the rest keeps one. On a busy machine the first may say anything. The peak is that of our process.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _reporting import finish

BAR = 1.3
PEAK_GIB = 8.0
FACTORS, ITERATIONS, SEED = 64, 15, 0
ROUNDS = 2
FAVORITES, FAVORITES_A_USER, FAVORITES_A_FILE = 20_000_000, 40, 1_000_000
OTHER_ROWS = 20  # one row in so many repeats a favorite or says something else
START, SPAN = 1_700_000_000, 700 * 86_400


def generate(uri: str, favorites: int) -> None:
    """Append the rows to a new lake, a commit a million: users' and photos' degrees are long-tailed, pairs distinct."""
    import numpy as np

    from features.lake import Lake

    random = np.random.default_rng(SEED)
    n = max(favorites // FAVORITES_A_USER, 1)
    pairs = np.arange(n, dtype=np.int64) * n + random.permutation(n)  # everybody and every photo has one at least
    popular = np.cumsum((np.arange(n) + 10.0) ** -0.7)
    active = np.cumsum(random.lognormal(0.0, 1.2, n))
    while len(pairs) < favorites:
        more = int((favorites - len(pairs)) * 1.1) + 100
        users = np.searchsorted(active, random.random(more) * active[-1])
        photos = np.searchsorted(popular, random.random(more) * popular[-1])
        every = np.sort(np.concatenate([pairs, users * n + photos]))
        pairs = every[np.concatenate([[True], every[1:] != every[:-1]])]
    random.shuffle(pairs)
    lake, pairs = Lake(uri), pairs[:favorites]
    for part in range(0, favorites, FAVORITES_A_FILE):
        _append(lake, pairs[part : part + FAVORITES_A_FILE], n, part // FAVORITES_A_FILE)


def _append(lake: Any, pairs: Any, n: int, part: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from features.schema import INTERACTIONS, TIMESTAMP, Kind

    random = np.random.default_rng([SEED, part])
    other = random.choice(pairs, len(pairs) // OTHER_ROWS)
    kinds = np.concatenate([np.zeros(len(pairs), dtype=np.int32), random.integers(0, 4, len(other), dtype=np.int32)])
    users, photos = np.divmod(np.concatenate([pairs, other]), n)
    photos[kinds >= 2] = random.integers(0, n, np.count_nonzero(kinds >= 2))
    times = START + (random.random(len(users)) * SPAN).astype(np.int64)

    def moments(seconds: Any) -> pa.Array:
        return pa.array(seconds * 1_000_000).cast(pa.timestamp("us")).cast(TIMESTAMP)

    def named(form: str, numbers: Any) -> pa.Array:
        before, after = form.split("#")
        return pc.binary_join_element_wise(before, pa.array(numbers).cast(pa.string()), after, "")

    created = moments(np.full(len(users), START + SPAN + part * 86_400))
    names = [Kind.FAVORITE, Kind.UNFAVORITE, Kind.DISMISS_PHOTO, Kind.UNDISMISS_PHOTO]
    rows = {
        "user_id": named("#@N07", 10_000_000 + users * 37 % (100 * n)),
        "photo_id": named("5#", 1_000_000_000 + photos * 7919),
        "owner_id": named("#@N02", 20_000_000 + photos // 12),
        "kind": pa.DictionaryArray.from_arrays(kinds, pa.array(list(map(str, names)))).cast(pa.string()),
        "source": pa.repeat(pa.scalar("flickr"), len(users)),
        "event_timestamp": moments(times),
        "created_timestamp": created,
        "faved_at": moments(np.where(kinds == 0, times, 0)),
        "ingest_date": created.cast(pa.date32()),
    }
    rows["faved_at"] = pc.if_else(pa.array(kinds == 0), rows["faved_at"], None)
    lake.append(INTERACTIONS, pa.table(rows))


def measure_ours(uri: str, folder: Path) -> dict[str, float]:
    """From the lake to factors; afterwards the matrix is written for the bare fit."""
    import numpy as np

    from features.lake import Lake
    from training.from_lake import load_interactions
    from training.models.als import ALS, confidence_matrix

    lake = Lake(uri)
    began, cpu_before = time.monotonic(), time.process_time()
    interactions = load_interactions(lake)
    loaded, cpu_loaded, after_loading = time.monotonic(), time.process_time(), peak_gib()
    model = ALS.fit(
        interactions,
        factors=FACTORS,
        iterations=ITERATIONS,
        regularization=0.05,
        seed=SEED,
        alpha=10.0,
        alpha_dismissal=10.0,
        half_life_days=365.0,
        degree_exponent=0.2,
    )
    fitted, peak, cpu = time.monotonic(), peak_gib(), time.process_time()
    matrix = confidence_matrix(interactions, model.weighting)
    for name in ("data", "indices", "indptr"):
        np.save(folder / f"{name}.npy", getattr(matrix, name))
    return {
        "load_seconds": loaded - began,
        "fit_seconds": fitted - loaded,
        "seconds": fitted - began,
        "load_cpu_seconds": cpu_loaded - cpu_before,
        "cpu_seconds": cpu - cpu_before,
        "peak_after_loading_gib": after_loading,
        "peak_gib": peak,
        "users": interactions.n_users,
        "photos": interactions.n_photos,
        "favorites": len(interactions.favorites),
        "dismissals": len(interactions.dismissals),
    }


def measure_bare(uri: str, folder: Path) -> dict[str, float]:
    """`implicit` alone, on the matrix that is there already."""
    import numpy as np
    import scipy.sparse
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    parts = tuple(np.load(folder / f"{name}.npy") for name in ("data", "indices", "indptr"))
    matrix = scipy.sparse.csr_matrix(parts)
    model = AlternatingLeastSquares(
        factors=FACTORS, regularization=0.05, alpha=1.0, iterations=ITERATIONS, random_state=SEED
    )
    with threadpool_limits(1, "blas"):
        began, cpu_before = time.monotonic(), time.process_time()
        model.fit(matrix, show_progress=False)
    cpu = time.process_time() - cpu_before
    return {"seconds": time.monotonic() - began, "cpu_seconds": cpu, "peak_gib": peak_gib()}


def peak_gib() -> float:
    """The most memory that this process ever held; `ru_maxrss` would count what its parent held too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


STEPS = {"ours": measure_ours, "bare": measure_bare}


def fastest(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The least of every time, as whatever else a machine does only adds; the most of everything else."""
    return {name: (min if name.endswith("seconds") else max)(each[name] for each in rounds) for name in rounds[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--favorites", type=int, default=FAVORITES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--keep", type=Path, help="a folder for the lake, used again when it is there")
    parser.add_argument("--step", choices=[*STEPS, "generate"], help="one part, in the folder of --keep")
    options = parser.parse_args()
    if options.step == "generate":
        generate(f"{options.keep}/lake", options.favorites)
    elif options.step:
        print(json.dumps(STEPS[options.step](f"{options.keep}/lake", options.keep)))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            compare(options.keep or Path(temporary), options.favorites, options.rounds)


def compare(folder: Path, favorites: int, rounds: int) -> None:
    """Each step in a process of its own; then the line."""

    def step(name: str) -> str:
        command = [sys.executable, __file__, "--step", name, "--keep", str(folder), "--favorites", str(favorites)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        print(f"{name}: {answer.strip() or 'done'}", file=sys.stderr, flush=True)
        return answer

    if not (folder / "lake").exists():
        step("generate")
    pairs = [(json.loads(step("ours")), json.loads(step("bare"))) for _ in range(rounds)]
    ours, bare = (fastest(list(each)) for each in zip(*pairs, strict=True))
    cores = len(os.sched_getaffinity(0))
    ratios = {
        "clock": ours["seconds"] / bare["seconds"],
        "idle_cores": 1 + cores * (ours["cpu_seconds"] - bare["cpu_seconds"]) / bare["cpu_seconds"],
    }
    ratio = max(ratios.values())
    details = {
        "ours": {name: round(value, 2) for name, value in ours.items()},
        "bare": {name: round(value, 2) for name, value in bare.items()},
        "ratios": {name: round(value, 3) for name, value in ratios.items()},
        "seconds_by_round": [[round(each["seconds"], 1) for each in pair] for pair in pairs],
        "cores": cores,
        "load_average": round(os.getloadavg()[2], 1),
        "peak_gib": round(ours["peak_gib"], 2),
        "peak_bar_gib": PEAK_GIB,
        "factors": FACTORS,
        "iterations": ITERATIONS,
    }
    ok = ratio <= BAR and ours["peak_gib"] < PEAK_GIB
    finish("train_overhead", ratio, "ours ÷ bare", "lower", BAR, details, ok=ok)


if __name__ == "__main__":
    main()
