"""The state rule: two axes, the newest row decides, repeats and order change nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from features.schema import INTERACTIONS, Kind, conform
from features.state import InteractionState, current_contacts, interaction_state, newest

START = datetime(2026, 1, 1, tzinfo=UTC)
STRINGS = ("user_id", "photo_id", "owner_id", "kind")


def row(kind: Kind | str, at: float, *, photo: str = "p1", user: str = "u1", created: float = 0, **more: Any) -> dict:
    return {
        "user_id": user,
        "photo_id": photo,
        "owner_id": "o1",
        "kind": str(kind),
        "source": "flickr",
        "event_timestamp": START + timedelta(seconds=at),
        "created_timestamp": START + timedelta(days=1, seconds=created),
        "ingest_date": START.date(),
        **more,
    }


def state(*rows: dict, as_of: datetime | None = None) -> InteractionState:
    table = pa.Table.from_pylist(list(rows), schema=INTERACTIONS.schema) if rows else INTERACTIONS.schema.empty_table()
    return interaction_state(conform(INTERACTIONS, table), as_of=as_of)


def photos(table: pa.Table) -> list[str]:
    return sorted(table.column("photo_id").to_pylist())


def test_a_favorite_holds_until_it_is_taken_back() -> None:
    assert photos(state(row("favorite", 1)).favorites) == ["p1"]
    assert photos(state(row("favorite", 1), row("unfavorite", 2)).favorites) == []


def test_a_favorite_seen_again_after_an_unfavorite_holds() -> None:
    again = row("favorite", 3, faved_at=START)
    found = state(row("favorite", 0), row("unfavorite", 2), again).favorites
    assert found.column("faved_at").to_pylist() == [START]


def test_of_rows_at_one_moment_the_one_ingested_last_decides() -> None:
    assert photos(state(row("unfavorite", 1, created=2), row("favorite", 1, created=1)).favorites) == []


def test_a_dismissal_and_a_favorite_of_one_photo_do_not_touch_each_other() -> None:
    found = state(row("favorite", 1), row("dismiss_photo", 2))
    assert (photos(found.favorites), photos(found.dismissed_photos)) == (["p1"], ["p1"])
    found = state(row("favorite", 1), row("dismiss_photo", 2), row("unfavorite", 3), row("undismiss_photo", 4))
    assert (photos(found.favorites), photos(found.dismissed_photos)) == ([], [])


def test_a_person_is_dismissed_apart_from_the_photos() -> None:
    found = state(row("dismiss_user", 1, photo=""), row("undismiss_photo", 2))
    assert found.dismissed_people.select(["user_id", "owner_id"]).to_pylist() == [{"user_id": "u1", "owner_id": "o1"}]
    assert state(row("dismiss_user", 1, photo=""), row("undismiss_user", 2, photo="")).dismissed_people.num_rows == 0


def test_users_do_not_touch_each_other() -> None:
    found = state(row("favorite", 1, user="a"), row("unfavorite", 2, user="b"))
    assert found.favorites.column("user_id").to_pylist() == ["a"]


def test_as_of_leaves_out_what_came_later_and_keeps_that_very_moment() -> None:
    rows = [row("favorite", 1), row("unfavorite", 2)]
    assert photos(state(*rows, as_of=START + timedelta(seconds=1)).favorites) == ["p1"]
    assert photos(state(*rows, as_of=START + timedelta(seconds=0.5)).favorites) == []


def test_nothing_adds_up_to_nothing() -> None:
    assert state().favorites.num_rows == 0


def test_contacts_are_those_still_followed() -> None:
    def contact(who: str, kind: str, at: int) -> dict:
        moment = START + timedelta(seconds=at)
        return {
            "user_id": "u1",
            "contact_id": who,
            "kind": kind,
            "event_timestamp": moment,
            "created_timestamp": moment,
        }

    rows = [contact("a", "follow", 1), contact("b", "follow", 1), contact("a", "unfollow", 2)]
    assert current_contacts(pa.Table.from_pylist(rows)).to_pylist() == [{"user_id": "u1", "contact_id": "b"}]


histories = st.lists(
    st.builds(
        row,
        st.sampled_from(list(Kind)),
        st.integers(0, 5),
        photo=st.sampled_from(["p1", "p2"]),
        user=st.sampled_from(["u1", "u2"]),
        created=st.integers(0, 5),
    ),
    max_size=30,
    unique_by=lambda r: (r["user_id"], r["photo_id"], r["kind"][-8:], r["event_timestamp"], r["created_timestamp"]),
)


def one_by_one(rows: list[dict], positive: str, negative: str, *keys: str) -> set[tuple[str, ...]]:
    holds: dict[tuple[str, ...], bool] = {}
    for event in sorted(rows, key=lambda r: (r["event_timestamp"], r["created_timestamp"])):
        if event["kind"] in (positive, negative):
            holds[tuple(event[key] for key in keys)] = event["kind"] == positive
    return {key for key, value in holds.items() if value}


@given(histories.filter(bool), st.randoms(use_true_random=False))
def test_order_and_repeats_of_rows_change_nothing_and_a_plain_replay_agrees(rows: list[dict], random: Random) -> None:
    # Rows that tie on both times have no order that the rule could speak of: leave one of each.
    seen: dict[tuple, dict] = {}
    for event in rows:
        axis = "user" if "user" in event["kind"] else "dismiss" if "dismiss" in event["kind"] else "favorite"
        photo = "" if axis == "user" else event["photo_id"]
        seen[(event["user_id"], axis, photo, event["event_timestamp"], event["created_timestamp"])] = event
    rows = list(seen.values())
    shuffled = rows + random.choices(rows, k=5)
    random.shuffle(shuffled)
    found = state(*shuffled)

    def keys(table: pa.Table, *names: str) -> set[tuple[str, ...]]:
        return {tuple(r[name] for name in names) for r in table.to_pylist()}

    assert keys(found.favorites, "user_id", "photo_id") == one_by_one(
        rows, "favorite", "unfavorite", "user_id", "photo_id"
    )
    assert keys(found.dismissed_photos, "user_id", "photo_id") == one_by_one(
        rows, "dismiss_photo", "undismiss_photo", "user_id", "photo_id"
    )
    assert keys(found.dismissed_people, "user_id", "owner_id") == one_by_one(
        rows, "dismiss_user", "undismiss_user", "user_id", "owner_id"
    )


@given(histories)
def test_strings_and_dictionaries_say_the_same(rows: list[dict]) -> None:
    plain = conform(INTERACTIONS, pa.Table.from_pylist(rows, schema=INTERACTIONS.schema))
    encoded = pa.table(
        {name: plain[name].dictionary_encode() if name in STRINGS else plain[name] for name in plain.column_names}
    )
    for axis, facts in vars(interaction_state(plain)).items():
        assert getattr(interaction_state(encoded), axis).to_pylist() == facts.to_pylist()


def test_of_rows_equal_in_everything_that_orders_them_the_last_one_counts() -> None:
    table = pa.table({"key": ["a", "b", "a", "a"], "at": [1, 5, 2, 2], "value": [0, 1, 2, 3]})
    assert newest(table, ["key"], ["at"]).column("value").to_pylist() == [1, 3]


def test_keys_with_more_combinations_than_a_number_holds_are_told_apart() -> None:
    columns = {f"k{place}": [str(n) for n in range(5_000)] * 2 for place in range(6)}
    table = pa.table({**columns, "at": list(range(10_000))})
    assert newest(table, list(columns), ["at"]).column("at").to_pylist() == list(range(5_000, 10_000))
