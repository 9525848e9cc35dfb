"""Point-in-time features: what was known of each entity at each moment asked for, joined back to what was asked.

Feast's join reorders rows and turns integers with a gap into floats; here every row asked for comes back in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from features.errors import InvalidInputError, NotFoundError
from features.feast_registry import open_store
from features.feature_tables import FEATURE_TABLES
from features.settings import Settings

if TYPE_CHECKING:
    from feast import FeatureStore

ROW = "__row"


def historical_features(settings: Settings, entity_frame: pd.DataFrame, service: str) -> pd.DataFrame:
    """The features of a service for each row of `entity_frame`, as of the row's `event_timestamp`.

    entity_frame: the join keys of the service (`user_id`, `photo_id`) and `event_timestamp` (a time without a zone is
    UTC); other columns pass through. Returns the same rows in the same order and index, with the features appended: of
    the newest feature row at or before the moment; missing (<NA>, NaT, None) where there is none.
    Raises InvalidInputError (a column is missing), NotFoundError (no such service).
    """
    store = open_store(settings)
    kinds = _features(store, service, entity_frame)
    asked = entity_frame.reset_index(drop=True)
    asked["event_timestamp"] = pd.to_datetime(asked["event_timestamp"], utc=True)
    asked[ROW] = range(len(asked))
    if asked.empty:
        found = pd.DataFrame({ROW: pd.Series(dtype="int64"), **{name: pd.Series(dtype="object") for name in kinds}})
    else:
        found = store.get_historical_features(asked, store.get_feature_service(service)).to_df()
    found = found.set_index(ROW)[list(kinds)].reindex(range(len(asked)))
    for name, kind in kinds.items():
        if pa.types.is_integer(kind):
            found[name] = found[name].astype("Int64")
        elif pa.types.is_timestamp(kind):
            found[name] = pd.to_datetime(found[name], utc=True)
    found.index = entity_frame.index
    return pd.concat([entity_frame, found], axis=1)


def _features(store: FeatureStore, service: str, entity_frame: pd.DataFrame) -> dict[str, pa.DataType]:
    """The features of the service, by name, and their types; the entity frame has what it takes to ask for them."""
    services = {known.name: known for known in store.list_feature_services()}
    if service not in services:
        raise NotFoundError(f"no feature service {service!r}; there are {', '.join(sorted(services))}", field="service")
    projections = services[service].feature_view_projections
    tables = [table for table in FEATURE_TABLES if table.name in {p.name for p in projections}]
    missing = sorted(({table.join_key for table in tables} | {"event_timestamp"}) - set(entity_frame.columns))
    if missing:
        raise InvalidInputError(f"the entity frame has no column {missing[0]!r}", field=missing[0])
    return {name: table.schema.field(name).type for table in tables for name in table.features}
