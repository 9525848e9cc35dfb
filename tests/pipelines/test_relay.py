"""The relay drains the outbox into the lake exactly once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from features.actions import RELAY_APPLICATION, record_action
from features.lake import Lake
from features.schema import INTERACTIONS, Kind
from features.state import interaction_state
from pipelines.relay import drain


def fave(engine: sa.Engine, photo: str) -> int:
    return record_action(engine, user_id="u1", kind=Kind.FAVORITE, photo_id=photo, owner_id="o1").seq


def ids(lake: Lake) -> list[str]:
    return sorted(lake.scan(INTERACTIONS, columns=["action_id"]).column(0).to_pylist())


def test_an_action_reaches_the_lake_with_its_id_and_source(engine: sa.Engine, lake: Lake) -> None:
    seq = fave(engine, "p1")
    assert drain(engine, lake) == 1
    (row,) = lake.scan(INTERACTIONS).to_pylist()
    assert (row["photo_id"], row["kind"], row["source"]) == ("p1", "favorite", "site")
    assert row["action_id"]
    assert lake.applied(INTERACTIONS, RELAY_APPLICATION) == seq


def test_draining_again_adds_nothing(engine: sa.Engine, lake: Lake) -> None:
    fave(engine, "p1")
    assert [drain(engine, lake), drain(engine, lake)] == [1, 0]
    fave(engine, "p2")
    assert drain(engine, Lake(lake.uri)) == 1
    assert len(ids(lake)) == 2


def test_a_relay_killed_after_the_commit_does_not_commit_again(engine: sa.Engine, lake: Lake) -> None:
    # The lake itself remembers: a relay that died right after its commit left no other trace, and needs none.
    fave(engine, "p1")
    drain(engine, lake)
    engine.dispose()
    assert drain(engine, Lake(lake.uri)) == 0


def test_many_relays_at_once_double_nothing(engine: sa.Engine, lake: Lake) -> None:
    for n in range(30):
        fave(engine, f"p{n}")

    def relay(n: int) -> int:
        drained = 0
        for m in range(5):
            fave(engine, f"p{n}-{m}")
            drained += drain(engine, Lake(lake.uri))
        return drained

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(relay, range(4))) == 50
    assert len(ids(lake)) == len(set(ids(lake))) == 50
    assert interaction_state(lake.scan(INTERACTIONS)).favorites.num_rows == 50
