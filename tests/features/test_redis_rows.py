"""What is read past Feast's own reader is what that reader reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from feast.infra.online_stores.redis import RedisOnlineStore
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from features.feature_tables import FEATURE_TABLES, FeatureTable
from features.online import OnlineFeatures
from features.settings import Settings

MOMENTS = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
SCALARS: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.string(): st.text(max_size=20),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63) + 1, 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
}


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_timestamp(kind):
        return MOMENTS | st.none()
    if pa.types.is_list(kind):
        return st.lists(SCALARS[kind.value_type], max_size=4).map(tuple) | st.none()
    return SCALARS[kind] | st.none()


def rows_of(table: FeatureTable) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({name: values_of(table.schema.field(name).type) for name in table.features})


@pytest.fixture(scope="module")
def online(redis_url: str) -> OnlineFeatures:
    return OnlineFeatures(Settings(online_store=redis_url, _env_file=None))  # type: ignore[call-arg]


def by_feast(online: OnlineFeatures, table: FeatureTable, entity_id: str) -> dict[str, Any] | None:
    """The row as Feast reads it, None when it has none."""
    key = online._key(table, entity_id)
    ((moment, values),) = online._store.online_read(online._config, online._views[table.name], [key])
    assert isinstance(online._store, RedisOnlineStore)
    return values if moment and any(value.WhichOneof("val") for value in values.values()) else None


@pytest.mark.parametrize("table", FEATURE_TABLES, ids=lambda table: table.name)
@examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), entity_id=st.text(min_size=1, max_size=70))
def test_every_value_comes_back_as_it_was_written(
    online: OnlineFeatures, table: FeatureTable, data: st.DataObject, entity_id: str
) -> None:
    row, moment = data.draw(rows_of(table)), datetime.now(UTC)
    online.write(table, [(entity_id, moment, row)])
    found = online.read(table, [entity_id, "nobody at all"])
    feast_has = by_feast(online, table, entity_id)
    assert (entity_id in found) == (feast_has is not None)
    assert "nobody at all" not in found
    if feast_has is not None:
        read_moment, values = found[entity_id]
        assert abs((read_moment - moment).total_seconds()) < 1e-6
        assert values == row
