"""Events of numbered users and photos: what every model learns from, and what it is asked with.

Training and serving number photos in the same catalog and clean histories by the same rule, so that a user who joined
a second ago is scored as one of the training set would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from training.catalog import Catalog, Ids
from training.keys import Rows, among, distinct, newest_of_each, ranges
from training.shares import WHOLE, Shares, largest_shares, whole

NOBODY = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class History:
    """What one user did, in catalog rows; each photo at most once, favorites first.

    photo_rows int32 (n,); times int64 (n,), unix seconds; positive bool (n,): favorite or dismissal.
    contacts: int32 (m,), rows in the training users of those whom the user follows. shares float32 (n,): how much of a
    dismissal each is (training/shares.py), 1 for favorites.
    """

    photo_rows: NDArray[np.int32]
    times: NDArray[np.int64]
    positive: NDArray[np.bool_]
    contacts: NDArray[np.int32] = field(default_factory=lambda: NOBODY)
    shares: Shares = field(default_factory=lambda: WHOLE)

    def __post_init__(self) -> None:
        if self.shares is WHOLE:
            object.__setattr__(self, "shares", whole(len(self.photo_rows)))

    @classmethod
    def of(
        cls,
        favorites: Rows,
        faved: Rows,
        dismissed: Rows,
        dismissed_at: Rows,
        contacts: NDArray[np.int32] = NOBODY,
        shares: Shares = WHOLE,
    ) -> History:
        """A clean history from rows and times; rows of −1 (photos that the catalog does not hold) are left out.

        shares: of the dismissals; of several of one photo the largest counts.
        """
        shares = whole(len(dismissed)) if shares is WHOLE else shares
        favorites, faved = newest_of_each(favorites[favorites >= 0], faved[favorites >= 0])
        known = dismissed >= 0
        distinct_rows, newest = dismissals_beside(favorites, dismissed[known], dismissed_at[known])
        largest = largest_shares(distinct_rows, dismissed[known], shares[known])
        return cls(
            photo_rows=np.concatenate([favorites, distinct_rows]).astype(np.int32),
            times=np.concatenate([faved, newest]).astype(np.int64),
            positive=np.arange(len(favorites) + len(distinct_rows)) < len(favorites),
            contacts=contacts,
            shares=np.concatenate([whole(len(favorites)), largest]),
        )

    @property
    def favorites(self) -> NDArray[np.int32]:
        """Rows of the favorites."""
        return self.photo_rows[self.positive]

    @cached_property
    def alone(self) -> Histories:
        """This history alone, as models are asked with it."""
        return Histories.of([self])


@dataclass(frozen=True)
class Histories:
    """What n users did, as CSR: the events of user i are those from indptr[i] up to indptr[i + 1], as in `History`.

    indptr, contact_indptr: int64 (n + 1,). contacts: int32, rows in the training users. folded: of one user, what
    models made of it (`ALS.fold_in`), by the model's id: a wall asks for that several times.
    """

    indptr: Rows
    photo_rows: NDArray[np.int32]
    times: NDArray[np.int64]
    positive: NDArray[np.bool_]
    contact_indptr: Rows
    contacts: NDArray[np.int32]
    shares: Shares = field(default_factory=lambda: WHOLE)
    folded: dict[int, tuple[object, NDArray[np.float32]]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.shares is WHOLE:
            object.__setattr__(self, "shares", whole(len(self.photo_rows)))

    @classmethod
    def of(cls, histories: Sequence[History]) -> Histories:
        """Some histories together."""
        return cls(
            indptr=_indptr([len(history.photo_rows) for history in histories]),
            photo_rows=np.concatenate([NOBODY, *(history.photo_rows for history in histories)]),
            times=np.concatenate([NOBODY.astype(np.int64), *(history.times for history in histories)]),
            positive=np.concatenate([NOBODY.astype(bool), *(history.positive for history in histories)]),
            contact_indptr=_indptr([len(history.contacts) for history in histories]),
            contacts=np.concatenate([NOBODY, *(history.contacts for history in histories)]),
            shares=np.concatenate([WHOLE, *(history.shares for history in histories)]),
        )

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __iter__(self) -> Iterator[History]:
        for user in range(len(self)):
            one = self[user : user + 1]
            yield History(one.photo_rows, one.times, one.positive, one.contacts, one.shares)

    def __getitem__(self, some: slice) -> Histories:
        """A run of the users: `histories[start:stop]`."""
        start, stop, _ = some.indices(len(self))
        events = slice(int(self.indptr[start]), int(self.indptr[stop]))
        contacts = slice(int(self.contact_indptr[start]), int(self.contact_indptr[stop]))
        return Histories(
            self.indptr[start : stop + 1] - self.indptr[start],
            self.photo_rows[events],
            self.times[events],
            self.positive[events],
            self.contact_indptr[start : stop + 1] - self.contact_indptr[start],
            self.contacts[contacts],
            self.shares[events],
        )

    @cached_property
    def users(self) -> Rows:
        """Whose each event is, int64 (n_events,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    @cached_property
    def degrees(self) -> Rows:
        """How many favorites each user has, int64 (n,)."""
        return np.bincount(self.users[self.positive], minlength=len(self))

    def matrix(self, values: NDArray[np.floating[Any]], n_photos: int) -> scipy.sparse.csr_matrix:
        """CSR (n, n_photos) with a value for each event."""
        indptr = self.indptr.astype(np.int32)
        return scipy.sparse.csr_matrix((values, self.photo_rows, indptr), shape=(len(self), n_photos))


def _indptr(lengths: Sequence[int] | Rows) -> Rows:
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))]).astype(np.int64)


def dismissals_beside(favorites: Rows, dismissed: Rows, times: Rows) -> tuple[Rows, Rows]:
    """Dismissals that count as negatives: distinct, newest time, without those that are favorites as well.

    A photo can be both (two axes): the favorite says what the user likes, the dismissal only that it shall not be
    shown. Keys may be rows of one user or `user · n_photos + row` of all; `favorites` ascending.
    """
    keys, newest = newest_of_each(dismissed, times)
    keep = ~among(keys, favorites)
    return keys[keep], newest[keep]


@dataclass(frozen=True)
class Events:
    """Who did it to which photo and when: rows int32 (n,), unix seconds int64 (n,); sorted by user, then photo.

    shares float32 (n,): how much of a dismissal each is (training/shares.py).
    """

    users: NDArray[np.int32]
    photos: NDArray[np.int32]
    times: NDArray[np.int64]
    shares: Shares = field(default_factory=lambda: WHOLE)

    def __post_init__(self) -> None:
        if self.shares is WHOLE:
            object.__setattr__(self, "shares", whole(len(self.users)))

    @classmethod
    def of_keys(cls, keys: Rows, times: Rows, n_photos: int, shares: Shares = WHOLE) -> Events:
        """From ascending keys `user · n_photos + photo`."""
        users, photos = np.divmod(keys, n_photos)
        return cls(users.astype(np.int32), photos.astype(np.int32), times.astype(np.int64, copy=False), shares)

    def __len__(self) -> int:
        return len(self.users)

    def offsets(self, n_users: int) -> Rows:
        """(n_users + 1,): the events of user u are those from offsets[u] up to offsets[u + 1]."""
        return np.searchsorted(self.users, np.arange(n_users + 1)).astype(np.int64)


@dataclass(frozen=True)
class Contacts:
    """Who follows whom among the training users: user u follows the rows from indptr[u] up to indptr[u + 1].

    indptr: int64 (n_users + 1,); rows: int32.
    """

    indptr: Rows
    rows: NDArray[np.int32]

    @classmethod
    def of(cls, followers: Rows, followed: Rows, n_users: int) -> Contacts:
        """From pairs of user rows, in any order and with repeats; −1 is somebody unknown, and left out."""
        known = (followers >= 0) & (followed >= 0)
        keys = distinct(followers[known] * max(n_users, 1) + followed[known])
        users = keys // max(n_users, 1)
        return cls(_indptr(np.bincount(users, minlength=n_users)), (keys % max(n_users, 1)).astype(np.int32))


@dataclass(frozen=True)
class Interactions:
    """Everything a model learns from: users and photos with at least one favorite, and the events between them.

    user_ids: (n_users,), ascending. favorites and dismissals share no (user, photo) pair. `data_until`: unix seconds
    of the newest event. `lake_versions`: which version of which table was read. `contacts`: None when not known.
    """

    user_ids: Ids
    catalog: Catalog
    favorites: Events
    dismissals: Events
    data_until: int
    lake_versions: dict[str, int] = field(default_factory=dict)
    contacts: Contacts | None = None

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_photos(self) -> int:
        return len(self.catalog)

    @cached_property
    def photo_degrees(self) -> NDArray[np.int64]:
        """How many users favorited each photo, (n_photos,)."""
        return np.bincount(self.favorites.photos, minlength=self.n_photos)

    @cached_property
    def user_degrees(self) -> NDArray[np.int64]:
        """How many favorites each user has, (n_users,)."""
        return np.bincount(self.favorites.users, minlength=self.n_users)

    @cached_property
    def has_owners(self) -> bool:
        """Whether it is known whose photos these are ("" stands for nobody known)."""
        return bool((np.asarray(self.catalog.owner_ids) != "").any())

    @cached_property
    def _offsets(self) -> tuple[Rows, Rows]:
        return self.favorites.offsets(self.n_users), self.dismissals.offsets(self.n_users)

    def history(self, user: int) -> History:
        """What the user of that row did."""
        found = self.histories(np.array([user], dtype=np.int64))
        return History(found.photo_rows, found.times, found.positive, found.contacts, found.shares)

    def histories(self, users: Rows) -> Histories:
        """What the users of these rows did, in this order; nothing for a row of −1."""
        parts = []
        for events, offsets in zip((self.favorites, self.dismissals), self._offsets, strict=True):
            starts, stops = _bounds(offsets, users)
            taken = ranges(starts, stops)
            whose = np.repeat(np.arange(len(users)), stops - starts)
            parts.append((whose, events.photos[taken], events.times[taken], events.shares[taken]))
        whose, rows, times, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(whose, kind="stable")  # a user's favorites stay before the dismissals
        positive = np.arange(len(rows)) < len(parts[0][0])
        starts, stops = (0 * users, 0 * users) if self.contacts is None else _bounds(self.contacts.indptr, users)
        return Histories(
            indptr=_indptr(np.bincount(whose, minlength=len(users))),
            photo_rows=rows[order],
            times=times[order],
            positive=positive[order],
            contact_indptr=_indptr(stops - starts),
            contacts=NOBODY if self.contacts is None else self.contacts.rows[ranges(starts, stops)],
            shares=shares[order],
        )


def _bounds(indptr: Rows, rows: Rows) -> tuple[Rows, Rows]:
    """From where to where the entries of each row go; nothing for a row of −1."""
    starts = np.where(rows >= 0, indptr[rows], 0)
    return starts, np.where(rows >= 0, indptr[np.minimum(rows + 1, len(indptr) - 1)], 0)
