"""What `lake_throughput` puts into the lake: listings as workers fetch them, and plainly made rows of the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pyarrow as pa

from features.schema import INTERACTIONS, PHOTOS, TIMESTAMP, USERS, LakeTable
from pipelines.flickr.answers import PICTURE_SIZES, Person, Photo
from pipelines.pull.cursors import Cursor
from pipelines.pull.fetch import Fetched
from pipelines.pull.listing import Listing

USERS_A_BATCH, FAVORITES_A_USER = 100, 500
POOL, OWNERS = 60_000, 6_000
"""Photos and owners that a worker's users choose from: what is left of a crowd's favorites after the repeats."""

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Batch:
    """One commit's worth, as fetched. people: those owners of the photos that no batch before had."""

    fetched: list[Fetched]
    photos: list[Photo]
    people: list[Person]

    def tables(self) -> list[tuple[LakeTable, pa.Table]]:
        """The rows that it adds, plainly made into tables, in the order in which they are written."""
        return [(USERS, self._users()), (PHOTOS, self._photos()), (INTERACTIONS, self._interactions())]

    def _users(self) -> pa.Table:
        names = ("user_id", "name", "path_alias", "avatar_url")
        columns = {name: [getattr(person, name) for person in self.people] for name in names}
        return pa.table({**columns, "created_timestamp": _now(len(self.people))}, schema=USERS.schema)

    def _photos(self) -> pa.Table:
        photos = self.photos
        names = ("photo_id", "title", "image_url", "page_url", "width", "height", "tags", "safety_level", "uploaded_at")
        columns = {name: [getattr(photo, name) for photo in photos] for name in names} | {
            "owner_id": [photo.owner.user_id for photo in photos],
            "sizes": [orjson.dumps(photo.sizes).decode() for photo in photos],
            "gone_at": pa.nulls(len(photos), TIMESTAMP),
            "created_timestamp": _now(len(photos)),
        }
        return pa.table({name: columns[name] for name in PHOTOS.schema.names}, schema=PHOTOS.schema)

    def _interactions(self) -> pa.Table:
        listings = [one.listing for one in self.fetched]
        seconds = np.array([second for listing in listings for second in listing.faved_at])
        faved_at = pa.array(seconds * 1_000_000).cast(TIMESTAMP)
        rows = len(seconds)
        columns = {
            "user_id": [listing.user_id for listing in listings for _ in listing.photo_ids],
            "photo_id": [photo for listing in listings for photo in listing.photo_ids],
            "owner_id": [owner for listing in listings for owner in listing.owner_ids],
            "kind": pa.repeat("favorite", rows),
            "source": pa.repeat("flickr", rows),
            "event_timestamp": faved_at,
            "created_timestamp": _now(rows),
            "faved_at": faved_at,
            "action_id": pa.nulls(rows, pa.string()),
            "ingest_date": pa.repeat(pa.scalar(NOW.date()), rows),
        }
        return pa.table(columns, schema=INTERACTIONS.schema)


def batches(worker: int, number: int) -> list[Batch]:
    """A worker's batches: users and photos that no other worker has, popular photos in many of the lists.

    A photo's details come with the batch in which it is seen first, as one process reads them.
    """
    rng = np.random.default_rng(worker)
    owners = [_person(worker, place) for place in range(OWNERS)]
    owner_of = rng.integers(0, OWNERS, POOL)
    popularity = 1 / np.arange(1, POOL + 1) ** 0.7
    popularity /= popularity.sum()
    seen = np.zeros(POOL, dtype=bool)
    known: set[str] = set()
    made = []
    for batch in range(number):
        fetched, details = [], []
        for user in range(USERS_A_BATCH):
            chosen = rng.choice(POOL, FAVORITES_A_USER, replace=False, p=popularity)
            user_id = f"{worker:02}{batch:03}{user:06}@N01"
            times = np.sort(rng.integers(0, 700 * 86_400, FAVORITES_A_USER))[::-1] + 1_730_000_000
            listing = Listing(
                user_id=user_id,
                observed_at=NOW + timedelta(seconds=batch),
                photo_ids=[_photo_id(worker, photo) for photo in chosen.tolist()],
                owner_ids=[owners[owner].user_id for owner in owner_of[chosen].tolist()],
                faved_at=times.tolist(),
            )
            cursor = Cursor(user_id, newest_faved_at=NOW, favorites_pulled_at=NOW, favorites=FAVORITES_A_USER)
            fetched.append(Fetched(listing, cursor))
            details += [_photo(worker, photo, owners[owner_of[photo]]) for photo in chosen[~seen[chosen]].tolist()]
            seen[chosen] = True
        people = {photo.owner.user_id: photo.owner for photo in details if photo.owner.user_id not in known}
        known |= people.keys()
        made.append(Batch(fetched, details, list(people.values())))
    return made


def _now(rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(NOW, TIMESTAMP), rows)


def _person(worker: int, place: int) -> Person:
    user_id = f"{worker:02}9{place:08}@N02"
    return Person(
        user_id, f"Photographer {place}", f"photographer{place}", f"https://live.staticflickr.com/b/{user_id}"
    )


def _photo_id(worker: int, photo: int) -> str:
    return f"{52_000_000_000 + 1_000_000 * worker + photo}"


def _photo(worker: int, photo: int, owner: Person) -> Photo:
    photo_id = _photo_id(worker, photo)
    address = f"https://live.staticflickr.com/65535/{photo_id}_{photo:010x}"
    sizes = {name: {"url": f"{address}_{name}.jpg", "width": 640, "height": 427} for name in PICTURE_SIZES}
    return Photo(
        photo_id=photo_id,
        owner=owner,
        title=f"Morning at the harbor, no. {photo}",
        image_url=f"{address}_z.jpg",
        sizes=sizes,
        page_url=f"https://www.flickr.com/photos/{owner.path_alias}/{photo_id}/",
        width=6000,
        height=4000,
        tags="harbor morning light boats",
        safety_level=0,
        uploaded_at=NOW - timedelta(seconds=photo),
    )
