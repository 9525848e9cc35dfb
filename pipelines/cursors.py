"""How far each user is pulled, in SQL: written only after the lake has what the cursor claims.

A kill between the two leaves the older cursor, so that the same favorites are listed again and found to be held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from features.database import pull_cursors
from pipelines.upsert import upsert

_AT_ONCE = 500


@dataclass(frozen=True)
class Cursor:
    """The newest date of a favorite that was listed, and when favorites and contacts were last looked at."""

    user_id: str
    newest_faved_at: datetime | None = None
    favorites_pulled_at: datetime | None = None
    contacts_pulled_at: datetime | None = None


def read_cursors(engine: sa.Engine, user_ids: Sequence[str]) -> dict[str, Cursor]:
    """The cursors of those users who have one."""
    found: dict[str, Cursor] = {}
    with engine.connect() as connection:
        for start in range(0, len(user_ids), _AT_ONCE):
            some = user_ids[start : start + _AT_ONCE]
            rows = connection.execute(sa.select(pull_cursors).where(pull_cursors.c.user_id.in_(some))).mappings()
            found.update({row["user_id"]: Cursor(**row) for row in rows})
    return found


def write_cursors(engine: sa.Engine, cursors: Sequence[Cursor]) -> None:
    """Set these cursors as they are, one transaction for all."""
    upsert(engine, pull_cursors, [asdict(cursor) for cursor in cursors], key="user_id")
