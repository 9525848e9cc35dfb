"""What walls showed to whom, on its way to SQL and the lake: gathered in memory, committed in batches by one thread.

SQL gets what walls go by themselves (pipelines/shown.py), the lake all of it. No request waits for either, and the loss
is bounded: a process that is killed loses what it gathered since its last commit, which is `impressions_seconds` old at
most; while SQL or the lake takes nothing, `KEPT_BATCHES` times `impressions_rows` are kept, and the oldest beyond go.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

import pyarrow as pa
import sqlalchemy as sa
import structlog
from prometheus_client import Counter

from features.lake import open_lake
from features.schema import IMPRESSIONS
from features.settings import Settings
from pipelines.privacy.suppression import Suppression
from pipelines.shown import Repetition, Showing, forget_users, note_shown

KEPT_BATCHES = 10

STOP_SECONDS = 5.0
"""What the last commit gets of the time in which a service has to end."""

DROPPED = Counter(
    "photo_recommender_impressions_dropped_total", "Photos that a wall showed and that were not recorded.", ["reason"]
)

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Impression:
    """A photo that was really visible. user_id: "" for somebody who is not signed in; rank: 0 for a wall's first;
    own_wall: whether the wall was the user's own, None when nobody said whose it was."""

    user_id: str
    photo_id: str
    rank: int
    model_version: str
    variant: str
    shown_at: datetime
    own_wall: bool | None = None


class Impressions:
    """The buffer and its thread. `add` may be called by any number of threads."""

    def __init__(self, settings: Settings, engine: sa.Engine, suppression: Suppression) -> None:
        self._engine = engine
        self._lake = open_lake(settings)
        self._suppression = suppression
        self._repetition = Repetition.of(settings)
        self._seconds = settings.impressions_seconds
        self._rows = settings.impressions_rows
        self._waiting: dict[tuple[str, str, bool | None], Impression] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="impressions", daemon=True)

    def start(self) -> None:
        """Begin to commit what is added."""
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, and end the thread. What the lake does not take within `STOP_SECONDS` is lost."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)
        waiting, committing = len(self._waiting), self._thread.is_alive()
        if waiting or committing:
            logger.warning("impressions_lost", waiting=waiting, committing=committing)

    def add(self, shown: Iterable[Impression]) -> None:
        """Take them in without waiting for anything. Of a photo, a user and a kind of wall, the first of a batch."""
        with self._lock:
            before = len(self._waiting)
            for impression in shown:
                key = (impression.user_id, impression.photo_id, impression.own_wall)
                self._waiting.setdefault(key, impression)
            self._drop_oldest()
            if before < self._rows <= len(self._waiting):
                self._wake.set()

    def flush(self) -> None:
        """Commit what waits. Never raises: what SQL or the lake does not take now is kept, and said once.

        A commit that happened though it seemed to fail is repeated with the same rows: in SQL that changes nothing, and
        in the lake, reading and compaction tell them by their key. For one thread at a time.
        """
        with self._lock:
            batch, self._waiting = self._waiting, {}
        if not batch:
            return
        try:
            self._commit(batch.values())
        except Exception as error:  # noqa: BLE001  (a lake or database in trouble must not end the thread)
            with self._lock:
                self._waiting = batch | {key: one for key, one in self._waiting.items() if key not in batch}
                self._drop_oldest()
            if not self._failing:
                logger.warning("impressions_not_written", reason=f"{type(error).__name__}: {error}", kept=len(batch))
            self._failing = True
            return
        if self._failing:
            logger.info("impressions_written_again", rows=len(batch))
        self._failing = False

    def _commit(self, batch: Collection[Impression]) -> None:
        # Whoever was erased since must not come back by what they saw before.
        users = {one.user_id for one in batch if one.user_id}
        erased = self._suppression.suppressed(users)
        mine = [one for one in batch if one.own_wall and one.user_id not in erased]
        note_shown(self._engine, (Showing(one.user_id, one.photo_id, one.shown_at) for one in mine), self._repetition)
        # An erasure that began after the look above may have looked for rows before these came; the lake's are found
        # by the scheduler (`erase_returned`).
        if late := self._suppression.suppressed(users - erased):
            forget_users(self._engine, late)
            erased |= late
        now = datetime.now(UTC)
        rows = [{**vars(one), "created_timestamp": now} for one in batch if one.user_id not in erased]
        if rows:
            self._lake.append(IMPRESSIONS, pa.Table.from_pylist(rows, schema=IMPRESSIONS.schema))

    def _drop_oldest(self) -> None:
        excess = len(self._waiting) - KEPT_BATCHES * self._rows
        if excess <= 0:
            return
        for key in list(islice(self._waiting, excess)):
            del self._waiting[key]
        DROPPED.labels("full").inc(excess)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._seconds)
            self._wake.clear()
            self.flush()
        self.flush()
