"""Photos, people and contacts: what is new about them becomes a row, and nothing else."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from features.schema import CONTACTS, PHOTOS, USERS
from features.state import current_contacts
from pipelines.flickr.answers import Person, Photo
from pipelines.pull.ingest import merge_people, new_contacts, new_photos, new_users
from tests.pipelines.pull.listings import MORNING, NOON, NOW, listing


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
