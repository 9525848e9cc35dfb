"""How much of a dismissal a negative is: who dismisses a person has not dismissed each of that person's photos.

All of a person's photos together weigh as one dismissed photo does (docs/decisions/0020-dismissals.md).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from training.keys import Rows, among

Shares = NDArray[np.float32]

WHOLE: Shares = np.ones(0, dtype=np.float32)
"""Where shares are asked for: all of them are 1."""


def whole(n: int) -> Shares:
    """n times 1, in the memory of one."""
    return np.broadcast_to(np.float32(1), n)


def shares_of_people(favorites: Rows, keys: Rows, dismissals: Rows) -> Shares:
    """1/n for each of the n photos of a dismissed person that are no favorites, float32 (m,).

    favorites: ascending keys of what is favored; keys (m,): the photos of people; dismissals int64 (m,), from 0: by
    which dismissal of a person each is meant.
    """
    counts = np.bincount(dismissals[~among(keys, favorites)], minlength=int(dismissals.max(initial=-1)) + 1)
    shares: Shares = (1.0 / np.maximum(counts, 1))[dismissals].astype(np.float32)
    return shares


def largest_shares(keys: Rows, dismissed: Rows, shares: Shares) -> Shares:
    """The largest share of each key (distinct, ascending) among those of the dismissals of it, float32."""
    known = among(dismissed, keys)
    largest = np.zeros(len(keys), dtype=np.float32)
    np.maximum.at(largest, np.searchsorted(keys, dismissed[known]), shares[known])
    return largest
