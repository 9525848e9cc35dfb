"""The recurring jobs of the active scheduler: the lake is kept tidy, photos that were shown are looked at again, what
was shown long ago is forgotten, new photos get into the model, and a new one is trained when that is due.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
import structlog

from features.compaction import compact, delete_rows, vacuum
from features.errors import DependencyError
from features.lake import Lake
from features.schema import IMPRESSIONS, TABLES, TIMESTAMP
from features.settings import Settings
from pipelines.budget.windows import Purpose
from pipelines.flickr.client import open_flickr
from pipelines.plan.recurring import Job
from pipelines.privacy.verify import verify_photos
from pipelines.processes import Children
from pipelines.shown import KEPT, forget_shown

LOOKS_AN_HOUR = 200
"""Photos looked at again at most each hour: a call each."""

logger = structlog.get_logger(__name__)


def upkeep(settings: Settings, engine: sa.Engine, lake: Lake) -> Sequence[Job]:
    """The jobs, with how often they run."""
    jobs = [
        Job("tidy_lake", timedelta(hours=1), lambda: tidy_lake(lake, settings.lake_retention_days)),
        Job("verify_photos", timedelta(hours=1), lambda: _verify(settings, engine, lake)),
        # The table is sorted by user, so forgetting rewrites all of it: not daily.
        Job("forget_impressions", timedelta(days=7), lambda: forget_impressions(lake, datetime.now(UTC))),
        Job("forget_shown", timedelta(days=1), lambda: forget_shown(engine, datetime.now(UTC))),
        Job("measure_models", timedelta(days=1), lambda: measure_models(settings)),
        Job("erase_returned", timedelta(days=1), lambda: _erase_returned(settings, engine, lake)),
    ]
    # The last ones, as they may take long and jobs wait for each other.
    if settings.fresh_photos_hours:
        jobs.append(Job("new_photos", timedelta(hours=settings.fresh_photos_hours), lambda: take_new_photos(settings)))
    if settings.retrain_check_hours:
        jobs.append(Job("train", timedelta(hours=settings.retrain_check_hours), lambda: train_if_due(settings)))
    return jobs


def tidy_lake(lake: Lake, retention_days: float) -> None:
    """Make few files of many in every table, and delete those that nothing needs any more; writers go on meanwhile."""
    for table in TABLES.values():
        if lake.version(table) is None:
            continue
        done = compact(lake, table, now=datetime.now(UTC))
        deleted = vacuum(lake, table, retention_days)
        if done.files_before != done.files_after or deleted:
            logger.info(
                "lake_tidied",
                table=table.name,
                files_before=done.files_before,
                files_after=done.files_after,
                repeats_removed=done.repeats_removed,
                files_deleted=deleted,
            )


def forget_impressions(lake: Lake, now: datetime) -> None:
    """Delete what was shown longer than `KEPT` ago; the files go by the next vacuum after the retention."""
    old = pc.field("shown_at") < pa.scalar(now - KEPT, TIMESTAMP)
    if deleted := delete_rows(lake, IMPRESSIONS, old, now=now):
        logger.info("impressions_forgotten", rows=deleted)


def take_new_photos(settings: Settings) -> None:
    """Run `models freshen` as a process of its own, for the scheduler; otherwise as `train_if_due`."""
    logger.info("new_photos_taken", said=_last_words(settings, "new-photos", "models", "freshen"))


def measure_models(settings: Settings) -> None:
    """Run `models measure` as a process of its own, for the scheduler; otherwise as `train_if_due`."""
    logger.info("models_measured", said=_last_words(settings, "measure-models", "models", "measure"))


def train_if_due(settings: Settings) -> None:
    """Run `train --if-due` as a process of its own, for the scheduler: only so is a training's memory given back.

    What it said last is logged; all of it is in `home/logs/train.log`. It ends when this process does. Raises
    DependencyError when it fails.
    """
    logger.info("train_if_due", said=_last_words(settings, "train", "train", "--if-due"))


def _last_words(settings: Settings, name: str, *arguments: str) -> str:
    """Run a command of ours to its end, logged in `home/logs/NAME.log`; the last line that it printed."""
    with ExitStack() as stack:
        command = [sys.executable, "-m", "photo_recommender", *arguments]
        child = Children(settings.home / "logs", stack).start(name, command, settings.environment())
        status = child.process.wait()
    lines = [line for line in child.log.read_text(errors="replace").splitlines() if line.strip()]
    if status:
        error = next((line for line in reversed(lines) if line.startswith("error:")), f"status {status}")
        raise DependencyError(f"`{' '.join(arguments)}` failed: {error} (log: {child.log})")
    return lines[-1] if lines else ""


def _erase_returned(settings: Settings, engine: sa.Engine, lake: Lake) -> None:
    """A commit that was under way when somebody was erased may have brought rows back."""
    from features.online import OnlineFeatures
    from pipelines.privacy.erasure import Eraser

    eraser = Eraser(settings, engine, lake, OnlineFeatures(settings))
    for user_id in eraser.returned():
        eraser.erase(user_id)
        logger.warning("erased_again")


def _verify(settings: Settings, engine: sa.Engine, lake: Lake) -> None:
    flickr = open_flickr(settings, purpose=Purpose.REFRESH)
    done = verify_photos(engine, lake, flickr, LOOKS_AN_HOUR, datetime.now(UTC))
    if done.checked:
        logger.info("photos_verified", checked=done.checked, gone=done.gone)
