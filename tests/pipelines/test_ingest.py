"""From listings to rows: the lake gets what it does not hold yet, and nothing twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.errors import DependencyError
from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, USERS, LakeTable, conform
from features.state import current_contacts, interaction_state
from pipelines.flickr_answers import Person, Photo
from pipelines.ingest import Added, Listing, commit, merge_people, new_contacts, new_interactions, new_photos, new_users

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
    def favorites(rows: pa.Table) -> set[tuple[str, str]]:
        state = interaction_state(rows).favorites
        return set(zip(state.column("user_id").to_pylist(), state.column("photo_id").to_pylist(), strict=True))

    listings = [listing(user, **{p: at for (u, p), at in listed.items() if u == user}) for user in "uv"]
    rows = new_interactions(listings, held, NOW)
    after = pa.concat_tables([held, conform(INTERACTIONS, rows)])
    assert favorites(after) == favorites(held) | set(listed)
    assert new_interactions(listings, after, NOW + timedelta(minutes=1)).num_rows == 0
    assert interaction_state(after).dismissed_photos == interaction_state(held).dismissed_photos


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


# All of it, in a real lake.

PULLED = [listing("u", contacts=["a"], p=MORNING, q=MORNING), listing("v", contacts=[], p=NOON - timedelta(hours=1))]
DETAILS = [photo("p"), photo("q")]


def contents(lake: Lake) -> dict[str, list[dict[str, object]]]:
    """All rows, without the time of their ingestion."""

    def rows(table: LakeTable) -> list[dict[str, object]]:
        names = [name for name in table.schema.names if name not in ("created_timestamp", "ingest_date")]
        return sorted(lake.scan(table, columns=names).to_pylist(), key=str)

    return {table.name: rows(table) for table in (INTERACTIONS, PHOTOS, USERS, CONTACTS)}


def test_a_commit_adds_to_every_table_and_says_how_much(lake: Lake) -> None:
    assert commit(lake, PULLED, DETAILS) == Added(interactions=3, photos=2, users=2, contacts=1)
    assert {name: len(rows) for name, rows in contents(lake).items()} == {
        "interactions": 3,
        "photos": 2,
        "users": 2,
        "contacts": 1,
    }


def test_committing_again_adds_nothing(lake: Lake) -> None:
    commit(lake, PULLED, DETAILS)
    before = contents(lake)
    assert commit(lake, PULLED, DETAILS) == Added()
    assert commit(Lake(lake.uri), PULLED[::-1], DETAILS[:1]) == Added()
    assert contents(lake) == before


def test_an_empty_commit_makes_no_table(lake: Lake) -> None:
    assert commit(lake, [], []) == Added()
    assert lake.versions() == {}


def test_the_person_pulled_is_known_by_name(lake: Lake) -> None:
    commit(lake, [dataclasses.replace(listing(p=MORNING), person=Person("u", "Ute", "ute"))], [])
    (row,) = lake.scan(USERS, where=pc.field("user_id") == "u").to_pylist()
    assert (row["name"], row["path_alias"]) == ("Ute", "ute")


@pytest.mark.parametrize("dies_at", [USERS, PHOTOS, CONTACTS, INTERACTIONS], ids=lambda table: table.name)
def test_a_commit_that_dies_leaves_nothing_dangling_and_is_completed_by_the_next(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, dies_at: LakeTable
) -> None:
    append: Callable[[LakeTable, pa.Table], bool] = lake.append

    def dying(table: LakeTable, rows: pa.Table) -> bool:
        if table is dies_at:
            raise DependencyError("died")
        return append(table, rows)

    whole = Lake(f"{lake.uri}-whole")
    commit(whole, PULLED, DETAILS)
    monkeypatch.setattr(lake, "append", dying)
    with pytest.raises(DependencyError):
        commit(lake, PULLED, DETAILS)
    monkeypatch.undo()
    assert contents(lake)["interactions"] == []
    commit(lake, PULLED, DETAILS)
    assert contents(lake) == contents(whole)


@hypothesis_settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(listed=LISTED, times=st.integers(1, 3))
def test_however_often_a_listing_is_committed_each_favorite_is_one_row(
    tmp_path_factory: pytest.TempPathFactory, listed: dict[tuple[str, str], datetime], times: int
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")))
    listings = [listing(user, **{p: at for (u, p), at in listed.items() if u == user}) for user in "uv"]
    added = [commit(lake, listings, [photo(p) for p in {p for _, p in listed}]) for _ in range(times)]
    rows = lake.scan(INTERACTIONS)
    pairs = list(zip(rows.column("user_id").to_pylist(), rows.column("photo_id").to_pylist(), strict=True))
    assert sorted(pairs) == sorted(listed)
    assert [a.interactions for a in added] == [len(listed), *[0] * (times - 1)]
