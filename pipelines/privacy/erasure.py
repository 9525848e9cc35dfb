"""Erasing a user: every row that names them, wherever it is, then a look into each store whether that is so.

The list of suppressions comes first, so that no worker takes the user up again; each store after it may be emptied any
number of times, so an erasure that was killed is completed by running it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.actions import RELAY_APPLICATION
from features.builds import Build, Builds
from features.compaction import delete_rows
from features.database import (
    actions,
    metadata,
    oauth_requests,
    photo_checks,
    pull_requests,
    sessions,
    shown,
    tombstones,
)
from features.feature_tables import FEATURE_TABLES, POPULAR_SCHEMA
from features.lake import Lake, one_of
from features.schema import INTERACTIONS, PHOTOS, QUARANTINE, TABLES, LakeTable
from features.settings import Settings
from pipelines.privacy.suppression import Suppression, erased_reason
from pipelines.privacy.takedown import blank
from pipelines.privacy.tombstones import USER, bury_photos, photos_buried_for
from pipelines.relay import drain

if TYPE_CHECKING:
    from features.batch import Progress
    from features.online import OnlineFeatures

PERSON_COLUMNS = frozenset({"user_id", "owner_id", "contact_id", "neighbor_id", "subject_id"})
"""The columns, of SQL and of the lake, that hold the NSID of a person."""

PASSES = 3
"""What was under way when an erasure began may write after it looked: then it begins again, so often."""

Counts = Counter[str]


@dataclass(frozen=True)
class Erased:
    """What an erasure removed, and what it found when it looked again: rows by store."""

    user_id: str
    removed: dict[str, int]
    left: dict[str, int]

    @property
    def complete(self) -> bool:
        return not any(self.left.values())


class Eraser:
    """Erases from the stores of one configuration."""

    def __init__(self, settings: Settings, engine: sa.Engine, lake: Lake, online: OnlineFeatures) -> None:
        self._settings = settings
        self._engine = engine
        self._lake = lake
        self._online = online
        self._builds = Builds(lake.uri)

    def erase(self, user_id: str, progress: Progress | None = None) -> Erased:
        """Remove every row of the user, and look whether any is left. Somebody unknown is suppressed all the same.

        Others' favorites of the user's photos, and others' contacts with them, name the user and go, too. Raises
        ConfigurationError when the erasure key is not the one that was used before, DependencyError.
        """
        reason = erased_reason(Suppression(self._settings, self._engine).suppress(user_id))
        removed = Counts()
        for _ in range(PASSES):
            removed += self._pass(user_id, reason, progress)
            left = self._left(user_id)
            if not any(left.values()):
                break
        return Erased(user_id, dict(removed), left)

    def returned(self) -> list[str]:
        """Users on the list of suppressions whom the lake, or what walls showed, names after all: whoever wrote them
        was under way when they were erased. They are to be erased again."""
        suppression = Suppression(self._settings, self._engine)
        named: set[str] = set()
        if not suppression.digests(["anybody"]):
            return []
        for table in TABLES.values():
            columns = [name for name in table.schema.names if name in PERSON_COLUMNS]
            rows = self._lake.scan(table, columns=columns)
            named.update(*(rows.column(name).unique().to_pylist() for name in columns))
        with self._engine.connect() as connection:
            named.update(connection.scalars(sa.select(shown.c.user_id).distinct()))
        return sorted(suppression.suppressed(named))

    def _pass(self, user_id: str, reason: str, progress: Progress | None) -> Counts:
        now = datetime.now(UTC)
        removed, newest_action = self._forget_in_sql(user_id)
        photo_ids = self._photos_of(user_id)
        # Known by their tombstones when a kill falls behind the deletion of the rows that told whose they are.
        bury_photos(self._engine, photo_ids, reason)
        photo_ids |= photos_buried_for(self._engine, reason)
        removed["sql photo_checks"] += self._forget_checks(photo_ids)
        self._hold_back_relays(newest_action)
        removed["lake photos"] += blank(self._lake, self._online, dict.fromkeys(sorted(photo_ids), ""), now)
        for table, where in _lake_rows(user_id):
            removed[f"lake {table.name}"] += delete_rows(self._lake, table, where, now=now)
        removed["feature build"] += self._rebuild(user_id, progress)
        removed["online features"] += self._online.forget_user(user_id)
        return removed

    def _forget_in_sql(self, user_id: str) -> tuple[Counts, int]:
        """Delete the user's rows, all or none: how many, and the number of the newest action among them (−1: none)."""
        removed = Counts()
        theirs = sa.select(sessions.c.session_hash).where(sessions.c.user_id == user_id)
        newest = sa.select(sa.func.max(actions.c.seq)).where(_names(actions, user_id))
        with self._engine.begin() as connection:
            sign_ins = sa.delete(oauth_requests).where(oauth_requests.c.session_hash.in_(theirs))
            removed["sql oauth_requests"] = connection.execute(sign_ins).rowcount
            seq = connection.scalar(newest)
            for table, condition in _sql_rows(user_id):
                removed[f"sql {table.name}"] = connection.execute(sa.delete(table).where(condition)).rowcount
        return removed, -1 if seq is None else int(seq)

    def _photos_of(self, user_id: str) -> set[str]:
        """The user's photos, as far as the lake knows them."""
        found: set[str] = set()
        for table in (PHOTOS, INTERACTIONS):
            rows = self._lake.scan(table, columns=("photo_id",), where=one_of("owner_id", [user_id]))
            found.update(rows.column("photo_id").unique().to_pylist())
        return found - {""}

    def _forget_checks(self, photo_ids: set[str]) -> int:
        rows = [{"id": photo_id} for photo_id in sorted(photo_ids)]
        if not rows:
            return 0
        with self._engine.begin() as connection:
            deleted = connection.execute(
                sa.delete(photo_checks).where(photo_checks.c.photo_id == sa.bindparam("id")), rows
            )
        return max(0, deleted.rowcount)

    def _hold_back_relays(self, newest_action: int) -> None:
        """Return when no relay can commit an action any more that was deleted from SQL.

        A relay may have read a batch before the deletion. It commits only on top of the version that it read after;
        so everybody else's actions are drained, and the application moved past the deleted ones by an empty commit.
        """
        while newest_action >= 0:
            drain(self._engine, self._lake)
            applied = self._lake.applied(INTERACTIONS, RELAY_APPLICATION)
            if applied >= newest_action:
                return
            nothing = INTERACTIONS.schema.empty_table()
            self._lake.append(
                INTERACTIONS, nothing, marks={RELAY_APPLICATION: newest_action}, after={RELAY_APPLICATION: applied}
            )

    def _rebuild(self, user_id: str, progress: Progress | None) -> int:
        """Put a build without the user in the place of the current one, online too; how often that one named them."""
        before = self._builds.current()
        named = 0 if before is None else self._named_in(before, user_id)
        if before is None or named == 0:
            return 0
        from features.batch import build_features
        from features.online import materialize

        built = build_features(self._lake, self._settings, progress=progress)
        materialize(self._settings, built, progress)
        if built.fresh:
            self._builds.retire(before, datetime.now(UTC))
        return named

    def _named_in(self, build: Build, user_id: str) -> int:
        """How often the build's tables hold the user's NSID, in columns of strings and of lists of them."""
        named = 0
        schemas = {**{table.name: table.schema for table in FEATURE_TABLES}, "popular": POPULAR_SCHEMA}
        for name, schema in schemas.items():
            text = [field.name for field in schema if field.type in (pa.string(), pa.list_(pa.string()))]
            for batch in self._builds.read(name, schema, build.version).to_batches(columns=text):
                for column in batch.columns:
                    values = column.flatten() if pa.types.is_list(column.type) else column
                    named += pc.sum(pc.equal(values, user_id)).as_py() or 0
        return named

    def _left(self, user_id: str) -> dict[str, int]:
        """The rows that name the user, by store."""
        left = {}
        with self._engine.connect() as connection:
            for table, condition in _sql_rows(user_id):
                count = sa.select(sa.func.count()).select_from(table).where(condition)
                left[f"sql {table.name}"] = connection.scalar(count) or 0
        for lake_table, where in _lake_rows(user_id):
            columns = lake_table.schema.names[:1]
            left[f"lake {lake_table.name}"] = self._lake.scan(lake_table, columns=columns, where=where).num_rows
        build = self._builds.current()
        left["feature build"] = 0 if build is None else self._named_in(build, user_id)
        left["online features"] = self._online.rows_of_user(user_id)
        return left


def _sql_rows(user_id: str) -> Iterator[tuple[sa.Table, sa.ColumnElement[bool]]]:
    """Which rows of which tables name the user; a table after those that refer to it."""
    for table in reversed(metadata.sorted_tables):
        if table is pull_requests:
            yield (
                table,
                pull_requests.c.body.contains(orjson.dumps({"user_id": user_id}).decode()[1:-1], autoescape=True),
            )
        elif table is tombstones:
            yield table, sa.and_(tombstones.c.kind == USER, tombstones.c.subject_id == user_id)
        elif PERSON_COLUMNS.intersection(table.columns.keys()):
            yield table, _names(table, user_id)


def _names(table: sa.Table, user_id: str) -> sa.ColumnElement[bool]:
    return sa.or_(*(column == user_id for column in table.columns if column.name in PERSON_COLUMNS))


def _lake_rows(user_id: str) -> Iterator[tuple[LakeTable, pc.Expression]]:
    """Which rows of which tables of the lake name the user."""
    for table in TABLES.values():
        names = [pc.field(name) == user_id for name in table.schema.names if name in PERSON_COLUMNS]
        if table is QUARANTINE:
            # What Flickr sent, as it was: whatever holds the NSID may be about the user.
            names.append(pc.match_substring(pc.field("payload"), user_id))
        if names:
            yield table, reduce(or_, names)
