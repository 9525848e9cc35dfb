"""Rows of Feast's Redis store, read field by field as Feast wrote them.

A page reads a hundred cards. Feast's own reader makes an entity key, a dictionary of protos and a timestamp of each,
which takes twice as long as Redis and the decoding that a page needs (benchmarks/recommend_http.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from feast import FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.helpers import _mmh3
from feast.infra.online_stores.online_store import OnlineStore
from feast.infra.online_stores.redis import RedisOnlineStore, _versioned_fv_name
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from features.feature_tables import FEATURE_TABLES, NO_MOMENT, FeatureTable

Read = tuple[datetime, dict[str, Any]]
"""When a row is of, and its features as Python values."""

SLOTS = {
    pa.string(): "string_val",
    pa.int32(): "int32_val",
    pa.int64(): "int64_val",
    pa.float64(): "double_val",
    pa.list_(pa.string()): "string_list_val",
    pa.list_(pa.int64()): "int64_list_val",
    pa.list_(pa.float64()): "double_list_val",
}
"""Where a proto of Feast's holds a value of each type."""


class RedisRows:
    """The rows of one view in that store. Safe to share between threads."""

    def __init__(self, store: RedisOnlineStore, config: RepoConfig, view: str, table: FeatureTable) -> None:
        self._store = store
        self._config = config
        # Of an entity key, what comes before the length of the id; the project's name comes after the id.
        key = EntityKey(join_keys=[table.join_key])
        key.entity_values.add().string_val = ""
        self._before = serialize_entity_key(key, config.entity_key_serialization_version)[: -struct.calcsize("<I")]
        self._after = config.project.encode()
        self._fields = [*(_mmh3(f"{view}:{name}") for name in table.features), f"_ts:{view}"]
        self._decoders = [(name, _decoder(table.schema.field(name).type)) for name in table.features]

    def read(self, ids: Sequence[str]) -> dict[str, Read]:
        """The rows of those entities that have one."""
        client = self._store._get_client(self._config.online_store)
        with client.pipeline(transaction=False) as pipeline:
            for entity_id in ids:
                pipeline.hmget(self._key(entity_id), self._fields)
            rows = pipeline.execute()
        found: dict[str, Read] = {}
        for entity_id, (*cells, moment) in zip(ids, rows, strict=True):
            if moment is not None and any(cells):
                values = zip(self._decoders, cells, strict=True)
                found[entity_id] = _moment(moment), {name: decode(cell) for (name, decode), cell in values}
        return found

    def _key(self, entity_id: str) -> bytes:
        content = entity_id.encode()
        return self._before + struct.pack("<I", len(content)) + content + self._after


def redis_rows(store: OnlineStore, config: RepoConfig, views: Mapping[str, FeatureView]) -> dict[str, RedisRows]:
    """The reader of each view, by table; none for another store."""
    if not isinstance(store, RedisOnlineStore):
        return {}
    return {
        table.name: RedisRows(store, config, _versioned_fv_name(views[table.name], config), table)
        for table in FEATURE_TABLES
    }


def _moment(content: bytes) -> datetime:
    found: datetime = Timestamp.FromString(content).ToDatetime(UTC)
    return found


def _decoder(kind: pa.DataType) -> Callable[[bytes | None], Any]:
    moment, listed = pa.types.is_timestamp(kind), pa.types.is_list(kind)
    slot = "unix_timestamp_val" if moment else SLOTS[kind]

    def decode(content: bytes | None) -> Any:
        if not content:
            return None
        value = Value.FromString(content)
        if not value.HasField(slot):
            return None
        found = getattr(value, slot)
        if moment:
            return None if found == NO_MOMENT else datetime.fromtimestamp(found, UTC)
        return tuple(found.val) if listed else found

    return decode
