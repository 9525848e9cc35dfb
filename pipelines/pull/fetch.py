"""Asking Flickr for the favorites and contacts of users: since the cursor, and one page of the sweep when it is due.

Threads wait for the answers; nothing here knows of the lake.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import structlog

from features.errors import FlickrError
from pipelines.flickr.answers import Rejected
from pipelines.flickr.client import (
    FavoritesPage,
    Flickr,
    FlickrRefusedError,
    FlickrUnavailableError,
    Photo,
    UserNotFoundError,
)
from pipelines.plan.planner import history_rate, observe
from pipelines.pull import sweep
from pipelines.pull.cursors import Cursor
from pipelines.pull.listing import Listing

OVERLAP = timedelta(days=1)
"""How far behind the newest known favorite a listing begins: favorites may show up late."""

MOST_KNOWN = 500_000
"""Photos whose details were read already, remembered by one process; then it forgets them all and reads them again."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Fetched:
    """One user's listing, and the cursor that holds once it is in the lake.

    `favorites`: whether these were looked at (contacts were where the listing has them).
    """

    listing: Listing
    cursor: Cursor
    favorites: bool = True


class Fetcher:
    """Fetches for one process. A photo's details are read when it is first seen, as most of a crowd's favorites repeat.

    `sweep_days` None: no sweep. Safe to share between threads.
    """

    def __init__(self, flickr: Flickr, max_favorites: int, sweep_days: float | None = None) -> None:
        self._flickr = flickr
        self._max_favorites = max_favorites
        self._sweep_days = sweep_days
        self._known: set[str] = set()
        self._unsaved: dict[str, Photo] = {}
        self._lock = threading.Lock()

    def fetch(self, user_id: str, cursor: Cursor | None, *, contacts: bool) -> Fetched:
        """The favorites, and with `contacts` whom the user follows. Raises what the client raises."""
        fetched = self.fetch_favorites(user_id, cursor)
        if not contacts:
            return fetched
        followed = self.fetch_contacts(user_id, fetched.cursor)
        return Fetched(replace(fetched.listing, contacts=followed.listing.contacts), followed.cursor)

    def fetch_favorites(self, user_id: str, cursor: Cursor | None, go_on: Callable[[], None] = lambda: None) -> Fetched:
        """Everything that Flickr lists for the user since the cursor, and a page of the sweep when it is due.

        `go_on` is called between pages and may raise to stop. Raises what the client raises.
        """
        cursor = cursor or Cursor(user_id)
        observed_at = datetime.now(UTC)
        since = None if cursor.newest_faved_at is None else cursor.newest_faved_at - OVERLAP
        favorites: dict[str, tuple[str, int]] = {}
        rejected: list[Rejected] = []

        def read(page: FavoritesPage) -> None:
            self._read_details(page)
            rejected.extend(page.rejected)
            for photo_id, owner_id, seconds in zip(page.photo_ids, page.owner_ids, page.faved_at, strict=True):
                favorites.setdefault(photo_id, (owner_id, seconds))

        count, step = None, None
        if self._sweep_days is not None and sweep.is_due(cursor, observed_at, self._sweep_days):
            page = self._flickr.favorites_window(user_id, cursor.sweep_until)
            read(page)
            step = sweep.step(cursor, observed_at, page.faved_at, page.total)
            count = page.total if cursor.sweep_until is None else None
        if step is None or not step.reaches(since):
            for page in self._flickr.favorites(user_id, since=since):
                go_on()
                read(page)
                if len(favorites) >= self._max_favorites:
                    break
        return self._fetched(cursor, observed_at, favorites, rejected, step, count)

    def fetch_contacts(self, user_id: str, cursor: Cursor | None, *, person: bool = False) -> Fetched:
        """Whom the user follows and, with `person`, who the user is. Raises what the client raises."""
        observed_at = datetime.now(UTC)
        listing = Listing(
            user_id=user_id,
            observed_at=observed_at,
            contacts=self._flickr.contacts(user_id),
            person=self._flickr.person(user_id) if person else None,
        )
        moved = replace(cursor or Cursor(user_id), contacts_pulled_at=observed_at)
        return Fetched(listing, moved, favorites=False)

    def _fetched(
        self,
        cursor: Cursor,
        observed_at: datetime,
        favorites: dict[str, tuple[str, int]],
        rejected: list[Rejected],
        step: sweep.Step | None,
        count: int | None,
    ) -> Fetched:
        """The listing, cut to what is kept, and the cursor behind it."""
        first = cursor.newest_faved_at is None
        newest_first = sorted(favorites, key=lambda photo_id: -favorites[photo_id][1])
        oldest_kept = cursor.oldest_faved_at
        if first and len(newest_first) >= self._max_favorites:
            newest_first = newest_first[: self._max_favorites]
            oldest_kept = _moment(favorites[newest_first[-1]][1])
            logger.warning("favorites_capped", user_id=cursor.user_id, kept=len(newest_first))
        elif oldest_kept is not None:
            newest_first = [photo for photo in newest_first if favorites[photo][1] >= oldest_kept.timestamp()]
        times = [favorites[photo_id][1] for photo_id in newest_first]
        known_until = cursor.newest_faved_at
        # Never beyond now: a date from the future would hide what is favored until then.
        listed_until = min(_moment(times[0]), observed_at) if times else None
        newest = max((moment for moment in (known_until, listed_until) if moment), default=None)
        new = sum(known_until is None or seconds > known_until.timestamp() for seconds in times)
        if cursor.favorites_pulled_at is None:
            rate = history_rate(np.array(times, dtype=np.int64), observed_at)
        else:
            days = (observed_at - cursor.favorites_pulled_at).total_seconds() / 86_400
            rate = observe(cursor.rate_favorites, cursor.rate_days, new, days)
        moved = replace(
            cursor,
            newest_faved_at=newest,
            favorites_pulled_at=observed_at,
            favorites=cursor.favorites + new if count is None else count,
            oldest_faved_at=oldest_kept,
            rate_favorites=rate[0],
            rate_days=rate[1],
        )
        if step is not None:
            moved = replace(
                moved,
                sweep_until=step.next_until,
                sweep_moved_at=observed_at,
                swept_at=observed_at if step.next_until is None else cursor.swept_at,
            )
        elif first:  # the whole list has just been seen
            moved = replace(moved, sweep_moved_at=observed_at)
        listing = Listing(
            user_id=cursor.user_id,
            observed_at=observed_at,
            photo_ids=newest_first,
            owner_ids=[favorites[photo_id][0] for photo_id in newest_first],
            faved_at=times,
            window=None if step is None else step.window,
            rejected=rejected,
        )
        return Fetched(listing, moved)

    def fetch_all(
        self, user_ids: Sequence[str], cursors: Mapping[str, Cursor], concurrency: int, *, contacts: bool
    ) -> Generator[tuple[str, Fetched | FlickrError], None, None]:
        """Each user with what was fetched or why not, in the order of completion, `concurrency` users at a time.

        Raises FlickrUnavailableError when more users in a row fail than are asked for at once, and at once what
        concerns every call. Close it to stop asking.
        """
        waiting = iter(user_ids)
        running: dict[Future[Fetched], str] = {}
        unavailable = 0
        pool = ThreadPoolExecutor(concurrency, thread_name_prefix="fetch")
        try:
            while True:
                # A few more than run, so that no thread waits for this one.
                while len(running) < 2 * concurrency and (user_id := next(waiting, None)) is not None:
                    future = pool.submit(self.fetch, user_id, cursors.get(user_id), contacts=contacts)
                    running[future] = user_id
                if not running:
                    return
                done = wait(running, return_when=FIRST_COMPLETED).done
                # In the order they were asked for, as a set would make failures follow each other that did not.
                for future in [future for future in running if future in done]:
                    outcome = _outcome(future)
                    unavailable = unavailable + 1 if isinstance(outcome, FlickrUnavailableError) else 0
                    if isinstance(outcome, FlickrUnavailableError) and unavailable > concurrency:
                        raise outcome
                    yield running.pop(future), outcome
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def take_details(self) -> list[Photo]:
        """The photos not taken yet. Every photo of a listing fetched so far was taken or is among them."""
        with self._lock:
            taken, self._unsaved = self._unsaved, {}
            if len(self._known) > MOST_KNOWN:
                self._known.clear()
        return list(taken.values())

    def forget_details(self) -> None:
        """Read the details of every photo anew when it is seen next: some that were taken were not committed."""
        with self._lock:
            self._known.clear()

    def _read_details(self, page: FavoritesPage) -> None:
        for index, photo_id in enumerate(page.photo_ids):
            if photo_id not in self._known:
                photo = page.photo(index)
                with self._lock:
                    self._unsaved[photo_id] = photo
                    self._known.add(photo_id)


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _outcome(future: Future[Fetched]) -> Fetched | FlickrError:
    """What concerns one user is an outcome; everything else is raised."""
    try:
        return future.result()
    except (UserNotFoundError, FlickrRefusedError, FlickrUnavailableError) as error:
        return error
