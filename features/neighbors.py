"""The neighbor score: what the photographers a user likes have favorited, ranked before any model is trained.

A neighbor n of u is an owner of a photo in F(u), the favorites of u; score(n) = 150·√(|F(u) ∩ F(n)| / (|F(n)| + 250)),
and a photo's score is the sum over the neighbors who favorited it (Flexplore's formula).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from features.arrays import Float64, Int64, flat
from features.feature_tables import NEIGHBOR_CANDIDATES, NeighborCandidates
from features.schema import TIMESTAMP

CELLS_AT_ONCE = 4_000_000
"""Scores (float64) held at a time: users are taken in chunks so that one chunk's stay below it."""


def neighbor_scores(common: Float64, favorites: Float64) -> Float64:
    """score(n), elementwise: from the favorites that u and n have in common and all favorites of n; any one shape."""
    return np.asarray(150.0 * np.sqrt(common / (favorites + 250.0)), dtype=np.float64)


@dataclass(frozen=True)
class Exclusions:
    """What must not be a candidate, as tables: photos (user_id, photo_id), people and contacts (user_id, owner_id).

    A user's own photos and the favorites themselves are left out anyway. Photos of dismissed people are no candidates;
    contacts are none among the people, as they are followed already.
    """

    photos: pa.Table
    people: pa.Table
    contacts: pa.Table


@dataclass(frozen=True)
class _World:
    """Favorites as sparse matrices over one numbering of people (owners and users) and one of photos."""

    people: pa.Array  # (n_people,)
    photos: pa.Array  # (n_photos,)
    owner: Int64  # (n_photos,) people's numbers
    favorites: sparse.csr_array  # (n_people, n_photos), 1.0 where a favorite
    neighbors: sparse.csr_array  # (n_people, n_people), 1.0 where the column owns a favorite of the row
    own: sparse.csr_array  # (n_people, n_photos), 1.0 where the row owns the photo
    degree: Float64  # (n_people,) favorites of each


def _world(favorites: pa.Table) -> _World:
    users, owners = flat(favorites.column("user_id")), flat(favorites.column("owner_id"))
    both = pa.concat_arrays([users, owners]).dictionary_encode()
    person = np.asarray(both.indices, dtype=np.int64)
    user, owner = person[: len(users)], person[len(users) :]
    encoded = flat(favorites.column("photo_id")).dictionary_encode()
    photo = np.asarray(encoded.indices, dtype=np.int64)
    owner_of = np.zeros(len(encoded.dictionary), dtype=np.int64)
    owner_of[photo] = owner
    people, photos = len(both.dictionary), len(encoded.dictionary)
    matrix = _ones(user, photo, (people, photos))
    apart = user != owner
    return _World(
        people=both.dictionary,
        photos=encoded.dictionary,
        owner=owner_of,
        favorites=matrix,
        neighbors=_ones(user[apart], owner[apart], (people, people)),
        own=_ones(owner_of, np.arange(photos), (people, photos)),
        degree=np.diff(matrix.indptr).astype(np.float64),
    )


def _ones(row: Int64, column: Int64, shape: tuple[int, int]) -> sparse.csr_array:
    """1.0 wherever (row, column) occurs, however often; pairs with a negative number are left out."""
    known = (row >= 0) & (column >= 0)
    matrix = sparse.csr_array((np.ones(int(known.sum())), (row[known], column[known])), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def _pairs(world: _World, pairs: pa.Table, column: str, ids: pa.Array) -> sparse.csr_array:
    def numbers(values: pa.ChunkedArray, known: pa.Array) -> Int64:
        return np.asarray(flat(pc.fill_null(pc.index_in(values, known), -1)), dtype=np.int64)

    row, other = numbers(pairs.column("user_id"), world.people), numbers(pairs.column(column), ids)
    return _ones(row, other, (len(world.people), len(ids)))


def neighbor_candidates(
    favorites: pa.Table,
    excluded: Exclusions,
    now: datetime,
    *,
    photos: int,
    people: int,
    max_neighbors: int,
    user_ids: pa.Array | None = None,
) -> pa.Table:
    """The table `neighbor_candidates` of everybody with a favorite, or of `user_ids` only.

    favorites: user_id, photo_id, owner_id, one row each, of the users and of those neighbors who were pulled.
    `photos` and `people`: how many of each a row holds at most. Coverage is the share of a user's neighbors, at most
    `max_neighbors` of them, whose favorites are known; 0 without neighbors.
    """
    world = _world(favorites)
    users = np.flatnonzero(world.degree)
    if user_ids is not None:
        users = np.asarray(pc.drop_null(pc.index_in(user_ids, world.people)), dtype=np.int64)
        users = users[world.degree[users] > 0]
    parts = list(_chunks(world, excluded, users, photos, people))
    known = (world.degree > 0).astype(np.float64)
    wanted = np.minimum(np.diff(world.neighbors.indptr), max_neighbors)
    pulled = np.minimum(world.neighbors @ known, max_neighbors)
    coverage = np.divide(pulled, wanted, out=np.zeros(len(known)), where=wanted > 0)
    photo_rows, photo_scores, person_rows, person_scores, common = (_joined(parts, i) for i in range(5))
    moment = pa.repeat(pa.scalar(now, TIMESTAMP), len(users))
    columns = [
        world.people.take(pa.array(users)),
        _as_lists(photo_rows, world.photos),
        _as_lists((photo_rows[0], world.owner[photo_rows[1]]), world.people),
        _as_lists(photo_scores),
        _as_lists(person_rows, world.people),
        _as_lists(person_scores),
        _as_lists(common),
        pa.array(coverage[users]),
        moment,
        moment,
    ]
    return pa.Table.from_arrays(columns, schema=NEIGHBOR_CANDIDATES.schema)


_Ranked = tuple[list[Int64], list[Float64], list[Int64], list[Float64], list[Int64]]


def _chunks(world: _World, excluded: Exclusions, users: Int64, photos: int, people: int) -> Iterator[_Ranked]:
    """For each chunk of users: photo rows and scores, people rows, scores and common favorites; a list a user each."""
    gone_photos = _pairs(world, excluded.photos, "photo_id", world.photos)
    gone_people = _pairs(world, excluded.people, "owner_id", world.people)
    followed = _pairs(world, excluded.contacts, "owner_id", world.people)
    transposed = world.favorites.T.tocsr()
    step = max(1, CELLS_AT_ONCE // max(len(world.photos), len(world.people), 1))
    for begin in range(0, len(users), step):
        chunk = users[begin : begin + step]
        mine = world.favorites[chunk]
        common = (mine @ transposed).multiply(world.neighbors[chunk]).tocsr()
        weights = common.copy()
        weights.data = neighbor_scores(common.data, world.degree[common.indices])
        photo_scores = (weights @ world.favorites).toarray()
        hidden = mine + gone_photos[chunk] + gone_people[chunk] @ world.own + world.own[chunk]
        photo_scores[hidden.nonzero()] = 0.0
        person_scores = weights.toarray()
        person_scores[(gone_people[chunk] + followed[chunk]).nonzero()] = 0.0
        counts = common.toarray()
        photo_rows = [_best(row, photos) for row in photo_scores]
        person_rows = [_best(row, people) for row in person_scores]
        yield (
            photo_rows,
            [row[best] for row, best in zip(photo_scores, photo_rows, strict=True)],
            person_rows,
            [row[best] for row, best in zip(person_scores, person_rows, strict=True)],
            [row[best].astype(np.int64) for row, best in zip(counts, person_rows, strict=True)],
        )


def _best(scores: Float64, n: int) -> Int64:
    """The places of the n highest positive scores, highest first; of equal ones the lower place."""
    if n == 0:
        return np.array([], dtype=np.int64)
    if len(scores) > n:
        bar = np.partition(scores, len(scores) - n)[len(scores) - n]
        places = np.flatnonzero((scores >= bar) & (scores > 0))
    else:
        places = np.flatnonzero(scores > 0)
    return places[np.argsort(-scores[places], kind="stable")][:n]


def _joined(parts: list[_Ranked], which: int) -> tuple[Int64, Any]:
    """Offsets (n_users + 1,) and values of one of the lists over all chunks."""
    rows = [row for part in parts for row in part[which]]
    offsets = np.concatenate(([0], np.cumsum([len(row) for row in rows], dtype=np.int64)))
    return offsets, np.concatenate(rows) if rows else np.array([], dtype=np.int64)


def _as_lists(lists: tuple[Int64, Any], names: pa.Array | None = None) -> pa.Array:
    values = pa.array(lists[1]) if names is None else names.take(pa.array(lists[1]))
    return pa.ListArray.from_arrays(pa.array(lists[0], pa.int32()), values)


def candidates_of(rows: pa.Table) -> list[NeighborCandidates]:
    """The rows of a table `neighbor_candidates`, one by one."""
    lists = [name for name in NEIGHBOR_CANDIDATES.features if name != "coverage"]
    return [
        NeighborCandidates(
            user_id=row["user_id"],
            **{name: tuple(row[name]) for name in lists},
            coverage=row["coverage"],
            updated_at=row["event_timestamp"],
        )
        for row in rows.to_pylist()
    ]


def neighbor_candidates_for(
    user_id: str,
    favorites: pa.Table,
    *,
    dismissed_photos: Collection[str] = (),
    dismissed_people: Collection[str] = (),
    contacts: Collection[str] = (),
    photos: int = 500,
    people: int = 50,
    max_neighbors: int = 300,
    coverage: float | None = None,
    now: datetime | None = None,
) -> NeighborCandidates:
    """The candidates of one user, from the favorites of the user and of the neighbors pulled so far.

    favorites: user_id, photo_id, owner_id. `coverage` overrules the share counted from `favorites` (a worker knows of
    neighbors who were pulled and have no favorite). Without favorites: no candidates, coverage 0.
    """

    def table(column: str, ids: Collection[str]) -> pa.Table:
        return pa.table(
            {"user_id": pa.array([user_id] * len(ids), pa.string()), column: pa.array(list(ids), pa.string())}
        )

    moment = now or datetime.now(UTC)
    excluded = Exclusions(
        table("photo_id", dismissed_photos), table("owner_id", dismissed_people), table("owner_id", contacts)
    )
    rows = neighbor_candidates(
        favorites,
        excluded,
        moment,
        photos=photos,
        people=people,
        max_neighbors=max_neighbors,
        user_ids=pa.array([user_id]),
    )
    found = candidates_of(rows)
    result = found[0] if found else NeighborCandidates(user_id, (), (), (), (), (), (), 0.0, moment)
    if coverage is None:
        return result
    return NeighborCandidates(**{**vars(result), "coverage": coverage})
