"""The online store as walls read it: when it is gone or slow, what was read lately takes its place.

A wall must not wait for a store that does not answer: after one failed read nobody asks it again but one thread, once a
second, until it answers. That thread also finds out when the store has become slow, and keeps the popular photos'
cards, so that there is a wall for everybody. Only for serving: whoever writes snapshots must never begin from what is
remembered.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import pyarrow as pa
import pyarrow.dataset as ds
import structlog
from cachetools import TTLCache
from prometheus_client import Counter, Gauge

from features.builds import Builds
from features.errors import DependencyError
from features.feature_tables import FEATURE_TABLES, PHOTO_CARD, FeatureTable
from features.online import FeatureRow, OnlineFeatures, PhotoCard
from features.online_store import impatient
from features.settings import Settings
from serving.champion.served import Served
from serving.observation import FEATURES_BUILT, MODEL_TRAINED

LOOK_SECONDS = 1.0
"""Between two looks whether the store answers."""

TRIES = 3
"""A store is slow when so many small reads in a row get no answer within half of what a wall waits for one. It is a
socket's timeout that says so: times that are measured here would tell how busy this process is, not the store."""

POPULAR_SECONDS = 600.0
"""So old may the kept cards of the popular photos be."""

KEPT_SECONDS = 3600.0
"""What was read longer ago is no longer used: an erased person is forgotten here, too."""

VALUES_PER_MB = 16_000
"""Elements of lists that fit into a megabyte of memory: ids, owners and times, in turn."""
ROW_VALUES = 36
"""What a row counts for besides: measured of cards, which have no lists."""

LISTS = {
    table.name: [name for name in table.features if pa.types.is_list(table.schema.field(name).type)]
    for table in FEATURE_TABLES
}
"""The features of each table that are lists."""

AT_ONCE = 200
"""Cards read at once, so that requests get their turn."""

CARDS = 20_000
"""Photos' cards that a process keeps for a moment: some 40 MB."""

NOBODY = "0"
"""A photo that is not there: its card costs least to ask for."""

LOST = Gauge(
    "photo_recommender_online_store_lost",
    "1 while the online store does not answer and walls are made from what was read before.",
    multiprocess_mode="livemax",
)

CARDS_ASKED = Counter(
    "photo_recommender_cards", "Photos' cards that were asked for, by where they came from.", ["source"]
)
CARDS_KEPT, CARDS_READ = CARDS_ASKED.labels("memory"), CARDS_ASKED.labels("store")

logger = structlog.get_logger(__name__)

_Kept = tuple[int, float, FeatureRow]
"""What a row counts for, when it was read, and the row."""


@dataclass
class Reads:
    """What one request's reads came to: whether any was from memory."""

    stale: bool = False


_reads: ContextVar[Reads | None] = ContextVar("reads", default=None)


@contextmanager
def watched_reads() -> Iterator[Reads]:
    """The reads of a `LastKnown` that this thread makes within it."""
    reads = Reads()
    token = _reads.set(reads)
    try:
        yield reads
    finally:
        _reads.reset(token)


class LastKnown(OnlineFeatures):
    """Reads of the online store that never wait long. Safe to share between threads.

    Until `start`, and after `stop`, a store that fails raises DependencyError as ever.
    served: what is served now; its popular photos are those whose cards are kept.
    """

    def __init__(self, settings: Settings, served: Callable[[], Served]) -> None:
        patience = settings.online_timeout_ms / 1000
        super().__init__(impatient(settings, patience))
        self._probe = OnlineFeatures(impatient(settings, patience / 2))
        self._settings = settings
        self._served = served
        self._room = settings.last_known_mb * VALUES_PER_MB
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._taken = 0
        self._cards: TTLCache[str, PhotoCard] = TTLCache(CARDS, settings.card_seconds, monotonic)
        self._popular: dict[str, FeatureRow] = {}
        self._popular_of: tuple[Sequence[str], float] = ((), -POPULAR_SECONDS)
        self._lock = threading.Lock()
        self._card_lock = threading.Lock()
        self._lost = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="last-known", daemon=True)

    def start(self) -> None:
        """From now on reads go on without the store. Looks for the popular photos' cards first."""
        self.refresh()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def read_each(self, wanted: Sequence[tuple[FeatureTable, Sequence[str]]]) -> list[dict[str, FeatureRow]]:
        """As `OnlineFeatures.read_each`, or what is known of them where the store does not answer in time.

        Raises DependencyError only while this is not started.
        """
        if not self._lost:
            try:
                found = super().read_each(wanted)
            except DependencyError as error:
                if not self._thread.is_alive():
                    raise
                self._lose(error)
            else:
                for (table, ids), rows in zip(wanted, found, strict=True):
                    self._remember(table, ids, rows)
                return found
        reads = _reads.get() or Reads()
        return [self._remembered(table, ids, reads) for table, ids in wanted]

    def photo_cards(self, photo_ids: Sequence[str]) -> dict[str, PhotoCard]:
        """As `OnlineFeatures.photo_cards`; one that was read within `card_seconds` is taken as it was then.

        Reading and decoding cards is a fifth of a wall's work, and they are the same for everybody. What is taken down
        does not wait for them: that stands in SQL.
        """
        if not self._settings.card_seconds:
            CARDS_READ.inc(len(photo_ids))
            return super().photo_cards(photo_ids)
        with self._card_lock:
            found = {photo_id: card for photo_id in photo_ids if (card := self._cards.get(photo_id)) is not None}
        missing = [photo_id for photo_id in photo_ids if photo_id not in found]
        CARDS_KEPT.inc(len(found))
        CARDS_READ.inc(len(missing))
        if not missing:
            return found
        read = super().photo_cards(missing)
        if not self._lost:
            with self._card_lock:
                self._cards.update(read)
        return found | read

    def refresh(self) -> None:
        """Look whether the store answers, renew the popular photos' cards when they are due. Never raises."""
        for look in (self._look_for_store, self._look_at_popular, self._look_at_ages):
            try:
                look()
            except Exception as error:  # noqa: BLE001  (neither a store nor a lake in trouble may end the thread)
                logger.warning("last_known_not_refreshed", reason=f"{type(error).__name__}: {error}")

    def _look_for_store(self) -> None:
        for _ in range(TRIES):
            try:
                self._probe.read(PHOTO_CARD, [NOBODY])
            except DependencyError as error:
                failure = error
            else:
                self._find()
                return
        self._lose(failure)

    def _look_at_popular(self) -> None:
        ids = self._served().popular.photo_ids
        of, since = self._popular_of
        if of == ids and (self._lost or monotonic() - since < POPULAR_SECONDS):
            return
        rows: dict[str, FeatureRow] = {}
        try:
            for start in range(0, len(ids), AT_ONCE):
                (some,) = super().read_each([(PHOTO_CARD, ids[start : start + AT_ONCE])])
                rows |= some
        except DependencyError:
            rows = _cards_of_build(self._settings, ids)
        self._popular, self._popular_of = rows, (ids, monotonic())

    def _look_at_ages(self) -> None:
        champion = self._served().champion
        trained = champion.bundle.manifest["created_at"] if champion else None
        MODEL_TRAINED.set(datetime.fromisoformat(trained).timestamp() if trained else 0)
        build = Builds(self._settings.lake_uri).current()
        FEATURES_BUILT.set(build.built_at.timestamp() if build else 0)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            self.refresh()

    def _lose(self, error: Exception) -> None:
        if not self._lost:
            self._lost = True
            LOST.set(1)
            logger.error("online_store_lost", reason=str(error))

    def _find(self) -> None:
        if self._lost:
            self._lost = False
            LOST.set(0)
            logger.info("online_store_back")

    def _remember(self, table: FeatureTable, ids: Sequence[str], rows: dict[str, FeatureRow]) -> None:
        now, name, lists = monotonic(), table.name, LISTS[table.name]
        with self._lock:
            for entity_id in ids:
                before = self._kept.pop((name, entity_id), None)
                self._taken -= before[0] if before else 0
                row = rows.get(entity_id)
                if row is None:
                    continue
                values = ROW_VALUES + sum(len(row[1][of] or ()) for of in lists) if lists else ROW_VALUES
                if values <= self._room:
                    self._kept[name, entity_id] = values, now, row
                    self._taken += values
            while self._taken > self._room:
                _, oldest = self._kept.popitem(last=False)
                self._taken -= oldest[0]

    def _remembered(self, table: FeatureTable, ids: Sequence[str], reads: Reads) -> dict[str, FeatureRow]:
        reads.stale = True
        oldest = monotonic() - KEPT_SECONDS
        popular = self._popular if table is PHOTO_CARD else {}
        found: dict[str, FeatureRow] = {}
        with self._lock:
            for entity_id in ids:
                kept = self._kept.get((table.name, entity_id))
                if kept is not None and kept[1] >= oldest:
                    found[entity_id] = kept[2]
                elif entity_id in popular:
                    found[entity_id] = popular[entity_id]
        return found


def _cards_of_build(settings: Settings, photo_ids: Sequence[str]) -> dict[str, FeatureRow]:
    """The photos' cards as the current build has them: for a service that starts while the store is gone."""
    builds = Builds(settings.lake_uri)
    wanted = ds.field(PHOTO_CARD.join_key).isin(list(photo_ids))
    rows = builds.read(PHOTO_CARD.name, PHOTO_CARD.schema).to_table(filter=wanted).to_pylist()
    return {
        row[PHOTO_CARD.join_key]: (row["event_timestamp"], {name: row[name] for name in PHOTO_CARD.features})
        for row in rows
    }
