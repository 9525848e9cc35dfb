"""What a person's own wall showed them: since when, when last, and on how many visits.

A wall reads it to say what is new, to put that first, and to leave out what was shown too often; it is written in
batches behind the impressions (serving/impressions.py), and holds nothing that these don't.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from features.database import Readable, reading, shown
from features.settings import Settings
from pipelines.upsert import insert

VISIT = timedelta(hours=1)
"""A photo that is shown again sooner is shown on the same visit."""

KEPT = timedelta(days=90)
"""How long it is kept what walls showed to whom, here and in the lake."""

KEPT_OF_A_USER = 5_000
"""Photos kept of one person; of more, those go that were shown the longest ago."""

_AT_ONCE = 500


@dataclass(frozen=True)
class Repetition:
    """When a photo is left out: shown on `visits` visits, until it was not shown for `rest`; then it begins anew."""

    visits: int = 5
    rest: timedelta = timedelta(days=30)

    @classmethod
    def of(cls, settings: Settings) -> Repetition:
        return cls(settings.shown_visits, timedelta(days=settings.shown_rest_days))


@dataclass(frozen=True)
class Memory:
    """What was shown to a person on earlier visits. visits: on how many, by photo; tired: what is left out for it."""

    visits: Mapping[str, int] = field(default_factory=dict)
    tired: frozenset[str] = frozenset()

    def is_new(self, photo_id: str) -> bool:
        """Whether it was never shown on an earlier visit. On the first visit nothing is: there, all would be."""
        return bool(self.visits) and photo_id not in self.visits


@dataclass(frozen=True)
class Showing:
    user_id: str
    photo_id: str
    shown_at: datetime


def note_shown(engine: sa.Engine, showings: Iterable[Showing], repetition: Repetition) -> None:
    """Take these in, in one transaction; of a person and a photo, one at most.

    What was noted already, or is older than what was, changes nothing but `first_shown_at`. A showing counts as another
    visit `VISIT` after the one before it, and as the first one `repetition.rest` after it.
    """
    # In one order in all processes: two that wrote the same rows in two would wait for each other in PostgreSQL.
    ordered = sorted(showings, key=lambda one: (one.user_id, one.photo_id))
    rows = [
        {
            "user_id": one.user_id,
            "photo_id": one.photo_id,
            "first_shown_at": one.shown_at,
            "last_shown_at": one.shown_at,
            "visits": 1,
            "visit_before": one.shown_at - VISIT,
            "rest_before": one.shown_at - repetition.rest,
        }
        for one in ordered
    ]
    if not rows:
        return
    statement, old = insert(engine, shown), shown.c
    new = statement.excluded
    visits = sa.case(
        (old.last_shown_at <= sa.bindparam("rest_before", type_=old.last_shown_at.type), 1),
        (old.last_shown_at <= sa.bindparam("visit_before", type_=old.last_shown_at.type), old.visits + 1),
        else_=old.visits,
    )
    changed = {
        "visits": visits,
        "first_shown_at": sa.case(
            (new.first_shown_at < old.first_shown_at, new.first_shown_at), else_=old.first_shown_at
        ),
        "last_shown_at": sa.case((new.last_shown_at > old.last_shown_at, new.last_shown_at), else_=old.last_shown_at),
    }
    with engine.begin() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["user_id", "photo_id"], set_=changed), rows)
        _keep_few(connection, {one.user_id for one in ordered})


def _keep_few(connection: sa.Connection, user_ids: Collection[str]) -> None:
    """Forget what these users have more than `KEPT_OF_A_USER`."""
    table, ids = shown.c, sorted(user_ids)
    for start in range(0, len(ids), _AT_ONCE):
        counts = (
            sa.select(table.user_id).where(table.user_id.in_(ids[start : start + _AT_ONCE])).group_by(table.user_id)
        )
        for user_id in connection.scalars(counts.having(sa.func.count() > KEPT_OF_A_USER)).all():
            newest = (
                sa.select(table.photo_id)
                .where(table.user_id == user_id)
                .order_by(table.last_shown_at.desc(), table.photo_id)
                .limit(KEPT_OF_A_USER)
            )
            older = sa.delete(shown).where(table.user_id == user_id, table.photo_id.not_in(newest))
            connection.execute(older)


def recall(source: Readable, user_id: str, repetition: Repetition, now: datetime) -> Memory:
    """What was shown to the user on visits before the one that is going on; one look along the primary key.

    What has rested counts as shown on one visit.
    The times stay in the database, which compares them: reading 5,000 of them would take ten times as long.
    """
    bounds = {"user_id": user_id, "visit_before": now - VISIT, "rest_before": now - repetition.rest}
    with reading(source) as connection:
        rows = connection.execute(_SHOWN_BEFORE, bounds).all()
    return Memory(
        {photo_id: max(1, number) for photo_id, number in rows},
        frozenset(photo_id for photo_id, number in rows if number >= repetition.visits),
    )


def first_shown(source: Readable, user_id: str, photo_ids: Sequence[str]) -> dict[str, datetime]:
    """When each of these photos, at most 500, was first shown to the user; without those that never were."""
    with reading(source) as connection:
        rows = connection.execute(_FIRST_SHOWN, {"user_id": user_id, "photo_ids": photo_ids})
        return {row.photo_id: row.first_shown_at for row in rows}


_SHOWN_BEFORE = sa.select(
    shown.c.photo_id, sa.case((shown.c.last_shown_at > sa.bindparam("rest_before"), shown.c.visits), else_=0)
).where(shown.c.user_id == sa.bindparam("user_id"), shown.c.first_shown_at <= sa.bindparam("visit_before"))

_FIRST_SHOWN = sa.select(shown.c.photo_id, shown.c.first_shown_at).where(
    shown.c.user_id == sa.bindparam("user_id"), shown.c.photo_id.in_(sa.bindparam("photo_ids", expanding=True))
)


def forget_users(engine: sa.Engine, user_ids: Collection[str]) -> None:
    """Delete what was shown to these users."""
    ids = sorted(user_ids)
    with engine.begin() as connection:
        for start in range(0, len(ids), _AT_ONCE):
            connection.execute(sa.delete(shown).where(shown.c.user_id.in_(ids[start : start + _AT_ONCE])))


def forget_shown(engine: sa.Engine, now: datetime) -> int:
    """Delete what was not shown for `KEPT`; how many."""
    with engine.begin() as connection:
        return connection.execute(sa.delete(shown).where(shown.c.last_shown_at < now - KEPT)).rowcount
