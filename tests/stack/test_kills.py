"""Whatever kills workers, and wherever: the lake ends with the sandbox's truth, nothing lost and nothing doubled.

`PULL_KILLS` says how many runs are drawn; `benchmarks/pull_faults.py` makes a hundred and counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, note
from pull_rig.dooms import Doom
from pull_rig.kills import Death, Plan, Report, Run
from pull_rig.plans import plans, runs
from pull_rig.processes import Zygote
from pull_rig.sandbox import Sandbox

pytestmark = pytest.mark.timeout(1_200)

KILLS = int(os.environ.get("PULL_KILLS", "10"))

CarryOut = Callable[[Plan], Report]


@pytest.fixture(scope="module")
def carry_out(zygote: Zygote, sandbox: Sandbox, template: Path, tmp_path_factory: pytest.TempPathFactory) -> CarryOut:
    """Carry a plan out in a new folder."""
    folder = tmp_path_factory.mktemp("kills")
    return lambda plan: Run(plan, folder / f"{len(list(folder.iterdir()))}", zygote, sandbox, template).carry_out()


@runs(KILLS)
@given(plan=plans())
def test_the_lake_ends_with_the_truth_whatever_strikes_the_workers(carry_out: CarryOut, plan: Plan) -> None:
    report = carry_out(plan)
    note(str(report))
    assert report.is_right


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("point", ["append interactions", "write cursors", "queue done"])
def test_killed_at_write_commit_and_acknowledge_it_is_completed_by_the_next_worker(
    carry_out: CarryOut, point: str, moment: str
) -> None:
    death = Death((Doom(point, moment, nth=2),))  # type: ignore[arg-type]
    report = carry_out(Plan(visitors=(0, 5), lives=((death,),)))
    assert report.struck[f"kill {moment} {point}"] == 1
    assert report.verdicts[0].is_right, report


def test_two_workers_with_the_same_messages_leave_each_row_once(carry_out: CarryOut) -> None:
    never = Death(seconds=10.0)
    report = carry_out(Plan(visitors=(3, 5), lives=((never, never),), steals=True, doubles=True, fresh=False))
    assert report.redeliveries
    assert report.verdicts[0].is_right, report
