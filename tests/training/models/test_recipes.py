"""What every model must do: the same tests for each kind, on matrices whose right answer is known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import START, interactions_of, recipe_of
from training.interactions import History, Interactions
from training.models.interface import Model, reasons_of, scores_of
from training.models.kinds import KINDS
from training.models.recipes import MODELS, Recipe, fit
from training.retrieval import top_rows

SIZE = 30


def history(favorites: list[int], dismissed: list[int] | None = None) -> History:
    favored, refused = np.array(favorites, dtype=np.int64), np.array(dismissed or [], dtype=np.int64)
    return History.of(favored, np.full(len(favored), START), refused, np.full(len(refused), START))


@pytest.fixture(scope="module")
def checkerboard() -> Interactions:
    """User i favorites the photos j of the same parity, but j = i; photo j belongs to user j."""
    liked = {f"u{i:02d}": [f"p{j:02d}" for j in range(i % 2, SIZE, 2) if j != i] for i in range(SIZE)}
    return interactions_of(liked, owners={f"p{j:02d}": f"u{j:02d}" for j in range(SIZE)})


class ModelTests:
    """Inherited by the tests of each kind."""

    kind: str

    @pytest.fixture
    def recipe_of_kind(self, recipe: Recipe) -> Recipe:
        return recipe_of(self.kind)

    @pytest.fixture
    def model(self, recipe_of_kind: Recipe, world: Interactions) -> Model:
        return fit(recipe_of_kind, world)

    def test_it_says_what_it_does_with_a_dismissal(self) -> None:
        assert "A dismissal" in (KINDS[self.kind].__doc__ or "")

    def test_scores_are_finite_float32_for_every_history(self, model: Model, world: Interactions) -> None:
        for what in (
            world.history(3),
            history([]),
            history([], [2]),
            history([0]),
            history(list(range(world.n_photos))),
        ):
            scores = scores_of(model, what)
            assert scores.shape == (world.n_photos,)
            assert scores.dtype == np.float32
            assert np.isfinite(scores).all()

    def test_it_survives_saving(self, model: Model, world: Interactions, tmp_path: Path) -> None:
        parameters = model.save(tmp_path)
        loaded = KINDS[self.kind].load(tmp_path, parameters, world.n_photos)
        what, rows = world.history(7), np.array([0, 5])
        assert (scores_of(loaded, what) == scores_of(model, what)).all()
        assert reasons_of(loaded, what, rows, 3) == reasons_of(model, what, rows, 3)
        assert (loaded.similarities(4) == model.similarities(4)).all()

    def test_the_same_seed_gives_the_same_scores(
        self, recipe_of_kind: Recipe, model: Model, world: Interactions
    ) -> None:
        again = fit(recipe_of_kind, world)
        assert (scores_of(again, world.history(1)) == scores_of(model, world.history(1))).all()

    def test_reasons_are_favorites_strongest_first(self, model: Model, world: Interactions) -> None:
        what = world.history(0)
        for reasons in reasons_of(model, what, top_rows(scores_of(model, what), 10, what.photo_rows)[0], 3):
            weights = [weight for _, weight in reasons]
            assert {row for row, _ in reasons} <= set(what.favorites.tolist())
            assert weights == sorted(weights, reverse=True)
            assert all(weight > 0 for weight in weights)
            assert len(weights) <= 3

    def test_nothing_speaks_for_a_photo_to_somebody_without_favorites(self, model: Model) -> None:
        assert reasons_of(model, history([], [3]), np.array([0, 1]), 3) == [[], []]


class Personal(ModelTests):
    """Models that know one user from another."""

    def test_it_finds_the_one_photo_left_out_of_the_checkerboard(
        self, recipe_of_kind: Recipe, checkerboard: Interactions
    ) -> None:
        model = fit(recipe_of_kind, checkerboard)
        for user in range(SIZE):
            what = checkerboard.history(user)
            rows, scores = top_rows(scores_of(model, what), 2, what.photo_rows)
            assert checkerboard.catalog.photo_ids[rows[0]] == f"p{user:02d}"
            assert scores[0] > scores[1]

    def test_photos_of_the_same_color_are_alike_on_the_checkerboard(
        self, recipe_of_kind: Recipe, checkerboard: Interactions
    ) -> None:
        model = fit(recipe_of_kind, checkerboard)
        color = np.array([int(photo_id[1:]) % 2 for photo_id in checkerboard.catalog.photo_ids])
        for row in (0, 7):
            alike, _ = top_rows(model.similarities(row), 8, np.array([row]))
            assert (color[alike] == color[row]).all()

    def test_the_contributions_of_all_favorites_add_up_to_the_score(self, model: Model, world: Interactions) -> None:
        what = history([0, 3, 10, 11, 40])
        rows = top_rows(scores_of(model, what), 20, what.photo_rows)[0]
        # Only photos against which no favorite speaks: contributions below 0 are no reasons.
        for row, reasons in zip(rows, reasons_of(model, what, rows, len(what.favorites)), strict=True):
            total = sum(weight for _, weight in reasons)
            assert total >= scores_of(model, what)[row] - 1e-3
            if len(reasons) == len(what.favorites):
                assert total == pytest.approx(scores_of(model, what)[row], rel=1e-3)


class TestALS(Personal):
    kind = "als"


class TestNeighborScore(Personal):
    kind = "neighbor_score"

    def test_contributions_add_up_exactly(self, model: Model, world: Interactions) -> None:
        what, rows = world.history(0), np.arange(world.n_photos)
        totals = [sum(weight for _, weight in reasons) for reasons in reasons_of(model, what, rows, world.n_photos)]
        assert totals == pytest.approx(scores_of(model, what).tolist(), rel=1e-5)

    def test_a_dismissal_changes_no_score(self, model: Model) -> None:
        assert (scores_of(model, history([1, 2], [3, 4])) == scores_of(model, history([1, 2]))).all()

    def test_the_formula_by_hand(self, recipe_of_kind: Recipe) -> None:
        # ann favorites photos of ben and cas; she shares two favorites with ben, who has three, and none with cas.
        owners = {"b1": "ben", "b2": "ben", "c1": "cas", "x1": "dan", "x2": "dan"}
        liked = {"ann": ["b1", "b2", "c1", "x1", "x2"], "ben": ["x1", "x2", "new"], "cas": ["new", "b3"], "dan": ["b3"]}
        interactions = interactions_of(liked, owners=owners)
        model = fit(recipe_of_kind, interactions)
        scores = scores_of(model, interactions.history(0))
        by_id = dict(zip(interactions.catalog.photo_ids, scores.tolist(), strict=True))
        ben, cas, dan = 150 * (2 / (3 + 250)) ** 0.5, 0.0, 0.0
        assert by_id["new"] == pytest.approx(ben + cas)
        assert by_id["x1"] == pytest.approx(ben)
        assert by_id["b3"] == pytest.approx(cas + dan)
        new, b2 = (interactions.catalog.rows([photo]) for photo in ("new", "b2"))
        reasons = reasons_of(model, interactions.history(0), new, 5)[0]
        assert sorted(interactions.catalog.photo_ids[[row for row, _ in reasons]].tolist()) == ["b1", "b2"]
        assert dict(reasons)[int(b2[0])] == pytest.approx(ben / 2)

    def test_somebody_whose_neighbors_are_unknown_gets_zeros(self, recipe_of_kind: Recipe) -> None:
        model = fit(recipe_of_kind, interactions_of({"u1": ["a", "b"]}))
        assert scores_of(model, history([0])).tolist() == [0.0, 0.0]


class TestPopularity(ModelTests):
    kind = "popularity"

    def test_the_checkerboard_leaves_it_without_a_preference(
        self, recipe_of_kind: Recipe, checkerboard: Interactions
    ) -> None:
        assert np.ptp(scores_of(fit(recipe_of_kind, checkerboard), history([0]))) == 0

    def test_a_score_is_the_number_of_favorites_on_one_day(self, recipe_of_kind: Recipe) -> None:
        model = fit(recipe_of_kind, interactions_of({"u1": ["a", "b"], "u2": ["a"], "u3": ["a"]}))
        assert scores_of(model, history([])).tolist() == [3.0, 1.0]

    def test_it_knows_no_likeness(self, model: Model) -> None:
        assert len(top_rows(model.similarities(0), 5)[0]) == 0

    def test_a_dismissal_changes_no_score(self, model: Model) -> None:
        assert (scores_of(model, history([1, 2], [3, 4])) == scores_of(model, history([1, 2]))).all()


class TestOwnerShare(ModelTests):
    kind = "owner_share"

    def test_the_contributions_of_all_favorites_add_up_to_the_score(self, model: Model, world: Interactions) -> None:
        what, rows = world.history(0), np.arange(world.n_photos)
        totals = model.contributions(what, rows).sum(axis=1)
        assert totals == pytest.approx(scores_of(model, what).tolist(), abs=1e-6)

    def test_it_knows_no_likeness(self, model: Model) -> None:
        assert len(top_rows(model.similarities(0), 5)[0]) == 0


class TestContactFavorites(ModelTests):
    kind = "contact_favorites"

    def test_it_knows_no_likeness(self, model: Model) -> None:
        assert len(top_rows(model.similarities(0), 5)[0]) == 0


class TestFollowedOwner(TestContactFavorites):
    kind = "followed_owner"


def test_every_kind_that_is_always_compared_is_tested() -> None:
    assert {tests.kind for tests in (TestALS, TestNeighborScore, TestPopularity)} == set(MODELS)


def test_an_unknown_kind_is_refused(recipe: Recipe, world: Interactions) -> None:
    with pytest.raises(ValueError, match="oracle"):
        fit(recipe_of("oracle"), world)


def test_a_recipe_survives_its_manifest(recipe: Recipe) -> None:
    assert Recipe.from_manifest(recipe.as_dict()) == recipe
