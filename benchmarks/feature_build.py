"""What building all feature tables costs a million interactions, and in how much memory.

Two lakes are generated (by default of half a million and of 5 million favorites, a twentieth of other rows beside), and
the tables of each are built by a process of its own, as `photo-recommender features build` does once it is up. The
value is the processor's seconds a million favorites in the larger one, nearly all on one core: on a busy machine the
clock says anything. The bar of memory is for the process's peak, whatever the size of the lake.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _reporting import finish

BAR = 20.0
PEAK_MIB = 2048.0
FAVORITES, SMALLER = 5_000_000, 10
DOLLARS_AN_HOUR = {"vcpu": 0.04048, "gb": 0.004445}  # Fargate in us-east-1
VCPUS, GB = 1, 3


def measure_build(uri: str) -> dict[str, object]:
    """Build the features of a lake: rows of each table, and what each took (those without a time came with another)."""
    from _feature_world import END

    from features.batch import build_features
    from features.lake import Lake
    from features.settings import Settings

    seconds: dict[str, float] = {}
    began = last = time.process_time()
    clock = time.monotonic()

    def note(table: str, _done: int, _tables: int) -> None:
        nonlocal last
        now = time.process_time()
        seconds[table], last = round(now - last, 1), now

    built = build_features(Lake(uri), Settings(lake_uri=uri), now=END, progress=note)
    return {
        "cpu_seconds": round(time.process_time() - began, 1),
        "clock_seconds": round(time.monotonic() - clock, 1),
        "peak_mib": round(peak_mib()),
        "cpu_seconds_by_table": seconds,
        "rows": built.rows,
    }


def peak_mib() -> float:
    """The most memory that this process ever held; `ru_maxrss` would count what its parent held too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--favorites", type=int, default=FAVORITES)
    parser.add_argument("--step", choices=["generate", "build"], help="one part, of the lake at --lake")
    parser.add_argument("--lake", help="its folder")
    options = parser.parse_args()
    if options.step == "generate":
        from _feature_world import generate

        generate(options.lake, options.favorites)
    elif options.step == "build":
        print(json.dumps(measure_build(options.lake)))
    else:
        compare(options.favorites)


def compare(favorites: int) -> None:
    """Both lakes; then the line."""

    def measured(n: int, folder: str) -> dict[str, float]:
        answers = []
        for step in ("generate", "build"):
            command = [sys.executable, __file__, "--step", step, "--lake", f"{folder}/lake", "--favorites", str(n)]
            answers.append(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            print(f"{step} {n:,}: {answers[-1].strip() or 'done'}", file=sys.stderr, flush=True)
        return dict(json.loads(answers[-1]))

    with tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        smaller, larger = measured(favorites // SMALLER, small), measured(favorites, large)
    millions = favorites / 1e6
    value = larger["cpu_seconds"] / millions
    an_hour = VCPUS * DOLLARS_AN_HOUR["vcpu"] + GB * DOLLARS_AN_HOUR["gb"]
    details = {
        "favorites": favorites,
        **larger,
        "peak_bar_mib": PEAK_MIB,
        "tenth": {name: smaller[name] for name in ("cpu_seconds", "clock_seconds", "peak_mib")},
        "mib_a_further_million": round((larger["peak_mib"] - smaller["peak_mib"]) / (millions * (1 - 1 / SMALLER)), 1),
        "dollars_a_million": round(value / 3600 * an_hour, 5),
    }
    ok = value <= BAR and max(larger["peak_mib"], smaller["peak_mib"]) <= PEAK_MIB
    finish("feature_build", value, "processor seconds a million favorites", "lower", BAR, details, ok=ok)


if __name__ == "__main__":
    main()
