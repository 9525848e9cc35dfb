"""Features with a history: what a row says, held against counting by hand and against the state rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given, settings
from hypothesis import strategies as st

from features.feature_tables import PHOTO_POPULARITY, USER_ACTIVITY
from features.histories import photo_popularity, user_activity
from features.schema import CONTACTS, TIMESTAMP
from features.state import current_contacts, interaction_state

InteractionRows = Callable[[Sequence[tuple[str, str, str, str, datetime]]], pa.Table]

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
NOBODY = CONTACTS.schema.empty_table()
UPLOADED = datetime(2025, 5, 1, tzinfo=UTC)


def at(day: int, hour: int = 9) -> datetime:
    return datetime(2026, 3, 1, hour, tzinfo=UTC) + timedelta(days=day - 1)


def uploads(*photos: str) -> pa.Table:
    return pa.table(
        {"photo_id": pa.array(photos, pa.string()), "uploaded_at": pa.array([UPLOADED] * len(photos), TIMESTAMP)}
    )


def as_of(table: pa.Table, key: str, entity: str, moment: datetime) -> dict[str, object] | None:
    """The newest row of the entity at or before the moment, as a point-in-time join finds it."""
    rows = table.filter(
        pc.and_(pc.equal(table.column(key), entity), pc.less_equal(table.column("event_timestamp"), moment))
    )
    found = rows.sort_by("event_timestamp").to_pylist()
    return found[-1] if found else None


def test_a_row_is_of_the_end_of_its_day_and_the_running_day_is_of_now(interaction_rows: InteractionRows) -> None:
    rows = interaction_rows([("a", "p", "b", "favorite", at(5)), ("a", "q", "b", "favorite", at(31))])
    table = user_activity(rows, NOBODY, NOW, 60)
    assert table.column("event_timestamp").to_pylist() == [at(6, 0), NOW]
    assert table.column("favorites").to_pylist() == [1, 2]
    assert table.schema == USER_ACTIVITY.schema


def test_nothing_is_seen_before_the_day_is_over(interaction_rows: InteractionRows) -> None:
    table = user_activity(interaction_rows([("a", "p", "b", "favorite", at(5))]), NOBODY, NOW, 60)
    assert as_of(table, "user_id", "a", at(5, 23)) is None
    assert as_of(table, "user_id", "a", at(6, 0)) is not None


def test_what_happens_after_now_is_left_out(interaction_rows: InteractionRows) -> None:
    rows = interaction_rows([("a", "p", "b", "favorite", NOW + timedelta(seconds=1))])
    assert user_activity(rows, NOBODY, NOW, 60).num_rows == 0


def test_before_the_history_all_is_summed_up_in_its_first_row(interaction_rows: InteractionRows) -> None:
    rows = interaction_rows([("a", f"p{i}", "b", "favorite", at(-100 - i)) for i in range(5)])
    table = user_activity(rows, NOBODY, NOW, 10)
    assert table.column("favorites").to_pylist() == [5]
    assert table.column("event_timestamp").to_pylist() == [at(22, 0)]


def test_an_unfavorite_takes_back_and_repeats_change_nothing(interaction_rows: InteractionRows) -> None:
    rows = interaction_rows(
        [
            ("a", "p", "b", "favorite", at(2)),
            ("a", "p", "b", "favorite", at(3)),
            ("a", "p", "b", "unfavorite", at(5)),
            ("a", "p", "b", "unfavorite", at(6)),
            ("a", "p", "b", "favorite", at(9)),
        ]
    )
    table = user_activity(rows, NOBODY, NOW, 60)
    assert [(row["event_timestamp"], row["favorites"]) for row in table.to_pylist()] == [
        (at(3, 0), 1),
        (at(6, 0), 0),
        (at(10, 0), 1),
    ]


def test_an_owner_is_a_neighbor_while_one_photo_is_a_favorite(interaction_rows: InteractionRows) -> None:
    rows = interaction_rows(
        [
            ("a", "p", "b", "favorite", at(2)),
            ("a", "q", "b", "favorite", at(4)),
            ("a", "p", "b", "unfavorite", at(6)),
            ("a", "q", "b", "unfavorite", at(8)),
            ("a", "own", "a", "favorite", at(9)),
            ("a", "r", "c", "favorite", at(10)),
        ]
    )
    table = user_activity(rows, NOBODY, NOW, 60)
    neighbors = {day: as_of(table, "user_id", "a", at(day + 1, 0)) for day in (2, 4, 6, 8, 9, 10)}
    assert {day: row and row["neighbors"] for day, row in neighbors.items()} == {2: 1, 4: 1, 6: 1, 8: 0, 9: 0, 10: 1}


def test_the_last_favorite_is_the_newest_one_by_then(interaction_rows: InteractionRows) -> None:
    rows = interaction_rows(
        [
            ("a", "p", "b", "favorite", at(2)),
            ("a", "q", "b", "favorite", at(4, 7)),
            ("a", "q", "b", "unfavorite", at(4, 8)),
            ("z", "p", "b", "favorite", at(3)),
        ]
    )
    table = user_activity(rows, NOBODY, NOW, 60)
    assert as_of(table, "user_id", "a", at(3, 0))["last_favorite_at"] == at(2)  # type: ignore[index]
    # Faved and taken back within a day: no count changed, but this did.
    assert as_of(table, "user_id", "a", NOW)["last_favorite_at"] == at(4, 7)  # type: ignore[index]


def test_somebody_who_only_dismissed_has_no_last_favorite(interaction_rows: InteractionRows) -> None:
    rows = interaction_rows([("a", "p", "b", "dismiss_photo", at(2)), ("a", "", "c", "dismiss_user", at(2))])
    (row,) = user_activity(rows, NOBODY, NOW, 60).to_pylist()
    assert (row["dismissals"], row["favorites"], row["last_favorite_at"]) == (2, 0, None)


def test_a_favorite_leaves_each_window_after_its_days(interaction_rows: InteractionRows) -> None:
    table = photo_popularity(interaction_rows([("a", "p", "b", "favorite", at(1))]), uploads("p"), NOW, 60)
    columns = ("event_timestamp", "favorites_7d", "favorites_30d", "favorites_365d", "favorites_total", "uploaded_at")
    assert list(zip(*(table.column(name).to_pylist() for name in columns), strict=True)) == [
        (at(2, 0), 1, 1, 1, 1, UPLOADED),
        (at(9, 0), 0, 1, 1, 1, UPLOADED),
        (NOW, 0, 0, 1, 1, UPLOADED),
    ]
    assert table.schema == PHOTO_POPULARITY.schema


def test_an_unfavorite_leaves_every_window_at_once(interaction_rows: InteractionRows) -> None:
    rows = interaction_rows([("a", "p", "b", "favorite", at(1)), ("a", "p", "b", "unfavorite", at(3))])
    newest = as_of(photo_popularity(rows, uploads(), NOW, 60), "photo_id", "p", NOW)
    assert newest is not None
    assert [newest[name] for name in ("favorites_7d", "favorites_30d", "favorites_total")] == [0, 0, 0]
    assert newest["uploaded_at"] is None


def test_an_empty_lake_has_empty_tables(interaction_rows: InteractionRows) -> None:
    assert user_activity(interaction_rows([]), NOBODY, NOW, 60) == USER_ACTIVITY.schema.empty_table()
    assert photo_popularity(interaction_rows([]), uploads(), NOW, 60) == PHOTO_POPULARITY.schema.empty_table()


events = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["b1", "b2", "c1"]),
        st.sampled_from(["favorite", "unfavorite", "dismiss_photo", "undismiss_photo"]),
        st.integers(0, 24 * 90 - 1),
    ),
    max_size=30,
    unique_by=lambda event: event[3],
)


@given(events=events, asked=st.integers(0, 59))
@settings(max_examples=60, deadline=None)
def test_any_history_agrees_with_the_state_at_the_end_of_any_day(
    interaction_rows: InteractionRows, events: list[tuple[str, str, str, int]], asked: int
) -> None:
    begin = NOW.replace(hour=0) - timedelta(days=89)
    rows = interaction_rows([(u, p, p[0], k, begin + timedelta(hours=h)) for u, p, k, h in events])
    midnight = NOW.replace(hour=0) - timedelta(days=asked)
    state = interaction_state(rows, as_of=midnight - timedelta(microseconds=1))
    activity = user_activity(rows, NOBODY, NOW, 60)
    popularity = photo_popularity(rows, uploads("b1"), NOW, 60)
    for user in "ab":
        row = as_of(activity, "user_id", user, midnight) or {"favorites": 0, "neighbors": 0, "dismissals": 0}
        mine = state.favorites.filter(pc.equal(state.favorites.column("user_id"), user)).to_pylist()
        assert row["favorites"] == len(mine)
        assert row["neighbors"] == len({r["owner_id"] for r in mine} - {user})
        assert row["dismissals"] == state.dismissed_photos.column("user_id").to_pylist().count(user)
    for photo in ("b1", "b2", "c1"):
        counts = as_of(popularity, "photo_id", photo, midnight) or {"favorites_total": 0}
        assert counts["favorites_total"] == state.favorites.column("photo_id").to_pylist().count(photo)


def test_contacts_follow_the_log(interaction_rows: InteractionRows) -> None:
    rows = pa.table(
        {
            "user_id": ["a", "a", "a"],
            "contact_id": ["b", "c", "b"],
            "kind": ["follow", "follow", "unfollow"],
            "event_timestamp": [at(1), at(2), at(5)],
            "created_timestamp": [at(1), at(2), at(5)],
        },
        schema=CONTACTS.schema,
    )
    table = user_activity(interaction_rows([]), rows, NOW, 60)
    assert [as_of(table, "user_id", "a", at(d + 1, 0))["contacts"] for d in (1, 2, 5)] == [1, 2, 1]  # type: ignore[index]
    assert current_contacts(rows).num_rows == 1
