"""The neighbor score: what the photographers a user likes have favorited, ranked before any model is trained.

A neighbor n of u is an owner of a photo in F(u), the favorites of u; score(n) = 150·√(|F(u) ∩ F(n)| / (|F(n)| + 250)),
and a photo's score is the sum over the neighbors who favorited it (Flexplore's formula). Here are tables and ids; the
ranking itself is `features/neighbor_ranking.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.arrays import Int64, flat, starts
from features.feature_tables import NEIGHBOR_CANDIDATES, NeighborCandidates
from features.neighbor_ranking import Favorites, Hidden, Int32, Ranked, neighbor_scores, ranked_blocks
from features.schema import TIMESTAMP

__all__ = [
    "Catalog",
    "Exclusions",
    "World",
    "candidate_tables",
    "candidates_of",
    "neighbor_candidates",
    "neighbor_candidates_for",
    "neighbor_scores",
    "photos_and_owners",
    "world_of",
]

ROWS_AT_ONCE = 250_000
"""Favorites whose ids are looked up together, at least; half as many as there are photos, where that is more."""


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
class Catalog:
    """Everybody and everything there is in favorites, by number: ids ascending, so that numbers order as ids do.

    people: string (n_people,), users with a favorite and owners of one; photos: string (n_photos,), favorites of
    somebody; owner: int32 (n_photos,), numbers of people.
    """

    people: pa.Array
    photos: pa.Array
    owner: Int32

    @staticmethod
    def of(users: pa.Array, photos: pa.Array, owners: pa.Array) -> Catalog:
        """users: distinct or not; photos: distinct, with the `owners` of each."""
        people = _ascending(pa.concat_arrays([users, owners]).unique())
        order = pc.sort_indices(photos)
        return Catalog(people, photos.take(order), _numbers(owners.take(order), people).astype(np.int32))


@dataclass(frozen=True)
class World:
    """Favorites and what must not be shown, by the numbers of a catalog."""

    catalog: Catalog
    favorites: Favorites
    hidden: Hidden


def photos_and_owners(favorites: pa.Table) -> tuple[pa.Array, pa.Array]:
    """The distinct photos of favorites (photo_id, owner_id), and the owner of each.

    Every row of a photo names the same owner: the smallest name makes the choice certain where a source errs.
    """
    owners = favorites.select(["photo_id", "owner_id"]).group_by("photo_id").aggregate([("owner_id", "min")])
    return flat(owners.column("photo_id")), flat(owners.column("owner_id_min"))


def _numbers(ids: pa.Array | pa.ChunkedArray, known: pa.Array) -> Int64:
    """The place of each id in `known`, −1 where it is not there; int64 (n,)."""
    return np.asarray(flat(pc.fill_null(pc.index_in(ids, known), -1)), dtype=np.int64)


def _ascending(ids: pa.Array) -> pa.Array:
    return ids.take(pc.sort_indices(ids))


def world_of(catalog: Catalog, parts: Iterable[tuple[pa.Table, Exclusions]]) -> World:
    """From favorites (user_id, photo_id) and exclusions, a part for some users each, in the order of their ids."""
    n_people, n_photos = len(catalog.people), len(catalog.photos)
    degree = np.zeros(n_people, dtype=np.int64)
    photos: list[Int32] = []
    hidden: tuple[list[Int64], list[Int64], list[Int64]] = ([], [], [])
    for favorites, excluded in _gathered(parts, max(ROWS_AT_ONCE, n_photos // 2)):
        user, photo = np.divmod(_keys(favorites, "photo_id", catalog.people, catalog.photos), max(n_photos, 1))
        degree += np.bincount(user, minlength=n_people)
        photos.append(photo.astype(np.int32))
        hidden[0].append(_keys(excluded.photos, "photo_id", catalog.people, catalog.photos))
        hidden[1].append(_keys(excluded.people, "owner_id", catalog.people, catalog.people))
        hidden[2].append(_keys(excluded.contacts, "owner_id", catalog.people, catalog.people))
    offsets = np.concatenate(([0], np.cumsum(degree)))
    return World(
        catalog,
        Favorites(offsets, np.concatenate(photos), catalog.owner),
        Hidden(*(np.concatenate(keys) for keys in hidden)),
    )


def _gathered(parts: Iterable[tuple[pa.Table, Exclusions]], rows: int) -> Iterator[tuple[pa.Table, Exclusions]]:
    """The same parts in fewer, of at least so many favorites each but for the last.

    Looking up ids costs a table of all that are known, each time: many rows have to share it.
    """
    held: list[tuple[pa.Table, Exclusions]] = []
    for favorites, excluded in parts:
        held.append((favorites.select(["user_id", "photo_id"]), excluded))
        if sum(table.num_rows for table, _ in held) >= rows:
            yield _together(held)
            held = []
    if held:
        yield _together(held)


def _together(parts: list[tuple[pa.Table, Exclusions]]) -> tuple[pa.Table, Exclusions]:
    def all_of(name: str, column: str) -> pa.Table:
        return pa.concat_tables([getattr(excluded, name).select(["user_id", column]) for _, excluded in parts])

    return pa.concat_tables([favorites for favorites, _ in parts]), Exclusions(
        all_of("photos", "photo_id"), all_of("people", "owner_id"), all_of("contacts", "owner_id")
    )


def _keys(pairs: pa.Table, column: str, people: pa.Array, ids: pa.Array) -> Int64:
    """The distinct known pairs (user_id, `column`), ascending: number of the user · len(ids) + number of the other."""
    user, other = _numbers(pairs.column("user_id"), people), _numbers(pairs.column(column), ids)
    keys = np.sort((user * len(ids) + other)[(user >= 0) & (other >= 0)])
    return keys[starts(keys)]


def candidate_tables(
    world: World, now: datetime, *, photos: int, people: int, max_neighbors: int, user_ids: pa.Array | None = None
) -> Iterator[pa.Table]:
    """The table `neighbor_candidates` of everybody with a favorite, or of `user_ids` only, some users at a time.

    `photos` and `people`: how many of each a row holds at most; of equal scores the lower id comes first. Coverage is
    the share of a user's neighbors, at most `max_neighbors` of them, whose favorites are known; 0 without neighbors.
    """
    degree = world.favorites.degree
    users = np.flatnonzero(degree)
    if user_ids is not None:
        users = np.asarray(pc.drop_null(pc.index_in(user_ids, world.catalog.people)), dtype=np.int64)
        users = users[degree[users] > 0]
    blocks = ranked_blocks(
        world.favorites, world.hidden, users, photos=photos, people=people, max_neighbors=max_neighbors
    )
    for block, ranked in blocks:
        yield _table(world.catalog, block, ranked, now)


def _table(catalog: Catalog, block: Int64, ranked: Ranked, now: datetime) -> pa.Table:
    moment = pa.repeat(pa.scalar(now, TIMESTAMP), len(block))
    columns = [
        catalog.people.take(pa.array(block)),
        _as_lists(ranked.photo_offsets, catalog.photos.take(pa.array(ranked.photos))),
        _as_lists(ranked.photo_offsets, catalog.people.take(pa.array(catalog.owner[ranked.photos]))),
        _as_lists(ranked.photo_offsets, pa.array(ranked.photo_scores)),
        _as_lists(ranked.people_offsets, catalog.people.take(pa.array(ranked.people))),
        _as_lists(ranked.people_offsets, pa.array(ranked.people_scores)),
        _as_lists(ranked.people_offsets, pa.array(ranked.common)),
        pa.array(ranked.coverage),
        moment,
        moment,
    ]
    return pa.Table.from_arrays(columns, schema=NEIGHBOR_CANDIDATES.schema)


def _as_lists(offsets: Int64, values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


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
    """The same in one table, from favorites in memory.

    favorites: user_id, photo_id, owner_id, one row each, of the users and of those neighbors who were pulled.
    """
    catalog = Catalog.of(flat(favorites.column("user_id")), *photos_and_owners(favorites))
    tables = candidate_tables(
        world_of(catalog, [(favorites, excluded)]),
        now,
        photos=photos,
        people=people,
        max_neighbors=max_neighbors,
        user_ids=user_ids,
    )
    return pa.concat_tables([NEIGHBOR_CANDIDATES.schema.empty_table(), *tables])


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
