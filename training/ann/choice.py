"""Whether a model gets a graph, and how far its searches look: decided by a training, on the model and its own users.

A graph that finds too few of the best photos is left away, however large the catalog, and all factors are read as
before: on some data no graph is quicker than that.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import structlog

from training.ann.candidates import WORTH, factors_of
from training.ann.graph import Graph, build_graph
from training.interactions import Histories, Interactions
from training.keys import Rows
from training.models.als import ALS, Factors
from training.models.interface import Model
from training.retrieval import best_of_products, top_rows

log = structlog.get_logger(__name__)

RECALL, OF = 0.98, 100
"""What share of the best so many a graph must find, on average over people."""

EXPANSIONS = tuple(128 * 2**power for power in range(7))
PEOPLE = 200


def graphs_for(model: Model, interactions: Interactions, photos_from: int) -> dict[str, Graph]:
    """A graph for each matrix factorization in the model, by the names of `factors_of`, where one pays.

    interactions: what the model learned from, in its catalog. photos_from: {} below so many photos.
    """
    if interactions.n_photos < photos_from:
        return {}
    made = {name: _graph_of(als, interactions) for name, als in factors_of(model).items()}
    return {name: graph for name, graph in made.items() if graph is not None}


def _graph_of(als: ALS, interactions: Interactions) -> Graph | None:
    """With the least expansion that finds enough; None where that is no quicker than to read all factors."""
    expansions = [one for one in EXPANSIONS if one * WORTH <= interactions.n_photos]
    if not expansions:
        return None
    picked = np.unique(np.linspace(0, interactions.n_users - 1, PEOPLE).round().astype(np.int64))
    histories = interactions.histories(picked)
    began = time.perf_counter()
    graph = build_graph(als.photo_factors, expansions[0])
    seconds = round(time.perf_counter() - began, 1)
    recall = 0.0
    for expansion in expansions:
        recall = recall_of(replace(graph, expansion=expansion), als, histories)
        if recall >= RECALL:
            log.info("graph_built", photos=graph.photos, expansion=expansion, recall=round(recall, 4), seconds=seconds)
            return replace(graph, expansion=expansion)
    log.warning("graph_left_away", photos=graph.photos, recall=round(recall, 4), wanted=RECALL, seconds=seconds)
    return None


def recall_of(graph: Graph, als: ALS, histories: Histories) -> float:
    """The share of the `OF` best photos outside their histories that a search finds, on average over the users.

    Users without a vector (an empty history) count for nothing; 0 where nobody has one.
    """
    vectors = als.fold_in(histories)
    known = [history.photo_rows.astype(np.int64) for history in histories]
    best = best_of_products(als.photo_factors, vectors, OF, known)
    shares = [
        len(np.intersect1d(_found(graph, als.photo_factors, vector, mine), rows)) / len(rows)
        for vector, mine, (rows, _) in zip(vectors, known, best, strict=True)
        if vector.any() and len(rows)
    ]
    return float(np.mean(shares)) if shares else 0.0


def _found(graph: Graph, factors: Factors, vector: Factors, known: Rows) -> Rows:
    excluded = np.zeros(graph.photos, dtype=bool)
    excluded[known] = True
    rows = graph.near(vector, graph.expansion)
    rows = np.concatenate([rows[~excluded[rows]], graph.of_longest(vector, OF, excluded)])
    return rows[top_rows(factors[rows] @ vector, OF)[0]]
