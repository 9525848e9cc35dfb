"""From what Flickr lists to new rows of the lake: only what the lake does not hold yet.

Pure functions from listings and the rows held to the rows to append, and `commit`, which appends them in the order that
leaves nothing dangling when a kill falls between two of the tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from features.lake import Lake, one_of
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, TIMESTAMP, USERS, Kind, Source
from features.state import current_contacts, newest
from pipelines.flickr_answers import Person, Photo

HELD_COLUMNS = ("user_id", "photo_id", "kind", "event_timestamp", "created_timestamp")
_JOINT = "\x1f"


@dataclass(frozen=True)
class Listing:
    """What Flickr lists for one user, looked at from `observed_at` on.

    photo_ids, owner_ids, faved_at (unix seconds): parallel, each photo once. `contacts` is None when not asked for.
    """

    user_id: str
    observed_at: datetime
    photo_ids: Sequence[str]
    owner_ids: Sequence[str]
    faved_at: Sequence[int]
    contacts: Sequence[Person] | None = None
    person: Person | None = None


@dataclass(frozen=True)
class Added:
    """Rows appended, by table."""

    interactions: int = 0
    photos: int = 0
    users: int = 0
    contacts: int = 0

    def __add__(self, other: Added) -> Added:
        return Added(
            self.interactions + other.interactions,
            self.photos + other.photos,
            self.users + other.users,
            self.contacts + other.contacts,
        )


def commit(lake: Lake, listings: Sequence[Listing], photos: Sequence[Photo]) -> Added:
    """Append what is new in these listings; `photos` are details of favorited ones (any part of them).

    What a row refers to goes first: a kill in between leaves photos without favorites, never the other way round, and
    running again completes it. Raises what `Lake.append` raises.
    """
    now = datetime.now(UTC)
    people = merge_people(
        [
            *(photo.owner for photo in photos),
            *(contact for listing in listings for contact in listing.contacts or ()),
            *(listing.person for listing in listings if listing.person is not None),
        ]
    )
    users = [listing.user_id for listing in listings]
    of_users = one_of("user_id", users)
    user_rows = new_users(people, lake.scan(USERS, where=one_of("user_id", people)), now)
    photo_ids = [photo.photo_id for photo in photos]
    photo_rows = new_photos(photos, lake.scan(PHOTOS, where=one_of("photo_id", photo_ids)), now)
    contact_rows = new_contacts(listings, lake.scan(CONTACTS, where=of_users), now)
    rows = new_interactions(listings, lake.scan(INTERACTIONS, columns=HELD_COLUMNS, where=of_users), now)
    for table, new in ((USERS, user_rows), (PHOTOS, photo_rows), (CONTACTS, contact_rows), (INTERACTIONS, rows)):
        if new.num_rows:
            lake.append(table, new)
    return Added(rows.num_rows, photo_rows.num_rows, user_rows.num_rows, contact_rows.num_rows)


def new_interactions(listings: Sequence[Listing], held: pa.Table, now: datetime) -> pa.Table:
    """The favorites that the state does not hold, as rows of `interactions`.

    One never seen happened when Flickr says. One seen again after an `unfavorite` happened when it was observed, as its
    date may lie before the `unfavorite`; unless the `unfavorite` is the newer of the two: then the listing is outdated.
    `held`: rows of those users, HELD_COLUMNS.
    """
    counts = [len(listing.photo_ids) for listing in listings]
    user_ids = pa.array([listing.user_id for listing in listings], pa.string()).take(_repeat(counts))
    photo_ids = pa.array([photo for listing in listings for photo in listing.photo_ids], pa.string())
    owner_ids = pa.array([owner for listing in listings for owner in listing.owner_ids], pa.string())
    faved_at = _seconds([seconds for listing in listings for seconds in listing.faved_at])
    observed_at = pa.array([listing.observed_at for listing in listings], TIMESTAMP).take(_repeat(counts))

    axis = pa.array([str(Kind.FAVORITE), str(Kind.UNFAVORITE)])
    latest = newest(held.filter(pc.is_in(held.column("kind"), axis)), ("user_id", "photo_id"))
    known = pc.binary_join_element_wise(latest.column("user_id"), latest.column("photo_id"), _JOINT)
    row = pc.index_in(pc.binary_join_element_wise(user_ids, photo_ids, _JOINT), value_set=known)
    again = pc.fill_null(
        pc.and_(
            pc.equal(latest.column("kind").take(row), str(Kind.UNFAVORITE)),
            pc.less(latest.column("event_timestamp").take(row), observed_at),
        ),
        False,
    )
    rows = pa.table(
        {
            "user_id": user_ids,
            "photo_id": photo_ids,
            "owner_id": owner_ids,
            "event_timestamp": pc.if_else(again, observed_at, faved_at),
            "faved_at": faved_at,
        }
    ).filter(pc.or_(pc.is_null(row), again))
    constants = {
        "kind": pa.scalar(str(Kind.FAVORITE)),
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
            "sizes": [orjson.dumps(photo.sizes).decode() for photo in photos],
            "page_url": [photo.page_url for photo in photos],
            "width": [photo.width for photo in photos],
            "height": [photo.height for photo in photos],
            "tags": [photo.tags for photo in photos],
            "safety_level": [photo.safety_level for photo in photos],
            "uploaded_at": [photo.uploaded_at for photo in photos],
            "gone_at": [None] * len(photos),
            "created_timestamp": [now] * len(photos),
        },
        schema=PHOTOS.schema,
    )
    return _changed(rows, newest(held, ("photo_id",), ("created_timestamp",)))


def new_users(people: Mapping[str, Person], held: pa.Table, now: datetime) -> pa.Table:
    """The people whom the lake does not know, or about whom more or something else is known now, as rows of `users`."""
    latest = newest(held, ("user_id",), ("created_timestamp",))
    known = {row["user_id"]: row for row in latest.select(["user_id", "name", "path_alias", "avatar_url"]).to_pylist()}
    merged = [
        _merge(Person(**known[user_id]), person) if user_id in known else person for user_id, person in people.items()
    ]
    rows = pa.table(
        {
            "user_id": [person.user_id for person in merged],
            "name": [person.name for person in merged],
            "path_alias": [person.path_alias for person in merged],
            "avatar_url": [person.avatar_url for person in merged],
            "created_timestamp": [now] * len(merged),
        },
        schema=USERS.schema,
    )
    return _changed(rows, latest)


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
        known = merged.get(person.user_id)
        merged[person.user_id] = person if known is None or known == person else _merge(known, person)
    return merged


def _merge(known: Person, person: Person) -> Person:
    return Person(
        user_id=person.user_id,
        name=person.name if person.name != person.user_id else known.name,
        path_alias=person.path_alias or known.path_alias,
        avatar_url=person.avatar_url or known.avatar_url,
    )


def _changed(rows: pa.Table, held: pa.Table) -> pa.Table:
    """The rows that `held` (the newest row of each key) does not have with the same content."""
    content = [name for name in rows.column_names if name != "created_timestamp"]

    def digest(table: pa.Table) -> pa.ChunkedArray:
        texts = [pc.cast(table.column(name), pa.string()) for name in content]
        return pc.binary_join_element_wise(*texts, _JOINT, null_handling="replace", null_replacement="")

    return rows.filter(pc.invert(pc.is_in(digest(rows), value_set=digest(held).combine_chunks())))


def _repeat(counts: Sequence[int]) -> pa.Array:
    return pa.array(np.repeat(np.arange(len(counts)), counts))


def _seconds(values: Sequence[int]) -> pa.Array:
    return pa.array(np.asarray(values, dtype=np.int64) * 1_000_000).cast(TIMESTAMP)
