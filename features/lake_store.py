"""Feast's way into the lake: a data source that names a table, and the offline store that reads it.

Feast's stock stores read a Delta table's files and ignore its log, or want an extension from the internet; this one
hands DuckDB an Arrow dataset made by `deltalake` (log tables) or `pyarrow` (feature tables), which pulls just the
columns and rows that a query needs. Sources name tables, not places: where the lake is, the store's configuration says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from feast import RepoConfig, ValueType
from feast.data_source import DataSource
from feast.feature_view import FeatureView
from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
from feast.infra.offline_stores.ibis import (
    get_historical_features_ibis,
    pull_all_from_table_or_query_ibis,
    pull_latest_from_table_or_query_ibis,
)
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.type_map import pa_to_feast_value_type
from pydantic import Field

from features.builds import Builds
from features.errors import ConfigurationError, InvalidInputError
from features.feast_registry import feast_settings
from features.feature_tables import FEATURE_TABLES
from features.lake import Lake
from features.schema import TABLES, table_named

SCHEMAS: dict[str, pa.Schema] = {
    **{f"lake/{name}": table.schema for name, table in TABLES.items()},
    **{f"features/{table.name}": table.schema for table in FEATURE_TABLES},
}
"""Every table a source can name: `lake/<table of the log>`, `features/<table of the current build>`."""


class LakeSource(DataSource):
    """A table of the lake or of the current build, by name. Needs no network and no existing table to be applied."""

    def __init__(
        self,
        *,
        table: str,
        timestamp_field: str,
        created_timestamp_column: str = "created_timestamp",
        description: str = "",
        tags: dict[str, str] | None = None,
    ) -> None:
        if table not in SCHEMAS:
            raise ConfigurationError(f"no table {table!r} to be a source; there are {', '.join(SCHEMAS)}")
        super().__init__(
            name=table.replace("/", "_"),
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            description=description,
            tags=tags,
        )
        self.table = table

    def __eq__(self, other: object) -> bool:
        same = isinstance(other, LakeSource) and self.table == other.table
        return same and bool(super().__eq__(other))  # type: ignore[no-untyped-call]

    def __hash__(self) -> int:
        return hash((type(self), self.name, self.table))

    def source_type(self) -> Any:
        return DataSourceProto.CUSTOM_SOURCE

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> LakeSource:
        return LakeSource(
            table=data_source.custom_options.configuration.decode(),
            timestamp_field=data_source.timestamp_field,
            created_timestamp_column=data_source.created_timestamp_column,
            description=data_source.description,
            tags=dict(data_source.tags),
        )

    def _to_proto_impl(self) -> DataSourceProto:
        return DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type=f"{__name__}.{type(self).__name__}",
            custom_options=DataSourceProto.CustomSourceOptions(configuration=self.table.encode()),
            timestamp_field=self.timestamp_field,
            created_timestamp_column=self.created_timestamp_column,
            description=self.description,
            tags=self.tags,
        )

    def validate(self, config: RepoConfig) -> None:
        """Nothing to look for: the schema is ours, and a table that is not there yet reads as empty."""

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        return pa_to_feast_value_type

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:
        return [(field.name, str(field.type)) for field in SCHEMAS[self.table]]

    def get_table_query_string(self) -> str:
        return self.table


class LakeOfflineStoreConfig(DuckDBOfflineStoreConfig):
    type: str = "features.lake_store.LakeOfflineStore"
    lake_uri: str = Field(default_factory=lambda: feast_settings().lake_uri)


def open_dataset(lake_uri: str, table: str) -> ds.Dataset:
    """A table as an Arrow dataset: nothing is read before a query says which columns and rows; empty when missing."""
    kind, name = table.split("/")
    if kind == "features":
        return Builds(lake_uri).read(name, SCHEMAS[table])
    return Lake(lake_uri).at(table_named(name)).dataset


def _read(lake_uri: str, data_source: DataSource, repo_path: str) -> ibis.Table:
    if not isinstance(data_source, LakeSource):
        raise ConfigurationError(f"{data_source.name}: the lake's offline store reads LakeSource only")
    return ibis.memtable(open_dataset(lake_uri, data_source.table))


def _refuse_to_write(*_: Any, **__: Any) -> None:
    raise ConfigurationError("features are written by `photo-recommender features build`, not through Feast")


class LakeOfflineStore(DuckDBOfflineStore):
    """Point-in-time joins and "latest of each entity" in DuckDB over datasets of the lake."""

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,
    ) -> RetrievalJob:
        return pull_latest_from_table_or_query_ibis(
            config=config,
            data_source=data_source,
            join_key_columns=join_key_columns,
            feature_name_columns=feature_name_columns,
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            start_date=start_date,
            end_date=end_date,
            data_source_reader=partial(_read, config.offline_store.lake_uri),
            data_source_writer=_refuse_to_write,
        )

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        return pull_all_from_table_or_query_ibis(
            config=config,
            data_source=data_source,
            join_key_columns=join_key_columns,
            feature_name_columns=feature_name_columns,
            timestamp_field=timestamp_field,
            created_timestamp_column=created_timestamp_column,
            start_date=start_date,
            end_date=end_date,
            data_source_reader=partial(_read, config.offline_store.lake_uri),
            data_source_writer=_refuse_to_write,
        )

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str | None,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
    ) -> RetrievalJob:
        if not isinstance(entity_df, pd.DataFrame):
            raise InvalidInputError("the lake's offline store joins to a pandas frame of entities", field="entity_df")
        return get_historical_features_ibis(
            config=config,
            feature_views=feature_views,
            feature_refs=feature_refs,
            entity_df=entity_df,
            registry=registry,
            project=project,
            data_source_reader=partial(_read, config.offline_store.lake_uri),
            data_source_writer=_refuse_to_write,
            full_feature_names=full_feature_names,
            filter_by_created_timestamp=filter_by_created_timestamp,
        )

    @staticmethod
    def offline_write_batch(
        config: RepoConfig,
        feature_view: FeatureView,
        table: pa.Table,
        progress: Callable[[int], Any] | None,
    ) -> None:
        _refuse_to_write()
