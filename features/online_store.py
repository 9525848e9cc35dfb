"""The online stores: Redis as Feast ships it, and on SQLite one in which an older row never replaces a newer one.

Feast's own SQLite store lets the last writer win, keeps whole seconds, one connection for all threads and a row a
feature; ours orders by event time within the statement that writes, in WAL mode, and keeps a row an entity.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from feast import Entity, FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _redis_key, compute_table_id
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Map, Value
from feast.repo_config import FeastConfigBaseModel

from features.errors import ConfigurationError
from features.feast_registry import feast_settings
from features.settings import PREFIX, Settings

LOCK_SECONDS = 30.0
KEYS_AT_ONCE = 500
"""Entities read by one statement; SQLite allows a limited number of parameters."""

REDIS_DEFAULTS = {"retry": "null", "socket_timeout": "5", "socket_connect_timeout": "2"}
"""A Redis that does not answer is an error within seconds: a request can't wait for redis-py's own retries (6 s)."""

Row = tuple[EntityKey, dict[str, Value], datetime, datetime | None]


class NewestSqliteOnlineStoreConfig(FeastConfigBaseModel):
    type: Literal["features.online_store.NewestSqliteOnlineStore"] = "features.online_store.NewestSqliteOnlineStore"
    path: str


class NewestSqliteOnlineStore(OnlineStore):
    """Feature rows in SQLite: one table a view, one row an entity (a proto `Map` of its values), times in microseconds.

    Safe to use from several threads (a connection each) and processes (writers wait for each other).
    """

    def __init__(self) -> None:
        self._local = threading.local()

    def _connection(self, config: RepoConfig) -> sqlite3.Connection:
        path = str(config.online_store.path)
        open_connections: dict[str, sqlite3.Connection] = self._local.__dict__.setdefault("connections", {})
        if path not in open_connections:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            open_connections[path] = connection
        return open_connections[path]

    @contextmanager
    def _writing(self, config: RepoConfig) -> Iterator[sqlite3.Connection]:
        connection = self._connection(config)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        with self._writing(config) as connection:
            for view in tables_to_keep:
                connection.execute(
                    f"CREATE TABLE IF NOT EXISTS {_table(config, view)} (entity_key BLOB PRIMARY KEY, "
                    "feature_values BLOB NOT NULL, event_ts INTEGER NOT NULL) WITHOUT ROWID"
                )
            for view in tables_to_delete:
                connection.execute(f"DROP TABLE IF EXISTS {_table(config, view)}")

    def teardown(self, config: RepoConfig, tables: Sequence[FeatureView], entities: Sequence[Entity]) -> None:
        self.update(config, tables, [], entities, [], partial=False)

    def online_write_batch(
        self, config: RepoConfig, table: FeatureView, data: list[Row], progress: Callable[[int], Any] | None
    ) -> None:
        """Write whole rows (every feature of the view) in one transaction; where a newer row is there, it stays."""
        sql = (
            f"INSERT INTO {_table(config, table)} VALUES (?, ?, ?) "  # noqa: S608  (the name is ours, and quoted)
            "ON CONFLICT DO UPDATE SET feature_values = excluded.feature_values, event_ts = excluded.event_ts "
            "WHERE excluded.event_ts >= event_ts"
        )
        rows = (
            (_key(config, entity), Map(val=values).SerializeToString(), _microseconds(moment))
            for entity, values, moment, _ in data
        )
        with self._writing(config) as connection:
            connection.executemany(sql, rows)
        if progress is not None:
            progress(len(data))

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: list[EntityKey],
        requested_features: list[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        keys = [_key(config, entity) for entity in entity_keys]
        found: dict[bytes, tuple[datetime, dict[str, Value]]] = {}
        connection = self._connection(config)
        for begin in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[begin : begin + KEYS_AT_ONCE]
            marks = ",".join("?" * len(some))
            sql = f"SELECT * FROM {_table(config, table)} WHERE entity_key IN ({marks})"  # noqa: S608
            for key, content, time in connection.execute(sql, some):
                values = dict(Map.FromString(content).val)
                if requested_features is not None:
                    values = {name: values[name] for name in requested_features if name in values}
                found[key] = datetime.fromtimestamp(time / 1e6, UTC), values
        return [found.get(key, (None, None)) for key in keys]

    def online_delete(self, config: RepoConfig, tables: Sequence[FeatureView], entity_key: EntityKey) -> None:
        """Delete the entity's row of each of the views, all or none."""
        with self._writing(config) as connection:
            for view in tables:
                sql = f"DELETE FROM {_table(config, view)} WHERE entity_key = ?"  # noqa: S608
                connection.execute(sql, (_key(config, entity_key),))


def delete_entity(store: OnlineStore, config: RepoConfig, views: Sequence[FeatureView], entity_key: EntityKey) -> None:
    """Delete every row of the entity, whose views are these: Feast offers that of single entities in no store."""
    if isinstance(store, NewestSqliteOnlineStore):
        store.online_delete(config, views, entity_key)
    elif isinstance(store, RedisOnlineStore):
        # One hash holds the entity's rows of all views.
        store._get_client(config.online_store).delete(
            _redis_key(config.project, entity_key, config.entity_key_serialization_version)
        )
    else:
        raise TypeError(f"{type(store).__name__} is none of the stores that {PREFIX}ONLINE_STORE can name")


def _table(config: RepoConfig, view: FeatureView) -> str:
    name = compute_table_id(config.project, view, config.registry.enable_online_feature_view_versioning)
    return '"' + name.replace('"', '""') + '"'


def _key(config: RepoConfig, entity: EntityKey) -> bytes:
    key: bytes = serialize_entity_key(entity, config.entity_key_serialization_version)
    return key


def _microseconds(moment: datetime) -> int:
    """Microseconds since 1970; a time without a zone is UTC, as everywhere in Feast."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1_000_000)


def online_store_config(settings: Settings) -> NewestSqliteOnlineStoreConfig | RedisOnlineStoreConfig:
    """The store that `PHOTO_RECOMMENDER_ONLINE_STORE` names. Raises ConfigurationError for any other scheme."""
    address = settings.online_store or f"sqlite:///{settings.home / 'feast' / 'online.db'}"
    parts = urlsplit(address)
    if parts.scheme == "sqlite":
        return NewestSqliteOnlineStoreConfig(path=address.removeprefix("sqlite:///"))
    if parts.scheme in ("redis", "rediss") and parts.hostname:
        options = {"db": parts.path.strip("/") or "0", **REDIS_DEFAULTS, **dict(parse_qsl(parts.query))}
        for name, value in (("username", parts.username), ("password", parts.password)):
            if value:
                options[name] = unquote(value)
        if parts.scheme == "rediss":
            options["ssl"] = "true"
        if any("," in value for value in options.values()):
            raise ConfigurationError(f"{PREFIX}ONLINE_STORE: Feast can't take a comma in a part of Redis's address")
        named = [f"{name}={value}" for name, value in options.items()]
        return RedisOnlineStoreConfig(connection_string=",".join([f"{parts.hostname}:{parts.port or 6379}", *named]))
    raise ConfigurationError(
        f"{PREFIX}ONLINE_STORE={parts.scheme or address}…: neither redis://host:port/db nor empty (SQLite below home)"
    )


def impatient(settings: Settings, seconds: float) -> Settings:
    """The same settings, with a Redis that has to connect and to answer within so long each; what its address says
    itself about either stays. SQLite has nobody to wait for."""
    parts = urlsplit(settings.online_store)
    if parts.scheme not in ("redis", "rediss"):
        return settings
    patience = {"socket_timeout": str(seconds), "socket_connect_timeout": str(seconds)}
    query = urlencode(patience | dict(parse_qsl(parts.query)))
    return settings.model_copy(update={"online_store": urlunsplit(parts._replace(query=query))})


class SettingsOnlineStoreConfig(FeastConfigBaseModel):
    """`type: features.online_store.SettingsOnlineStore` in feature_store.yaml: becomes the store the settings name."""

    def __new__(cls, **_: Any) -> Any:
        return online_store_config(feast_settings())
