"""Lists by way of a graph: whole, with the model's own scores, and never with what is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.training.ann.worlds import FACTORS, PHOTOS, long_tailed
from training.ann import candidates
from training.ann.candidates import best_candidates, factors_of
from training.ann.graph import Graph, build_graph
from training.confidence import Weighting
from training.interactions import History
from training.models.als import ALS
from training.models.blend import Blend, Component
from training.models.contact_photos import ContactPhotos
from training.models.contact_vectors import ContactVectors
from training.models.interface import Model, scores_of
from training.models.item_item import ItemItem
from training.models.owner_share import OwnerShare
from training.models.popularity import Popularity
from training.retrieval import Best, top_rows

TIME = 1_790_000_000
LISTED = 20


def als_of(factors: NDArray[np.float32]) -> ALS:
    degrees = np.ones(len(factors), dtype=np.float32)
    weighting = Weighting(4.0, 10.0, 60.0, 0.35, TIME, 1.0, degrees)
    return ALS(factors, factors.T @ factors, 1.0, weighting, user_factors=factors[:50], user_ids=np.arange(50))


def blend_of(als: ALS) -> Blend:
    rng = np.random.default_rng(2)
    indptr = np.arange(len(als.photo_factors) + 1) * 5
    item_item = ItemItem(
        "item_knn",
        indptr,
        rng.integers(len(als.photo_factors), size=indptr[-1]).astype(np.int32),
        rng.random(indptr[-1]).astype(np.float32),
    )
    popularity = Popularity(np.linspace(50, 0, len(als.photo_factors), dtype=np.float32))
    n_photos = len(als.photo_factors)
    photos_of_contacts = rng.integers(n_photos, size=50 * 20).astype(np.int32)
    parts = {
        "als": als,
        "contact_vectors": ContactVectors(als),
        "item_knn": item_item,
        "popularity": popularity,
        "owner_share": OwnerShare(rng.integers(n_photos // 10, size=n_photos).astype(np.int32)),
        "contact_favorites": ContactPhotos(
            "contact_favorites", np.arange(50).astype(object), np.arange(51) * 20, photos_of_contacts, n_photos
        ),
    }
    return Blend(tuple(Component(name, part, 1.0, 1.0) for name, part in parts.items()))


ALS_MODEL = als_of(long_tailed())
MODELS: dict[str, Model] = {"als": ALS_MODEL, "blend": blend_of(ALS_MODEL)}
GRAPH = build_graph(ALS_MODEL.photo_factors, 256)


def graphs_of(model: Model) -> dict[str, Graph]:
    return dict.fromkeys(factors_of(model), GRAPH)


def person(seed: int, favorites: int = 30, contacts: int = 3) -> History:
    rng = np.random.default_rng(seed)
    rows = rng.choice(PHOTOS, favorites + favorites // 5, replace=False)
    times = np.full(len(rows), TIME)
    followed = rng.choice(50, contacts, replace=False).astype(np.int32)
    return History.of(rows[:favorites], times[:favorites], rows[favorites:], times[favorites:], followed)


@pytest.fixture(autouse=True)
def worth_it_in_a_small_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "WORTH", 2)


def found_by(model: Model, history: History, n: int, excluded: NDArray[np.bool_]) -> Best | None:
    return best_candidates(model, graphs_of(model), history, n, excluded)


def excluding(rows: NDArray[np.integer]) -> NDArray[np.bool_]:
    excluded = np.zeros(PHOTOS, dtype=bool)
    excluded[rows] = True
    return excluded


@pytest.mark.parametrize("kind", MODELS)
def test_nearly_all_of_the_best_are_found(kind: str) -> None:
    model, shares = MODELS[kind], []
    for seed in range(30):
        history = person(seed)
        excluded = excluding(history.photo_rows)
        found = found_by(model, history, LISTED, excluded)
        assert found is not None
        exact, _ = top_rows(scores_of(model, history), LISTED, excluded)
        shares.append(len(np.intersect1d(found[0], exact)) / LISTED)
    assert np.mean(shares) >= 0.98


@pytest.mark.parametrize("kind", MODELS)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, PHOTOS))
def test_a_list_is_whole_sorted_and_without_what_is_left_out(kind: str, seed: int, n: int, left: int) -> None:
    model, history = MODELS[kind], person(seed)
    excluded = excluding(np.random.default_rng(seed).permutation(PHOTOS)[left:])
    found = found_by(model, history, n, excluded)
    if found is None:
        return  # then all photos are scored
    rows, scores = found
    assert len(rows) == len(np.unique(rows)) == n
    assert not excluded[rows].any()
    assert (np.diff(scores) <= 0).all()
    assert scores == pytest.approx(scores_of(model, history)[rows], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_where_nearly_everything_is_left_out_all_are_scored(kind: str) -> None:
    history = person(1)
    assert found_by(MODELS[kind], history, LISTED, excluding(np.arange(5, PHOTOS))) is None


def test_more_is_asked_of_the_graph_where_much_of_the_best_is_left_out() -> None:
    history = person(3)
    scores = scores_of(ALS_MODEL, history)
    # Everything that a first look finds.
    excluded = excluding(top_rows(scores, GRAPH.expansion + len(GRAPH.longest))[0])
    found = found_by(ALS_MODEL, history, LISTED, excluded)
    assert found is not None
    exact, _ = top_rows(scores, LISTED, excluded)
    assert len(np.intersect1d(found[0], exact)) >= 0.9 * LISTED


def test_somebody_unknown_gets_what_scoring_all_gives() -> None:
    assert found_by(ALS_MODEL, person(0, favorites=0, contacts=0), LISTED, excluding(np.arange(0))) is None


def test_a_blend_does_without_the_parts_that_know_nothing_of_the_person() -> None:
    model, history = MODELS["blend"], person(0, favorites=0, contacts=0)
    found = found_by(model, history, LISTED, excluding(np.arange(0)))
    assert found is not None
    assert found[0].tolist() == top_rows(scores_of(model, history), LISTED)[0].tolist()


def test_photos_that_came_after_the_graph_are_found() -> None:
    newer = 5.0 * ALS_MODEL.photo_factors[:40]
    model = als_of(np.concatenate([ALS_MODEL.photo_factors, newer]))
    history = person(4)
    excluded = np.zeros(PHOTOS + 40, dtype=bool)
    excluded[PHOTOS] = True
    found = best_candidates(model, {"": GRAPH}, history, LISTED, excluded)
    assert found is not None
    exact, _ = top_rows(scores_of(model, history), LISTED, excluded)
    assert (exact > PHOTOS).any()
    assert set(exact[exact >= PHOTOS]) <= set(found[0])
    assert PHOTOS not in found[0]


def test_factors_without_a_graph_are_all_read() -> None:
    other = replace(ALS_MODEL, photo_factors=ALS_MODEL.photo_factors[::-1].copy())
    model = Blend((Component("als", ALS_MODEL, 1.0, 1.0), Component("als_1", other, 1.0, 1.0)))
    assert set(factors_of(model)) == {"als", "als_1"}
    history = person(5)
    found = best_candidates(model, {"als": GRAPH}, history, LISTED, excluding(history.photo_rows))
    assert found is not None
    exact, _ = top_rows(scores_of(model, history), LISTED, excluding(history.photo_rows))
    assert len(np.intersect1d(found[0], exact)) >= 0.9 * LISTED


def test_a_part_without_weight_is_not_asked() -> None:
    blend = MODELS["blend"]
    assert isinstance(blend, Blend)
    alone = Blend(tuple(replace(one, weight=float(one.name == "popularity")) for one in blend.components))
    found = found_by(alone, person(6), LISTED, excluding(np.arange(3)))
    assert found is not None
    assert found[0].tolist() == list(range(3, 3 + LISTED))


def test_models_without_factors_have_no_graphs() -> None:
    assert factors_of(Popularity(np.ones(3, dtype=np.float32))) == {}
    assert ALS_MODEL.photo_factors.shape[1] == FACTORS
