"""A place to pull in: a home of its own with lake, database and queue, and the workers that are started in it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from features.database import open_database, pull_requests
from features.lake import open_lake
from features.settings import Settings
from pipelines.pull.ask import ask
from pipelines.pull.cursors import read_cursors
from pipelines.pull.progress import FINAL, read_progress
from pipelines.queue.messages import open_queue
from pipelines.queue.requests import Kind, Priority, PullRequest
from pull_rig.dooms import Doom
from pull_rig.processes import Job, Zygote
from pull_rig.sandbox import Sandbox

FINISH_SECONDS = 60.0
LOOK_SECONDS = 0.02

DEFAULTS = {
    "lease_seconds": 1,
    "commit_seconds": 0.05,
    "breaker_failures": 1_000_000,
    "flickr_attempts": 1,
    "sweep_days": 0.000_001,
}
"""Everything at once: the sweep is due at each refresh, and each failure of Flickr is a retry of the message."""


class Stage:
    """A folder `home` that does not exist yet; `template` is a database whose schema is made. Close it in the end.

    Without a zygote no workers can be started here, and other processes may be given its settings.
    """

    def __init__(self, home: Path, zygote: Zygote | None, sandbox: Sandbox, template: Path, **changes: object) -> None:
        home.mkdir(parents=True)
        shutil.copy(template, home / "photo_recommender.db")
        self._zygote, self._sandbox, self.home = zygote, sandbox, home
        values = {**sandbox.settings(), **DEFAULTS, **changes}
        self.settings = Settings(home=home, _env_file=None, **values)  # type: ignore[arg-type]
        self.engine = open_database(self.settings.database_url)
        self.queue = open_queue(self.settings, self.engine)
        self.lake = open_lake(self.settings)

    def close(self) -> None:
        self.engine.dispose()

    def start(self, dooms: Sequence[Doom] = (), *, fresh: bool = True, **options: object) -> int:
        """The process id of a new worker. fresh: whether what was just pulled is not pulled again."""
        minutes = {} if fresh else {"pull_fresh_minutes": 0, "refresh_min_minutes": 0}
        assert self._zygote is not None
        return self._zygote.start(
            Job(
                environment=self.settings.model_copy(update=minutes).environment(),
                log=str(self.home / "log"),
                notes=str(self.home / "notes"),
                dooms=[asdict(doom) for doom in dooms],
                **options,  # type: ignore[arg-type]
            )
        )

    def stop(self, pid: int) -> None:
        """Ask a worker to stop. Raises AssertionError when it does not end well."""
        status = self.end(pid, signal.SIGTERM)
        assert os.WIFEXITED(status) and not os.WEXITSTATUS(status), f"a worker ended with {status}: {self.log()}"

    def end(self, pid: int, number: signal.Signals) -> int:
        """Send a worker that signal; how it ended. Raises AssertionError when it does not end."""
        assert self._zygote is not None
        try:
            return self._zygote.end(pid, number)
        except TimeoutError as error:
            raise AssertionError(f"{error}: {self.state()}") from None

    def is_drained(self) -> bool:
        depth = self.queue.depth()
        return not sum(depth.waiting.values()) + depth.leased + depth.dead

    def is_over(self, people: Iterable[str]) -> bool:
        """Whether nothing is left to do, and these people's pulls have ended."""
        return self.is_drained() and all(read_progress(self.engine, person).stage in FINAL for person in people)

    def wait(self, holds: Callable[[], bool], seconds: float = FINISH_SECONDS) -> int:
        """Wait until it holds; dead letters are redriven meanwhile: how many. Raises AssertionError after `seconds`."""
        deadline, redriven = time.monotonic() + seconds, 0
        while not holds():
            assert time.monotonic() < deadline, f"it does not end: {self.state()}"
            time.sleep(LOOK_SECONDS)
            if self.queue.depth().dead:
                redriven += self.queue.redrive()
        return redriven

    def let_leases_lapse(self) -> int:
        """A second later: the leases of the killed have run out, and pauses between attempts are over; how many."""
        held = sa.select(sa.func.count()).where(pull_requests.c.state == "leased")
        with self.engine.begin() as connection:
            leased = connection.scalar(held) or 0
            connection.execute(
                sa.update(pull_requests).where(pull_requests.c.state != "dead").values(visible_at=datetime.now(UTC))
            )
        return leased

    def sweep(self, users: Collection[str]) -> int:
        """Refresh these users by the workers that run, until each of their pages was looked at from now on.

        Twice to the end: the first one may have begun before. Returns how many dead letters were redriven.
        """
        redriven = 0
        for _ in range(2):
            since = datetime.now(UTC)
            redriven += self.wait(lambda since=since: self.is_drained() and not self._refresh(users, since))
        return redriven

    def _refresh(self, users: Collection[str], since: datetime) -> int:
        """Ask for those whose sweep has not come to its end since then; how many."""
        cursors = read_cursors(self.engine, sorted(users))
        left = [user for user, cursor in cursors.items() if cursor.swept_at is None or cursor.swept_at < since]
        refreshes = [
            PullRequest(user_id=user, kind=Kind.FAVORITES, reason="due", priority=Priority.REFRESH) for user in left
        ]
        ask(self.engine, self.queue, refreshes)
        return len(left)

    def notes(self) -> list[str]:
        """What struck the workers so far; forgotten then."""
        path = self.home / "notes"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def state(self) -> str:
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(pull_requests)).mappings().all()
        return f"{self.queue.depth()} {[dict(row) for row in rows][:3]}; {self.log()}"

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")[-6_000:]
