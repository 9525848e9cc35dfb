"""Pulling many users in one go, without a queue: what the demo begins with, and what fills a lake for the first time.

A batch of users is committed at a time, and only then do their cursors move. Whatever was committed stays, and pulling
again adds nothing: a pull may be killed at any moment and is simply run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import structlog

from features.errors import FlickrError
from features.progress import Report
from pipelines.flickr.client import Flickr, UserNotFoundError
from pipelines.pull.commit import commit
from pipelines.pull.conclude import is_fresh, note_gone
from pipelines.pull.cursors import Cursor, read_cursors
from pipelines.pull.fetch import Fetched, Fetcher
from pipelines.pull.ingest import Added
from pipelines.pull.parts import finish_parts
from pipelines.pull.workplace import Workplace
from pipelines.queue.requests import Kind, Priority

CONCURRENCY = 6
"""Users asked for at once; more does not help, as one Python process reads all the answers."""

BATCH_USERS = 100
"""A commit to the lake is due at so many users, or at `settings.commit_rows` favorites (a user's stay together)."""

logger = structlog.get_logger(__name__)


class PullStoppedError(Exception):
    """For a `progress` function to raise: the pull ends there, and what was fetched is committed."""


@dataclass
class PullReport:
    """What a pull did.

    users: asked for; fresh: of these skipped; calls: to Flickr, tries included; favorites: listed; added: rows by
    table; missing: users whom Flickr does not know; failed: user → why; seconds: of wall time.
    """

    users: int = 0
    fresh: int = 0
    calls: int = 0
    favorites: int = 0
    added: Added = field(default_factory=Added)
    missing: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


def pull_favorites(
    place: Workplace,
    flickr: Flickr,
    user_ids: Sequence[str],
    progress: Report | None = None,
    concurrency: int = CONCURRENCY,
    *,
    contacts: bool = True,
) -> PullReport:
    """Favorites (and contacts) of many users; those pulled within `settings.pull_fresh_minutes` are skipped.

    A user whom Flickr does not know or refuses is reported, and the others go on. Raises FlickrUnavailableError when
    Flickr fails for more users in a row than are asked for at once, and at once what concerns every call, like
    KeyInvalidError; what was fetched until then is committed.
    """
    user_ids = list(dict.fromkeys(user_ids))
    report = PullReport(users=len(user_ids))
    cursors = read_cursors(place.engine, user_ids)
    kinds = (Kind.FAVORITES, Kind.CONTACTS) if contacts else (Kind.FAVORITES,)
    due = [
        user
        for user in user_ids
        if not all(is_fresh(place.settings, cursors.get(user), kind, Priority.NEIGHBOR) for kind in kinds)
    ]
    report.fresh = len(user_ids) - len(due)

    def tell(finished: int) -> None:
        if progress is not None:
            progress("users", report.fresh + finished, len(user_ids))

    with _measured(flickr, report):
        tell(0)
        _pull(
            place, Fetcher(flickr, place.settings.pull_max_favorites), due, cursors, report, tell, contacts, concurrency
        )
    return report


def _pull(
    place: Workplace,
    fetcher: Fetcher,
    user_ids: Sequence[str],
    cursors: dict[str, Cursor],
    report: PullReport,
    tell: Callable[[int], None],
    contacts: bool,
    concurrency: int,
) -> None:
    batch: list[Fetched] = []
    try:
        with closing(fetcher.fetch_all(user_ids, cursors, concurrency, contacts=contacts)) as outcomes:
            for finished, (user_id, outcome) in enumerate(outcomes, start=1):
                if isinstance(outcome, Fetched):
                    batch.append(outcome)
                elif isinstance(outcome, UserNotFoundError):
                    report.missing.append(user_id)
                    note_gone(place, [user_id], cursors)
                else:
                    report.failed[user_id] = outcome.message
                tell(finished)
                if _is_full(batch, place.settings.commit_rows):
                    batch = _commit(place, fetcher, batch, report)
    except (FlickrError, PullStoppedError):
        _commit(place, fetcher, batch, report)
        raise
    _commit(place, fetcher, batch, report)


def _commit(place: Workplace, fetcher: Fetcher, batch: list[Fetched], report: PullReport) -> list[Fetched]:
    """The next batch, which is empty."""
    if batch:
        report.added += commit(place.lake, place.engine, place.settings, batch, fetcher.take_details())
        report.favorites += sum(len(fetched.listing.photo_ids) for fetched in batch)
        finish_parts(place.engine, {fetched.listing.user_id: True for fetched in batch})
    return []


@contextmanager
def _measured(flickr: Flickr, report: PullReport) -> Iterator[None]:
    began, calls = time.monotonic(), flickr.calls
    try:
        yield
    finally:
        report.seconds = round(time.monotonic() - began, 3)
        report.calls = flickr.calls - calls
        logger.info(
            "pulled",
            users=report.users,
            fresh=report.fresh,
            calls=report.calls,
            favorites=report.favorites,
            added=report.added.interactions,
            missing=len(report.missing),
            failed=len(report.failed),
            seconds=report.seconds,
        )


def _is_full(batch: Sequence[Fetched], commit_rows: int) -> bool:
    favorites = sum(len(fetched.listing.photo_ids) for fetched in batch)
    return len(batch) >= BATCH_USERS or favorites >= commit_rows
