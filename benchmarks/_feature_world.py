"""A lake to build features from: people who favorite one another's photos, with long-tailed degrees on both sides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, TIMESTAMP, USERS, Kind

FAVORITES_A_PERSON, FAVORITES_A_PHOTO, CONTACTS_A_PERSON, ROWS_A_FILE = 40, 4, 10, 1_000_000
OTHER_ROWS = 20  # one row in so many repeats a favorite or says something else
SEED, START, SPAN = 0, 1_700_000_000, 700 * 86_400
END = datetime.fromtimestamp(START + SPAN, UTC)

Numbers = NDArray[np.int64]


def generate(uri: str, favorites: int) -> None:
    """A new lake: so many distinct favorites, a twentieth of other rows, a card of each photo and person, contacts."""
    random = np.random.default_rng(SEED)
    people, photos = max(favorites // FAVORITES_A_PERSON, 2), max(favorites // FAVORITES_A_PHOTO, 2)
    popular: NDArray[np.float64] = np.power(np.arange(photos, dtype=np.float64) + 10.0, -0.7)
    active, productive = (random.lognormal(0.0, 1.2, people) for _ in range(2))
    owners = _drawn(random, productive, photos)
    pairs: Numbers = np.zeros(0, dtype=np.int64)
    while len(pairs) < favorites:
        more = int((favorites - len(pairs)) * 1.1) + 100
        pairs = np.unique(np.append(pairs, _drawn(random, active, more) * photos + _drawn(random, popular, more)))
    random.shuffle(pairs)
    lake, pairs = Lake(uri), pairs[:favorites]
    for part, first in enumerate(range(0, favorites, ROWS_A_FILE)):
        lake.append(INTERACTIONS, _log(pairs[first : first + ROWS_A_FILE], owners, part))
    for first in range(0, photos, ROWS_A_FILE):
        lake.append(PHOTOS, _photos(np.arange(first, min(first + ROWS_A_FILE, photos)), owners))
    lake.append(USERS, _users(np.arange(people)))
    follows = CONTACTS_A_PERSON * people
    lake.append(CONTACTS, _contacts(_drawn(random, active, follows), _drawn(random, productive, follows)))


def _drawn(random: np.random.Generator, weights: NDArray[np.float64], n: int) -> Numbers:
    """n places, each as probable as its weight; unlike `choice`, without a copy of the weights a draw."""
    heights = np.cumsum(weights)
    places: Numbers = np.searchsorted(heights, random.random(n) * heights[-1]).astype(np.int64)
    return places


def _log(pairs: Numbers, owners: Numbers, part: int) -> pa.Table:
    random = np.random.default_rng([SEED, part])
    other = random.choice(pairs, len(pairs) // OTHER_ROWS)
    kinds = np.concatenate([np.zeros(len(pairs), dtype=np.int32), random.integers(0, 4, len(other), dtype=np.int32)])
    users, photos = np.divmod(np.concatenate([pairs, other]), len(owners))
    unseen = kinds >= 2
    photos[unseen] = random.integers(0, len(owners), np.count_nonzero(unseen))
    times = START + (random.random(len(users)) * SPAN).astype(np.int64)
    created = _moments(np.full(len(users), START + SPAN + part * 86_400))
    names = [Kind.FAVORITE, Kind.UNFAVORITE, Kind.DISMISS_PHOTO, Kind.UNDISMISS_PHOTO]
    rows: dict[str, Any] = {
        "user_id": _person(users),
        "photo_id": _photo(photos),
        "owner_id": _person(owners[photos]),
        "kind": pa.DictionaryArray.from_arrays(kinds, pa.array(list(map(str, names)))).cast(pa.string()),
        "source": pa.repeat(pa.scalar("flickr"), len(users)),
        "event_timestamp": _moments(times),
        "created_timestamp": created,
        "faved_at": pc.if_else(pa.array(kinds == 0), _moments(times), None),
        "ingest_date": created.cast(pa.date32()),
    }
    return pa.table(rows)


def _photos(photos: Numbers, owners: Numbers) -> pa.Table:
    n, ids = len(photos), _photo(photos)
    address = pc.binary_join_element_wise("https://live.staticflickr.com/65535/", ids, "_0123456789_m.jpg", "")
    size = pc.binary_join_element_wise('{"m":{"url":"', address, '","width":240,"height":160}}', "")
    return pa.table(
        {
            "photo_id": ids,
            "owner_id": _person(owners[photos]),
            "title": pc.binary_join_element_wise("A photo numbered ", ids, ""),
            "image_url": address,
            "sizes": size,
            "page_url": pc.binary_join_element_wise("https://www.flickr.com/photos/somebody/", ids, "/", ""),
            "width": pa.repeat(pa.scalar(1024, pa.int32()), n),
            "height": pa.repeat(pa.scalar(683, pa.int32()), n),
            "tags": pa.repeat(pa.scalar("sea dusk long exposure"), n),
            "safety_level": pa.repeat(pa.scalar(0, pa.int8()), n),
            "uploaded_at": _moments(START - photos),
            "created_timestamp": _moments(np.full(n, START)),
        }
    )


def _users(users: Numbers) -> pa.Table:
    name = pc.binary_join_element_wise("Person ", pa.array(users).cast(pa.string()), "")
    return pa.table(
        {"user_id": _person(users), "name": name, "created_timestamp": _moments(np.full(len(users), START))}
    )


def _contacts(users: Numbers, contacts: Numbers) -> pa.Table:
    moment = _moments(np.full(len(users), START))
    return pa.table(
        {
            "user_id": _person(users),
            "contact_id": _person(contacts),
            "kind": pa.repeat(pa.scalar("follow"), len(users)),
            "event_timestamp": moment,
            "created_timestamp": moment,
        }
    )


def _moments(seconds: Numbers) -> pa.Array:
    return pa.array(seconds * 1_000_000).cast(pa.timestamp("us")).cast(TIMESTAMP)


def _person(numbers: Numbers) -> pa.Array:
    """Ids in no order of the numbers, distinct below a hundred million."""
    scattered = pa.array(10_000_000 + numbers * 37_000_003 % 100_000_000)
    return pc.binary_join_element_wise(scattered.cast(pa.string()), "@N07", "")


def _photo(numbers: Numbers) -> pa.Array:
    return pc.binary_join_element_wise("5", pa.array(1_000_000_000 + numbers * 7919).cast(pa.string()), "")
