"""What a process remembers of the lake's ids: never less than the lake holds, whatever happens to its files."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.lake import Lake
from features.schema import USERS
from pipelines.flickr.answers import Person
from pipelines.pull import known_ids
from pipelines.pull.ingest import new_users
from pipelines.pull.known_ids import KnownIds, held_rows

NOW = datetime(2026, 11, 24, tzinfo=UTC)
IDS = st.text("abж🙂", min_size=1, max_size=4)


def add(lake: Lake, *user_ids: str) -> None:
    people = {user_id: Person(user_id, user_id) for user_id in user_ids}
    lake.append(USERS, new_users(people, USERS.schema.empty_table(), NOW))


def test_rows_are_found_by_their_ids(lake: Lake) -> None:
    add(lake, "a", "b", "ж·日本🙂")
    assert held_rows(lake, USERS, ["b", "c", "ж·日本🙂"]).column("user_id").to_pylist() == ["b", "ж·日本🙂"]
    assert held_rows(lake, USERS, ["c"]).num_rows == 0
    assert held_rows(lake, USERS, []).num_rows == 0


def test_a_table_that_is_not_there_holds_nothing(lake: Lake) -> None:
    assert held_rows(lake, USERS, ["a"]).equals(USERS.schema.empty_table())


def test_what_another_process_has_added_is_found(lake: Lake) -> None:
    assert held_rows(lake, USERS, ["a"]).num_rows == 0
    add(Lake(lake.uri), "a")
    assert held_rows(lake, USERS, ["a"]).num_rows == 1


def test_compaction_hides_nothing(lake: Lake) -> None:
    add(lake, "a")
    add(lake, "b")
    assert held_rows(lake, USERS, ["a", "b"]).num_rows == 2
    table = lake.delta_table(USERS)
    assert table is not None
    table.optimize.compact()
    assert held_rows(lake, USERS, ["a", "b", "c"]).num_rows == 2


def test_each_file_is_read_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    known, read = KnownIds(), list[int]()
    hashing = known_ids._hash
    monkeypatch.setattr(known_ids, "_hash", lambda ids: (read.append(len(ids)), hashing(ids))[1])
    add(lake, "a", "b")
    assert known.among(lake.at(USERS), ["a"]) == ["a"]
    add(lake, "c", "d", "e")
    assert known.among(lake.at(USERS), ["c"]) == ["c"]
    assert known.among(lake.at(USERS), ["b"]) == ["b"]
    assert sorted(read) == [1, 1, 1, 2, 3]


@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(st.lists(st.text("abж🙂", min_size=1, max_size=4), max_size=8), max_size=5),
    least=st.integers(0, 6),
)
def test_whatever_is_added_in_whichever_batches_is_known(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, batches: list[list[str]], least: int
) -> None:
    monkeypatch.setattr(known_ids, "LEAST_MERGED", least)
    lake, known, added = Lake(str(tmp_path_factory.mktemp("lake"))), KnownIds(), set[str]()
    for batch in batches:
        add(lake, *batch)
        added.update(batch)
        asked = sorted({*added, "c", "cc"})
        assert set(known.among(lake.at(USERS), asked)) == added
