"""The upkeep of what walls showed: few files, however many commits, and nothing older than it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from features.lake import Lake
from features.schema import IMPRESSIONS
from pipelines.plan.upkeep import IMPRESSIONS_KEPT, forget_impressions, tidy_lake

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def show(lake: Lake, at: datetime, *photo_ids: str) -> None:
    common = {"user_id": "12@N01", "rank": 0, "model_version": "1", "variant": "", "shown_at": at}
    rows = [{"photo_id": photo_id, "created_timestamp": at, **common} for photo_id in photo_ids]
    lake.append(IMPRESSIONS, pa.Table.from_pylist(rows, schema=IMPRESSIONS.schema))


def held(lake: Lake) -> list[str]:
    return sorted(lake.scan(IMPRESSIONS).column("photo_id").to_pylist())


def test_many_commits_become_one_file_and_a_commit_that_was_repeated_counts_once(lake: Lake) -> None:
    for number in range(8):
        show(lake, NOW, str(number))
    show(lake, NOW, "7")
    tidy_lake(lake, 7)
    assert held(lake) == [str(number) for number in range(8)]
    assert len(lake.at(IMPRESSIONS).files) == 1


def test_what_was_shown_long_ago_is_forgotten_and_the_rest_stays(lake: Lake) -> None:
    forget_impressions(lake, NOW)  # before anything was shown
    second = timedelta(seconds=1)
    show(lake, NOW - IMPRESSIONS_KEPT - second, "old")
    show(lake, NOW - IMPRESSIONS_KEPT + second, "kept")
    show(lake, NOW, "new")
    tidy_lake(lake, 7)
    forget_impressions(lake, NOW)
    assert held(lake) == ["kept", "new"]
