"""Rows of Feast's Redis store, read field by field as Feast wrote them.

A page reads a hundred cards. Feast's own reader makes an entity key, a dictionary of protos and a timestamp of each,
which takes twice as long as Redis and the decoding that a page needs (benchmarks/recommend_http.py).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from operator import attrgetter
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


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RedisRows:
    """The rows of one view. Safe to share between threads."""

    def __init__(self, config: RepoConfig, view: str, table: FeatureTable) -> None:
        # Of an entity key, what comes before the length of the id; the project's name comes after the id.
        key = EntityKey(join_keys=[table.join_key])
        key.entity_values.add().string_val = ""
        self._before = serialize_entity_key(key, config.entity_key_serialization_version)[: -struct.calcsize("<I")]
        self._after = config.project.encode()
        self._fields = [*(_mmh3(f"{view}:{name}") for name in table.features), f"_ts:{view}"]
        self._decoders = [(name, _decoder(table.schema.field(name).type)) for name in table.features]

    def command(self, entity_id: str) -> tuple[Any, ...]:
        """What asks Redis for the row of that entity."""
        return ("HMGET", self._key(entity_id), *self._fields)

    def decoded(self, ids: Sequence[str], answers: Sequence[Sequence[bytes | None]]) -> dict[str, Read]:
        """The rows of those entities that have one, from the answers to their commands."""
        found: dict[str, Read] = {}
        for entity_id, (*cells, moment) in zip(ids, answers, strict=True):
            if moment is not None and any(cells):
                values = zip(self._decoders, cells, strict=True)
                found[entity_id] = _moment(moment), {name: decode(cell) for (name, decode), cell in values}
        return found

    def _key(self, entity_id: str) -> bytes:
        content = entity_id.encode()
        return self._before + struct.pack("<I", len(content)) + content + self._after


@dataclass(frozen=True)
class RedisReader:
    """What reads rows of any views from that store, by table. Safe to share between threads."""

    store: RedisOnlineStore
    config: RepoConfig
    rows: Mapping[str, RedisRows]

    def read(self, wanted: Sequence[tuple[FeatureTable, Sequence[str]]]) -> list[dict[str, Read]]:
        """For each table and the entities wanted of it the rows of those that have one, all in one round trip."""
        client = self.store._get_client(self.config.online_store)
        with client.pipeline(transaction=False) as pipeline:
            for table, ids in wanted:
                for entity_id in ids:
                    pipeline.execute_command(*self.rows[table.name].command(entity_id))
            answers = iter(pipeline.execute())
        return [self.rows[table.name].decoded(ids, list(islice(answers, len(ids)))) for table, ids in wanted]


def redis_reader(store: OnlineStore, config: RepoConfig, views: Mapping[str, FeatureView]) -> RedisReader | None:
    """None for another store."""
    if not isinstance(store, RedisOnlineStore):
        return None
    rows = {
        table.name: RedisRows(config, _versioned_fv_name(views[table.name], config), table) for table in FEATURE_TABLES
    }
    return RedisReader(store, config, rows)


def _moment(content: bytes) -> datetime:
    found = Timestamp.FromString(content)
    return EPOCH + timedelta(seconds=found.seconds, microseconds=found.nanos // 1_000)


def _decoder(kind: pa.DataType) -> Callable[[bytes | None], Any]:
    """What makes a Python value of a proto's bytes; a null has none."""
    moment, read = pa.types.is_timestamp(kind), Value.FromString
    value = attrgetter("unix_timestamp_val" if moment else SLOTS[kind])

    def decode_moment(content: bytes | None) -> datetime | None:
        found = value(read(content)) if content else NO_MOMENT
        return None if found == NO_MOMENT else datetime.fromtimestamp(found, UTC)

    if moment:
        return decode_moment
    if pa.types.is_list(kind):
        return lambda content: tuple(value(read(content)).val) if content else None
    return lambda content: value(read(content)) if content else None
