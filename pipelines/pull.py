"""Pulling: what Flickr lists for users becomes new rows of the lake and, for one person, a wall before any training.

A batch of users is committed at a time, and only then do their cursors move. Whatever was committed stays, and pulling
again adds nothing: a pull may be killed at any moment and is simply run again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from features.errors import FlickrError, PhotoRecommenderError
from features.lake import Lake
from features.progress import Report
from features.settings import Settings
from features.snapshots import user_states
from pipelines.cursors import Cursor, read_cursors, write_cursors
from pipelines.fetch import Fetched, Fetcher
from pipelines.flickr import Flickr, UserNotFoundError
from pipelines.ingest import Added, commit
from pipelines.progress import Stage, start_progress, update_progress
from pipelines.publish import Publisher

if TYPE_CHECKING:
    from features.online import OnlineFeatures

CONCURRENCY = 6
"""Users asked for at once; more does not help, as one Python process reads all the answers."""

BATCH_USERS, BATCH_FAVORITES = 100, 50_000
"""A commit to the lake is due at either of them (a user's favorites stay together)."""

FIRST_PART, LARGEST_PART = 10, 50
"""Neighbors after which a person's wall is computed anew: few at first, for an early wall, twice as many each time."""

SECONDS_BETWEEN_NOTES = 0.5
"""How often at most the progress within a part is noted in SQL."""

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


class Puller:
    """Pulls with one Flickr client into one lake; `online` is None where nobody reads online features yet.

    To be called by one thread at a time (its calls to Flickr go out on several).
    """

    def __init__(
        self, lake: Lake, engine: sa.Engine, flickr: Flickr, settings: Settings, online: OnlineFeatures | None = None
    ) -> None:
        self._lake = lake
        self._engine = engine
        self._flickr = flickr
        self._settings = settings
        self._online = online

    def pull_favorites(
        self,
        user_ids: Sequence[str],
        progress: Report | None = None,
        concurrency: int = CONCURRENCY,
        *,
        contacts: bool = True,
    ) -> PullReport:
        """Favorites (and contacts) of many users; those pulled within `settings.pull_fresh_minutes` are skipped.

        A user whom Flickr does not know or refuses is reported, and the others go on. Raises FlickrUnavailableError
        when Flickr fails for more users in a row than are asked for at once, and at once what concerns every call, like
        KeyInvalidError; what was fetched until then is committed.
        """
        user_ids = list(dict.fromkeys(user_ids))
        report = PullReport(users=len(user_ids))
        with self._measured(report):
            due, cursors = self._due(user_ids, contacts)
            report.fresh = len(user_ids) - len(due)

            def tell(finished: int) -> None:
                if progress is not None:
                    progress("users", report.fresh + finished, len(user_ids))

            tell(0)
            self._pull(due, cursors, report, tell, contacts=contacts, concurrency=concurrency)
        return report

    def pull_person(self, user_id: str, *, neighbors: bool, progress: Report | None = None) -> PullReport:
        """Favorites and contacts of one user, then the favorites of the neighbors: the owners of favorited photos,
        those with most of them first, at most `settings.pull_max_neighbors`, fresh ones skipped.

        After each part the person's cards, candidates and snapshot go online, and the progress into SQL.
        Raises UserNotFoundError, and what `pull_favorites` raises.
        """
        start_progress(self._engine, user_id)
        report = PullReport(users=1)
        publisher = None if self._online is None else Publisher(self._lake, self._online, self._settings)

        def publish(coverage: float) -> None:
            if publisher is not None:
                publisher.publish(user_id, coverage)

        try:
            with self._measured(report):
                self._pull_self(user_id, report, progress or _silent)
                self._pull_neighbors(user_id, neighbors, report, progress or _silent, publish)
        except PhotoRecommenderError as error:
            update_progress(self._engine, user_id, "failed", error=error.message)
            raise
        return report

    def _pull_self(self, user_id: str, report: PullReport, progress: Report) -> None:
        progress("favorites", 0, 0)
        person = self._flickr.person(user_id)
        cursor = read_cursors(self._engine, [user_id]).get(user_id)
        fetcher = Fetcher(self._flickr, self._settings.pull_max_favorites)
        fetched = fetcher.fetch(user_id, cursor, contacts=False)
        listed = len(fetched.listing.photo_ids)
        progress("favorites", listed, listed)
        update_progress(self._engine, user_id, "contacts", favorites=listed)
        contacts = self._flickr.contacts(user_id)
        progress("contacts", len(contacts), len(contacts))
        whole = Fetched(
            replace(fetched.listing, person=person, contacts=contacts),
            replace(fetched.cursor, contacts_pulled_at=fetched.listing.observed_at),
        )
        self._commit([whole], fetcher, report)

    def _pull_neighbors(
        self, user_id: str, pull: bool, report: PullReport, progress: Report, publish: Callable[[float], None]
    ) -> None:
        """Part by part; a neighbor whom Flickr no longer has counts as covered, one that failed does not."""
        favorites, neighbors = self._neighbors(user_id)
        due, cursors = self._due(neighbors, contacts=False)
        fresh = covered = len(neighbors) - len(due)
        report.fresh += fresh
        noted = 0.0

        def coverage() -> float:
            return covered / len(neighbors) if neighbors else 0.0

        def note(stage: Stage, finished: int) -> None:
            counts = {"made": len(neighbors), "finished": finished, "favorites": favorites, "coverage": coverage()}
            update_progress(self._engine, user_id, stage, **counts)

        def tell(before: int, finished: int) -> None:
            nonlocal noted
            progress("neighbors", before + finished, len(neighbors))
            if time.monotonic() - noted > SECONDS_BETWEEN_NOTES:
                note("neighbors", before + finished)
                noted = time.monotonic()

        publish(coverage())
        tell(fresh, 0)
        begin, size = 0, FIRST_PART
        while pull and begin < len(due):
            part = due[begin : begin + size]
            covered += self._pull(part, cursors, report, partial(tell, fresh + begin), contacts=False)
            begin += len(part)
            size = min(2 * size, LARGEST_PART)
            publish(coverage())
            note("neighbors", fresh + begin)
        note("done", fresh + begin)

    def _neighbors(self, user_id: str) -> tuple[int, list[str]]:
        """How many favorites the user has, and whose photos these are: those with most of them first, not all."""
        state = user_states(self._lake, [user_id])[0]
        owners = Counter(owner for owner in state.favorite_owners if owner != user_id)
        return len(state.favorite_ids), [owner for owner, _ in owners.most_common(self._settings.pull_max_neighbors)]

    def _due(self, user_ids: Sequence[str], contacts: bool) -> tuple[list[str], dict[str, Cursor]]:
        """Those of the users who were not pulled just now, and the cursors of all."""
        cursors = read_cursors(self._engine, user_ids)
        recent = datetime.now(UTC) - timedelta(minutes=self._settings.pull_fresh_minutes)

        def is_fresh(cursor: Cursor) -> bool:
            pulled = [cursor.favorites_pulled_at, cursor.contacts_pulled_at if contacts else cursor.favorites_pulled_at]
            return all(moment is not None and moment > recent for moment in pulled)

        return [user for user in user_ids if user not in cursors or not is_fresh(cursors[user])], cursors

    def _pull(
        self,
        user_ids: Sequence[str],
        cursors: Mapping[str, Cursor],
        report: PullReport,
        tell: Callable[[int], None],
        *,
        contacts: bool,
        concurrency: int = CONCURRENCY,
    ) -> int:
        """Fetch and commit in batches; how many of the users are done with: pulled, or no longer on Flickr."""
        fetcher = Fetcher(self._flickr, self._settings.pull_max_favorites)
        batch: list[Fetched] = []
        covered = 0
        try:
            with closing(fetcher.fetch_all(user_ids, cursors, concurrency, contacts=contacts)) as outcomes:
                for finished, (user_id, outcome) in enumerate(outcomes, start=1):
                    if isinstance(outcome, Fetched):
                        batch.append(outcome)
                    elif isinstance(outcome, UserNotFoundError):
                        self._note_missing(user_id, cursors, report)
                    else:
                        report.failed[user_id] = outcome.message
                    covered += isinstance(outcome, Fetched | UserNotFoundError)
                    tell(finished)
                    if _is_full(batch):
                        batch = self._commit(batch, fetcher, report)
        except (FlickrError, PullStoppedError):
            self._commit(batch, fetcher, report)
            raise
        self._commit(batch, fetcher, report)
        return covered

    def _commit(self, batch: list[Fetched], fetcher: Fetcher, report: PullReport) -> list[Fetched]:
        """The lake first, then the cursors that tell of it; the next batch, which is empty."""
        if batch:
            report.added += commit(self._lake, [fetched.listing for fetched in batch], fetcher.take_details())
            report.favorites += sum(len(fetched.listing.photo_ids) for fetched in batch)
            write_cursors(self._engine, [fetched.cursor for fetched in batch])
        return []

    def _note_missing(self, user_id: str, cursors: Mapping[str, Cursor], report: PullReport) -> None:
        """The cursor moves here too: somebody who has left Flickr is not asked for again at once."""
        report.missing.append(user_id)
        cursor, now = cursors.get(user_id) or Cursor(user_id), datetime.now(UTC)
        write_cursors(self._engine, [replace(cursor, favorites_pulled_at=now, contacts_pulled_at=now)])

    @contextmanager
    def _measured(self, report: PullReport) -> Iterator[None]:
        began, calls = time.monotonic(), self._flickr.calls
        try:
            yield
        finally:
            report.seconds = round(time.monotonic() - began, 3)
            report.calls = self._flickr.calls - calls
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


def _is_full(batch: Sequence[Fetched]) -> bool:
    favorites = sum(len(fetched.listing.photo_ids) for fetched in batch)
    return len(batch) >= BATCH_USERS or favorites >= BATCH_FAVORITES


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody watches."""
