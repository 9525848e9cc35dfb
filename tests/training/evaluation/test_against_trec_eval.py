"""The metrics of full ranking, computed again by trec_eval."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval

from training.evaluation import metrics


def test_metrics_are_those_of_trec_eval() -> None:
    rng = np.random.default_rng(0)
    n, k, photos = 200, 20, 60
    ranked = np.stack([rng.permutation(photos)[:k] for _ in range(n)])
    wanted = [rng.choice(photos, rng.integers(1, 40), replace=False) for _ in range(n)]
    hits = np.array([np.isin(rows, found) for rows, found in zip(ranked, wanted, strict=True)])
    relevant = np.array([len(found) for found in wanted])

    qrel = {str(user): {str(photo): 1 for photo in found} for user, found in enumerate(wanted)}
    run = {
        str(user): {str(photo): float(k - place) for place, photo in enumerate(rows)}
        for user, rows in enumerate(ranked)
    }
    names = {"ndcg_cut_20", "recall_20", "map_cut_20", "recip_rank"}
    theirs = pytrec_eval.RelevanceEvaluator(qrel, {"ndcg_cut", "recall", "map_cut", "recip_rank"}).evaluate(run)
    of = {name: np.array([theirs[str(user)][name] for user in range(n)]) for name in names}

    assert metrics.ndcg(hits, relevant) == pytest.approx(of["ndcg_cut_20"])
    assert metrics.recall(hits, relevant) == pytest.approx(of["recall_20"])
    # trec_eval divides by all relevant photos, we by as many as a list of k can hold.
    scale = relevant / np.minimum(relevant, k)
    assert metrics.average_precision(hits, relevant) == pytest.approx(of["map_cut_20"] * scale)
    assert metrics.reciprocal_rank(hits) == pytest.approx(of["recip_rank"])
