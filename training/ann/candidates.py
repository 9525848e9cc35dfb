"""The best photos of a model without scoring all: each of its parts proposes some, and what they propose is scored.

Where factors have a graph, the graph proposes; what costs little to score for the whole catalog is scored and proposes
its best. Scores are those of the model itself, so only a photo that nobody proposed can be missing from the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.ann.graph import Graph
from training.interactions import Histories, History
from training.keys import Rows, distinct
from training.models.als import ALS, Factors
from training.models.blend import Blend, Part, weighted
from training.models.contact_vectors import ContactVectors
from training.models.interface import Model, Scores
from training.retrieval import Best, top_rows

DEPTH = 4
"""Photos that each part of a blend proposes for each one that is wanted."""

SPARE = 2
"""Photos that a graph must have found for each one that is wanted, after what is left out: the last are unsure."""

WORTH = 128
"""Photos whose factors are read in the time that a graph takes for each photo that it keeps in sight."""


def factors_of(model: Model) -> dict[str, ALS]:
    """The matrix factorizations in a model by their folders in its bundle, "" being the bundle's own."""
    if isinstance(model, ALS):
        return {"": model}
    parts = model.components if isinstance(model, Blend) else ()
    return {one.name: one.model for one in parts if isinstance(one.model, ALS)}


def best_candidates(
    model: Model, graphs: Mapping[str, Graph], history: History, n: int, excluded: NDArray[np.bool_]
) -> Best | None:
    """What `top_rows` of all the model's scores gives, or nearly; None where that would be the quicker way.

    graphs: of some of `factors_of(model)`, by the same names. excluded: bool (n_photos,). The list is full whenever so
    many photos are left: None also where too few were found.
    """
    found = {id(als.photo_factors): graphs[name] for name, als in factors_of(model).items() if name in graphs}
    asked = history.alone
    proposals: list[_Proposal] = []
    for part in _parts(model):
        factors, vector = _factors(part, asked)
        graph = found.get(id(factors))
        if factors is None or vector is None or graph is None:
            proposals.append(_scored(part, asked, DEPTH * n, excluded))
        elif (searched := _searched(graph, factors, vector, n, excluded)) is not None:
            proposals.append(searched)
        else:
            return None
    rows = distinct(np.concatenate([proposal.rows for proposal in proposals]))
    if len(rows) < n:
        return None
    scores = _of_model(model, [proposal.scores(rows) for proposal in proposals])
    places, best = top_rows(scores, n)
    return rows[places], best


@dataclass(frozen=True)
class _Proposal:
    """Rows that a part proposes, none of them left out, and how it scores any rows."""

    rows: Rows
    scores: Callable[[Rows], Scores]


def _parts(model: Model) -> list[Part]:
    if isinstance(model, Blend):
        return [one.model for one in model.components if one.weight]
    return [model]


def _of_model(model: Model, scores: list[Scores]) -> Scores:
    if not isinstance(model, Blend):
        return scores[0]
    weighty = [one for one in model.components if one.weight]
    result: Scores = np.sum([weighted(one, part) for one, part in zip(weighty, scores, strict=True)], axis=0)
    return result


def _factors(part: Part, asked: Histories) -> tuple[Factors | None, NDArray[np.float32] | None]:
    """Of a part that scores by inner products with photo factors: those, and the vector."""
    if isinstance(part, ALS):
        return part.photo_factors, part.fold_in(asked)[0]
    if isinstance(part, ContactVectors):
        return part.als.photo_factors, part.vectors(asked)[0]
    return None, None


def _scored(part: Part, asked: Histories, n: int, excluded: NDArray[np.bool_]) -> _Proposal:
    scores = part.scores(asked)[0]
    return _Proposal(top_rows(scores, n, excluded)[0], lambda rows: scores[rows])


def _searched(
    graph: Graph, factors: Factors, vector: NDArray[np.float32], n: int, excluded: NDArray[np.bool_]
) -> _Proposal | None:
    """What the graph finds, the best of the photos kept apart, and all that came after it was made."""

    def scores(rows: Rows) -> Scores:
        products: Scores = factors[rows] @ vector
        return products

    if not vector.any():
        return _Proposal(np.empty(0, dtype=np.int64), scores)
    later = np.arange(graph.photos, len(factors))
    count = max(graph.expansion, DEPTH * n)
    while count * WORTH <= graph.photos:
        rows = graph.near(vector, count)
        rows = rows[~excluded[rows]]
        if len(rows) >= SPARE * n:
            apart = graph.of_longest(vector, DEPTH * n, excluded)
            return _Proposal(np.concatenate([rows, apart, later[~excluded[later]]]), scores)
        count *= 4
    return None
