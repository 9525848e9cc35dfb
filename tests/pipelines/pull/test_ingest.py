"""From listings to rows: what the lake does not hold yet, nothing twice, and what is no favorite any more."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.schema import CONTACTS, INTERACTIONS, PHOTOS, QUARANTINE, TIMESTAMP, USERS, conform
from features.state import current_contacts, interaction_state
from pipelines.flickr.answers import Person, Photo, Rejected
from pipelines.pull.ingest import (
    Added,
    held_from,
    merge_people,
    new_contacts,
    new_interactions,
    new_photos,
    new_users,
    quarantined,
)
from pipelines.pull.listing import Listing
from pipelines.pull.sweep import Window

MORNING = datetime(2026, 11, 24, 8, tzinfo=UTC)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 12, 1, tzinfo=UTC)

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


def photo(photo_id: str, **changes: object) -> Photo:
    made = Photo(
        photo_id=photo_id,
        owner=Person("o", "Otto"),
        title="Sea",
        image_url=f"https://pictures.example/{photo_id}.jpg",
        sizes={"m": {"url": "m.jpg", "width": 240, "height": 160}},
        page_url=f"https://flickr.example/{photo_id}",
        width=1024,
        height=None,
        tags=None,
        safety_level=0,
        uploaded_at=MORNING,
    )
    return dataclasses.replace(made, **changes)


def favorites(rows: pa.Table) -> set[tuple[str, str]]:
    """(user, photo) of the favorites that rows of `interactions` add up to."""
    state = interaction_state(rows).favorites
    return set(zip(state.column("user_id").to_pylist(), state.column("photo_id").to_pylist(), strict=True))


def appended(rows: pa.Table) -> list[tuple[object, ...]]:
    names = ("user_id", "photo_id", "kind", "event_timestamp", "faved_at")
    return [tuple(row[name] for name in names) for row in rows.to_pylist()]


# Favorites.


def test_a_favorite_never_seen_happened_when_flickr_says() -> None:
    rows = new_interactions([listing(p=MORNING)], held_rows(), NOW)
    assert appended(rows) == [("u", "p", "favorite", MORNING, MORNING)]
    assert conform(INTERACTIONS, rows).to_pylist()[0] == {
        **rows.to_pylist()[0],
        "owner_id": "o",
        "source": "flickr",
        "created_timestamp": NOW,
        "ingest_date": NOW.date(),
        "action_id": None,
    }


def test_a_favorite_that_is_held_is_not_added_again() -> None:
    held = held_rows(("u", "p", "favorite", MORNING))
    assert new_interactions([listing(p=MORNING), listing("v")], held, NOW).num_rows == 0


def test_a_favorite_that_the_site_made_is_not_added_again_with_flickrs_date() -> None:
    held = held_rows(("u", "p", "favorite", MORNING))
    assert new_interactions([listing(p=MORNING + timedelta(seconds=2))], held, NOW).num_rows == 0


def test_a_favorite_seen_again_after_an_unfavorite_happened_when_it_was_observed() -> None:
    unfaved_at = MORNING + timedelta(hours=1)
    held = held_rows(("u", "p", "favorite", MORNING), ("u", "p", "unfavorite", unfaved_at))
    rows = new_interactions([listing(p=MORNING)], held, NOW)
    assert appended(rows) == [("u", "p", "favorite", NOON, MORNING)]
    (favorite,) = interaction_state(pa.concat_tables([held, conform(INTERACTIONS, rows)])).favorites.to_pylist()
    assert favorite["faved_at"] == MORNING


@pytest.mark.parametrize("later", [timedelta(0), timedelta(seconds=1)])
def test_a_listing_older_than_the_unfavorite_adds_nothing(later: timedelta) -> None:
    held = held_rows(("u", "p", "favorite", MORNING), ("u", "p", "unfavorite", NOON + later))
    assert new_interactions([listing(p=MORNING)], held, NOW).num_rows == 0


def test_only_what_was_last_counts() -> None:
    held = held_rows(
        ("u", "p", "unfavorite", MORNING), ("u", "p", "favorite", MORNING + timedelta(hours=1)),
        ("u", "q", "favorite", MORNING + timedelta(hours=2)), ("u", "q", "unfavorite", MORNING + timedelta(hours=3)),
    )  # fmt: skip
    assert [row[1] for row in appended(new_interactions([listing(p=MORNING, q=MORNING)], held, NOW))] == ["q"]


def test_a_dismissed_photo_can_be_a_favorite() -> None:
    held = held_rows(("u", "p", "dismiss_photo", MORNING))
    assert appended(new_interactions([listing(p=MORNING)], held, NOW)) == [("u", "p", "favorite", MORNING, MORNING)]


def test_users_are_kept_apart() -> None:
    held = held_rows(("u", "p", "favorite", MORNING), ("v", "p", "unfavorite", MORNING))
    listings = [listing("u", p=MORNING, q=MORNING), listing("v", p=MORNING), listing("w")]
    rows = appended(new_interactions(listings, held, NOW))
    assert sorted(row[:2] for row in rows) == [("u", "q"), ("v", "p")]


MOMENTS = st.integers(0, 8).map(lambda hours: NOON - timedelta(hours=1 + hours))
PAIRS = st.tuples(st.sampled_from("uv"), st.sampled_from("pqr"))
KINDS = st.sampled_from(["favorite", "unfavorite", "dismiss_photo", "undismiss_photo"])
HISTORIES = st.lists(st.tuples(PAIRS, KINDS, MOMENTS), max_size=14).map(
    lambda events: held_rows(*((*pair, kind, moment) for pair, kind, moment in events))
)
LISTED = st.dictionaries(PAIRS, MOMENTS, max_size=6)


@hypothesis_settings(max_examples=150, deadline=None)
@given(held=HISTORIES, listed=LISTED)
def test_after_any_history_the_favorites_are_those_of_before_and_those_listed(
    held: pa.Table, listed: dict[tuple[str, str], datetime]
) -> None:
    listings = [listing(user, **{p: at for (u, p), at in listed.items() if u == user}) for user in "uv"]
    rows = new_interactions(listings, held, NOW)
    after = pa.concat_tables([held, conform(INTERACTIONS, rows)])
    assert favorites(after) == favorites(held) | set(listed)
    assert new_interactions(listings, after, NOW + timedelta(minutes=1)).num_rows == 0
    assert interaction_state(after).dismissed_photos == interaction_state(held).dismissed_photos


# Favorites that are no more: what a window of the sweep covers and does not list.


def windowed(after: datetime | None, until: datetime, user: str = "u", **faved: datetime) -> Listing:
    """A listing at noon that holds everything faved after `after`, up to `until`."""
    return dataclasses.replace(listing(user, **faved), window=Window(after, until))


HOUR = timedelta(hours=1)


def test_a_favorite_in_the_window_that_is_not_listed_was_taken_back_when_that_was_observed() -> None:
    held = held_rows(("u", "p", "favorite", MORNING), ("u", "q", "favorite", MORNING))
    rows = new_interactions([windowed(MORNING - HOUR, MORNING + HOUR, q=MORNING)], held, NOW)
    assert appended(rows) == [("u", "p", "unfavorite", NOON, None)]
    row = conform(INTERACTIONS, rows).to_pylist()[0]
    assert (row["owner_id"], row["source"], row["created_timestamp"], row["action_id"]) == ("o", "flickr", NOW, None)


@pytest.mark.parametrize(
    ("at", "taken_back"),
    [
        (MORNING - HOUR, False),
        (MORNING - HOUR + timedelta(microseconds=1), True),
        (MORNING + HOUR, True),
        (MORNING + HOUR + timedelta(microseconds=1), False),
    ],
)
def test_a_window_begins_after_its_first_moment_and_ends_with_its_last(at: datetime, taken_back: bool) -> None:
    held = held_rows(("u", "p", "favorite", at))
    rows = new_interactions([windowed(MORNING - HOUR, MORNING + HOUR)], held, NOW)
    assert bool(rows.num_rows) is taken_back


def test_a_window_without_a_beginning_reaches_back_to_the_first_favorite() -> None:
    held = held_rows(("u", "p", "favorite", datetime(2004, 2, 10, tzinfo=UTC)))
    assert appended(new_interactions([windowed(None, MORNING)], held, NOW)) == [("u", "p", "unfavorite", NOON, None)]


def test_flickrs_date_decides_whether_a_favorite_is_in_the_window() -> None:
    seen_again = held_rows(("u", "p", "favorite", MORNING + 2 * HOUR)).to_pylist()
    held = pa.Table.from_pylist([{**seen_again[0], "faved_at": MORNING}], schema=INTERACTIONS.schema)
    assert new_interactions([windowed(MORNING - HOUR, MORNING + HOUR)], held, NOW).num_rows == 1
    assert new_interactions([windowed(MORNING + HOUR, NOON)], held, NOW).num_rows == 0


def test_what_the_site_made_after_the_look_is_not_taken_back() -> None:
    held = held_rows(("u", "p", "favorite", NOON), ("u", "q", "favorite", NOON + timedelta(seconds=1)))
    assert new_interactions([windowed(None, NOON + HOUR)], held, NOW).num_rows == 0


def test_a_window_judges_nobody_else() -> None:
    held = held_rows(("v", "p", "favorite", MORNING), ("w", "p", "favorite", MORNING))
    assert new_interactions([windowed(None, NOON), listing("v")], held, NOW).num_rows == 0


def test_what_is_taken_back_or_dismissed_already_is_no_row() -> None:
    held = held_rows(
        ("u", "p", "favorite", MORNING), ("u", "p", "unfavorite", MORNING + HOUR), ("u", "q", "dismiss_photo", MORNING)
    )  # fmt: skip
    assert new_interactions([windowed(None, NOON)], held, NOW).num_rows == 0


def test_a_favorite_taken_back_by_mistake_is_one_again_when_it_is_listed() -> None:
    held = held_rows(("u", "p", "favorite", MORNING))
    mistaken = new_interactions([windowed(None, NOON)], held, NOW)
    held = pa.concat_tables([held, conform(INTERACTIONS, mistaken)])
    assert favorites(held) == set()
    later = dataclasses.replace(windowed(None, NOON + HOUR, p=MORNING), observed_at=NOON + HOUR)
    healed = new_interactions([later], held, NOW + HOUR)
    assert appended(healed) == [("u", "p", "favorite", NOON + HOUR, MORNING)]
    assert favorites(pa.concat_tables([held, conform(INTERACTIONS, healed)])) == {("u", "p")}


def at_hour(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


WINDOWS = st.tuples(st.integers(-12, 0) | st.none(), st.integers(0, 12), st.sampled_from([0.0, 0.5]))


@hypothesis_settings(max_examples=200, deadline=None)
@given(held=HISTORIES, listed=LISTED, span=WINDOWS)
def test_after_any_history_the_favorites_are_those_listed_and_those_held_outside_the_window(
    held: pa.Table, listed: dict[tuple[str, str], datetime], span: tuple[int | None, int, float]
) -> None:
    begin, hours, shift = span
    after = None if begin is None else at_hour(begin + shift)
    until = min(at_hour((begin if begin is not None else -12) + hours + shift), NOON)
    looked = windowed(after, until, "u", **{p: at for (u, p), at in listed.items() if u == "u"})
    other = listing("v", **{p: at for (u, p), at in listed.items() if u == "v"})
    rows = new_interactions([looked, other], held, NOW)

    state = interaction_state(held).favorites.to_pylist()
    outside = {
        (row["user_id"], row["photo_id"])
        for row in state
        if row["user_id"] == "v" or row["faved_at"] > until or (after is not None and row["faved_at"] <= after)
    }
    appended_to = pa.concat_tables([held, conform(INTERACTIONS, rows)])
    assert favorites(appended_to) == set(listed) | outside
    assert interaction_state(appended_to).dismissed_photos == interaction_state(held).dismissed_photos
    assert new_interactions([looked, other], appended_to, NOW + HOUR).num_rows == 0


# Which held rows matter.


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


# Photos and people.


def photo_row(**values: object) -> pa.Table:
    rows = new_photos([photo("p")], PHOTOS.schema.empty_table(), MORNING).to_pylist()
    return pa.Table.from_pylist([{**rows[0], **values}], schema=PHOTOS.schema)


def test_a_photo_has_everything_that_a_page_shows() -> None:
    (row,) = new_photos([photo("p", tags="sea dusk")], PHOTOS.schema.empty_table(), NOW).to_pylist()
    assert row == {
        "photo_id": "p",
        "owner_id": "o",
        "title": "Sea",
        "image_url": "https://pictures.example/p.jpg",
        "sizes": '{"m":{"url":"m.jpg","width":240,"height":160}}',
        "page_url": "https://flickr.example/p",
        "width": 1024,
        "height": None,
        "tags": "sea dusk",
        "safety_level": 0,
        "uploaded_at": MORNING,
        "gone_at": None,
        "created_timestamp": NOW,
    }


def test_only_photos_that_changed_are_rows() -> None:
    held = photo_row()
    assert new_photos([photo("p")], held, NOW).num_rows == 0
    assert new_photos([], held, NOW).num_rows == 0
    changed = new_photos([photo("p"), photo("p2"), photo("p", title="Waves")], held, NOW)
    assert changed.column("title").to_pylist() == ["Sea", "Waves"]
    assert changed.column("photo_id").to_pylist() == ["p2", "p"]


@pytest.mark.parametrize(
    "change", [{"height": 683}, {"tags": "sea"}, {"safety_level": 1}, {"uploaded_at": NOON}, {"sizes": {}}], ids=str
)
def test_any_detail_that_changed_makes_a_row(change: dict[str, object]) -> None:
    assert new_photos([photo("p", **change)], photo_row(), NOW).num_rows == 1


def test_a_photo_that_changed_back_is_a_row_again() -> None:
    held = pa.concat_tables([photo_row(), photo_row(title="Waves", created_timestamp=NOON)])
    assert new_photos([photo("p")], held, NOW).num_rows == 1


def test_a_photo_that_was_gone_and_is_listed_is_back() -> None:
    (row,) = new_photos([photo("p")], photo_row(gone_at=NOON, created_timestamp=NOON), NOW).to_pylist()
    assert row["gone_at"] is None


def user_rows(*people: Person) -> pa.Table:
    return new_users(merge_people(people), USERS.schema.empty_table(), MORNING)


def test_only_people_about_whom_something_is_new_are_rows() -> None:
    held = user_rows(Person("a", "Anna", "anna", "a.jpg"), Person("b", "Ben"))
    people = merge_people([Person("a", "Anna", "anna", "a.jpg"), Person("b", "Ben", "ben"), Person("c", "Cleo")])
    rows = new_users(people, held, NOW)
    assert [(row["user_id"], row["path_alias"]) for row in rows.to_pylist()] == [("b", "ben"), ("c", None)]
    assert rows.column("created_timestamp").to_pylist() == [NOW, NOW]


def test_who_tells_less_takes_nothing_away() -> None:
    held = user_rows(Person("a", "Anna", "anna", "a.jpg"))
    assert new_users(merge_people([Person("a", "Anna"), Person("a", "a")]), held, NOW).num_rows == 0
    (renamed,) = new_users(merge_people([Person("a", "Anne")]), held, NOW).to_pylist()
    assert (renamed["name"], renamed["path_alias"], renamed["avatar_url"]) == ("Anne", "anna", "a.jpg")


def test_merged_people_are_each_once_with_all_that_is_known() -> None:
    merged = merge_people(
        [
            Person("a", "a"),
            Person("b", "Ben", avatar_url="b.jpg"),
            Person("a", "Anna", "anna"),
            Person("a", "a", avatar_url="a.jpg"),
            Person("b", "Benny"),
        ]
    )
    assert merged == {"a": Person("a", "Anna", "anna", "a.jpg"), "b": Person("b", "Benny", None, "b.jpg")}


# Contacts.


def contact_rows(*changes: tuple[str, str, str, datetime]) -> pa.Table:
    names = ("user_id", "contact_id", "kind", "event_timestamp")
    rows = [{**dict(zip(names, change, strict=True)), "created_timestamp": change[3]} for change in changes]
    return pa.Table.from_pylist(rows, schema=CONTACTS.schema)


def test_who_is_followed_since_and_no_longer_are_rows_at_the_time_of_observation() -> None:
    held = contact_rows(("u", "a", "follow", MORNING), ("u", "b", "follow", MORNING), ("v", "c", "follow", MORNING))
    rows = new_contacts([listing(contacts=["b", "c"])], held, NOW)
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        ("u", "c", "follow", NOON, NOW),
        ("u", "a", "unfollow", NOON, NOW),
    ]
    after = current_contacts(pa.concat_tables([held, rows])).to_pylist()
    assert sorted((row["user_id"], row["contact_id"]) for row in after) == [("u", "b"), ("u", "c"), ("v", "c")]


def test_who_follows_nobody_any_more_unfollows_all() -> None:
    held = contact_rows(("u", "a", "follow", MORNING))
    assert new_contacts([listing(contacts=[])], held, NOW).column("kind").to_pylist() == ["unfollow"]


def test_contacts_that_were_not_asked_for_change_nothing() -> None:
    held = contact_rows(("u", "a", "follow", MORNING))
    assert new_contacts([listing(contacts=None)], held, NOW).num_rows == 0


def test_who_is_followed_again_is_a_row_again() -> None:
    held = contact_rows(("u", "a", "follow", MORNING), ("u", "a", "unfollow", MORNING + timedelta(hours=1)))
    assert new_contacts([listing(contacts=["a"])], held, NOW).column("kind").to_pylist() == ["follow"]


# What can't be used.


def test_entries_that_can_not_be_used_are_kept_with_whose_list_they_are_of_and_the_reason() -> None:
    looked = [
        dataclasses.replace(listing("u", p=MORNING), rejected=[Rejected("owner is missing", '{"id": "1"}')]),
        listing("v"),
        dataclasses.replace(listing("w"), rejected=[Rejected("id is missing", "{}"), Rejected("no date", "[]")]),
    ]
    rows = conform(QUARANTINE, quarantined(looked, NOW)).to_pylist()
    assert [(row["source"], row["subject_id"], row["reason"], row["payload"]) for row in rows] == [
        ("flickr", "u", "owner is missing", '{"id": "1"}'),
        ("flickr", "w", "id is missing", "{}"),
        ("flickr", "w", "no date", "[]"),
    ]
    assert {(row["created_timestamp"], row["ingest_date"]) for row in rows} == {(NOW, NOW.date())}


def test_where_nothing_was_rejected_there_is_nothing_to_keep() -> None:
    assert quarantined([listing(p=MORNING)], NOW).num_rows == 0


def test_what_two_commits_added_adds_up() -> None:
    assert Added(interactions=2, photos=1) + Added(interactions=3, unfavorites=1) == Added(
        interactions=5, photos=1, unfavorites=1
    )


def test_a_listing_is_kept_without_erased_people_and_photos_taken_down() -> None:
    whole = Listing(
        "u", NOON, ["p", "q", "r"], ["o", "x", "o"], [3, 2, 1], contacts=[Person("x", "X"), Person("y", "Y")]
    )
    kept = whole.without({"x"}, {"r"})
    assert (kept.photo_ids, kept.owner_ids, kept.faved_at) == (["p"], ["o"], [3])
    assert kept.contacts == [Person("y", "Y")]
    assert dataclasses.replace(whole, contacts=None).without({"x"}, set()).contacts is None
    assert whole.without(set(), set()) is whole
