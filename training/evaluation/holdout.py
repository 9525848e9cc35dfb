"""How well models predict the favorites that came after a moment, from what each user had done until then.

Every model is asked as it will be in serving: it folds in the history of the user, ranks all photos, and what would not
be shown (favorites, dismissed photos, the user's own) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.bundle import Bundle
from training.evaluation.measures import Values, full_metrics, list_metrics
from training.evaluation.numbering import Holdout
from training.evaluation.ranking import Ranked, rank
from training.from_lake import Split
from training.interactions import Histories, History, Interactions
from training.models.interface import Scorer, Scores


@dataclass(frozen=True)
class Evaluation:
    """What one model achieved. values: {metric: float64 (n_test_users,)}, in the split's order; of_lists: metrics of
    all lists together; ranked: the lists themselves, (n_test_users, k); hits: bool (n_test_users, k)."""

    k: int
    values: Values
    of_lists: dict[str, float]
    ranked: Ranked
    hits: NDArray[np.bool_]

    @property
    def ndcg(self) -> NDArray[np.float64]:
        """float64 (n_test_users,)."""
        return self.values[f"ndcg_at_{self.k}"]

    @property
    def coverage(self) -> float:
        return self.of_lists[f"coverage_at_{self.k}"]

    def summary(self) -> dict[str, float]:
        """Means over the users, and the metrics of all lists together; names as in MLflow."""
        return {**{name: float(of_users.mean()) for name, of_users in self.values.items()}, **self.of_lists}


@dataclass(frozen=True)
class OtherCatalog:
    """A bundle asked in the rows of other interactions; photos that it does not know score −∞, as it never shows them.

    rows: the bundle's row of each photo, users: of each user whom contacts may be, int64, −1 for those unknown to it.
    """

    bundle: Bundle
    rows: NDArray[np.int64]
    users: NDArray[np.int64]

    @classmethod
    def of(cls, bundle: Bundle, interactions: Interactions) -> OtherCatalog:
        followed = bundle.followed
        users = np.full(interactions.n_users, -1) if followed is None else followed.rows(interactions.user_ids)
        return cls(bundle, bundle.photo_rows(interactions.catalog.photo_ids), users)

    def scores(self, histories: Histories) -> Scores:
        result = np.empty((len(histories), len(self.rows)), dtype=np.float32)
        for user, history in enumerate(histories):
            rows, contacts = self.rows[history.photo_rows], self.users[history.contacts]
            known = rows >= 0
            translated = History(
                rows[known].astype(np.int32),
                history.times[known],
                history.positive[known],
                contacts[contacts >= 0].astype(np.int32),
                history.shares[known],
            )
            result[user] = np.where(self.rows >= 0, self.bundle.scores(translated)[self.rows], np.float32(-np.inf))
        return result


def evaluate(
    models: Mapping[str, Scorer], split: Split, k: int = 20, progress: Callable[[int, int], None] | None = None
) -> dict[str, Evaluation]:
    """Each model's evaluation on the split, by fold-in from the histories before the cut, over all photos.

    The split needs at least one test user. `progress` gets (lists made, lists to make).
    """
    train, n_test, holdout = split.train, len(split.test_users), holdout_of_split(split)
    result = {}
    for done, (name, model) in enumerate(models.items()):

        def made(lists: int, before: int = done * n_test) -> None:
            if progress is not None:
                progress(before + lists, len(models) * n_test)

        ranked = rank(model, holdout.histories, train.n_photos, holdout.hidden, k, made)
        hits = [np.isin(listed, found) for listed, found in zip(ranked.rows, holdout.relevant_rows, strict=True)]
        result[name] = Evaluation(
            k=k,
            values=full_metrics(ranked, holdout, [k]),
            of_lists=list_metrics(ranked, holdout, k),
            ranked=ranked,
            hits=np.array(hits),
        )
    return result


def holdout_of_split(split: Split) -> Holdout:
    """Whom a temporal split asks, what of them is known, and which photos of the catalog should be found."""
    users = split.test_users.astype(np.int64)
    histories = split.train.histories(users)
    return Holdout(
        train=split.train,
        user_ids=split.train.user_ids[users],
        histories=histories,
        relevant_rows=[np.sort(photos) for photos in split.test_photos],
        relevant=np.array([len(photos) for photos in split.test_photos], dtype=np.int64),
        hidden=[_hidden(split, user, what) for user, what in zip(split.test_users, histories, strict=True)],
        absent_users=np.empty(0, dtype=np.int64),
        absent_items=np.empty(0, dtype=object),
    )


def _hidden(split: Split, user: int, history: History) -> NDArray[np.int64]:
    own, _ = split.train.catalog.rows_of_owners([split.train.user_ids[user]])
    return np.unique(np.concatenate([history.photo_rows.astype(np.int64), own]))
