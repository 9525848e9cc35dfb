"""The one place that says what each table of the lake holds.

Every table carries `created_timestamp`, the moment the row was ingested; where a table is keyed (photos, users), its
newest row by `created_timestamp` is the row that counts. Changes are additive: a column is added at the end, nullable.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa

from features.errors import SchemaError

TIMESTAMP = pa.timestamp("us", tz="UTC")


class Kind(StrEnum):
    """What happened between a user and a photo, or (for the last two) between a user and a person."""

    FAVORITE = "favorite"
    UNFAVORITE = "unfavorite"
    DISMISS_PHOTO = "dismiss_photo"
    UNDISMISS_PHOTO = "undismiss_photo"
    DISMISS_USER = "dismiss_user"
    UNDISMISS_USER = "undismiss_user"


class Source(StrEnum):
    FLICKR = "flickr"
    SITE = "site"
    FILE = "file"


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


@dataclass(frozen=True)
class LakeTable:
    """A table of the lake: its schema, what it is partitioned by, and the columns that tell two rows apart.

    diverse: columns with hardly a value twice in a batch, which a dictionary makes larger and slower to write.
    """

    name: str
    schema: pa.Schema
    partition_by: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    diverse: tuple[str, ...] = ()


INTERACTIONS = LakeTable(
    "interactions",
    pa.schema(
        [
            _required("user_id", pa.string()),
            _required("photo_id", pa.string()),
            _required("owner_id", pa.string()),
            _required("kind", pa.string()),
            _required("source", pa.string()),
            _required("event_timestamp", TIMESTAMP),
            _required("created_timestamp", TIMESTAMP),
            pa.field("faved_at", TIMESTAMP),
            pa.field("action_id", pa.string()),
            _required("ingest_date", pa.date32()),
        ]
    ),
    partition_by=("ingest_date",),
    key=("user_id", "photo_id", "owner_id", "kind", "event_timestamp"),
    diverse=("photo_id", "event_timestamp", "faved_at"),
)

PHOTOS = LakeTable(
    "photos",
    pa.schema(
        [
            _required("photo_id", pa.string()),
            _required("owner_id", pa.string()),
            _required("title", pa.string()),
            _required("image_url", pa.string()),
            # JSON: {"m": {"url", "width", "height"}, ...}, keyed by Flickr's size suffix
            _required("sizes", pa.string()),
            _required("page_url", pa.string()),
            pa.field("width", pa.int32()),
            pa.field("height", pa.int32()),
            pa.field("tags", pa.string()),
            pa.field("safety_level", pa.int8()),
            pa.field("uploaded_at", TIMESTAMP),
            pa.field("gone_at", TIMESTAMP),
            _required("created_timestamp", TIMESTAMP),
        ]
    ),
    key=("photo_id",),
    diverse=("photo_id", "title", "image_url", "sizes", "page_url", "uploaded_at"),
)

USERS = LakeTable(
    "users",
    pa.schema(
        [
            _required("user_id", pa.string()),
            _required("name", pa.string()),
            pa.field("path_alias", pa.string()),
            pa.field("avatar_url", pa.string()),
            _required("created_timestamp", TIMESTAMP),
        ]
    ),
    key=("user_id",),
    diverse=("user_id", "name", "path_alias", "avatar_url"),
)

CONTACTS = LakeTable(
    "contacts",
    pa.schema(
        [
            _required("user_id", pa.string()),
            _required("contact_id", pa.string()),
            _required("kind", pa.string()),  # follow | unfollow
            _required("event_timestamp", TIMESTAMP),
            _required("created_timestamp", TIMESTAMP),
        ]
    ),
    key=("user_id", "contact_id", "kind", "event_timestamp"),
)

IMPRESSIONS = LakeTable(
    "impressions",
    pa.schema(
        [
            _required("user_id", pa.string()),
            _required("photo_id", pa.string()),
            _required("rank", pa.int32()),
            _required("model_version", pa.string()),
            _required("variant", pa.string()),
            _required("shown_at", TIMESTAMP),
            _required("created_timestamp", TIMESTAMP),
            pa.field("own_wall", pa.bool_()),  # whether it was on the user's own wall; null: nobody said
        ]
    ),
    key=("user_id", "photo_id", "shown_at"),
)

QUARANTINE = LakeTable(
    "quarantine",
    pa.schema(
        [
            _required("source", pa.string()),
            _required("subject_id", pa.string()),  # whose listing it was in
            _required("reason", pa.string()),
            _required("payload", pa.string()),  # JSON
            _required("created_timestamp", TIMESTAMP),
            _required("ingest_date", pa.date32()),
        ]
    ),
    partition_by=("ingest_date",),
)

TABLES: dict[str, LakeTable] = {
    table.name: table for table in (INTERACTIONS, PHOTOS, USERS, CONTACTS, IMPRESSIONS, QUARANTINE)
}


def table_named(name: str) -> LakeTable:
    """The table of that name. Raises SchemaError when there is none."""
    try:
        return TABLES[name]
    except KeyError:
        raise SchemaError(f"the lake has no table {name!r}; it has {', '.join(TABLES)}", field="table") from None


def conform(table: LakeTable, rows: pa.Table) -> pa.Table:
    """`rows` with exactly the table's columns, order and types.

    Raises SchemaError that names the column when one is missing, unknown, of another type, or null where it must not
    be; for interactions also when `kind` or `source` is not one of those known.
    """
    missing = [f.name for f in table.schema if f.name not in rows.column_names and not f.nullable]
    if missing:
        raise SchemaError(f"{table.name}: column {missing[0]!r} is missing", field=missing[0])
    unknown = [name for name in rows.column_names if name not in table.schema.names]
    if unknown:
        raise SchemaError(f"{table.name}: column {unknown[0]!r} is not in the schema", field=unknown[0])
    columns: list[pa.ChunkedArray | pa.Array] = []
    for field in table.schema:
        if field.name not in rows.column_names:
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        column = rows.column(field.name)
        try:
            column = column.cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SchemaError(
                f"{table.name}.{field.name}: {column.type} does not fit {field.type} ({error})", field=field.name
            ) from None
        if not field.nullable and column.null_count:
            raise SchemaError(f"{table.name}.{field.name}: {column.null_count} null value(s)", field=field.name)
        columns.append(column)
    result = pa.Table.from_arrays(columns, schema=table.schema)
    if table is INTERACTIONS:
        for name, allowed in (("kind", Kind), ("source", Source)):
            values = set(result.column(name).unique().to_pylist()) - {str(v) for v in allowed}
            if values:
                raise SchemaError(
                    f"interactions.{name}: {sorted(values)[0]!r} is not one of {', '.join(allowed)}", field=name
                )
    return result
