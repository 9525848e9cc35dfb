"""A training of a large catalog leaves a graph in the bundle, which goes to the registry with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from features.lake import Lake
from features.settings import Settings
from tests.pipelines.train.conftest import WORLD, champion, changed, trained
from tests.training.conftest import START, append_to
from training.ann import candidates, choice
from training.ann.candidates import best_candidates
from training.interactions import NOBODY, History
from training.retrieval import top_rows


@pytest.fixture(autouse=True)
def worth_it_in_a_small_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "WORTH", 1)
    monkeypatch.setattr(choice, "EXPANSIONS", (120,))
    monkeypatch.setattr(candidates, "WORTH", 1)


def test_a_catalog_of_so_many_photos_is_served_by_a_graph(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    report = trained(changed(small, ann_photos=100))
    assert report.version is not None
    assert report.seconds["graph"] > 0
    bundle = champion(small)
    assert (bundle.kind, bundle.retrieval) == ("als", "hnsw")
    favorites = np.arange(3)
    history = History.of(favorites, np.full(3, START), NOBODY, NOBODY)
    expected, _ = top_rows(bundle.scores(history), 10, favorites)
    assert bundle.top(history, 10, favorites)[0].tolist() == expected.tolist()


def test_a_smaller_one_is_not(small: Settings, lake: Lake) -> None:
    append_to(lake, WORLD)
    trained(changed(small, ann_photos=1_000))
    assert champion(small).retrieval == "exact"


def test_the_gate_measures_how_long_a_list_takes_as_it_will_be_served(
    small: Settings, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_to(lake, WORLD)
    asked: list[int] = []

    def counted(*arguments: Any) -> Any:
        asked.append(1)
        return best_candidates(*arguments)

    monkeypatch.setattr("training.bundle.best_candidates", counted)
    trained(changed(small, ann_photos=100))
    assert len(asked) > 20  # each test user's list, and not only what is made of the bundle at last
