"""How many rows the lake loses or doubles when workers are killed: a hundred runs, each struck in a way drawn anew.

A run pulls two or three people of the sandbox's world, with their neighbors, by workers that are killed at points of
write, commit and acknowledge (each in turn, and others at random), tripped, or deceived by the queue; a clean worker
finishes, and the lake must hold the sandbox's truth. `RUNS` says how many (100); progress goes to standard error.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import tempfile
import time
from collections import Counter
from pathlib import Path

from _reporting import finish
from hypothesis import given

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "stack"))

from pull_rig.kills import Plan, Report, Run
from pull_rig.plans import aimed, plans, runs
from pull_rig.processes import run_zygote
from pull_rig.sandbox import run_sandbox

from features.database import open_database
from features.logs import configure_logging
from features.settings import Settings

RUNS = int(os.environ.get("RUNS", "100"))
BAR = 0.0
FAILURES_TOLD = 3
TOLD = 9_000
"""Characters of a failure that are told."""


def carry_out_all(folder: Path) -> tuple[list[Report], list[str]]:
    """The reports of all runs, and in words which of them went wrong."""
    template = folder / "template.db"
    open_database(f"sqlite:///{template}").dispose()
    reports: list[Report] = []
    wrong: list[str] = []
    with run_sandbox(folder / "sandbox") as sandbox, run_zygote() as zygote:

        @runs(RUNS)
        @given(plans())
        def one(drawn: Plan) -> None:
            plan = aimed(drawn, len(reports))
            known = len(wrong)
            run = Run(plan, folder / f"run-{len(reports):03}", zygote, sandbox, template)
            try:
                run.carry_out()
            except Exception as error:  # noqa: BLE001  (it came to no end, and must not end the other runs)
                wrong.append(f"{plan}: {type(error).__name__}: {str(error)[:TOLD]}")
            else:
                if not run.report.is_right:
                    wrong.append(f"{plan}: {run.report.verdicts}")
            reports.append(run.report)
            told = f"{len(reports)} of {RUNS} runs, {run.report.seconds:.1f} s, {len(wrong)} wrong"
            print(told, *wrong[known:], sep="\n", file=sys.stderr, flush=True)

        one()
    return reports, wrong


def main() -> None:
    configure_logging(Settings(log_format="json", _env_file=None), level=40)  # type: ignore[call-arg]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pull-faults-") as folder:
        reports, wrong = carry_out_all(Path(folder))
    verdicts = [verdict for report in reports for verdict in report.verdicts]
    struck, repeats = Counter[str](), Counter[str]()
    for report in reports:
        struck.update(report.struck)
        repeats.update(report.verdicts[-1].repeats if report.verdicts else {})
    lost, doubled = (sum(getattr(verdict, name) for verdict in verdicts) for name in ("lost", "doubled"))
    details = {
        "runs": len(reports),
        "runs_wrong": len(wrong),
        "wrong": wrong[:FAILURES_TOLD],
        "pulls_judged": len(verdicts),
        "rows_lost": lost,
        "rows_doubled": doubled,
        "workers": sum(report.workers for report in reports),
        "kills": sum(count for point, count in struck.items() if point.startswith(("kill", "SIGKILL"))),
        "struck_by_point": dict(sorted(struck.items())),
        "redeliveries": sum(report.redeliveries for report in reports),
        "dead_letters_redriven": sum(report.redriven for report in reports),
        "raw_repeats": dict(repeats),
        "seconds": round(time.monotonic() - began, 1),
    }
    finish("pull_faults", lost + doubled, "rows", "lower", BAR, details, ok=lost + doubled <= BAR and not wrong)


if __name__ == "__main__":
    main()
