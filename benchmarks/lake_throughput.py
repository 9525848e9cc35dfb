"""How fast pulled rows get into the lake, beside what bare `write_deltalake` does with the very same rows.

1, 2 and 4 processes commit their batches (100 users with 500 favorites each, and the details of the photos seen first)
through `pipelines.pull.commit`: compared with what the lake and SQL hold, appended exactly once, cursors moved. Bare:
as many processes make Arrow tables of the same listings and `write_deltalake` them, the same rows of users, photos and
interactions in the same batches, through one open table each, guarding against nothing. The value is the worst ratio
of times on a folder (of the fastest rounds: whatever else a machine does only adds). Among the details: an S3 emulator,
and bare writes of tables that were made outside the clock (`finished`).
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import multiprocessing
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _lake_load import FAVORITES_A_USER, USERS_A_BATCH, Batch, batches
from _reporting import finish

BAR = 1.5
WORKERS = (1, 2, 4)
ROUNDS = 5
FOLDER_BATCHES, S3_BATCHES = 6, 2
BUCKET = "throughput"


def ours(uri: str, home: str, load: list[Batch]) -> Callable[[], None]:
    """Commit the batches as a worker's writer does."""
    from features.database import open_database
    from features.lake import Lake
    from features.settings import Settings
    from pipelines.pull.commit import commit

    settings = Settings(home=Path(home), lake_uri=uri, _env_file=None)  # type: ignore[call-arg]
    lake, engine = Lake(uri), open_database(settings.database_url)

    def write() -> None:
        for batch in load:
            commit(lake, engine, settings, batch.fetched, batch.photos)

    return write


def bare(uri: str, home: str, load: list[Batch]) -> Callable[[], None]:
    """Make tables of the listings and append them."""
    return lambda: append(uri, (batch.tables() for batch in load))


def finished(uri: str, home: str, load: list[Batch]) -> Callable[[], None]:
    """Append tables that are made already."""
    made = [batch.tables() for batch in load]
    return lambda: append(uri, made)


def append(uri: str, tables: Iterable[Sequence[tuple[Any, Any]]]) -> None:
    """Append rows to tables that are kept open, and to nothing else."""
    from deltalake import DeltaTable, write_deltalake

    from features.lake import storage_options

    opened: dict[str, DeltaTable] = {}
    for batch in tables:
        for table, rows in batch:
            if table.name not in opened:
                opened[table.name] = DeltaTable(f"{uri}/{table.name}", storage_options=storage_options(uri))
            if rows.num_rows:
                write_deltalake(opened[table.name], rows, mode="append")


def create(uri: str) -> None:
    """The lake's tables, empty."""
    from features.lake import Lake
    from features.schema import CONTACTS, INTERACTIONS, PHOTOS, USERS

    for table in (USERS, PHOTOS, CONTACTS, INTERACTIONS):
        Lake(uri).append(table, table.schema.empty_table())


WAYS = {"ours": ours, "bare": bare, "finished": finished}


def work(turns: list[tuple[str, str, str]], worker: int, number: int, barrier: Any, answers: Any) -> None:
    """One process: for each turn (way, lake, home) get ready, wait for the others, write, and tell how long it took."""
    try:
        load = batches(worker, number)
        for turn, (way, uri, home) in enumerate(turns):
            write = WAYS[way](uri, home, load)
            barrier.wait()
            began = time.monotonic()
            write()
            answers.put((turn, time.monotonic() - began))
    except BaseException:
        barrier.abort()  # nobody waits for this one
        answers.put(None)
        raise


def compare(place: Callable[[], str], home: str, workers: int, number: int) -> dict[str, float]:
    """All ways in turn, some rounds of them, each in a new lake: from the common start until the last process is done.

    Favorites a second by the fastest of the rounds, and ratios of these.
    """
    turns = [(way, place(), f"{home}/{uuid.uuid4().hex}") for _ in range(ROUNDS) for way in WAYS]
    for _, uri, _ in turns:
        create(uri)
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=work, args=(turns, worker, number, barrier, answers)) for worker in range(workers)
    ]
    for process in processes:
        process.start()
    taken = [0.0] * len(turns)
    for _ in range(workers * len(turns)):
        answer = answers.get()
        assert answer is not None, "a process has failed"
        turn, seconds = answer
        taken[turn] = max(taken[turn], seconds)
    for process in processes:
        process.join()
    rows = workers * number * USERS_A_BATCH * FAVORITES_A_USER
    fastest = {way: min(taken[place :: len(WAYS)]) for place, way in enumerate(WAYS)}
    result: dict[str, float] = {f"{way}_favorites_a_second": round(rows / seconds) for way, seconds in fastest.items()}
    result["ratio"] = round(fastest["ours"] / fastest["bare"], 3)
    result["ratio_to_finished"] = round(fastest["ours"] / fastest["finished"], 3)
    print(f"{workers} workers: {result}", file=sys.stderr, flush=True)
    return result


@contextmanager
def emulator() -> Iterator[None]:
    """An S3 emulator, to which this process's environment points while the context lasts."""
    import boto3
    import httpx

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    os.environ |= {**dict.fromkeys(names, "test"), "AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL_S3": endpoint}
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{endpoint}/moto-api/")
                break
            except httpx.TransportError:
                time.sleep(0.2)
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=BUCKET)
        yield
    finally:
        server.terminate()
        server.wait(10)


def main() -> None:
    with tempfile.TemporaryDirectory() as home:

        def folder() -> str:
            return f"{home}/{uuid.uuid4().hex}"

        def bucket() -> str:
            return f"s3://{BUCKET}/{uuid.uuid4().hex}"

        local = {workers: compare(folder, home, workers, FOLDER_BATCHES) for workers in WORKERS}
        with emulator():
            remote = {workers: compare(bucket, home, workers, S3_BATCHES) for workers in WORKERS}
    worst = max(result["ratio"] for result in local.values())
    details = {
        "folder": local,
        "s3_emulator": remote,
        "favorites_a_batch": USERS_A_BATCH * FAVORITES_A_USER,
        "batches_a_worker": {"folder": FOLDER_BATCHES, "s3_emulator": S3_BATCHES},
        "compared": "from the same listings to the same rows of interactions, photos and users, in the same batches",
    }
    finish("lake_throughput", worst, "ours ÷ bare", "lower", BAR, details, ok=worst <= BAR)


if __name__ == "__main__":
    main()
