"""From what Flickr lists to new rows of the lake: only what the lake does not hold yet.

Pure functions from listings and the rows held to the rows to append; `pipelines/pull/commit.py` appends them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from features.schema import CONTACTS, PHOTOS, QUARANTINE, TIMESTAMP, USERS, Kind, Source
from features.state import current_contacts, newest
from pipelines.flickr.answers import Person, Photo
from pipelines.pull.listing import Listing

HELD_COLUMNS = (
    "user_id",
    "photo_id",
    "owner_id",
    "kind",
    "event_timestamp",
    "created_timestamp",
    "faved_at",
)
_JOINT = "\x1f"


@dataclass(frozen=True)
class Added:
    """Rows appended, by table; of the interactions, `unfavorites` take a favorite back."""

    interactions: int = 0
    photos: int = 0
    users: int = 0
    contacts: int = 0
    unfavorites: int = 0
    quarantined: int = 0

    def __add__(self, other: Added) -> Added:
        return Added(**{name: getattr(self, name) + getattr(other, name) for name in asdict(self)})


def held_from(listings: Sequence[Listing]) -> datetime | None:
    """From when on held rows matter to `new_interactions`, by `event_timestamp`; None: all of them do."""
    starts = [datetime.fromtimestamp(min(listing.faved_at), UTC) for listing in listings if listing.faved_at]
    for listing in listings:
        if listing.window is not None:
            if listing.window.after is None:
                return None
            starts.append(listing.window.after)
    # What the site recorded carries its own clock's time.
    return min(starts) - timedelta(days=1) if starts else datetime.max.replace(tzinfo=UTC)


def new_interactions(listings: Sequence[Listing], held: pa.Table, now: datetime) -> pa.Table:
    """The favorites that the state does not hold and those that are no more, as rows of `interactions`.

    A favorite never seen happened when Flickr says. One seen again after an `unfavorite` happened when it was observed,
    as its date may lie before the `unfavorite`; unless the `unfavorite` is the newer of the two: then the listing is
    outdated. A favorite held that lies in a listing's window and is not listed was taken back when that was observed.
    `held`: rows of those users, HELD_COLUMNS.
    """
    counts = [len(listing.photo_ids) for listing in listings]
    user_ids = pa.array([listing.user_id for listing in listings], pa.string()).take(_repeat(counts))
    faved_at = _seconds(list(chain.from_iterable(listing.faved_at for listing in listings)))
    rows = pa.table(
        {
            "user_id": user_ids,
            "photo_id": pa.array(chain.from_iterable(listing.photo_ids for listing in listings), pa.string()),
            "owner_id": pa.array(chain.from_iterable(listing.owner_ids for listing in listings), pa.string()),
            "event_timestamp": faved_at,
            "faved_at": faved_at,
        }
    )
    if not held.num_rows:  # as for everybody who is pulled for the first time
        return _stamped(rows, Kind.FAVORITE, now)
    axis = pa.array([str(Kind.FAVORITE), str(Kind.UNFAVORITE)])
    latest = newest(held.filter(pc.is_in(held.column("kind"), axis)), ("user_id", "photo_id"))
    known, listed = _pairs(latest), _pairs(rows)
    row = pc.index_in(listed, value_set=known)
    observed_at = pa.array([listing.observed_at for listing in listings], TIMESTAMP).take(_repeat(counts))
    again = pc.fill_null(
        pc.and_(
            pc.equal(latest.column("kind").take(row), str(Kind.UNFAVORITE)),
            pc.less(latest.column("event_timestamp").take(row), observed_at),
        ),
        False,
    )
    at = rows.schema.get_field_index("event_timestamp")
    favorites = rows.set_column(at, "event_timestamp", pc.if_else(again, observed_at, faved_at))
    absent = latest.filter(pc.invert(pc.is_in(known, value_set=listed)))
    return pa.concat_tables(
        [
            _stamped(favorites.filter(pc.or_(pc.is_null(row), again)), Kind.FAVORITE, now),
            _stamped(_taken_back(listings, absent), Kind.UNFAVORITE, now),
        ]
    )


def _pairs(rows: pa.Table) -> pa.Array:
    """User and photo of each row as one text."""
    return pc.binary_join_element_wise(rows.column("user_id"), rows.column("photo_id"), _JOINT).combine_chunks()


def _taken_back(listings: Sequence[Listing], absent: pa.Table) -> pa.Table:
    """Of the latest rows of what is not listed, the favorites that a window covers, at the time of observation."""
    looked = {listing.user_id: listing for listing in listings if listing.window is not None}
    users = pa.array(looked, pa.string())
    row = pc.index_in(absent.column("user_id"), value_set=users)
    windows = [listing.window for listing in looked.values() if listing.window is not None]
    after = pa.array([window.after or datetime.min.replace(tzinfo=UTC) for window in windows], TIMESTAMP).take(row)
    until = pa.array([window.until for window in windows], TIMESTAMP).take(row)
    observed_at = pa.array([listing.observed_at for listing in looked.values()], TIMESTAMP).take(row)
    at = pc.coalesce(absent.column("faved_at"), absent.column("event_timestamp"))
    covered = pc.and_(pc.greater(at, after), pc.less_equal(at, until))
    held = pc.and_(pc.equal(absent.column("kind"), str(Kind.FAVORITE)), covered)
    # What happened after the look is not for the look to judge.
    older = pc.less(absent.column("event_timestamp"), observed_at)
    columns = {name: absent.column(name) for name in ("user_id", "photo_id", "owner_id")}
    rows = pa.table({**columns, "event_timestamp": observed_at, "faved_at": pa.nulls(len(row), TIMESTAMP)})
    return rows.filter(pc.fill_null(pc.and_(held, older), False))


def _stamped(rows: pa.Table, kind: Kind, now: datetime) -> pa.Table:
    constants = {
        "kind": pa.scalar(str(kind)),
        "source": pa.scalar(str(Source.FLICKR)),
        "created_timestamp": pa.scalar(now, TIMESTAMP),
        "ingest_date": pa.scalar(now.date()),
    }
    for name, value in constants.items():
        rows = rows.append_column(name, pa.repeat(value, rows.num_rows))
    return rows


def new_photos(photos: Sequence[Photo], held: pa.Table, now: datetime) -> pa.Table:
    """The photos that the lake does not hold, or holds with another content, as rows of `photos`."""
    rows = pa.table(
        {
            "photo_id": [photo.photo_id for photo in photos],
            "owner_id": [photo.owner.user_id for photo in photos],
            "title": [photo.title for photo in photos],
            "image_url": [photo.image_url for photo in photos],
            "sizes": pa.array([orjson.dumps(photo.sizes) for photo in photos], pa.string()),
            "page_url": [photo.page_url for photo in photos],
            "width": [photo.width for photo in photos],
            "height": [photo.height for photo in photos],
            "tags": [photo.tags for photo in photos],
            "safety_level": [photo.safety_level for photo in photos],
            "uploaded_at": [photo.uploaded_at for photo in photos],
            "gone_at": pa.nulls(len(photos), TIMESTAMP),
            "created_timestamp": pa.repeat(pa.scalar(now, TIMESTAMP), len(photos)),
        },
        schema=PHOTOS.schema,
    )
    return _changed(rows, newest(held, ("photo_id",), ("created_timestamp",)))


def new_users(people: Mapping[str, Person], held: pa.Table, now: datetime) -> pa.Table:
    """The people whom the lake does not know, or about whom more or something else is known now, as rows of `users`."""
    columns = ("user_id", "name", "path_alias", "avatar_url")
    latest = newest(held, ("user_id",), ("created_timestamp",)).select(columns)
    known = {values[0]: values for values in zip(*(column.to_pylist() for column in latest.columns), strict=True)}
    news: list[tuple[str | None, ...]] = []
    for user_id, person in people.items():
        before, row = known.get(user_id), _values(person)
        if before is not None and row != before:
            row = _values(_merge(Person(*before), person))
        if row != before:
            news.append(row)
    values = {name: [row[place] for row in news] for place, name in enumerate(columns)}
    stamped = pa.repeat(pa.scalar(now, TIMESTAMP), len(news))
    return pa.table({**values, "created_timestamp": stamped}, schema=USERS.schema)


def new_contacts(listings: Sequence[Listing], held: pa.Table, now: datetime) -> pa.Table:
    """Who is followed now and was not before, and the reverse, as rows of `contacts`, at the time of observation."""
    follows: dict[str, set[str]] = {}
    for user_id, contact_id in zip(*(column.to_pylist() for column in current_contacts(held).columns), strict=True):
        follows.setdefault(user_id, set()).add(contact_id)
    changes: list[tuple[str, str, str, datetime]] = []
    for listing in listings:
        if listing.contacts is None:
            continue
        before = follows.get(listing.user_id, set())
        after = {contact.user_id for contact in listing.contacts}
        changes += [(listing.user_id, contact, "follow", listing.observed_at) for contact in sorted(after - before)]
        changes += [(listing.user_id, contact, "unfollow", listing.observed_at) for contact in sorted(before - after)]
    columns = ("user_id", "contact_id", "kind", "event_timestamp")
    values = {name: [change[place] for change in changes] for place, name in enumerate(columns)}
    return pa.table({**values, "created_timestamp": [now] * len(changes)}, schema=CONTACTS.schema)


def merge_people(people: Iterable[Person]) -> dict[str, Person]:
    """Each person once, with everything that any of the records tells; of two that differ, the later one."""
    merged: dict[str, Person] = {}
    for person in people:
        known = merged.setdefault(person.user_id, person)
        if known is not person and known != person:
            merged[person.user_id] = _merge(known, person)
    return merged


def _values(person: Person) -> tuple[str | None, ...]:
    return person.user_id, person.name, person.path_alias, person.avatar_url


def _merge(known: Person, person: Person) -> Person:
    return Person(
        user_id=person.user_id,
        name=person.name if person.name != person.user_id else known.name,
        path_alias=person.path_alias or known.path_alias,
        avatar_url=person.avatar_url or known.avatar_url,
    )


def _changed(rows: pa.Table, held: pa.Table) -> pa.Table:
    """The rows that `held` (the newest row of each key, the first column) does not have with the same content."""
    content = [name for name in rows.column_names if name != "created_timestamp"]
    known = pc.is_in(rows.column(content[0]), value_set=held.column(content[0]).combine_chunks())
    if not pc.any(known).as_py():
        return rows

    def digest(table: pa.Table) -> pa.ChunkedArray:
        texts = [pc.cast(table.column(name), pa.string()) for name in content]
        return pc.binary_join_element_wise(*texts, _JOINT, null_handling="replace", null_replacement="")

    same = pc.is_in(digest(rows.filter(known)), value_set=digest(held).combine_chunks())
    is_held = pc.replace_with_mask(known.combine_chunks(), known.combine_chunks(), same.combine_chunks())
    return rows.filter(pc.invert(is_held))


def quarantined(listings: Sequence[Listing], now: datetime) -> pa.Table:
    """The entries that can't be used, with the reason of each, as rows of `quarantine`."""
    entries = [(listing.user_id, rejected) for listing in listings for rejected in listing.rejected]
    return pa.table(
        {
            "source": [str(Source.FLICKR)] * len(entries),
            "subject_id": [user_id for user_id, _ in entries],
            "reason": [rejected.reason for _, rejected in entries],
            "payload": [rejected.payload for _, rejected in entries],
            "created_timestamp": [now] * len(entries),
            "ingest_date": [now.date()] * len(entries),
        },
        schema=QUARANTINE.schema,
    )


def _repeat(counts: Sequence[int]) -> pa.Array:
    return pa.array(np.repeat(np.arange(len(counts)), counts))


def _seconds(values: Sequence[int]) -> pa.Array:
    return pa.array(np.asarray(values, dtype=np.int64) * 1_000_000).cast(TIMESTAMP)
