"""The neighbor score on numbers: the photos and people that rank highest, for blocks of people, of what is not hidden.

Nothing here is as large as people × photos: a block is what its neighbors' favorites fit into, and its sums are sparse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.arrays import Bool, Float64, Int64, starts

Int32 = NDArray[np.int32]

ENTRIES_AT_ONCE = 4_000_000
"""Favorites of a block's neighbors, 30 bytes each; one person's may be more, but never more than there are in all."""
CELLS_AT_ONCE = 32_000_000
"""Marks (one byte each) of a block: its people × their favorites and dismissed photos."""


@dataclass(frozen=True)
class Favorites:
    """Who favorited what and whose it is, as numbers of people (users and owners) and photos.

    offsets: int64 (n_people + 1,); photo[offsets[u]:offsets[u + 1]]: the distinct favorites of u, int32;
    owner: int32 (n_photos,).
    """

    offsets: Int64
    photo: Int32
    owner: Int32

    @property
    def degree(self) -> Int64:
        """Favorites of each person, (n_people,)."""
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Hidden:
    """What must not be a candidate, as distinct ascending pairs: person · n_photos + photo, person · n_people + person.

    `photos`: dismissed; `people`: dismissed, with all of their photos; `followed`: hidden among people only. int64.
    """

    photos: Int64
    people: Int64
    followed: Int64


@dataclass(frozen=True)
class Ranked:
    """For a block of m people, best first: photos and people of the i-th at offsets[i]:offsets[i + 1]; coverage (m,).

    `common`: favorites in common with each of the people, int64.
    """

    photo_offsets: Int64
    photos: Int32
    photo_scores: Float64
    people_offsets: Int64
    people: Int32
    people_scores: Float64
    common: Int64
    coverage: Float64


def neighbor_scores(common: Float64, favorites: Float64) -> Float64:
    """score(n), elementwise: from the favorites that u and n have in common and all favorites of n; any one shape."""
    return np.asarray(150.0 * np.sqrt(common / (favorites + 250.0)), dtype=np.float64)


@dataclass(frozen=True)
class _Pairs:
    """Each person of a block with each neighbor who has favorites: places in the block (ascending) and numbers."""

    place: Int64
    neighbor: Int64
    coverage: Float64


def ranked_blocks(
    favorites: Favorites, hidden: Hidden, users: Int64, *, photos: int, people: int, max_neighbors: int
) -> Iterator[tuple[Int64, Ranked]]:
    """For consecutive blocks of `users` (numbers of people, (n,)): the users of the block, and what ranks for them.

    `photos` and `people`: how many of each a person gets at most; of equal scores the lower number comes first.
    Coverage: the share of a person's neighbors, at most `max_neighbors` of them, who have favorites; 0 without any.
    """
    ones = np.ones(len(favorites.photo), dtype=np.int8)
    shape = (len(favorites.degree), len(favorites.owner))
    rows = sparse.csr_array((ones, favorites.photo, favorites.offsets), shape=shape)
    column = np.full(len(favorites.owner), -1, dtype=np.int32)
    for block in _blocks(favorites, hidden, users):
        yield block, _ranked(favorites, rows, hidden, block, column, photos, people, max_neighbors)


def _blocks(favorites: Favorites, hidden: Hidden, users: Int64) -> Iterator[Int64]:
    """`users` in runs within the two budgets: a run has at least one, whatever that one takes."""
    degree = favorites.degree
    dismissed = np.bincount(hidden.photos // max(len(favorites.owner), 1), minlength=len(degree))
    begin = 0
    entries = cells = 0
    for end, (first, last, more) in enumerate(
        zip(favorites.offsets[users], favorites.offsets[users + 1], dismissed[users], strict=True)
    ):
        # Favorites of one owner count that owner's favorites again: an upper bound is good enough here.
        here = int(degree[favorites.owner[favorites.photo[first:last]]].sum())
        marks = int(last - first + more)
        if end > begin and (entries + here > ENTRIES_AT_ONCE or (end - begin + 1) * (cells + marks) > CELLS_AT_ONCE):
            yield users[begin:end]
            begin, entries, cells = end, 0, 0
        entries, cells = entries + here, cells + marks
    if len(users):
        yield users[begin:]


def _ranked(
    favorites: Favorites,
    rows: sparse.csr_array,
    hidden: Hidden,
    block: Int64,
    column: Int32,
    photos: int,
    people: int,
    max_neighbors: int,
) -> Ranked:
    """One block. column: int32 (n_photos,), −1 everywhere, and left so."""
    n_people, n_photos = rows.shape
    mine = rows[block]
    place = np.repeat(np.arange(len(block)), np.diff(mine.indptr))
    pairs = _pairs(favorites, block, place, mine.indices, max_neighbors)
    dismissed_by, dismissed = _of_block(hidden.photos, block, n_photos)
    marked_photos = np.unique(np.concatenate([mine.indices, dismissed]))
    column[marked_photos] = np.arange(len(marked_photos))
    marks = np.zeros((len(block), len(marked_photos)), dtype=bool)
    marks[place, column[mine.indices]] = True

    theirs = rows[pairs.neighbor]
    common = _common(pairs, theirs.indptr, column[theirs.indices], marks)
    some = common > 0
    pair_place, neighbor, common = pairs.place[some], pairs.neighbor[some], common[some]
    scores = neighbor_scores(common.astype(np.float64), favorites.degree[neighbor].astype(np.float64))
    offsets = np.searchsorted(pair_place, np.arange(len(block) + 1))
    weights = sparse.csr_array((scores, np.arange(len(scores)), offsets), shape=(len(block), len(scores)))
    sums = weights @ theirs[np.flatnonzero(some)]

    marks[dismissed_by, column[dismissed]] = True
    user = np.repeat(np.arange(len(block)), np.diff(sums.indptr))
    at = column[sums.indices]
    column[marked_photos] = -1
    owner = favorites.owner[sums.indices]
    banned_by, banned = _of_block(hidden.people, block, n_people)
    shown = owner != block[user]
    known = np.flatnonzero(at >= 0)
    shown[known] &= ~marks[user[known], at[known]]
    shown &= ~_among(user * n_people + owner, banned_by * n_people + banned)
    followed_by, followed = _of_block(hidden.followed, block, n_people)
    pair = pair_place * n_people + neighbor
    free = ~_among(pair, banned_by * n_people + banned) & ~_among(pair, followed_by * n_people + followed)

    photo_offsets, best = _best_of_each(user[shown], sums.data[shown], sums.indices[shown], len(block), photos)
    people_offsets, closest = _best_of_each(pair_place[free], scores[free], neighbor[free], len(block), people)
    return Ranked(
        photo_offsets,
        sums.indices[shown][best],
        sums.data[shown][best],
        people_offsets,
        neighbor[free][closest].astype(np.int32),
        scores[free][closest],
        common[free][closest],
        pairs.coverage,
    )


def _pairs(favorites: Favorites, block: Int64, place: Int64, photo: Int32, max_neighbors: int) -> _Pairs:
    owner = favorites.owner[photo]
    apart = owner != block[place]
    key = np.sort(place[apart] * len(favorites.degree) + owner[apart])
    place, neighbor = np.divmod(key[starts(key)], len(favorites.degree))
    pulled = favorites.degree[neighbor] > 0
    wanted = np.minimum(np.bincount(place, minlength=len(block)), max_neighbors)
    known = np.minimum(np.bincount(place[pulled], minlength=len(block)), max_neighbors)
    coverage = np.divide(known, wanted, out=np.zeros(len(block)), where=wanted > 0)
    return _Pairs(place[pulled], neighbor[pulled], coverage)


def _common(pairs: _Pairs, offsets: Int32, column: Int32, marks: Bool) -> Int64:
    """Favorites in common of each pair, (n_pairs,): those of the neighbor, at `offsets`, that the person has marked.

    column: the place in `marks` of each of the neighbors' favorites, −1 of those that nobody in the block marked.
    """
    known = np.flatnonzero(column >= 0)
    pair = np.repeat(np.arange(len(pairs.place)), np.diff(np.searchsorted(known, offsets)))
    shared = marks[pairs.place[pair], column[known]]
    return np.bincount(pair[shared], minlength=len(pairs.place))


def _of_block(keys: Int64, block: Int64, n: int) -> tuple[Int64, Int64]:
    """The pairs of a block's people: the place in the block and the second number of each."""
    first, last = np.searchsorted(keys, block * n), np.searchsorted(keys, (block + 1) * n)
    place = np.repeat(np.arange(len(block)), last - first)
    behind = np.arange(len(place)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    return place, keys[first[place] + behind] % n


def _among(keys: Int64, wanted: Int64) -> Bool:
    """Which of `keys` occur in `wanted` (ascending)."""
    if not len(wanted):
        return np.zeros(len(keys), dtype=bool)
    found: Bool = wanted[np.minimum(np.searchsorted(wanted, keys), len(wanted) - 1)] == keys
    return found


def _best_of_each(
    group: Int64, scores: Float64, number: NDArray[np.integer], n_groups: int, n: int
) -> tuple[Int64, Int64]:
    """The places of the n highest scores of each group (ascending), highest first; of equal ones the lower number.

    Returns offsets (n_groups + 1,) and the places.
    """
    ends = np.searchsorted(group, np.arange(n_groups + 1))
    parts = [begin + _best(scores[begin:end], number[begin:end], n) for begin, end in pairwise(ends)]
    offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts], dtype=np.int64)))
    return offsets, np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _best(scores: Float64, number: NDArray[np.integer], n: int) -> Int64:
    if n == 0:
        return np.zeros(0, dtype=np.int64)
    places = np.arange(len(scores))
    if len(scores) > n:
        places = np.flatnonzero(scores >= np.partition(scores, len(scores) - n)[len(scores) - n])
    return places[np.lexsort((number[places], -scores[places]))][:n]
