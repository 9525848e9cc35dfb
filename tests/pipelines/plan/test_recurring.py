"""Recurring jobs: each in its turn, whatever becomes of the others."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from prometheus_client import REGISTRY

from pipelines.plan.recurring import Job, Recurring


def test_jobs_run_at_once_and_then_after_their_interval_and_one_that_fails_hinders_no_other() -> None:
    ran: list[str] = []

    def fail() -> None:
        ran.append("fails")
        raise ValueError("no luck")

    jobs = Recurring(
        [Job("fails", timedelta(hours=1), fail), Job("daily", timedelta(days=1), lambda: ran.append("daily"))]
    )
    now = datetime.now(UTC)
    for hours in (0.0, 0.5, 1.0, 24.0):
        jobs.start_due(now + timedelta(hours=hours))
        for thread in threading.enumerate():
            if thread.name == "recurring":
                thread.join(5)
    assert ran == ["fails", "daily", "fails", "fails", "daily"]
    assert REGISTRY.get_sample_value("photo_recommender_job_failures_total", {"job": "fails"}) == 3
