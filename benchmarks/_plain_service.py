"""The plain service that `recommend_http` measures ours beside: BentoML, Feast's `get_online_features` and `implicit`.

It does what the libraries' own guides show, over the same factors and online store: the person's favorites from Feast,
`recommend` with a fold-in, the photos' cards from Feast. It knows no dismissals, no cap of owners, no people and no
cursor; what is faved counts alike whenever it was. PLAIN_TUNED: one thread for a request's
algebra, sixteen for requests.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
import pyarrow.parquet as pq
import scipy.sparse
from implicit.cpu.als import AlternatingLeastSquares

from features.feast_registry import open_store
from features.settings import get_settings

CARD = ["owner_id", "owner_name", "title", "image_url", "sizes", "page_url", "width", "height"]
ALPHA = 40.0
TUNED = os.environ["PLAIN_TUNED"] == "yes"
SERVICE = {"threads": 16} if TUNED else {}


@bentoml.service(name="plain", logging={"access": {"enabled": False}}, **SERVICE)
class Plain:
    def __init__(self) -> None:
        folder = Path(os.environ["PLAIN_BUNDLE"])
        factors = np.load(folder / "photo_factors.npy")
        self._model = AlternatingLeastSquares(
            factors=factors.shape[1],
            regularization=get_settings().als_regularization,
            alpha=1.0,
            num_threads=1 if TUNED else 0,
        )
        self._model.item_factors = factors
        self._model.user_factors = np.zeros((1, factors.shape[1]), dtype=np.float32)
        self._ids = pq.read_table(folder / "photos.parquet").column("photo_id").to_numpy()
        self._row_of = {photo_id: row for row, photo_id in enumerate(self._ids)}
        self._store = open_store(get_settings())
        self._rows([])

    @bentoml.api(route="/recommend")
    def recommend(self, user_id: str, limit: int = 30, explain: bool = True) -> dict[str, Any]:
        state = self._store.get_online_features(
            features=["user_snapshot:favorite_ids"], entity_rows=[{"user_id": user_id}]
        ).to_dict()
        history = self._rows(state["favorite_ids"][0] or [])
        rows, scores = self._model.recommend(0, history, N=limit, recalculate_user=True)
        ids = [str(self._ids[row]) for row in rows]
        cards = self._store.get_online_features(
            features=[f"photo_card:{name}" for name in CARD], entity_rows=[{"photo_id": one} for one in ids]
        ).to_dict()
        photos = [
            {"photo_id": one, "score": float(score), **{name: cards[name][at] for name in CARD}}
            for at, (one, score) in enumerate(zip(ids, scores, strict=True))
        ]
        if explain:
            weights = None
            for photo, row in zip(photos, rows, strict=True):
                _, parts, weights = self._model.explain(0, history, row, weights if TUNED else None, N=3)
                photo["reasons"] = [{"photo_id": str(self._ids[one]), "weight": float(part)} for one, part in parts]
        return {"user_id": user_id, "photos": photos}

    def _rows(self, photo_ids: list[str]) -> scipy.sparse.csr_matrix:
        rows = [self._row_of[one] for one in photo_ids if one in self._row_of]
        values = np.full(len(rows), 1.0 + ALPHA, dtype=np.float32)
        return scipy.sparse.csr_matrix((values, rows, [0, len(rows)]), shape=(1, len(self._ids)))
