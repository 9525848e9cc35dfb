"""Taking a photo down: gone from every wall with the tombstone, and its title and addresses from the lake right after.

The order survives a kill: whatever is left to do after one is done by running the same again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.compaction import delete_rows
from features.errors import InvalidInputError
from features.feature_tables import PhotoCard
from features.lake import Lake, one_of
from features.schema import PHOTOS, TIMESTAMP
from features.state import newest
from pipelines.privacy.tombstones import Reason, bury_photos

if TYPE_CHECKING:
    from features.online import OnlineFeatures


LONGEST_ID = 64
_NEWEST = ("created_timestamp",)


@dataclass(frozen=True)
class TakenDown:
    """What a takedown did.

    new: it was not taken down before; known: something was held of it; rows: rows that went from the lake's `photos`.
    """

    photo_id: str
    new: bool
    known: bool
    rows: int


def take_down(
    engine: sa.Engine, lake: Lake, online: OnlineFeatures, photo_id: str, *, note: str = "", now: datetime | None = None
) -> TakenDown:
    """Bury the photo, and blank what the lake and the online store hold of it; again: only what is left to do.

    `note`: the operator's words, kept with the tombstone. A photo that nothing is known of is buried all the same.
    Raises InvalidInputError for an id that is none, DependencyError.
    """
    if not (photo_id.isascii() and photo_id.isdecimal()) or len(photo_id) > LONGEST_ID:
        raise InvalidInputError(
            f"{photo_id!r} is no Flickr photo's id: that is the number in the address of its page", field="photo"
        )
    new = bury_photos(engine, [photo_id], f"{Reason.TAKEDOWN}: {note}" if note else Reason.TAKEDOWN) > 0
    held = lake.scan(PHOTOS, columns=("photo_id", *_NEWEST, "owner_id"), where=one_of("photo_id", [photo_id]))
    card = online.photo_cards([photo_id]).get(photo_id)
    if held.num_rows:
        owner_id = str(newest(held, PHOTOS.key, _NEWEST).column("owner_id")[0])
    elif card is not None:
        owner_id = card.owner_id
    else:
        return TakenDown(photo_id, new, known=False, rows=0)
    return TakenDown(photo_id, new, True, blank(lake, online, {photo_id: owner_id}, now or datetime.now(UTC)))


def blank(lake: Lake, online: OnlineFeatures, owners: Mapping[str, str], now: datetime) -> int:
    """Put one row and one card without content in the place of all that is held of these photos; how many rows went.

    owners: photo → the owner_id to keep (of an erased user: "").
    """
    of_these = one_of("photo_id", owners)
    is_blank = (pc.field("image_url") == "") & pc.field("gone_at").is_valid() & one_of("owner_id", owners.values())
    done = lake.scan(PHOTOS, columns=("photo_id",), where=of_these & is_blank).column("photo_id").to_pylist()
    missing = {photo_id: owners[photo_id] for photo_id in sorted(owners.keys() - set(done))}
    if missing:
        lake.append(PHOTOS, _blank_rows(missing, now))
    rows = delete_rows(lake, PHOTOS, of_these & ~is_blank, now=now)
    online.write_photo_cards(
        PhotoCard(photo_id, owner_id, owner_name="", title="", image_url="", gone_at=now)
        for photo_id, owner_id in owners.items()
    )
    return rows


def mark_gone(lake: Lake, photo_ids: Iterable[str], now: datetime) -> int:
    """Append what the lake holds of these photos once more, with `gone_at`; how many of them were not gone yet."""
    held = newest(lake.scan(PHOTOS, where=one_of("photo_id", photo_ids)), PHOTOS.key, _NEWEST)
    rows = held.filter(pc.is_null(held.column("gone_at")))
    moment = pa.repeat(pa.scalar(now, TIMESTAMP), rows.num_rows)
    for name in ("gone_at", *_NEWEST):
        index = rows.schema.get_field_index(name)
        rows = rows.set_column(index, rows.schema.field(index), moment)
    if rows.num_rows:
        lake.append(PHOTOS, rows)
    return int(rows.num_rows)


def _blank_rows(owners: Mapping[str, str], now: datetime) -> pa.Table:
    rows = [
        {
            "photo_id": photo_id,
            "owner_id": owner_id,
            "title": "",
            "image_url": "",
            "sizes": "{}",
            "page_url": "",
            "gone_at": now,
            "created_timestamp": now,
        }
        for photo_id, owner_id in owners.items()
    ]
    return pa.Table.from_pylist(rows, schema=PHOTOS.schema)
