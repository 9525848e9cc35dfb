"""What Flickr lists and what the lake holds of it already: builders and strategies of the tests of new rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import strategies as st

from features.schema import INTERACTIONS
from features.state import interaction_state
from pipelines.flickr.answers import Person
from pipelines.pull.listing import Listing
from pipelines.pull.sweep import Window

MORNING = datetime(2026, 11, 24, 8, tzinfo=UTC)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 12, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

Event = tuple[str, str, str, datetime]  # user, photo, kind, moment


def held_rows(*events: Event) -> pa.Table:
    """Rows of `interactions` of photos that `o` took."""
    rows = [
        {
            "user_id": user,
            "photo_id": photo,
            "owner_id": "o",
            "kind": kind,
            "source": "site",
            "event_timestamp": moment,
            "created_timestamp": moment,
            "ingest_date": moment.date(),
        }
        for user, photo, kind, moment in events
    ]
    return pa.Table.from_pylist(rows, schema=INTERACTIONS.schema)


def listing(user: str = "u", contacts: Sequence[str] | None = None, observed_at: datetime = NOON, **faved: datetime):
    """What Flickr lists for the user: photo=date, all by `o`."""
    return Listing(
        user_id=user,
        observed_at=observed_at,
        photo_ids=list(faved),
        owner_ids=["o"] * len(faved),
        faved_at=[int(moment.timestamp()) for moment in faved.values()],
        contacts=None if contacts is None else [Person(contact, contact.upper()) for contact in contacts],
    )


def favorites(rows: pa.Table) -> set[tuple[str, str]]:
    """(user, photo) of the favorites that rows of `interactions` add up to."""
    state = interaction_state(rows).favorites
    return set(zip(state.column("user_id").to_pylist(), state.column("photo_id").to_pylist(), strict=True))


def appended(rows: pa.Table) -> list[tuple[object, ...]]:
    names = ("user_id", "photo_id", "kind", "event_timestamp", "faved_at")
    return [tuple(row[name] for name in names) for row in rows.to_pylist()]


def windowed(after: datetime | None, until: datetime, user: str = "u", **faved: datetime) -> Listing:
    """A listing at noon that holds everything faved after `after`, up to `until`."""
    return dataclasses.replace(listing(user, **faved), window=Window(after, until))


def at_hour(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


MOMENTS = st.integers(0, 8).map(lambda hours: NOON - timedelta(hours=1 + hours))
PAIRS = st.tuples(st.sampled_from("uv"), st.sampled_from("pqr"))
KINDS = st.sampled_from(["favorite", "unfavorite", "dismiss_photo", "undismiss_photo"])
HISTORIES = st.lists(st.tuples(PAIRS, KINDS, MOMENTS), max_size=14).map(
    lambda events: held_rows(*((*pair, kind, moment) for pair, kind, moment in events))
)
LISTED = st.dictionaries(PAIRS, MOMENTS, max_size=6)
