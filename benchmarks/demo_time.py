"""How long the demo's pipeline takes from nothing (2,000 users, 20,000 photos, 400,000 favorites), in how much memory.

The bar is the product's: under 90 s on two cores. Beside it, in the same run: the same listings by bare `flickrapi`,
one call after the other, their answers thrown away.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from _reporting import finish

PROGRAM = [sys.executable, "-m", "photo_recommender"]
BAR = 90.0


def peak_memory(root: int, stop: threading.Event) -> list[float]:
    """Samples the proportional set size of a process and all below it until told to stop; [peak in MiB]."""
    peak = [0.0]

    def sample() -> None:
        while not stop.wait(0.5):
            parents: dict[int, int] = {}
            sizes: dict[int, int] = {}
            for entry in Path("/proc").glob("[0-9]*"):
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    rollup = (entry / "smaps_rollup").read_text()
                except OSError:
                    continue
                found = re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)
                parents[int(entry.name)], sizes[int(entry.name)] = int(fields[1]), int(found[1]) if found else 0
            family = {root}
            while more := {pid for pid, parent in parents.items() if parent in family} - family:
                family |= more
            peak[0] = max(peak[0], sum(sizes.get(pid, 0) for pid in family) / 1024)

    threading.Thread(target=sample, daemon=True).start()
    return peak


def bare_calls(home: Path) -> float:
    """Seconds for one page of favorites and one of contacts of each user by bare flickrapi, one thread."""
    import flickrapi
    import httpx

    command = [*PROGRAM, "sandbox", "--port", "3091", "--folder", str(home / "sandbox")]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        assert "ready" in server.stdout.readline()
        people = httpx.get("http://127.0.0.1:3091/sandbox/people", timeout=60).json()
        client = flickrapi.FlickrAPI("sandbox-key", "sandbox-secret", format="parsed-json", store_token=False)
        client.REST_URL = "http://127.0.0.1:3091/services/rest/"
        began = time.monotonic()
        for person in people:
            if not person["visitor"]:
                for page in range(1, 2 + person["favorites"] // 500):
                    client.favorites.getPublicList(user_id=person["user_id"], per_page=500, page=page)
                client.contacts.getPublicList(user_id=person["user_id"])
        return time.monotonic() - began
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "demo"
        began = time.monotonic()
        ports = ["--port", "3090", "--sandbox-port", "3091", "--mlflow-port", "3092"]
        demo = subprocess.Popen(
            [*PROGRAM, "demo", "--no-serve", "--home", str(home), *ports], stdout=subprocess.PIPE, text=True
        )
        stop = threading.Event()
        peak = peak_memory(demo.pid, stop)
        output, _ = demo.communicate()
        wall = time.monotonic() - began
        stop.set()
        print(output)
        found = re.search(r"training took (\d+) s", output)
        if demo.returncode or not found:
            raise SystemExit(f"the demo ended with {demo.returncode}")
        bare = bare_calls(home)
    seconds = float(found[1])
    details = {
        "whole_command_s": round(wall, 1),
        "bare_flickrapi_s": round(bare, 1),
        "pipeline_over_bare_calls": round(seconds / bare, 2),
        "peak_memory_mib": round(peak[0]),
    }
    finish("demo_time", seconds, "s", "lower", BAR, details, ok=seconds < BAR)


if __name__ == "__main__":
    main()
