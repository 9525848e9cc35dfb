"""Worker processes that start at once: one process imports everything, and forks a child for each order it reads.

Run by its path. An order is a line of JSON on standard input (`Job`); the answers are lines of JSON: `{"pid"}` when a
child has started, `{"pid", "status"}` when it has ended (`os.waitpid`'s). Children end with this process.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from features import online_store  # noqa: F401  (imported before the fork, so that no child has to)
from features.database import open_database
from features.lake import open_lake
from features.logs import configure_logging
from features.online import OnlineFeatures
from features.repository import definitions  # noqa: F401
from features.settings import Settings
from pipelines.budget import redis_windows, sqlite_windows, windows  # noqa: F401
from pipelines.flickr import calls, client
from pipelines.flickr.client import open_flickr
from pipelines.pull import sweep, worker, writer
from pipelines.pull.workplace import Workplace
from pipelines.queue import sqs_queue  # noqa: F401
from pipelines.queue.messages import open_queue
from pipelines.queue.sql_queue import SqlQueue
from pull_rig.dooms import Doom, Fate
from pull_rig.processes import Job

# Waiting is all that a test would do otherwise; what is waited for stays the same.
QUICK = {
    (worker, "WAIT_SECONDS"): 0.1,
    (worker, "RELAY_SECONDS"): 0.05,
    (worker, "DEPENDENCY_SECONDS"): 0.2,
    (worker, "FIRST_DELAY"): 0.1,
    (writer, "FIRST_PAUSE"): 0.05,
    (calls, "FIRST_WAIT"): 0.01,
    (calls, "LONGEST_WAIT"): 0.05,
}


def main() -> None:
    ends, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    _say(ready=True)
    unread = b""
    while True:
        readable, _, _ = select.select([0, ends], [], [])
        if ends in readable:
            os.read(ends, 1_024)
            _reap()
        if 0 in readable:
            if not (read := os.read(0, 65_536)):
                return
            *orders, unread = (unread + read).split(b"\n")
            for order in orders:
                _fork(Job(**json.loads(order)))


def _fork(job: Job) -> None:
    pid = os.fork()
    if pid:
        _say(pid=pid)
        return
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nothing outlives a test that was interrupted
        log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        faulthandler.register(signal.SIGUSR1)  # shows where a worker hangs that should have ended
        _work(job)
        status = 0
    except BaseException as error:  # noqa: BLE001  (the end of this process, told to who watches it)
        sys.excepthook(type(error), error, error.__traceback__)
    finally:
        os._exit(status)


def _work(job: Job) -> None:
    os.environ.update(job.environment)
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    configure_logging(settings)
    for (module, name), value in QUICK.items():
        setattr(module, name, value)
    for module in (windows, sqlite_windows):
        module.HOUR = module.LONGEST_PAUSE = job.hour
    client.FAVORITES_PER_PAGE = sweep.PAGE = job.page
    fate = Fate([Doom(**doom) for doom in job.dooms], Path(job.notes))
    fate.watch()
    if job.steals:
        _steal(fate)
    if job.doubles:
        _double()
    engine = open_database(settings.database_url)
    queue = open_queue(settings, engine)
    place = Workplace(open_lake(settings), engine, queue, settings, OnlineFeatures(settings))
    working = worker.Worker(place, lambda purpose: open_flickr(settings, None, purpose))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: working.stop())
    working.run(job.concurrency)


def _steal(fate: Fate) -> None:
    import sqlalchemy as sa

    from features.database import pull_requests

    receive = SqlQueue.receive

    def receive_and_lose(self: SqlQueue, *arguments: Any, **options: Any) -> Any:
        messages = receive(self, *arguments, **options)
        lost = [message for message in messages if message.attempts == 1]
        for message in lost:
            fate.note("lease lost")
            table = pull_requests.c
            lapsed = sa.update(pull_requests).where(table.lease_token == message.receipt)
            with self._engine.begin() as connection:
                connection.execute(lapsed.values(visible_at=table.created_at))
        return messages

    SqlQueue.receive = receive_and_lose  # type: ignore[method-assign]


def _double() -> None:
    put = SqlQueue.put

    def put_twice(self: SqlQueue, requests: Any) -> None:
        put(self, requests)
        put(self, requests)

    SqlQueue.put = put_twice  # type: ignore[method-assign]


def _reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _say(pid=pid, status=status)


def _say(**words: object) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    main()
