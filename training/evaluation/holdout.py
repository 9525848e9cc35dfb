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
from training.evaluation import metrics
from training.evaluation.numbering import Holdout
from training.evaluation.ranking import rank
from training.from_lake import Split
from training.interactions import Catalog, Histories, History
from training.models.interface import Scorer, Scores


@dataclass(frozen=True)
class Evaluation:
    """What one model achieved. ndcg, recall, average_precision: float64 (n_test_users,), in the split's order."""

    k: int
    ndcg: NDArray[np.float64]
    recall: NDArray[np.float64]
    average_precision: NDArray[np.float64]
    coverage: float
    novelty: float

    def summary(self) -> dict[str, float]:
        """Means over the users, and the metrics of all lists together; names as in MLflow."""
        return {
            f"ndcg_at_{self.k}": float(self.ndcg.mean()),
            f"recall_at_{self.k}": float(self.recall.mean()),
            f"map_at_{self.k}": float(self.average_precision.mean()),
            f"coverage_at_{self.k}": self.coverage,
            f"novelty_at_{self.k}": self.novelty,
        }


@dataclass(frozen=True)
class OtherCatalog:
    """A bundle asked in the rows of another catalog; photos that it does not know score −∞, as it never shows them."""

    bundle: Bundle
    rows: NDArray[np.int64]

    @classmethod
    def of(cls, bundle: Bundle, catalog: Catalog) -> OtherCatalog:
        return cls(bundle, bundle.photo_rows(catalog.photo_ids))

    def scores(self, histories: Histories) -> Scores:
        result = np.empty((len(histories), len(self.rows)), dtype=np.float32)
        for user, history in enumerate(histories):
            rows = self.rows[history.photo_rows]
            known = rows >= 0
            translated = History(rows[known].astype(np.int32), history.times[known], history.positive[known])
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

        ranked = rank(model, holdout.histories, train.n_photos, holdout.hidden, k, made).rows
        hits = np.array([np.isin(ranked[i], photos) for i, photos in enumerate(holdout.relevant_rows)])
        result[name] = Evaluation(
            k=k,
            ndcg=metrics.ndcg(hits, holdout.relevant),
            recall=metrics.recall(hits, holdout.relevant),
            average_precision=metrics.average_precision(hits, holdout.relevant),
            coverage=metrics.coverage(ranked, train.n_photos),
            novelty=metrics.novelty(ranked, train.photo_degrees, train.n_users),
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
