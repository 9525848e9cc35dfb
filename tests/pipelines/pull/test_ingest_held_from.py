"""Which held rows matter to a listing: what is left out of the scan changes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.schema import INTERACTIONS, TIMESTAMP, conform
from pipelines.pull.ingest import held_from, new_interactions
from tests.pipelines.pull.listings import (
    HISTORIES,
    LISTED,
    MORNING,
    NOON,
    NOW,
    PAIRS,
    appended,
    at_hour,
    favorites,
    held_rows,
    listing,
    windowed,
)


def test_all_rows_matter_to_a_window_without_a_beginning() -> None:
    assert held_from([listing(p=MORNING), windowed(None, NOON)]) is None


def test_no_row_matters_where_nothing_is_listed() -> None:
    far = held_from([listing(), listing("v")])
    assert far is not None
    assert far > NOON + timedelta(days=365)


@hypothesis_settings(max_examples=200, deadline=None)
@given(held=HISTORIES, listed=LISTED, begin=st.integers(-12, 0) | st.none(), days=st.integers(1, 12))
def test_the_rows_that_are_left_out_change_nothing(
    held: pa.Table, listed: dict[tuple[str, str], datetime], begin: int | None, days: int
) -> None:
    """The model's hours are days here, so that rows lie on both sides of the moment."""

    def spread(moment: datetime) -> datetime:
        return NOON - 24 * (NOON - moment)

    held = held_rows(
        *((row["user_id"], row["photo_id"], row["kind"], spread(row["event_timestamp"])) for row in held.to_pylist())
    )
    listings = [
        windowed(
            spread(at_hour(begin)) if begin is not None else spread(MORNING),
            min(spread(at_hour((begin if begin is not None else -4) + days)), NOON),
            "u",
            **{p: spread(at) for (u, p), at in listed.items() if u == "u"},
        ),
        listing("v", **{p: spread(at) for (u, p), at in listed.items() if u == "v"}),
    ]
    start = held_from(listings)
    assert start is not None
    some = held.filter(pc.greater_equal(held.column("event_timestamp"), pa.scalar(start, TIMESTAMP)))

    def after(rows: pa.Table) -> set[tuple[str, str]]:
        return favorites(pa.concat_tables([held, conform(INTERACTIONS, new_interactions(listings, rows, NOW))]))

    assert after(some) == after(held)


@hypothesis_settings(max_examples=150, deadline=None)
@given(
    ages=st.dictionaries(PAIRS, st.integers(1, 60), max_size=6),
    known=st.sets(PAIRS),
    taken_back=st.dictionaries(PAIRS, st.integers(0, 59)),
    since=st.integers(1, 60),
)
def test_where_no_date_has_changed_not_even_a_row_is_another(
    ages: dict[tuple[str, str], int],
    known: set[tuple[str, str]],
    taken_back: dict[tuple[str, str], int],
    since: int,
) -> None:
    """Whatever is listed was favored when Flickr says: what is held of it is from then or later."""

    def ago(days: int) -> datetime:
        return NOON - timedelta(days=days)

    events = [(*pair, "favorite", ago(age)) for pair, age in ages.items() if pair in known]
    events += [
        (*pair, "unfavorite", ago(min(age, ages[pair]))) for pair, age in taken_back.items() if pair in ages and age
    ]
    held = held_rows(*events)
    listings = [
        listing(user, **{p: ago(age) for (u, p), age in ages.items() if u == user and age <= since}) for user in "uv"
    ]
    start = held_from(listings)
    assert start is not None
    some = held.filter(pc.greater_equal(held.column("event_timestamp"), pa.scalar(start, TIMESTAMP)))
    assert appended(new_interactions(listings, some, NOW)) == appended(new_interactions(listings, held, NOW))
