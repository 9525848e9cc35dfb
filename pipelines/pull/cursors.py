"""How far each user is pulled, in SQL: written only after the lake has what the cursor claims.

A kill between the two leaves the older cursor, so that the same favorites are listed again and found to be held. A user
without any cursor has nothing in the lake from Flickr: `begin_cursors` is called before the first row goes in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from features.database import pull_cursors
from pipelines.upsert import insert, upsert

_AT_ONCE = 500


@dataclass(frozen=True)
class Cursor:
    """The newest date of a favorite that was listed, and when favorites and contacts were last looked at.

    `favorites`: how many there are, as far as was seen; of these none from before `oldest_faved_at` is kept.
    sweep_until, sweep_moved_at, swept_at: where the sweep for deleted favorites stands (pipelines/pull/sweep.py).
    rate_favorites, rate_days: what the rate of favoriting is estimated from (pipelines/plan/planner.py).
    """

    user_id: str
    newest_faved_at: datetime | None = None
    favorites_pulled_at: datetime | None = None
    contacts_pulled_at: datetime | None = None
    favorites: int = 0
    oldest_faved_at: datetime | None = None
    sweep_until: datetime | None = None
    sweep_moved_at: datetime | None = None
    swept_at: datetime | None = None
    rate_favorites: float = 0.0
    rate_days: float = 0.0


def read_cursors(engine: sa.Engine, user_ids: Sequence[str]) -> dict[str, Cursor]:
    """The cursors of those users who have one."""
    found: dict[str, Cursor] = {}
    with engine.connect() as connection:
        for start in range(0, len(user_ids), _AT_ONCE):
            some = user_ids[start : start + _AT_ONCE]
            rows = connection.execute(sa.select(pull_cursors).where(pull_cursors.c.user_id.in_(some))).mappings()
            found.update({row["user_id"]: Cursor(**row) for row in rows})
    return found


def begin_cursors(engine: sa.Engine, user_ids: Sequence[str]) -> set[str]:
    """Give each of these users a cursor; who had none until now, and so nothing in the lake."""
    if not user_ids:
        return set()
    known = read_cursors(engine, user_ids)
    new = [user_id for user_id in user_ids if user_id not in known]
    if not new:
        return set()
    rows = [dict(vars(Cursor(user_id))) for user_id in new]
    with engine.begin() as connection:
        made = connection.execute(
            insert(engine, pull_cursors).on_conflict_do_nothing().returning(pull_cursors.c.user_id), rows
        )
        return set(made.scalars())


def write_cursors(
    engine: sa.Engine, cursors: Sequence[Cursor], *, favorites: bool = True, contacts: bool = True
) -> None:
    """Set what these cursors say of the favorites, of the contacts, or of both, one transaction for all.

    Favorites and contacts of one user may be pulled at once, and neither must undo what the other has noted.
    """
    rows = [dict(vars(cursor)) for cursor in cursors]
    if not contacts:
        rows = [{name: row[name] for name in row if name != "contacts_pulled_at"} for row in rows]
    if not favorites:
        rows = [{name: row[name] for name in ("user_id", "contacts_pulled_at")} for row in rows]
    upsert(engine, pull_cursors, rows, key="user_id")
