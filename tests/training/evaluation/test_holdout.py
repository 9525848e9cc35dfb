"""Evaluation: each model folds in what was known before the cut, and lists only what would be shown."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from features.schema import Kind
from tests.training.conftest import DAY, START, Row, interactions_of, log_of, recipe_of, world_rows
from training.bundle import Bundle, load_bundle, save_bundle
from training.catalog import Catalog
from training.evaluation.holdout import OtherCatalog, evaluate
from training.from_lake import Split, build_interactions, temporal_split, utc
from training.interactions import Contacts, Histories, History, Interactions
from training.models.interface import scores_of
from training.models.recipes import Recipe, fit

CUT = START + 5 * DAY


def favorite(user: str, photo: str, day: int, owner: str = "somebody") -> Row:
    return user, photo, owner, Kind.FAVORITE, START + day * DAY


@pytest.fixture(scope="module")
def split() -> Split:
    """ann likes a and b, dismissed c, owns d, and dismissed the owner of g; later she favorites e. ben likes all but a
    and b, and later a."""
    rows: list[Row] = [
        *(favorite("ann", photo, 0) for photo in "ab"),
        ("ann", "c", "somebody", Kind.DISMISS_PHOTO, START + DAY),
        ("ann", "", "dull", Kind.DISMISS_USER, START + DAY),
        *(favorite("ben", photo, 0, {"d": "ann", "g": "dull"}.get(photo, "somebody")) for photo in "cdefg"),
        favorite("ann", "e", 10),
        favorite("ben", "a", 10),
    ]
    return temporal_split(log_of(rows), utc(CUT))


@dataclass
class Fixed:
    """Scores photos as it is told, whoever asks, and remembers what it was asked with."""

    catalog: Catalog
    order: str
    asked: list[History] = field(default_factory=list)

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        self.asked += list(histories)
        scores = np.zeros((len(histories), len(self.catalog)), dtype=np.float32)
        scores[:, self.catalog.rows(list(self.order))] = np.arange(len(self.order), 0, -1)
        return scores


def test_the_split_is_as_the_tests_need_it(split: Split) -> None:
    assert split.train.user_ids[split.test_users].tolist() == ["ann", "ben"]
    assert [split.train.catalog.photo_ids[photos].tolist() for photos in split.test_photos] == [["e"], ["a"]]


def test_favorites_dismissed_photos_and_own_photos_are_not_listed(split: Split) -> None:
    # For ann, a and b are favorites, c and g dismissed, d is her own: e comes first although it is scored the worst.
    found = evaluate({"fixed": Fixed(split.train.catalog, "abcdge")}, split, k=2)["fixed"]
    assert found.ndcg.tolist() == [1.0, 1.0]
    # f is the only other photo for ann, b for ben: four photos of seven are listed in all.
    assert found.coverage == pytest.approx(4 / 7)


def test_the_metrics_by_hand(split: Split) -> None:
    found = evaluate({"fixed": Fixed(split.train.catalog, "bfaecdg")}, split, k=2)["fixed"]
    # ann gets f, e and wants e; ben gets b, a and wants a: each a hit at rank 2. Every photo has one of two users.
    assert found.ndcg == pytest.approx([1 / np.log2(3)] * 2)
    assert found.values["recall_at_2"].tolist() == [1.0, 1.0]
    assert found.values["map_at_2"].tolist() == [0.5, 0.5]
    assert found.of_lists["novelty_at_2"] == pytest.approx(1.0)
    assert found.summary() == pytest.approx(
        {
            "ndcg_at_2": 1 / np.log2(3),
            "recall_at_2": 1.0,
            "hr_at_2": 1.0,
            "map_at_2": 0.5,
            "mrr_at_2": 0.5,
            "coverage_at_2": 4 / 7,
            "novelty_at_2": 1.0,
            "diversity_at_2": 0.0,
        }
    )


def test_a_list_shorter_than_k_counts_what_it_has(split: Split) -> None:
    found = evaluate({"fixed": Fixed(split.train.catalog, "ea")}, split, k=20)["fixed"]
    assert found.values["recall_at_20"].tolist() == [1.0, 1.0]
    assert found.coverage == pytest.approx(4 / 7)


def test_a_model_is_asked_with_the_history_before_the_cut(split: Split) -> None:
    model = Fixed(split.train.catalog, "")
    evaluate({"fixed": model}, split)
    ann, ben = model.asked
    named = split.train.catalog.photo_ids
    assert sorted(named[ann.photo_rows[ann.positive]]) == ["a", "b"]
    assert sorted(named[ann.photo_rows[~ann.positive]]) == ["c", "g"]
    assert sorted(named[ben.photo_rows]) == ["c", "d", "e", "f", "g"]
    assert max(ann.times.max(), ben.times.max()) <= CUT


def test_each_model_gets_its_own_result_in_the_order_of_the_test_users(split: Split) -> None:
    catalog = split.train.catalog
    found = evaluate({"for ann": Fixed(catalog, "ebf"), "for ben": Fixed(catalog, "afe")}, split, k=1)
    assert found["for ann"].ndcg.tolist() == [1.0, 0.0]
    assert found["for ben"].ndcg.tolist() == [0.0, 1.0]


def test_progress_counts_the_lists_of_all_models() -> None:
    liked = {f"u{n:03d}": ["a", "b"] for n in range(150)}
    rows = [favorite(user, photo, 0) for user, photos in liked.items() for photo in photos]
    rows += [favorite("one more", "c", 0), *(favorite(user, "c", 10) for user in liked)]
    split, calls = temporal_split(log_of(rows), utc(CUT)), list[tuple[int, int]]()
    models = {name: Fixed(split.train.catalog, "c") for name in ("one", "two")}
    evaluate(models, split, progress=lambda made, total: calls.append((made, total)))
    assert calls == [(150, 300), (300, 300)]


def test_taste_beats_popularity_on_what_came_later(recipe: Recipe) -> None:
    split = temporal_split(log_of(world_rows()), utc(START) + timedelta(days=80))
    found = evaluate({kind: fit(recipe_of(kind), split.train) for kind in ("als", "popularity")}, split)
    assert found["als"].ndcg.mean() > 2 * found["popularity"].ndcg.mean()


@pytest.fixture
def bundle(tmp_path: Path, recipe: Recipe) -> Bundle:
    """A bundle of a catalog a, b, c, d."""
    interactions = interactions_of({"u1": list("abcd"), "u2": list("abc"), "u3": list("ab"), "u4": ["a"]})
    save_bundle(tmp_path / "bundle", recipe, fit(recipe, interactions), interactions, {})
    return load_bundle(tmp_path / "bundle")


def in_other_catalog(photos: str) -> Interactions:
    """A world with these photos, the first of them the most popular."""
    return interactions_of({f"u{n}": list(photos[: n + 1]) for n in range(len(photos))})


def history_in(catalog: Catalog, favorites: str, dismissed: str = "") -> History:
    rows, refused = catalog.rows(list(favorites)), catalog.rows(list(dismissed))
    return History.of(rows, np.full(len(rows), START), refused, np.full(len(refused), START))


def test_a_bundle_scores_the_photos_of_another_catalog_as_its_own(bundle: Bundle) -> None:
    other = in_other_catalog("dxcba")
    scores = scores_of(OtherCatalog.of(bundle, other), history_in(other.catalog, "ac", "d"))
    own = bundle.scores(history_in(bundle.catalog, "ac", "d"))
    for photo in "abcd":
        assert scores[other.catalog.rows([photo])[0]] == pytest.approx(own[bundle.photo_row(photo)], rel=1e-4)


def test_a_photo_that_the_bundle_does_not_know_is_never_listed(bundle: Bundle) -> None:
    other = in_other_catalog("dxcba")
    assert scores_of(OtherCatalog.of(bundle, other), history_in(other.catalog, "a"))[1] == float("-inf")


def test_favorites_that_the_bundle_does_not_know_change_nothing(bundle: Bundle) -> None:
    other = in_other_catalog("dxcbay")
    asked = OtherCatalog.of(bundle, other)
    assert (
        scores_of(asked, history_in(other.catalog, "acxy")) == scores_of(asked, history_in(other.catalog, "ac"))
    ).all()


def test_a_bundle_evaluates_in_another_catalog_as_its_model_would(tmp_path: Path, recipe: Recipe) -> None:
    rows = world_rows()
    split = temporal_split(log_of(rows), utc(START) + timedelta(days=80))
    train = build_interactions(log_of(rows), as_of=utc(split.cut))
    model = fit(recipe, train)
    save_bundle(tmp_path / "bundle", recipe, model, train, {})
    asked = OtherCatalog.of(load_bundle(tmp_path / "bundle"), split.train)
    found = evaluate({"model": model, "bundle": asked}, split)
    assert found["bundle"].summary() == found["model"].summary()


def test_contacts_are_asked_for_in_the_rows_of_the_bundle(tmp_path: Path) -> None:
    """A blend that knows contacts, asked in a world where the same people have other rows."""
    rows = world_rows()
    world = build_interactions(log_of(rows))
    users = np.arange(world.n_users)
    world = replace(world, contacts=Contacts.of(users, (users + 3) % world.n_users, world.n_users))
    model = fit(recipe_of("blend"), world)
    save_bundle(tmp_path / "bundle", recipe_of("blend"), model, world, {})
    other = build_interactions(log_of([*rows, *((f"a{user}", *rest) for user, *rest in rows[:50])]))
    follows = [other.user_ids.tolist().index(f"u{n:03d}") for n in (3, 6)]
    asked = OtherCatalog.of(load_bundle(tmp_path / "bundle"), other)
    nothing = np.empty(0, dtype=np.int64)
    there = scores_of(asked, History.of(nothing, nothing, nothing, nothing, np.array(follows, dtype=np.int32)))
    here = scores_of(model, History.of(nothing, nothing, nothing, nothing, np.array([3, 6], dtype=np.int32)))
    assert there[other.catalog.rows(world.catalog.photo_ids)] == pytest.approx(here, rel=1e-4, abs=1e-5)
