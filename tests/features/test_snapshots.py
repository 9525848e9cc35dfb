"""User snapshots: complete, in order, and with the watermark of what the relay has put into the lake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from features.actions import RELAY_APPLICATION
from features.feature_tables import USER_SNAPSHOT
from features.lake import Lake
from features.schema import INTERACTIONS
from features.snapshots import states_of, user_snapshots, user_states
from features.state import current_contacts, interaction_state
from features.user_state import UserState

InteractionRows = Callable[[Sequence[tuple[str, str, str, str, datetime]]], pa.Table]


def seconds(day: int) -> int:
    return int(datetime(2026, 3, day, 9, tzinfo=UTC).timestamp())


def test_a_state_holds_everything_oldest_first(small_lake: Lake) -> None:
    before = datetime.now(UTC)
    (state,) = user_states(small_lake, ["a"])
    assert state.favorite_ids == ("b1", "b2", "c1")
    assert state.favorite_owners == ("b", "b", "c")
    assert state.favorite_times == (seconds(1), seconds(2), seconds(20))
    assert (state.dismissed_ids, state.dismissed_owners) == (("x2",), ("x",))
    assert state.dismissed_times == (seconds(21),)
    assert (state.dismissed_people, state.dismissed_people_times) == (("y",), (seconds(22),))
    assert state.contacts == ("b",)
    assert state.watermark == -1
    assert state.updated_at is not None
    assert before <= state.updated_at <= datetime.now(UTC)


def test_states_come_in_the_order_asked_for_and_unknown_users_are_empty(small_lake: Lake) -> None:
    states = user_states(small_lake, ["c", "nobody", "a"])
    assert [state.user_id for state in states] == ["c", "nobody", "a"]
    assert states[1].favorite_ids == ()
    assert states[1].updated_at is not None


def test_an_empty_lake_has_empty_states(lake: Lake) -> None:
    (state,) = user_states(lake, ["a"])
    assert (state.favorite_ids, state.contacts, state.watermark) == ((), (), -1)


def test_the_watermark_is_what_the_relay_has_committed(small_lake: Lake, interaction_rows: InteractionRows) -> None:
    rows = interaction_rows([("a", "n1", "n", "favorite", datetime(2026, 3, 25, tzinfo=UTC))])
    small_lake.append(INTERACTIONS, rows, marks={RELAY_APPLICATION: 41})
    (state,) = user_states(small_lake, ["a"])
    assert state.watermark == 41
    assert state.favorite_ids[-1] == "n1"


def test_the_table_and_the_single_states_agree(small_lake: Lake, now: datetime) -> None:
    from features.schema import CONTACTS

    state = interaction_state(small_lake.scan(INTERACTIONS))
    table = user_snapshots(state, current_contacts(small_lake.scan(CONTACTS)), 7, now)
    assert table.schema == USER_SNAPSHOT.schema
    assert table.column("user_id").to_pylist() == ["a", "b", "c"]
    alone = user_states(small_lake, ["a", "b", "c"])
    assert states_of(table) == [UserState(**{**vars(s), "watermark": 7, "updated_at": now}) for s in alone]


def test_nothing_is_capped(lake: Lake, interaction_rows: InteractionRows) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    rows = [("a", f"p{i}", "b", "favorite", start + timedelta(seconds=i)) for i in range(12_000)]
    lake.append(INTERACTIONS, interaction_rows(rows))
    (state,) = user_states(lake, ["a"])
    assert state.favorite_ids == tuple(f"p{i}" for i in range(12_000))
