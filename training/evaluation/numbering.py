"""Pairs of ids as numbered interactions, and held-out pairs as whom to ask and what should be found.

Users and items get the numbers that the lake's would have (training/from_lake.py), so that every model runs on any
file.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from training.catalog import Catalog, Ids, row_of_each
from training.evaluation.files import Follows, Pairs
from training.evaluation.ids import comparable, numbered, objects
from training.interactions import NOBODY, Contacts, Events, Histories, Interactions, dismissals_beside
from training.keys import Rows, among, distinct, newest_of_each


@dataclass(frozen=True)
class Holdout:
    """n users who are asked, what is known of them, and the items that should be found.

    user_ids: (n,), ascending. histories: of n, empty for a user unknown to `train` (who may have contacts).
    relevant_rows: n arrays int32, ascending catalog rows of the user's test items. relevant: int64 (n,), ≥ 1, how many
    distinct test items the user has, those included that the catalog does not hold. hidden: n arrays int64, ascending
    rows that are never listed: the history's, and the user's own where owners are known. absent_users int64 (m,),
    absent_items (m,): the test items that the catalog does not hold, and the place in `user_ids` of whose they are.
    notes: what was left out.
    """

    train: Interactions
    user_ids: Ids
    histories: Histories
    relevant_rows: list[NDArray[np.int32]]
    relevant: Rows
    hidden: list[Rows]
    absent_users: Rows
    absent_items: Ids
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.user_ids)

    @property
    def n_photos(self) -> int:
        return self.train.n_photos


def interactions_of(pairs: Pairs, contacts: Follows | None = None) -> Interactions:
    """Numbered interactions: repeats of a pair become one with its newest time, and a favorite beats a dismissal.

    Users and items without a favorite are left out, and with them their dismissals. Users are numbered by id, items
    by favorites (most first), then id. Ids are Python scalars; an unknown owner is "". An item with several owners
    has the smallest.
    """
    users, whose = numbered(pairs.users)
    items, which = numbered(pairs.items)
    keys, times = whose * len(items) + which, pairs.times
    liked, disliked = pairs.favorites, pairs.dismissals
    faved, faved_at = newest_of_each(keys[liked], times[liked])
    dismissed, dismissed_at = keys[disliked], times[disliked]
    if len(dismissed):
        dismissed, dismissed_at = dismissals_beside(faved, dismissed, dismissed_at)

    degrees = np.bincount(faved % max(len(items), 1), minlength=len(items))
    catalog_order = np.argsort(-degrees, kind="stable")[: np.count_nonzero(degrees)]
    active = np.flatnonzero(np.bincount(faved // max(len(items), 1), minlength=len(users)))
    photo_rows, user_rows = _places(catalog_order, len(items)), _places(active, len(users))

    def events(keys: Rows, times: Rows) -> Events:
        user, photo = user_rows[keys // max(len(items), 1)], photo_rows[keys % max(len(items), 1)]
        known = (user >= 0) & (photo >= 0)
        renumbered = user[known] * len(catalog_order) + photo[known]
        order = np.argsort(renumbered)
        return Events.of_keys(renumbered[order], times[known][order], max(len(catalog_order), 1))

    favorites, dismissals = events(faved, faved_at), events(dismissed, dismissed_at)
    owner_ids = np.full(len(items), "", dtype=object)
    if pairs.owners is not None:
        owners = pa.table({"item": which, "owner": comparable(pairs.owners)}).group_by("item")
        found = owners.aggregate([("owner", "min")]).drop_null()
        owner_ids[found.column("item").to_numpy()] = objects(found.column("owner_min").combine_chunks())
    result = Interactions(
        user_ids=objects(users.take(pa.array(active))),
        catalog=Catalog(objects(items.take(pa.array(catalog_order))), owner_ids[catalog_order]),
        favorites=favorites,
        dismissals=dismissals,
        data_until=max((int(found.times.max()) for found in (favorites, dismissals) if len(found)), default=0),
    )
    if contacts is None:
        return result
    followers, followed = (_rows_of(result.user_ids, ids) for ids in (contacts.followers, contacts.followed))
    return replace(result, contacts=Contacts.of(followers, followed, result.n_users))


def holdout_of(train: Interactions, test: Pairs, contacts: Follows | None = None) -> Holdout:
    """Whom to ask and what should be found: the favorites of `test` that `train` does not have.

    Left out, and noted: dismissals in the test part, pairs of which training says something, and users who have no
    other. Nobody may be left (length 0). `contacts` adds those of users whom training does not know.
    """
    favored = test.where(test.favorites)
    users, whose = numbered(favored.users)
    items, which = numbered(favored.items)
    keys = distinct(whose * len(items) + which)
    whose, which = keys // max(len(items), 1), keys % max(len(items), 1)
    user_rows, photo_rows = row_of_each(train.user_ids, objects(users)), train.catalog.rows(objects(items))
    known = (user_rows[whose] >= 0) & (photo_rows[which] >= 0)
    pairs = np.where(known, user_rows[whose] * train.n_photos + photo_rows[which], -1)
    seen = among(pairs, _keys(train.favorites, train)) | among(pairs, _keys(train.dismissals, train))
    asked, place = np.unique(whose[~seen], return_inverse=True)
    which = which[~seen]
    listed = photo_rows[which] >= 0
    user_ids, rows = objects(users.take(pa.array(asked))), user_rows[asked]

    histories = train.histories(rows)
    if contacts is not None:
        followers, followed = _rows_of(user_ids, contacts.followers), _rows_of(train.user_ids, contacts.followed)
        both = (followers >= 0) & (followed >= 0)
        lists = per_user(followers[both], followed[both].astype(np.int32), len(asked))
        indptr = np.cumsum([0, *map(len, lists)])
        histories = replace(histories, contact_indptr=indptr, contacts=np.concatenate([NOBODY, *lists]))
    hidden, hidden_of = histories.photo_rows.astype(np.int64), histories.users
    if train.has_owners:
        own, owner = train.catalog.rows_of_owners(user_ids)
        hidden, hidden_of = np.concatenate([hidden, own]), np.concatenate([hidden_of, owner])
    return Holdout(
        train=train,
        user_ids=user_ids,
        histories=histories,
        relevant_rows=per_user(place[listed], photo_rows[which[listed]].astype(np.int32), len(asked)),
        relevant=np.bincount(place, minlength=len(asked)),
        hidden=per_user(hidden_of, hidden, len(asked)),
        absent_users=place[~listed],
        absent_items=objects(items.take(pa.array(which[~listed]))),
        notes=tuple(
            f"{count} {what}"
            for count, what in (
                (int(np.count_nonzero(test.dismissals)), "dismissals were left out: they are nothing to be found"),
                (int(seen.sum()), "pairs are also in the training part, and were left out"),
                (len(users) - len(asked), "users were left out, all of whose pairs are in the training part"),
                (int((rows < 0).sum()), "users are not in the training part: nothing is known of them"),
                (int((~listed).sum()), "pairs are with items that are not in the training part: they count as missed"),
            )
            if count
        ),
    )


def _rows_of(ids: Ids, column: pa.Array) -> Rows:
    """Each id's place in `ids`, −1 where it is not there."""
    distinct, which = numbered(column)
    rows: Rows = row_of_each(ids, objects(distinct))[which]
    return rows


def _places(order: Rows, n: int) -> Rows:
    """The place of each of n numbers in `order`, −1 for those that it leaves out."""
    places = np.full(n, -1, dtype=np.int64)
    places[order] = np.arange(len(order))
    return places


def _keys(events: Events, train: Interactions) -> Rows:
    return events.users.astype(np.int64) * train.n_photos + events.photos


def per_user(whose: Rows, values: NDArray[np.integer[Any]], n: int) -> list[NDArray[Any]]:
    """The distinct values (≥ 0) of each of n users, ascending; `whose` int64 (m,) says whose each value is."""
    span = int(values.max(initial=0)) + 1
    keys = distinct(whose * span + values)
    found = (keys % span).astype(values.dtype)
    bounds = np.searchsorted(keys, np.arange(n + 1) * span)
    return [found[start:stop] for start, stop in itertools.pairwise(bounds)]
