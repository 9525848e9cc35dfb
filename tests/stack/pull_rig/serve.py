"""The sandbox's process: the real server over the rig's world, which counts calls in windows of any length.

Run by its path: `serve.py FOLDER HOUR SECOND` (both in seconds); prints its address when it is up.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipelines.sandbox import accounting, server
from pull_rig.world import CONFIG, small_world


def main(folder: str, hour: float, second: float) -> None:
    accounting.HOUR, accounting.SECOND = hour, second
    server.generate_world = small_world

    def ready(address: str) -> None:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()

    server.serve_sandbox(CONFIG, "127.0.0.1", 0, Path(folder), on_ready=ready)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
