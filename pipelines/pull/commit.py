"""One batch of listings into the lake, and then the cursors that tell of it: exactly once, whoever repeats it.

Each user belongs to a shard, and a shard is a Delta application: a commit names the version of each of its shards that
it has seen, and is refused when another one moved it on meanwhile. So of two workers with the same message the second
looks again and finds nothing to add.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.errors import DependencyError
from features.lake import Lake, one_of
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, QUARANTINE, TIMESTAMP, USERS, Kind, LakeTable
from features.settings import Settings
from features.table_view import TableView
from pipelines.flickr.client import Photo
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import gone_photos, revive_photos, taken_down
from pipelines.pull.cursors import begin_cursors, write_cursors
from pipelines.pull.fetch import Fetched
from pipelines.pull.ingest import (
    HELD_COLUMNS,
    Added,
    held_from,
    merge_people,
    new_contacts,
    new_interactions,
    new_photos,
    new_users,
    quarantined,
)
from pipelines.pull.known_ids import held_rows
from pipelines.pull.listing import Listing

SHARDS = 16_384
"""So many that two commits of a hundred users seldom meet in one: each such meeting is another look at the lake."""

ATTEMPTS = 50


def shard_of(user_id: str) -> str:
    """The Delta application that the user's rows are committed under."""
    return f"pull-{zlib.crc32(user_id.encode()) % SHARDS:05d}"


def commit(
    lake: Lake,
    engine: sa.Engine,
    settings: Settings,
    batch: Sequence[Fetched],
    photos: Sequence[Photo],
    correlation_ids: Iterable[str] = (),
) -> Added:
    """Append what is new in the listings, `photos` being details of favorited ones, and move the cursors.

    What a row refers to goes first: a kill in between leaves photos without favorites, never the other way round, and
    running again completes it. Raises what `Lake.append` raises; nothing is lost then, as no cursor has moved.
    """
    batch = _newest_looks(batch)
    listings = [fetched.listing for fetched in batch]
    people, gone = _kept_out(engine, settings, listings, photos)
    listings = [listing.without(people, gone) for listing in listings if listing.user_id not in people]
    if people or gone:
        photos = [photo for photo in photos if photo.owner.user_id not in people and photo.photo_id not in gone]
    # Looked at before the cursors are begun: who had none then is in none of these views, and need not be looked for.
    wanted = [INTERACTIONS, *([CONTACTS] if any(listing.contacts is not None for listing in listings) else [])]
    views = {table.name: lake.at(table) for table in wanted}
    unseen = begin_cursors(engine, [listing.user_id for listing in listings])
    metadata = {"correlation_ids": ",".join(sorted({one for one in correlation_ids if one})[:50])}
    added = _append(lake, listings, photos, views, unseen, metadata)
    for favorites, contacts in ((True, True), (True, False), (False, True)):
        moved = [
            fetched.cursor
            for fetched in batch
            if (fetched.favorites, fetched.listing.contacts is not None) == (favorites, contacts)
            and fetched.cursor.user_id not in people
        ]
        write_cursors(engine, moved, favorites=favorites, contacts=contacts)
    return added


def _newest_looks(batch: Sequence[Fetched]) -> list[Fetched]:
    """Each user's favorites and contacts once: of the looks that two messages led to, the newest.

    Nothing is lost with the others: each look begins where the cursor stood, behind which the lake has everything.
    """
    newest: dict[tuple[str, bool], Fetched] = {}
    for fetched in batch:
        key = fetched.listing.user_id, fetched.favorites
        if key not in newest or newest[key].listing.observed_at < fetched.listing.observed_at:
            newest[key] = fetched
    return list(newest.values())


def _kept_out(
    engine: sa.Engine, settings: Settings, listings: Sequence[Listing], photos: Sequence[Photo]
) -> tuple[set[str], set[str]]:
    """The erased people and the photos taken down among all that these listings name."""
    people = chain(
        chain.from_iterable((listing.user_id, *listing.owner_ids) for listing in listings),
        (contact.user_id for listing in listings for contact in listing.contacts or ()),
        (photo.owner.user_id for photo in photos),
    )
    listed = chain((photo.photo_id for photo in photos), *(listing.photo_ids for listing in listings))
    suppressed, gone = Suppression(settings, engine).suppressed(people), gone_photos(engine, listed)
    kept_out = taken_down(engine, gone)
    if back := gone - kept_out:
        revive_photos(engine, back)  # Flickr shows them again
    return suppressed, kept_out


def _append(
    lake: Lake,
    listings: Sequence[Listing],
    photos: Sequence[Photo],
    views: Mapping[str, TableView],
    unseen: Collection[str],
    metadata: dict[str, str],
) -> Added:
    def add(table: LakeTable, rows: pa.Table) -> None:
        if rows.num_rows:
            lake.append(table, rows, metadata=metadata)

    now = datetime.now(UTC)
    photo_rows = new_photos(photos, held_rows(lake, PHOTOS, [photo.photo_id for photo in photos]), now)
    add(PHOTOS, photo_rows)
    everybody = merge_people(
        [
            *(photo.owner for photo in photos),
            *(contact for listing in listings for contact in listing.contacts or ()),
            *(listing.person for listing in listings if listing.person is not None),
        ]
    )
    user_rows = new_users(everybody, held_rows(lake, USERS, list(everybody)), now)
    rejected = quarantined(listings, now)
    add(USERS, user_rows)
    add(QUARANTINE, rejected)

    def contacts(view: TableView, unseen: Collection[str]) -> pa.Table:
        following = [listing for listing in listings if listing.contacts is not None]
        seen = [listing.user_id for listing in following if listing.user_id not in unseen]
        held = view.scan(where=one_of("user_id", seen)) if seen else CONTACTS.schema.empty_table()
        return new_contacts(following, held, now)

    def interactions(view: TableView, unseen: Collection[str]) -> pa.Table:
        seen = [listing for listing in listings if listing.user_id not in unseen]
        if not seen:
            return new_interactions(listings, INTERACTIONS.schema.empty_table(), now)
        where = one_of("user_id", (listing.user_id for listing in seen))
        if (moment := held_from(seen)) is not None:
            where = where & (pc.field("event_timestamp") >= pa.scalar(moment, TIMESTAMP))
        return new_interactions(listings, view.scan(columns=HELD_COLUMNS, where=where), now)

    contact_rows = _append_once(lake, CONTACTS, views, unseen, contacts, metadata)
    rows = _append_once(lake, INTERACTIONS, views, unseen, interactions, metadata)
    unfavorites = pc.sum(pc.equal(rows.column("kind"), str(Kind.UNFAVORITE))).as_py() or 0
    return Added(
        interactions=rows.num_rows,
        photos=photo_rows.num_rows,
        users=user_rows.num_rows,
        contacts=contact_rows.num_rows,
        unfavorites=unfavorites,
        quarantined=rejected.num_rows,
    )


def _append_once(
    lake: Lake,
    table: LakeTable,
    views: Mapping[str, TableView],
    unseen: Collection[str],
    compute: Callable[[TableView, Collection[str]], pa.Table],
    metadata: dict[str, str],
) -> pa.Table:
    """Append the rows that `compute` finds missing in a view of the table; those rows.

    They are computed anew, from all that the table holds, whenever somebody else has committed for a shard of theirs.
    """
    view = views.get(table.name, TableView(table, None))
    for _ in range(ATTEMPTS):
        rows = compute(view, unseen)
        if not rows.num_rows:
            return rows
        before = view.marks({shard_of(user_id) for user_id in rows.column("user_id").unique().to_pylist()})
        after = {shard: version + 1 for shard, version in before.items()}
        if lake.append(table, rows, marks=after, after=before, metadata=metadata):
            return rows
        view = lake.at(table)
        now = view.marks(before)
        still = {shard for shard, version in before.items() if now[shard] == version}
        unseen = {user_id for user_id in unseen if shard_of(user_id) in still}
    raise DependencyError(
        f"the lake's table {table.name} at {lake.uri} is too busy: {ATTEMPTS} commits lost to other workers"
    )
