"""Asking Flickr for the favorites and contacts of users, several users at a time.

Threads wait for the answers; nothing here knows of the lake.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from features.errors import FlickrError
from pipelines.cursors import Cursor
from pipelines.flickr import FavoritesPage, Flickr, FlickrRefusedError, FlickrUnavailableError, Photo, UserNotFoundError
from pipelines.ingest import Listing

OVERLAP = timedelta(days=1)
"""How far behind the newest known favorite a listing begins: favorites may show up late."""


@dataclass(frozen=True)
class Fetched:
    """One user's listing, and the cursor that holds once it is in the lake."""

    listing: Listing
    cursor: Cursor


class Fetcher:
    """Fetches for one pull. A photo's details are read when it is first seen, as most of a crowd's favorites repeat."""

    def __init__(self, flickr: Flickr, max_favorites: int) -> None:
        self._flickr = flickr
        self._max_favorites = max_favorites
        self._known: set[str] = set()
        self._unsaved: dict[str, Photo] = {}
        self._lock = threading.Lock()

    def fetch(self, user_id: str, cursor: Cursor | None, *, contacts: bool) -> Fetched:
        """Everything that Flickr lists for the user since the cursor. Raises what the client raises."""
        cursor = cursor or Cursor(user_id)
        observed_at = datetime.now(UTC)
        since = None if cursor.newest_faved_at is None else cursor.newest_faved_at - OVERLAP
        favorites: dict[str, tuple[str, int]] = {}
        for page in self._flickr.favorites(user_id, since=since):
            self._read_details(page)
            for photo_id, owner_id, seconds in zip(page.photo_ids, page.owner_ids, page.faved_at, strict=True):
                favorites.setdefault(photo_id, (owner_id, seconds))
            if len(favorites) >= self._max_favorites:
                break
        kept = list(favorites)[: self._max_favorites]
        times = [favorites[photo_id][1] for photo_id in kept]
        newest = max((datetime.fromtimestamp(seconds, UTC) for seconds in times), default=None)
        if newest is None or (cursor.newest_faved_at is not None and cursor.newest_faved_at > newest):
            newest = cursor.newest_faved_at
        followed = self._flickr.contacts(user_id) if contacts else None
        listing = Listing(
            user_id=user_id,
            observed_at=observed_at,
            photo_ids=kept,
            owner_ids=[favorites[photo_id][0] for photo_id in kept],
            faved_at=times,
            contacts=followed,
        )
        moved = replace(cursor, newest_faved_at=newest, favorites_pulled_at=observed_at)
        return Fetched(listing, replace(moved, contacts_pulled_at=observed_at) if contacts else moved)

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
        return list(taken.values())

    def _read_details(self, page: FavoritesPage) -> None:
        for index, photo_id in enumerate(page.photo_ids):
            if photo_id not in self._known:
                photo = page.photo(index)
                with self._lock:
                    self._unsaved[photo_id] = photo
                    self._known.add(photo_id)


def _outcome(future: Future[Fetched]) -> Fetched | FlickrError:
    """What concerns one user is an outcome; everything else is raised."""
    try:
        return future.result()
    except (UserNotFoundError, FlickrRefusedError, FlickrUnavailableError) as error:
        return error
