"""The relay: moves what people did on the site from SQL into the lake, exactly once, however often it is killed.

The Delta application `relay` carries the number of the newest action committed, so the lake itself remembers how far
the relay has come; SQL needs no mark that could disagree with it.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import sqlalchemy as sa

from features.actions import RELAY_APPLICATION, Action, next_actions
from features.lake import Lake
from features.schema import INTERACTIONS, Source

BATCH = 10_000


def drain(engine: sa.Engine, lake: Lake) -> int:
    """Commit every action that the lake does not hold yet; how many. Many processes may run it at once."""
    drained = 0
    while True:
        seq = lake.applied(INTERACTIONS, RELAY_APPLICATION)
        batch = next_actions(engine, seq, BATCH)
        if not batch:
            return drained
        # Of two relays that start from the same action, the second to commit is refused and begins again behind it.
        marks, after = {RELAY_APPLICATION: batch[-1].seq}, {RELAY_APPLICATION: seq}
        if lake.append(INTERACTIONS, rows_of(batch), marks=marks, after=after):
            drained += len(batch)


def rows_of(batch: list[Action]) -> pa.Table:
    """The actions as rows of the table `interactions`."""
    ingest_date = datetime.now(UTC).date()
    return pa.table(
        {
            "user_id": [action.user_id for action in batch],
            "photo_id": [action.photo_id for action in batch],
            "owner_id": [action.owner_id for action in batch],
            "kind": [action.kind for action in batch],
            "source": [str(Source.SITE)] * len(batch),
            "event_timestamp": [action.event_timestamp for action in batch],
            "created_timestamp": [action.created_timestamp for action in batch],
            "action_id": [action.action_id for action in batch],
            "ingest_date": [ingest_date] * len(batch),
        }
    )
