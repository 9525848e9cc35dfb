"""A validation part of the training file, drawn as the test part was.

A validation part of another kind misleads: chosen by a random draw, a model looked 18 % better that was 2 % better on
a test part that was not random.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.catalog import row_of_each
from training.evaluation.files import Pairs
from training.evaluation.ids import numbered, objects
from training.keys import Rows

Draw = Literal["after a moment", "the newest of each user", "at random of each user"]

SHARE = 0.1
"""Of the favorites: what the validation part takes."""

LEAST_SHARE, GREATEST_SHARE = 0.01, 0.3
"""What a cut in time must yield: it yields less where few users came back, more where times are coarse."""

ENOUGH_USERS = 100
"""With fewer than that, every user who has two favorites gives one, whatever his share."""


def split_validation(pairs: Pairs, seed: int, test: Pairs | None = None) -> tuple[Pairs, Pairs]:
    """(what is fitted, what is validated on, with a note on how it was drawn); deterministic, whatever the rows' order.

    With times, the newest tenth of the favorites, those of users who have some before; what else came after that
    moment is in neither part, as it would tell of the future. If `test` has times that say that it is the newest
    favorites of each user, or a random draw, or if a cut in time yields next to nothing, then a tenth of each user's
    favorites, the newest or random ones: n of them give ⌊n/10⌋ or one more, by chance so that it is a tenth in the
    mean (the median user has fewer than ten), never all. There, repeats of a pair go together, and dismissals are
    fitted. Users of the two files must be comparable.
    """
    draw = drawn(pairs, test)
    parts = _after_a_moment(pairs) if draw == "after a moment" else None
    if parts is None:
        if draw == "after a moment":
            draw = "the newest of each user"
        chosen = _of_each_user(pairs, draw, np.random.default_rng(seed))
        parts = ~chosen, chosen
    fit, validation = parts
    note = f"{int(validation.sum())} of {int(pairs.favorites.sum())} favorites of the training part, {draw}"
    return pairs.where(fit), pairs.where(validation, (note,))


def drawn(train: Pairs, test: Pairs | None) -> Draw:
    """How the test part seems to have been drawn; after a moment, if only the training part has times."""
    times = train.times[train.favorites]
    if not len(times) or times.min() == times.max():
        return "at random of each user"
    if test is None or test.timestamps is None or not test.favorites.any():
        return "after a moment"
    tested = test.where(test.favorites)
    if np.mean(tested.times >= np.quantile(times, 0.99)) >= 0.9:
        return "after a moment"
    users, whose = numbered(train.users.filter(train.favorites))
    newest = np.full(len(users), np.iinfo(np.int64).min)
    np.maximum.at(newest, whose, times)
    asked, tested_by = numbered(tested.users)
    rows = row_of_each(objects(users), objects(asked))[tested_by]
    later = tested.times[rows >= 0] >= newest[rows[rows >= 0]]
    return "the newest of each user" if len(later) and later.mean() >= 0.9 else "at random of each user"


def _after_a_moment(pairs: Pairs) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Which rows are fitted and validated on; None if the cut yields too little or too much."""
    times, liked = pairs.times, pairs.favorites
    cut = np.sort(times[liked])[-max(1, round(SHARE * np.count_nonzero(liked)))]
    # Times may be coarse: the cut is before or after those that are equal, whichever comes closer.
    shares = [float(np.mean(times[liked] >= moment)) for moment in (cut, cut + 1)]
    later = times >= (cut if abs(shares[0] - SHARE) <= abs(shares[1] - SHARE) or not shares[1] else cut + 1)
    users, whose = numbered(pairs.users)
    came_before = np.bincount(whose[liked & ~later], minlength=len(users)) > 0
    validation = liked & later & came_before[whose]
    share = np.count_nonzero(validation) / np.count_nonzero(liked)
    return (~later, validation) if LEAST_SHARE <= share <= GREATEST_SHARE else None


def _of_each_user(pairs: Pairs, draw: Draw, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which rows are validated on, bool (n,): all of a pair's or none."""
    liked = np.flatnonzero(pairs.favorites)
    users, whose = numbered(pairs.users)
    items, which = numbered(pairs.items)
    keys, pair_of = np.unique(whose[liked] * len(items) + which[liked], return_inverse=True)
    owner: Rows = keys // max(len(items), 1)
    counts = np.bincount(owner, minlength=len(users))
    given = np.minimum(np.floor(SHARE * counts + rng.random(len(users))), counts - 1)
    if np.count_nonzero(given > 0) < ENOUGH_USERS:
        given = np.maximum(given, counts >= 2)
    newest = np.zeros(len(keys), dtype=np.int64)
    if draw == "the newest of each user":
        newest[:] = np.iinfo(np.int64).min
        np.maximum.at(newest, pair_of, pairs.times[liked])
    order = np.lexsort((rng.random(len(keys)), -newest, owner))
    starts = np.searchsorted(owner, np.arange(len(users)))
    chosen = np.zeros(len(keys), dtype=bool)
    chosen[order] = np.arange(len(keys)) - starts[owner[order]] < given[owner[order]]
    result = np.zeros(len(pairs), dtype=bool)
    result[liked[chosen[pair_of]]] = True
    return result
