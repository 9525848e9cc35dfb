"""What `second_stage` knows of users and candidates at a cut, as features; apart from how it learns and judges.

Everything comes from the log up to the cut, but follows, of which nobody knows when they began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse
from numpy.typing import NDArray

from features.histories import photo_popularity, user_activity
from features.schema import TIMESTAMP
from pipelines.sandbox.world import World
from training.catalog import row_of_each
from training.evaluation.holdout import holdout_of_split
from training.evaluation.numbering import Holdout
from training.from_lake import Split, utc
from training.models.blend import Blend, compressed
from training.retrieval import top_rows

CANDIDATES = 200
BATCH = 64
OF_PHOTO = ("age_days", "favorites_7d", "favorites_30d", "favorites_365d", "trend")
OF_USER = ("favorites", "neighbors", "days_since_favorite")
OF_PAIR = ("owner_favorites", "owner_share", "follows_owner", "contacts_who_favorited")
COUNTS = (*OF_PHOTO[1:4], "owner_favorites", "contacts_who_favorited")


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Known:
    """What is known at a split's cut. photos: float64 (n_photos, len(OF_PHOTO)); users: (n_asked, len(OF_USER)).

    The counts come from the functions that fill Feast's tables `photo_popularity` and `user_activity`, asked as of the
    cut: the rows that a point-in-time join at that moment finds. Owners and contacts are in no table by pair.
    """

    holdout: Holdout
    photos: Floats
    users: Floats
    owners: NDArray[np.int64]
    owner_users: NDArray[np.int64]
    favorites: scipy.sparse.csr_matrix

    @classmethod
    def at(cls, world: World, log: pa.Table, follows: pa.Table, split: Split) -> Known:
        cut, train, holdout = utc(split.cut), split.train, holdout_of_split(split)
        before = log.filter(pc.less_equal(log.column("event_timestamp"), pa.scalar(cut, TIMESTAMP)))
        uploaded = pa.array(world.photo_uploaded_at * 1_000_000, pa.int64()).cast(TIMESTAMP)
        shown = pa.table({"photo_id": pa.array(world.photo_ids), "uploaded_at": uploaded})
        popularity = photo_popularity(before, shown, cut, 0)
        places = row_of_each(np.array(popularity.column("photo_id").to_pylist(), object), train.catalog.photo_ids)
        counts = [_column(popularity, name, places) for name in OF_PHOTO[1:4]]
        age = (split.cut - _column(popularity, "uploaded_at", places) / 1e6) / 86_400
        trend = np.log((counts[0] + 1) / (counts[1] * 7 / 30 + 1))
        activity = user_activity(before, _followed_since_ever(follows, cut), cut, 0)
        asked = row_of_each(np.array(activity.column("user_id").to_pylist(), object), holdout.user_ids)
        last = (split.cut - _column(activity, "last_favorite_at", asked) / 1e6) / 86_400
        ones = np.ones(len(train.favorites), dtype=np.float32)
        shape = (train.n_users, train.n_photos)
        return cls(
            holdout=holdout,
            photos=np.stack([age, *counts, trend], axis=1),
            users=np.stack([*(_column(activity, name, asked) for name in OF_USER[:2]), last], axis=1),
            owners=np.unique(train.catalog.owner_ids[:].astype(str), return_inverse=True)[1],
            owner_users=row_of_each(train.user_ids, train.catalog.owner_ids),
            favorites=scipy.sparse.csr_matrix((ones, (train.favorites.users, train.favorites.photos)), shape),
        )

    def features(self, user: int, rows: NDArray[np.int64], scores: Floats) -> Floats:
        """float64 (len(rows), n_features) of a user and candidates; scores: (m, len(rows)), compressed."""
        histories = self.holdout.histories[user : user + 1]
        liked = self.owners[histories.photo_rows[histories.positive]]
        of_owner = np.bincount(liked, minlength=int(self.owners.max()) + 1)[self.owners[rows]]
        by_contacts = np.asarray(self.favorites[histories.contacts].sum(axis=0)).ravel()[rows]
        follows = np.isin(self.owner_users[rows], histories.contacts)
        pair = [of_owner, of_owner / max(len(liked), 1), follows, by_contacts]
        places = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
        own = np.broadcast_to(self.users[user], (len(rows), len(OF_USER)))
        return np.column_stack([scores.T, places.T, self.photos[rows], own, *pair])


@dataclass(frozen=True)
class Candidates:
    """Of each asked user the candidate rows, their features, and which of them are to be found."""

    rows: list[NDArray[np.int64]]
    features: list[Floats]
    relevant: list[NDArray[np.bool_]]


def as_logs(features: Floats, names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.float32]:
    """float32 (len(wanted), n): the wanted of the named features as a sum wants them, the more the better.

    Counts as log(1 + n), and so the share of the owner, in percent; the age as its negative; scores are compressed so.
    """
    found = []
    for name in wanted:
        column = np.nan_to_num(features[:, names.index(name)])
        if name == "age_days":
            column = -np.log1p(np.maximum(column, 0))
        elif name == "owner_share":
            column = np.log1p(100 * column)
        elif name in COUNTS:
            column = np.log1p(column)
        found.append(column)
    return np.array(found, dtype=np.float32)


def _column(table: pa.Table, name: str, places: NDArray[np.int64]) -> Floats:
    column = table.column(name)
    values = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    found: Floats = np.append(values.to_numpy().astype(np.float64), np.nan)[places]
    return found


def _followed_since_ever(follows: pa.Table, cut: datetime) -> pa.Table:
    """The world does not say when somebody was followed, as Flickr does not: all follows hold at every cut."""
    moments = pa.repeat(pa.scalar(cut - timedelta(days=1), TIMESTAMP), follows.num_rows)
    columns = {"kind": pa.repeat("follow", follows.num_rows), "event_timestamp": moments, "created_timestamp": moments}
    return pa.table({**{name: follows.column(name) for name in follows.column_names}, **columns})


def each_user(blend: Blend, known: Known) -> Iterator[tuple[int, Floats, NDArray[np.float32]]]:
    """(user, compressed scores (m, n_photos), the blend's scores (n_photos,)) of every asked user."""
    holdout = known.holdout
    for start in range(0, len(holdout), BATCH):
        histories = holdout.histories[start : start + BATCH]
        parts = np.stack([compressed(one.model.scores(histories), one.unit) for one in blend.components])
        blended = np.tensordot(np.array([one.weight for one in blend.components], dtype=np.float32), parts, 1)
        for place in range(len(histories)):
            yield start + place, parts[:, place], blended[place]


def best_of_each(known: Known, user: int, parts: Floats, blended: NDArray[np.float32]) -> NDArray[np.int64]:
    """The CANDIDATES best photos of the blend and of each component, together, ascending."""
    hidden = known.holdout.hidden[user]
    return np.unique(np.concatenate([top_rows(one, CANDIDATES, hidden)[0] for one in (blended, *parts)]))


def candidates_of(blend: Blend, known: Known) -> Candidates:
    """Of every asked user."""
    found = Candidates([], [], [])
    for user, parts, blended in each_user(blend, known):
        rows = best_of_each(known, user, parts, blended)
        found.rows.append(rows)
        found.features.append(known.features(user, rows, np.vstack([blended, parts])[:, rows]))
        found.relevant.append(np.isin(rows, known.holdout.relevant_rows[user]))
    return found
