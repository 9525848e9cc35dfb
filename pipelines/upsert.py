"""INSERT … ON CONFLICT, which SQLite and PostgreSQL share but SQLAlchemy offers for each of them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


def insert(engine: sa.Engine, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows ON CONFLICT, in the engine's dialect."""
    return sqlite.insert(table) if engine.dialect.name == "sqlite" else postgresql.insert(table)


def upsert(engine: sa.Engine, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, key: str) -> None:
    """Insert these rows (all with the same columns), or set those columns where the key exists; in one transaction."""
    if not rows:
        return
    statement = insert(engine, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name != key}
    with engine.begin() as connection:
        connection.execute(
            statement.on_conflict_do_update(index_elements=[key], set_=changed), [dict(row) for row in rows]
        )
