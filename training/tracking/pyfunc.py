"""Opens a bundle for MLflow, so that `mlflow.pyfunc.load_model` and `mlflow models serve` can ask it.

The service does not pass here: it has online features and filters, which a model alone can't have.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from training.bundle import Bundle, load_bundle
from training.interactions import History

LIMIT = 30


class PhotoModel:
    """A bundle that answers data frames: a row for each person, with the columns `favorites` and `dismissed`."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """The photos that each row's person is likely to favorite, best first.

        model_input: `favorites` and, if there are any, `dismissed`: lists of photo ids; ids that the model does not
        know are ignored. params: `limit`, the most photos of one answer. Returns `photo_ids` and `scores`, lists of
        equal length; what was favorited or dismissed is not in them.
        """
        limit = int((params or {}).get("limit", LIMIT))
        columns = model_input.to_dict("list")
        dismissed = columns.get("dismissed", [None] * len(model_input))
        answers = [self._one(*ids, limit) for ids in zip(columns["favorites"], dismissed, strict=True)]
        return pd.DataFrame(answers, columns=["photo_ids", "scores"], index=model_input.index)

    def _one(self, favorites: Any, dismissed: Any, limit: int) -> tuple[list[str], list[float]]:
        liked, not_liked = self.bundle.photo_rows(_ids(favorites)), self.bundle.photo_rows(_ids(dismissed))
        # Nobody says when: as if it had just been when the model was trained.
        now = np.int64(self.bundle.manifest["data_until"])
        history = History.of(liked, np.full(len(liked), now), not_liked, np.full(len(not_liked), now))
        rows, scores = self.bundle.top(history, limit, exclude=history.photo_rows)
        return self.bundle.photo_ids[rows].tolist(), scores.astype(float).tolist()


def _ids(value: Any) -> list[str]:
    """A cell's list of ids; a cell that is missing, or NaN, has none."""
    return list(value) if isinstance(value, list | tuple | np.ndarray) else []


def _load_pyfunc(path: str) -> PhotoModel:
    """What MLflow calls with the folder of the model. Raises CorruptModelError."""
    return PhotoModel(load_bundle(path))
