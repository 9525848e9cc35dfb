"""What must not be shown to anybody any more, in SQL: photos and users, each with the reason.

The lake and the features follow later; a tombstone counts from the moment it is written, as serving asks for the photos
and people of each page before it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import sqlalchemy as sa

from features.database import Readable, reading, suppressions, tombstones
from pipelines.privacy.suppression import ERASED, Suppression
from pipelines.upsert import insert

AT_ONCE = 500
"""Ids of one statement."""

MANY = 5_000
"""More ids than this are looked for in the whole table at once: it is the shorter list then."""

PHOTO, USER = "photo", "user"


class Reason(StrEnum):
    """Why a photo or user is gone. A takedown may be followed by words of the operator's."""

    VANISHED = "vanished"
    """Flickr no longer knows the photo."""
    PRIVATE = "private"
    """Flickr has the photo, but no longer shows it to everybody."""
    DELETED = "deleted"
    """Flickr no longer knows the user."""
    TAKEDOWN = "takedown"
    """Somebody who may asked for it: stays, whatever Flickr lists."""


@dataclass(frozen=True)
class Gone:
    """Those of some photos and users who must not be shown."""

    photo_ids: frozenset[str]
    user_ids: frozenset[str]


def bury_photos(engine: sa.Engine, photo_ids: Iterable[str], reason: str) -> int:
    """Write tombstones for photos; how many are new, or got this reason.

    A takedown or an erasure takes the place of another reason; nothing takes the place of a takedown.
    """
    return _bury(engine, PHOTO, photo_ids, reason)


def bury_users(engine: sa.Engine, user_ids: Iterable[str], reason: str) -> int:
    """The same for users; all of their photos are gone with them."""
    return _bury(engine, USER, user_ids, reason)


def revive_photos(engine: sa.Engine, photo_ids: Iterable[str]) -> int:
    """Take the tombstones off photos that Flickr lists again, those of takedowns and erasures excepted; how many."""
    return _revive(engine, PHOTO, photo_ids)


def revive_users(engine: sa.Engine, user_ids: Iterable[str]) -> int:
    """The same for users."""
    return _revive(engine, USER, user_ids)


def gone_photos(engine: sa.Engine, photo_ids: Iterable[str]) -> set[str]:
    """Those of the photos that have a tombstone."""
    return _found(engine, PHOTO, photo_ids)


def gone_users(engine: sa.Engine, user_ids: Iterable[str]) -> set[str]:
    """Those of the users who have a tombstone."""
    return _found(engine, USER, user_ids)


def taken_down(engine: sa.Engine, photo_ids: Iterable[str]) -> set[str]:
    """Those of the photos that must not come back though Flickr lists them: taken down, or of an erased user."""
    return _found(engine, PHOTO, photo_ids, _final())


def photos_buried_for(engine: sa.Engine, reason: str) -> set[str]:
    """The photos with exactly that reason."""
    query = sa.select(tombstones.c.subject_id).where(tombstones.c.kind == PHOTO, tombstones.c.reason == reason)
    with engine.connect() as connection:
        return set(connection.scalars(query))


def gone_among(
    source: Readable, photo_ids: Collection[str], user_ids: Collection[str], suppression: Suppression | None = None
) -> Gone:
    """Which of these photos and users must not be shown, in one indexed statement; erased users are among them."""
    by_digest = {} if suppression is None else suppression.digests(user_ids)
    found: dict[str, set[str]] = {PHOTO: set(), USER: set(), ERASED: set()}
    wanted = {PHOTO: list(photo_ids), USER: list(user_ids), ERASED: list(by_digest)}
    with reading(source) as connection:
        while any(wanted.values()):
            some = {kind: ids[:AT_ONCE] for kind, ids in wanted.items()}
            wanted = {kind: ids[AT_ONCE:] for kind, ids in wanted.items()}
            statement = _AMONG_ERASED if some[ERASED] else _AMONG
            parameters = {"photos": some[PHOTO], "users": some[USER]}
            if some[ERASED]:
                parameters["digests"] = some[ERASED]
            for kind, subject_id in connection.execute(statement, parameters):
                found[kind].add(subject_id)
    erased = (by_digest[digest] for digest in found[ERASED])
    return Gone(frozenset(found[PHOTO]), frozenset(found[USER]).union(erased))


def _among(kind: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(tombstones.c.kind == kind, tombstones.c.subject_id.in_(sa.bindparam(name, expanding=True)))


_AMONG = sa.select(tombstones.c.kind, tombstones.c.subject_id).where(
    sa.or_(_among(PHOTO, "photos"), _among(USER, "users"))
)
_AMONG_ERASED = _AMONG.union_all(
    sa.select(sa.literal(ERASED), suppressions.c.digest).where(
        suppressions.c.digest.in_(sa.bindparam("digests", expanding=True))
    )
)


def _bury(engine: sa.Engine, kind: str, ids: Iterable[str], reason: str) -> int:
    now = datetime.now(UTC)
    statement = insert(engine, tombstones)
    if reason.startswith((Reason.TAKEDOWN, ERASED)):
        statement = statement.on_conflict_do_update(
            index_elements=["kind", "subject_id"],
            set_={"reason": statement.excluded.reason, "created_at": statement.excluded.created_at},
            where=sa.and_(
                tombstones.c.reason.not_like(f"{Reason.TAKEDOWN}%"), tombstones.c.reason != statement.excluded.reason
            ),
        )
    else:
        statement = statement.on_conflict_do_nothing()

    def write(connection: sa.Connection, some: Sequence[str]) -> int:
        rows = [{"kind": kind, "subject_id": entry, "reason": reason, "created_at": now} for entry in some]
        return connection.execute(statement.values(rows)).rowcount

    return _in_parts(engine, ids, write)


def _revive(engine: sa.Engine, kind: str, ids: Iterable[str]) -> int:
    def delete(connection: sa.Connection, some: Sequence[str]) -> int:
        of_these = (tombstones.c.kind == kind, tombstones.c.subject_id.in_(some), sa.not_(_final()))
        return connection.execute(sa.delete(tombstones).where(*of_these)).rowcount

    return _in_parts(engine, ids, delete)


def _in_parts(engine: sa.Engine, ids: Iterable[str], work: Callable[[sa.Connection, Sequence[str]], int]) -> int:
    """`work` on the distinct ids, a part at a time, in one transaction; the sum of what it returns."""
    done = 0
    with engine.begin() as connection:
        for some in _parts(ids):
            done += work(connection, some)
    return done


def _found(
    engine: sa.Engine, kind: str, ids: Iterable[str], condition: sa.ColumnElement[bool] | None = None
) -> set[str]:
    wanted, found = list(ids), set[str]()
    query = sa.select(tombstones.c.subject_id).where(
        tombstones.c.kind == kind, sa.true() if condition is None else condition
    )
    with engine.connect() as connection:
        if len(wanted) > MANY:
            return set(connection.scalars(query)).intersection(wanted)
        for some in _parts(wanted):
            found.update(connection.scalars(query.where(tombstones.c.subject_id.in_(some))))
    return found


def _final() -> sa.ColumnElement[bool]:
    return sa.or_(tombstones.c.reason.startswith(Reason.TAKEDOWN), tombstones.c.reason.startswith(ERASED))


def _parts(ids: Iterable[str]) -> Iterator[Sequence[str]]:
    distinct = sorted(set(ids))
    for start in range(0, len(distinct), AT_ONCE):
        yield distinct[start : start + AT_ONCE]
