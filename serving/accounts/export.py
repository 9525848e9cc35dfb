"""All that is held on one person, as a ZIP of JSON Lines to take along: about what `erase` would remove.

It follows the schemas of SQL, lake and features: a table or column that is added to them is in the next export by
itself. Only secrets stay here, and what others did, even where it was done to the person.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import orjson
import pyarrow as pa
import sqlalchemy as sa

from features.database import metadata
from features.lake import Lake, one_of
from features.online import USER_TABLES, OnlineFeatures
from features.schema import TABLES
from features.user_state import UserState

OWN_COLUMNS = ("user_id", "subject_id", "owner_id")
"""The first of these columns that a table has says whose its rows are."""

SECRETS = frozenset({"token_ciphertext", "session_hash", "csrf_token"})
"""Columns by which somebody else could act in the person's name."""

WORDS = {
    "favorites": "photos that are favorites of yours",
    "dismissed_photos": "photos that you dismissed",
    "dismissed_people": "people whom you dismissed",
    "contacts": "people whom you follow on Flickr",
    "sql/accounts": "your account here, without the Flickr token",
    "sql/sessions": "when you signed in, and until when",
    "sql/actions": "what you did here lately: faves, dismissals, taking them back",
    "sql/shown": "photos that your wall showed you",
    "sql/pull_cursors": "how far your favorites are read from Flickr",
    "sql/pull_progress": "your newest reading",
    "sql/pull_parts": "photographers whose favorites your wall is made of",
    "sql/pull_asked": "readings that are asked for",
    "sql/tombstones": "that Flickr no longer knows you, where it said so",
    "lake/interactions": "every favorite and dismissal of yours, and when it was taken back",
    "lake/contacts": "whom you follow, and since when that is known",
    "lake/users": "your name and picture on Flickr",
    "lake/photos": "photos of yours that somebody favorited",
    "lake/impressions": "photos that were on your screen for a second",
    "lake/quarantine": "what Flickr told of your favorites and could not be used",
}
"""What each file holds, to the person; the features are described where they are declared."""

ROWS_AT_ONCE = 1_000
BYTES_AT_ONCE = 65_536

Rows: TypeAlias = pa.Table | Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Part:
    """One file of the export. `name`: without its ending; `says`: what it holds, in words for the person."""

    name: str
    says: str
    rows: Rows

    @property
    def count(self) -> int:
        return int(self.rows.num_rows) if isinstance(self.rows, pa.Table) else len(self.rows)


def gather(engine: sa.Engine, lake: Lake, online: OnlineFeatures, state: UserState) -> list[Part]:
    """Everything on the user of `state`, read now, so that a store that fails is an error and not half a file.

    Parts without rows are left out. Raises DependencyError.
    """
    user_id = state.user_id
    tables = (*_of_sql(engine, user_id), *_of_lake(lake, user_id), *_of_features(online, user_id))
    return [part for part in (*_of_state(state), *tables) if part.count]


def archive(parts: Iterable[Part], name: str, user_id: str, now: datetime) -> Iterator[bytes]:
    """The ZIP, a piece at a time: `README.txt`, then a file of JSON Lines for each part."""
    parts, outlet = list(parts), _Outlet()
    with ZipFile(outlet, "w", ZIP_DEFLATED) as folder:
        folder.writestr(_entry("README.txt", now), _read_me(parts, name, user_id, now))
        for part in parts:
            with folder.open(_entry(f"{part.name}.jsonl", now), "w") as file:
                for line in _lines(part.rows):
                    file.write(line)
                    if outlet.waiting >= BYTES_AT_ONCE:
                        yield outlet.take()
    yield outlet.take()


class _Outlet(io.RawIOBase):
    """What a ZIP is written to that is sent while it is made: nothing can be gone back to."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    @property
    def waiting(self) -> int:
        return len(self._bytes)

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._bytes += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken


def _entry(name: str, now: datetime) -> ZipInfo:
    entry = ZipInfo(name, now.astimezone(UTC).timetuple()[:6])
    entry.compress_type = ZIP_DEFLATED
    return entry


def _read_me(parts: Sequence[Part], name: str, user_id: str, now: datetime) -> str:
    width = max((len(part.name) for part in parts), default=0)
    files = [f"  {part.name + '.jsonl':{width + 6}}  {part.count:>9,}  {part.says}" for part in parts]
    return "\n".join(
        [
            f"What photo-recommender holds on {name} ({user_id}), as of {now.astimezone(UTC):%Y-%m-%d %H:%M} UTC.",
            "",
            "Each file holds JSON Lines: one JSON object a line, UTF-8, times in UTC. With how many lines:",
            "",
            *files,
            "",
            "Left out: your Flickr token and what your sessions are known by, as whoever has them could act in your",
            "name; and what others did, such as their favorites of your photos.",
            "",
        ]
    )


def _lines(rows: Rows) -> Iterator[bytes]:
    # The names of SQLAlchemy's columns are a kind of string that orjson takes for none.
    options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS
    if isinstance(rows, pa.Table):
        for batch in rows.to_batches(max_chunksize=ROWS_AT_ONCE):
            for row in batch.to_pylist():
                yield orjson.dumps(row, option=options)
    else:
        for row in rows:
            yield orjson.dumps(row, option=options)


def _of_state(state: UserState) -> Iterator[Part]:
    """What holds now: the newest snapshot, and every action since."""
    faved = zip(state.favorite_ids, state.favorite_owners, state.favorite_times, strict=True)
    photos = zip(state.dismissed_ids, state.dismissed_owners, state.dismissed_times, strict=True)
    people = zip(state.dismissed_people, state.dismissed_people_times, strict=True)
    found: dict[str, Rows] = {
        "favorites": [{"photo_id": p, "owner_id": o, "faved_at": _moment(at)} for p, o, at in faved],
        "dismissed_photos": [{"photo_id": p, "owner_id": o, "dismissed_at": _moment(at)} for p, o, at in photos],
        "dismissed_people": [{"user_id": person, "dismissed_at": _moment(at)} for person, at in people],
        "contacts": [{"user_id": person} for person in state.contacts],
    }
    for name, rows in found.items():
        yield Part(name, WORDS[name], rows)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _of_sql(engine: sa.Engine, user_id: str) -> Iterator[Part]:
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            own = own_column(table.columns.keys())
            if own is None:
                continue
            columns = [column for column in table.columns if column.name not in SECRETS]
            rows = connection.execute(sa.select(*columns).where(table.c[own] == user_id)).mappings()
            yield Part(f"sql/{table.name}", WORDS[f"sql/{table.name}"], [dict(row) for row in rows])


def _of_lake(lake: Lake, user_id: str) -> Iterator[Part]:
    for table in TABLES.values():
        own = own_column(table.schema.names)
        if own is not None:
            rows = lake.scan(table, where=one_of(own, [user_id]))
            yield Part(f"lake/{table.name}", WORDS[f"lake/{table.name}"], rows)


def _of_features(online: OnlineFeatures, user_id: str) -> Iterator[Part]:
    for table in USER_TABLES:
        rows = [
            {table.join_key: entity_id, **values, "event_timestamp": at}
            for entity_id, (at, values) in online.read(table, [user_id]).items()
        ]
        yield Part(f"features/{table.name}", table.description, rows)


def own_column(names: Iterable[str]) -> str | None:
    """The column that says whose a table's rows are; None: they are nobody's."""
    held = set(names)
    return next((name for name in OWN_COLUMNS if name in held), None)
