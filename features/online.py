"""Online features: what a request or a worker reads and writes of single users and photos, in Feast's online store.

Rows go to and from the store as Feast's own protos (`online_read`, `online_write_batch`), which is several times faster
than its pandas path; `FeatureStore.get_online_features` reads the same rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pyarrow as pa

from features.arrays import codes
from features.batch import BuiltFeatures, Progress
from features.builds import Builds
from features.errors import DependencyError, StorageFullError, is_storage_full
from features.feast_registry import PROJECT, apply_repository, open_store, repo_config
from features.feature_tables import (
    FEATURE_TABLES,
    NEIGHBOR_CANDIDATES,
    NO_MOMENT,
    PHOTO_CARD,
    USER_CARD,
    USER_SNAPSHOT,
    FeatureTable,
    NeighborCandidates,
    PhotoCard,
    UserCard,
)
from features.settings import Settings
from features.user_state import UserState

if TYPE_CHECKING:
    from features.online_store import Row

__all__ = [
    "NeighborCandidates",
    "OnlineFeatures",
    "PhotoCard",
    "UserCard",
    "apply_repository",
    "materialize",
]

USER_TABLES = [table for table in FEATURE_TABLES if table.entity == "user"]

ROWS_AT_ONCE = 1_000
"""Rows of one transaction (SQLite) or pipeline (Redis)."""


FeatureRow = tuple[datetime, dict[str, Any]]
"""When a row is of, and its features as Python values."""


@dataclass(frozen=True)
class Person:
    """What the online store knows of a user."""

    state: UserState
    neighbors: NeighborCandidates | None
    card: UserCard | None


class OnlineFeatures:
    """The online store of the settings. Opened once a process (it imports Feast); safe to share between threads.

    A row that is older than the one in the store changes nothing. Every method raises DependencyError when the store
    can't be reached, StorageFullError when it takes no more.
    """

    def __init__(self, settings: Settings) -> None:
        from feast.infra.online_stores.helpers import get_online_store_from_config
        from feast.protos.feast.types.EntityKey_pb2 import EntityKey

        from features.redis_rows import redis_reader
        from features.repository import definitions

        self._entity_key = EntityKey
        self._config = repo_config(settings)
        self._store = get_online_store_from_config(self._config.online_store)
        self._views = {view.name: view for view in definitions.VIEWS}
        self._redis = redis_reader(self._store, self._config, self._views)
        with self._errors():
            self._store.update(self._config, [], definitions.VIEWS, [], definitions.ENTITIES, partial=True)

    def user_state(self, user_id: str) -> UserState:
        """The user's snapshot, or an empty state when there is none."""
        return _state(user_id, self.read(USER_SNAPSHOT, [user_id]))

    def neighbor_candidates(self, user_id: str) -> NeighborCandidates | None:
        """The user's candidates, None when there are none yet."""
        return _candidates(user_id, self.read(NEIGHBOR_CANDIDATES, [user_id]))

    def person(self, user_id: str) -> Person:
        """All that is known of the user, in one read."""
        tables = (USER_SNAPSHOT, NEIGHBOR_CANDIDATES, USER_CARD)
        snapshots, candidates, cards = self.read_each([(table, [user_id]) for table in tables])
        return Person(_state(user_id, snapshots), _candidates(user_id, candidates), _cards(cards).get(user_id))

    def photo_cards(self, photo_ids: Sequence[str]) -> dict[str, PhotoCard]:
        """The cards of those photos that have one."""
        return {
            photo_id: PhotoCard(photo_id=photo_id, **{**values, "sizes": orjson.loads(values["sizes"] or "{}")})
            for photo_id, (_, values) in self.read(PHOTO_CARD, photo_ids).items()
        }

    def user_cards(self, user_ids: Sequence[str]) -> dict[str, UserCard]:
        """The cards of those users who have one."""
        return _cards(self.read(USER_CARD, user_ids))

    def write_user_states(self, states: Iterable[UserState]) -> int:
        """Write snapshots, each as of its `updated_at` (default: now); how many were sent."""
        return self.write(USER_SNAPSHOT, ((s.user_id, s.updated_at or datetime.now(UTC), vars(s)) for s in states))

    def write_neighbor_candidates(self, rows: Iterable[NeighborCandidates]) -> int:
        """Write candidates, each as of its `updated_at`; how many were sent."""
        return self.write(NEIGHBOR_CANDIDATES, ((row.user_id, row.updated_at, vars(row)) for row in rows))

    def write_photo_cards(self, cards: Iterable[PhotoCard]) -> int:
        """Write cards as of now; how many were sent."""
        now = datetime.now(UTC)
        return self.write(
            PHOTO_CARD, ((c.photo_id, now, {**vars(c), "sizes": orjson.dumps(c.sizes).decode()}) for c in cards)
        )

    def write_user_cards(self, cards: Iterable[UserCard]) -> int:
        """Write cards as of now; how many were sent."""
        now = datetime.now(UTC)
        return self.write(USER_CARD, ((card.user_id, now, vars(card)) for card in cards))

    def forget_user(self, user_id: str) -> int:
        """Delete the user's row of every view of users; how many there were."""
        from features.online_store import delete_entity

        held = self.rows_of_user(user_id)
        with self._errors():
            views = [self._views[table.name] for table in USER_TABLES]
            delete_entity(self._store, self._config, views, self._key(USER_TABLES[0], user_id))
        return held

    def rows_of_user(self, user_id: str) -> int:
        """How many views of users have a row of the user."""
        return sum(user_id in self.read(table, [user_id]) for table in USER_TABLES)

    def read(self, table: FeatureTable, ids: Sequence[str]) -> dict[str, FeatureRow]:
        """The rows of those entities that have one: when each is of, and its features as Python values."""
        (found,) = self.read_each([(table, ids)])
        return found

    def read_each(self, wanted: Sequence[tuple[FeatureTable, Sequence[str]]]) -> list[dict[str, FeatureRow]]:
        """The same for several tables, of Redis in one round trip."""
        distinct = [(table, list(dict.fromkeys(ids))) for table, ids in wanted]
        if not any(ids for _, ids in distinct):
            return [{} for _ in wanted]
        with self._errors():
            if self._redis is not None:
                return self._redis.read(distinct)
            return [self._read_by_feast(table, ids) if ids else {} for table, ids in distinct]

    def _read_by_feast(self, table: FeatureTable, ids: Sequence[str]) -> dict[str, FeatureRow]:
        keys = [self._key(table, entity_id) for entity_id in ids]
        rows = self._store.online_read(self._config, self._views[table.name], keys)
        found: dict[str, FeatureRow] = {}
        names = table.features
        moments = {name for name in names if pa.types.is_timestamp(table.schema.field(name).type)}
        for entity_id, (moment, values) in zip(ids, rows, strict=True):
            if moment and values and any(value.WhichOneof("val") for value in values.values()):
                found[entity_id] = moment, {name: _to_python(values.get(name), name in moments) for name in names}
        return found

    def write(
        self,
        table: FeatureTable,
        rows: Iterable[tuple[str, datetime, Mapping[str, Any]]],
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Write rows (entity, the moment it is of, features by name); how many were sent.

        `progress(rows)` is called with the number of rows after each part.
        """
        encoders = _encoders(table)
        protos: Iterator[Row] = (
            (self._key(table, entity_id), {name: encode(values[name]) for name, encode in encoders}, moment, None)
            for entity_id, moment, values in rows
        )
        written = 0
        while part := list(islice(protos, ROWS_AT_ONCE)):
            with self._errors():
                self._store.online_write_batch(self._config, self._views[table.name], part, None)
            written += len(part)
            if progress is not None:
                progress(written)
        return written

    def _key(self, table: FeatureTable, entity_id: str) -> Any:
        key = self._entity_key(join_keys=[table.join_key])
        key.entity_values.add().string_val = entity_id
        return key

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from redis.exceptions import OutOfMemoryError, RedisError

        try:
            yield
        except (sqlite3.Error, RedisError, OSError) as error:
            if is_storage_full(error) or isinstance(error, OutOfMemoryError):
                raise StorageFullError(f"the online store takes no more ({error}): free some space") from error
            raise DependencyError(f"the online store can't be used: {error}") from error


def _state(user_id: str, rows: Mapping[str, FeatureRow]) -> UserState:
    row = rows.get(user_id)
    return UserState.empty(user_id) if row is None else UserState(user_id=user_id, **row[1], updated_at=row[0])


def _candidates(user_id: str, rows: Mapping[str, FeatureRow]) -> NeighborCandidates | None:
    row = rows.get(user_id)
    return None if row is None else NeighborCandidates(user_id=user_id, **row[1], updated_at=row[0])


def _cards(rows: Mapping[str, FeatureRow]) -> dict[str, UserCard]:
    return {user_id: UserCard(user_id=user_id, **values) for user_id, (_, values) in rows.items()}


def _to_python(value: Any, is_moment: bool) -> Any:
    which = value.WhichOneof("val") if value is not None else None
    if which is None:
        return None
    content = getattr(value, which)
    if is_moment:
        return None if content == NO_MOMENT else datetime.fromtimestamp(content, UTC)
    return tuple(content.val) if which.endswith("_list_val") else content


def _encoders(table: FeatureTable) -> list[tuple[str, Callable[[Any], Any]]]:
    """For each feature, what makes Feast's proto of a Python value (None becomes a null)."""
    from feast.protos.feast.types.Value_pb2 import DoubleList, Int64List, StringList, Value

    null = Value()
    scalars: dict[pa.DataType, str] = {
        pa.string(): "string_val",
        pa.int64(): "int64_val",
        pa.int32(): "int32_val",
        pa.float64(): "double_val",
    }
    lists: dict[pa.DataType, tuple[str, Any]] = {
        pa.string(): ("string_list_val", StringList),
        pa.int64(): ("int64_list_val", Int64List),
        pa.float64(): ("double_list_val", DoubleList),
    }

    def encoder(kind: pa.DataType) -> Callable[[Any], Any]:
        if pa.types.is_list(kind):
            slot, message = lists[kind.value_type]
            return lambda value: null if value is None else Value(**{slot: message(val=value)})
        if pa.types.is_timestamp(kind):
            return lambda value: null if value is None else Value(unix_timestamp_val=int(value.timestamp()))
        slot = scalars[kind]
        return lambda value: null if value is None else Value(**{slot: value})

    return [(name, encoder(table.schema.field(name).type)) for name in table.features]


def latest(rows: pa.Table, key: str) -> pa.Table:
    """The newest row of each `key` by event_timestamp, (n,) of distinct keys."""
    entity = codes(rows.column(key))
    times = rows.column("event_timestamp").cast(pa.int64()).to_numpy()
    index = np.lexsort((times, entity))
    last = np.ones(len(index), dtype=bool)
    last[:-1] = entity[index][1:] != entity[index][:-1]
    return rows.take(pa.array(index[last]))


def materialize(settings: Settings, built: BuiltFeatures, progress: Progress | None = None) -> dict[str, int]:
    """Write the newest row of every entity of a build into the online store; rows by view.

    All rows are as of the moment of the build, so that what a worker wrote after it stays. The repository is applied
    first, and the registry told of it afterwards. `progress(view, rows done, rows)` is called as parts are written.
    Raises DependencyError, StorageFullError.
    """
    apply_repository(settings)
    online = OnlineFeatures(settings)
    builds = Builds(settings.lake_uri)
    written = {}
    for table in FEATURE_TABLES:
        rows = builds.read(table.name, table.schema, built.version).to_table()
        if table.history:
            rows = latest(rows, table.join_key)
        report = None
        if progress is not None:

            def report(done: int, name: str = table.name, total: int = rows.num_rows) -> None:
                progress(name, done, total)

        written[table.name] = online.write(table, _python_rows(table, rows, built.built_at), report)
    _record(settings, built)
    return written


def _record(settings: Settings, built: BuiltFeatures) -> None:
    """Tell the registry, and so Feast's UI, which time each view's online rows are of."""
    registry = open_store(settings).registry
    begin = built.built_at - timedelta(days=settings.feature_history_days)
    for view in registry.list_feature_views(PROJECT):
        if (begin, built.built_at) not in view.materialization_intervals:
            registry.apply_materialization(view, PROJECT, begin, built.built_at)


def _python_rows(
    table: FeatureTable, rows: pa.Table, moment: datetime
) -> Iterator[tuple[str, datetime, dict[str, Any]]]:
    names = table.features
    for batch in rows.to_batches(max_chunksize=ROWS_AT_ONCE):
        columns = [batch.column(name).to_pylist() for name in (table.join_key, *names)]
        for entity_id, *values in zip(*columns, strict=True):
            yield entity_id, moment, dict(zip(names, values, strict=True))
