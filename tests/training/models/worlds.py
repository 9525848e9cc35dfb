"""Small worlds whose right answers are known: a checkerboard, and random favorites to compute with densely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.training.conftest import START, interactions_of
from training.interactions import Histories, History, Interactions
from training.models.interface import Scorer
from training.retrieval import top_rows
from training.shares import shares_of_people, whole

SIZE = 10


def checkerboard() -> Interactions:
    """Users 0 to 9: each favorited the photos of the same parity, but the one of the own number."""
    return interactions_of(
        {f"u{user}": [f"p{photo}" for photo in range(user % 2, SIZE, 2) if photo != user] for user in range(SIZE)}
    )


def best_unseen(scorer: Scorer, interactions: Interactions) -> list[str]:
    """The photo that each user gets first, in the users' order."""
    found = []
    for history in interactions.histories(np.arange(interactions.n_users)):
        rows, _ = top_rows(scorer.scores(Histories.of([history]))[0], 1, history.photo_rows)
        found.append(str(interactions.catalog.photo_ids[rows[0]]))
    return found


@st.composite
def random_interactions(draw: st.DrawFn, complete: bool = False) -> Interactions:
    """Up to 8 users and 8 photos; `complete`: one more user favorited all, so that any two photos share somebody."""
    photos = [f"p{photo}" for photo in range(draw(st.integers(2, 8)))]
    some = st.lists(st.sampled_from(photos), min_size=1, unique=True)
    liked = {f"u{user}": favorites for user, favorites in enumerate(draw(st.lists(some, min_size=1, max_size=8)))}
    return interactions_of({**liked, "everything": photos} if complete else liked)


def dense(interactions: Interactions) -> NDArray[np.float64]:
    """Who favorited what, (n_users, n_photos), 0 or 1."""
    matrix = np.zeros((interactions.n_users, interactions.n_photos))
    matrix[interactions.favorites.users, interactions.favorites.photos] = 1.0
    return matrix


def history(favorites: Sequence[int], dismissed: Sequence[int] = (), of_person: Sequence[int] = ()) -> History:
    """These rows, on one day; of_person: all the photos of one dismissed person."""
    favored, refused = np.array(favorites, dtype=np.int64), np.array([*dismissed, *of_person], dtype=np.int64)
    theirs = refused[len(dismissed) :]
    shares = shares_of_people(np.sort(favored), theirs, np.zeros(len(theirs), dtype=np.int64))
    return History.of(
        favored,
        np.full(len(favored), START),
        refused,
        np.full(len(refused), START),
        shares=np.concatenate([whole(len(dismissed)), shares]),
    )


def histories(n_photos: int) -> st.SearchStrategy[list[History]]:
    """Some users' favorites and dismissals, of photos and of a person, of nobody or of nothing too."""
    rows = st.lists(st.integers(0, n_photos - 1), unique=True)
    return st.lists(st.builds(history, rows, rows, rows), max_size=5)
