"""The parts of a person's pull: whose favorites the wall is made of, and which of these are in the lake.

A part is a row for a person and a neighbor. What is finished is counted over these rows, so that a message that comes
twice counts once; a neighbor shared by many people is a part of each and is pulled once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from features.database import pull_parts
from pipelines.upsert import insert

_AT_ONCE = 500


@dataclass(frozen=True)
class Parts:
    """How many neighbors are wanted, finished (pulled, or never to be), and covered (pulled, or no longer there)."""

    made: int = 0
    finished: int = 0
    covered: int = 0

    @property
    def coverage(self) -> float:
        """The share of the neighbors whose favorites are in the lake."""
        return self.covered / self.made if self.made else 0.0


def replace_parts(engine: sa.Engine, user_id: str, neighbor_ids: Sequence[str]) -> None:
    """These are the person's neighbors now, each of them still to be pulled."""
    rows = [{"user_id": user_id, "neighbor_id": neighbor, "covered": False} for neighbor in neighbor_ids]
    with engine.begin() as connection:
        connection.execute(sa.delete(pull_parts).where(pull_parts.c.user_id == user_id))
        if rows:
            connection.execute(insert(engine, pull_parts).on_conflict_do_nothing(), rows)


def finish_parts(engine: sa.Engine, neighbors: Mapping[str, bool]) -> set[str]:
    """Note that these neighbors are done with, for everybody: pulled or gone (True), or given up (False).

    Returns the people for whom something has changed.
    """
    table, now = pull_parts.c, datetime.now(UTC)
    changed: set[str] = set()
    with engine.begin() as connection:
        for covered in (True, False):
            # One that was given up can still be covered: its dead letter may be redriven.
            unsettled = table.covered.is_(False) if covered else table.finished_at.is_(None)
            ids = sorted(neighbor for neighbor, value in neighbors.items() if value is covered)
            for begin in range(0, len(ids), _AT_ONCE):
                done = connection.execute(
                    sa.update(pull_parts)
                    .where(table.neighbor_id.in_(ids[begin : begin + _AT_ONCE]), unsettled)
                    .values(finished_at=now, covered=covered)
                    .returning(table.user_id)
                )
                changed.update(done.scalars())
    return changed


def people_of(engine: sa.Engine, neighbor_ids: Collection[str]) -> set[str]:
    """Everybody of whose pull one of these is a part."""
    ids, found = sorted(neighbor_ids), set[str]()
    with engine.connect() as connection:
        for begin in range(0, len(ids), _AT_ONCE):
            some = pull_parts.c.neighbor_id.in_(ids[begin : begin + _AT_ONCE])
            found.update(connection.scalars(sa.select(pull_parts.c.user_id).where(some).distinct()))
    return found


def count_parts(engine: sa.Engine, user_ids: Collection[str]) -> dict[str, Parts]:
    """The parts of each of these people."""
    table = pull_parts.c
    query = (
        sa.select(
            table.user_id,
            sa.func.count(),
            sa.func.count(table.finished_at),
            sa.func.coalesce(sa.func.sum(sa.cast(table.covered, sa.Integer)), 0),
        )
        .where(table.user_id.in_(list(user_ids)))
        .group_by(table.user_id)
    )
    counts = {user_id: Parts() for user_id in user_ids}
    with engine.connect() as connection:
        counts.update(
            {user: Parts(made, done, int(covered)) for user, made, done, covered in connection.execute(query)}
        )
    return counts
