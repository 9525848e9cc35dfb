"""Features with a history: how a user's and a photo's counts changed from day to day, vectorized over the whole lake.

A row says what held at the end of a UTC day and carries that moment as its `event_timestamp` (the running day: the
moment of the build), so that a point-in-time join never sees what happened after the time it asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.arrays import Int64, codes, flat, starts
from features.feature_tables import PHOTO_POPULARITY, USER_ACTIVITY
from features.schema import TIMESTAMP, Kind
from features.state import ORDER

DAY = 86_400_000_000
"""Microseconds of a day."""
WINDOWS = {"favorites_7d": 7, "favorites_30d": 30, "favorites_365d": 365}


@dataclass(frozen=True)
class Spans:
    """When something held: `key[i]` from day `start[i]` on, up to but not with day `end[i]` (int64, days since 1970).

    A fact that starts and ends on one day is in no span: no end of a day saw it.
    """

    key: Int64
    start: Int64
    end: Int64


@dataclass(frozen=True)
class Facts:
    """Spans of n facts, with what they are about: `user`, `subject` (photo or person) and `owner` as strings (n,).

    `began`: the exact moment each began (int64, microseconds).
    """

    user: pa.Array
    subject: pa.Array
    owner: pa.Array
    began: Int64
    start: Int64
    end: Int64


FOREVER = np.iinfo(np.int64).max // DAY


def facts(rows: pa.Table, positive: str, negative: str, subject: str, owner: str, now: datetime) -> Facts:
    """From log rows to facts: on each (user_id, `subject`), from a `positive` row to the next `negative` one.

    Rows after `now` are left out. Repeats (a favorite that is one already) prolong nothing and begin nothing.
    """
    kinds = pc.is_in(rows.column("kind"), pa.array([positive, negative]))
    in_time = pc.less_equal(rows.column("event_timestamp"), pa.scalar(now, TIMESTAMP))
    rows = rows.filter(pc.and_(kinds, in_time))
    users, subjects = codes(rows.column("user_id")), codes(rows.column(subject))
    times, created = (rows.column(name).cast(pa.int64()).to_numpy() for name in ORDER)
    index = np.lexsort((created, times, subjects, users))
    group = starts(users[index], subjects[index])
    holds = pc.equal(rows.column("kind"), positive).to_numpy()[index]
    before = np.concatenate(([False], holds[:-1])) & ~group
    begins = np.flatnonzero(holds & ~before)
    ends = np.flatnonzero(~holds & before)
    # A fact ends at the first end after its begin, if that comes before the next begin; otherwise it holds on.
    following = np.searchsorted(ends, begins)
    next_begin = np.append(begins[1:], len(index))
    candidate = np.append(ends, len(index))[following]
    ended = candidate < next_begin
    moments = times[index]
    start = moments[begins] // DAY
    end = np.where(ended, np.append(moments, 0)[candidate] // DAY, FOREVER)
    source = rows.take(pa.array(index[begins]))
    return Facts(
        user=flat(source.column("user_id")),
        subject=flat(source.column(subject)),
        owner=flat(source.column(owner)),
        began=moments[begins],
        start=start,
        end=end,
    )


def counts_by_day(measures: Sequence[Spans], first: int, last: int) -> tuple[Int64, Int64, Int64]:
    """How many spans of each measure cover each key, day by day, told only where a count changes.

    Arguments: m measures over the same keys; the first and the last day wanted.
    Returns keys (n,), days (n,), counts (n, m), sorted by key and day: for each key with any span by then, its counts
    on day `first` (what came before is summed up there), then a row for each later day, up to `last`, on which one
    changed.
    """
    key = np.concatenate([part for spans in measures for part in (spans.key, spans.key)])
    day = np.concatenate([part for spans in measures for part in (spans.start, spans.end)])
    measure = np.concatenate([np.full(2 * len(spans.key), i) for i, spans in enumerate(measures)])
    delta = np.concatenate([part for s in measures for part in (np.ones(len(s.key)), -np.ones(len(s.key)))])
    wanted = day <= last
    key, day, measure, delta = key[wanted], np.maximum(day[wanted], first), measure[wanted], delta[wanted]
    index = np.argsort(key * (last - first + 1) + (day - first))
    key, day, measure, delta = key[index], day[index], measure[index], delta[index]
    rows = starts(key, day)
    row = np.cumsum(rows) - 1
    changes = np.zeros((int(rows.sum()), len(measures)), dtype=np.int64)
    np.add.at(changes, (row, measure), delta.astype(np.int64))
    keys, days = key[rows], day[rows]
    counts = np.cumsum(changes, axis=0)
    groups = np.flatnonzero(starts(keys))
    if len(groups):
        base = np.vstack((np.zeros((1, len(measures)), dtype=np.int64), counts))[groups]
        counts -= np.repeat(base, np.diff(np.append(groups, len(keys))), axis=0)
    changed = np.any(changes != 0, axis=1)
    changed[groups] = True
    return keys[changed], days[changed], counts[changed]


def _moments(days: Int64, now: datetime) -> pa.Array:
    """The end of each day, but not after `now`."""
    present = int(now.timestamp() * 1_000_000)
    return pa.array(np.minimum((days + 1) * DAY, present), pa.int64()).cast(TIMESTAMP)


def _days(now: datetime, history_days: int) -> tuple[int, int]:
    today = int(now.astimezone(UTC).timestamp() // 86_400)
    return today - history_days, today


def user_activity(interactions: pa.Table, contacts: pa.Table, now: datetime, history_days: int) -> pa.Table:
    """The table `user_activity`, from the log rows of `interactions` and `contacts` (any users, repeats allowed)."""
    favorites = facts(interactions, Kind.FAVORITE, Kind.UNFAVORITE, "photo_id", "owner_id", now)
    photos = facts(interactions, Kind.DISMISS_PHOTO, Kind.UNDISMISS_PHOTO, "photo_id", "owner_id", now)
    people = facts(interactions, Kind.DISMISS_USER, Kind.UNDISMISS_USER, "owner_id", "owner_id", now)
    followed = facts(contacts, "follow", "unfollow", "contact_id", "contact_id", now)
    groups = (favorites, photos, people, followed)
    encoded = pa.concat_arrays([group.user for group in groups]).dictionary_encode()
    users = np.split(np.asarray(encoded.indices, dtype=np.int64), np.cumsum([len(group.user) for group in groups])[:-1])
    neighbor_user, neighbor = neighbor_spans(users[0], favorites)
    dismissals = Spans(
        np.concatenate((users[1], users[2])),
        np.concatenate((photos.start, people.start)),
        np.concatenate((photos.end, people.end)),
    )
    measures = [
        Spans(users[0], favorites.start, favorites.end),
        dismissals,
        Spans(users[3], followed.start, followed.end),
        Spans(neighbor_user, neighbor.start, neighbor.end),
        Spans(users[0], favorites.start, np.full_like(favorites.start, FOREVER)),  # changes with last_favorite_at
    ]
    keys, days, counts = counts_by_day(measures, *_days(now, history_days))
    moments = _moments(days, now)
    return pa.table(
        {
            "user_id": encoded.dictionary.take(pa.array(keys)),
            **dict(zip(("favorites", "dismissals", "contacts", "neighbors"), counts.T[:4], strict=True)),
            "last_favorite_at": last_before(users[0], favorites.began, keys, moments),
            "event_timestamp": moments,
            "created_timestamp": pa.repeat(pa.scalar(now, TIMESTAMP), len(keys)),
        },
        schema=USER_ACTIVITY.schema,
    )


def neighbor_spans(user: Int64, favorites: Facts) -> tuple[Int64, Spans]:
    """For how long each owner was a neighbor: while at least one of the owner's photos was a favorite.

    Returns the user of each span (int64, as in `user`) and the spans, keyed by pair. A user's own photos make none.
    """
    apart = pc.not_equal(favorites.user, favorites.owner).to_numpy(zero_copy_only=False)
    user, owner = user[apart], codes(favorites.owner)[apart]
    pair = user * (int(owner.max(initial=0)) + 1) + owner
    spans = Spans(pair, favorites.start[apart], favorites.end[apart])
    index = np.lexsort((spans.start, spans.key))
    key, start, end = spans.key[index], spans.start[index], spans.end[index]
    # The union of a pair's spans: a new one begins where no earlier one of the pair reaches. An offset that grows from
    # pair to pair keeps them apart, so that one running maximum serves all.
    beyond = max(int(start.max(initial=0)), int(end[end < FOREVER].max(initial=0))) + 1
    offset = np.cumsum(starts(key)) * (beyond + 1)
    reach = np.maximum.accumulate(np.minimum(end, beyond) + offset)
    begins = starts(key)
    begins[1:] |= start[1:] + offset[1:] > reach[:-1]
    last = np.flatnonzero(np.append(begins[1:], True)) if len(key) else np.array([], dtype=np.int64)
    united = reach[last] - offset[last]
    return user[index][begins], Spans(key[begins], start[begins], np.where(united == beyond, FOREVER, united))


def last_before(user: Int64, began: Int64, keys: Int64, moments: pa.Array) -> pa.Array:
    """The newest of the times `began` of each asked user, up to and including the asked moment; null when none.

    user, began: (n,), the events; keys: (m,) users and moments: (m,) timestamps, the questions. Returns (m,) moments.
    """
    asked = moments.cast(pa.int64()).to_numpy()
    index = np.lexsort((began, user))
    user, began = user[index], began[index]
    event = np.concatenate((np.zeros(len(user), dtype=np.int8), np.ones(len(keys), dtype=np.int8)))
    order = np.lexsort((event, np.concatenate((began, asked)), np.concatenate((user, keys))))
    seen = np.cumsum(event[order] == 0)[event[order] == 1] - 1
    position = np.empty(len(keys), dtype=np.int64)
    position[order[event[order] == 1] - len(user)] = seen
    known = (position >= 0) & (np.append(user, -1)[position] == keys)
    return pa.array(np.append(began, 0)[position], pa.int64(), mask=~known).cast(TIMESTAMP)


def photo_popularity(interactions: pa.Table, photos: pa.Table, now: datetime, history_days: int) -> pa.Table:
    """The table `photo_popularity`, from log rows of `interactions` and one row a photo (photo_id, uploaded_at)."""
    favorites = facts(interactions, Kind.FAVORITE, Kind.UNFAVORITE, "photo_id", "owner_id", now)
    encoded = favorites.subject.dictionary_encode()
    key = np.asarray(encoded.indices, dtype=np.int64)
    # Counted from the day of the favorite itself, so that it leaves the last 7 days on the seventh day after.
    measures = [Spans(key, favorites.start, np.minimum(favorites.end, favorites.start + n)) for n in WINDOWS.values()]
    measures.append(Spans(key, favorites.start, favorites.end))
    keys, days, counts = counts_by_day(measures, *_days(now, history_days))
    ids = encoded.dictionary.take(pa.array(keys))
    place = pc.index_in(ids, photos.column("photo_id"))
    return pa.table(
        {
            "photo_id": ids,
            **dict(zip((*WINDOWS, "favorites_total"), counts.T, strict=True)),
            "uploaded_at": flat(photos.column("uploaded_at")).take(place),
            "event_timestamp": _moments(days, now),
            "created_timestamp": pa.repeat(pa.scalar(now, TIMESTAMP), len(keys)),
        },
        schema=PHOTO_POPULARITY.schema,
    )
