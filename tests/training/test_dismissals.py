"""What a dismissal does: to the photo, to its like, to what else a person likes; of photos and of people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.schema import Kind
from features.user_state import UserState
from tests.training.conftest import DAY, START, Row, log_of, style_of, world_rows
from training.from_lake import build_interactions, history_of
from training.interactions import Histories, History, Interactions
from training.models.als import ALS, confidence_matrix
from training.models.blend import Blend, Component
from training.models.contact_vectors import ContactVectors
from training.models.interface import Model, Scores, scores_of
from training.models.popularity import Popularity
from training.models.recipes import FITS, Recipe, fit
from training.retrieval import top_rows

NOW = START + 100 * DAY
NONE: list[int] = []

LEARN_FROM_THEM: dict[str, dict[str, float]] = {
    "als": {},
    "item_knn": {"neighbors": 50},
    "local_ease": {"regularization": 10.0, "neighbors": 50},
    "low_pass": {"rank": 3},
    "exact_ease": {"regularization": 10.0},
    "owner_share": {},
}
ONLY_HIDE: dict[str, dict[str, float]] = {
    "user_knn": {},
    "neighbor_score": {},
    "popularity": {"half_life_days": 60.0},
    "contact_favorites": {},
    "followed_owner": {},
}


@pytest.fixture(scope="module")
def als(world: Interactions, recipe: Recipe) -> ALS:
    fitted = fit(recipe, world)
    assert isinstance(fitted, ALS)
    return fitted


@pytest.fixture(scope="module")
def styles(world: Interactions) -> NDArray[np.int64]:
    return np.array([style_of(photo_id) for photo_id in world.catalog.photo_ids])


def of_both(styles: NDArray[np.int64], n: int) -> list[int]:
    """n photos of each of the first two styles."""
    return [int(row) for style in (0, 1) for row in np.flatnonzero(styles == style)[:n]]


def history(favorites: Iterable[int], dismissed: Iterable[int] = (), at: int = NOW) -> History:
    favored, refused = np.array(list(favorites), dtype=np.int64), np.array(list(dismissed), dtype=np.int64)
    return History.of(favored, np.full(len(favored), NOW), refused, np.full(len(refused), at))


def next_list(scores: Scores, what: History, n: int = 20) -> NDArray[np.int64]:
    rows, _ = top_rows(scores, n, what.photo_rows)
    return rows


def model_of(kind: str, recipe: Recipe, interactions: Interactions) -> Model:
    parameters = LEARN_FROM_THEM | ONLY_HIDE
    return fit(recipe if kind == "als" else Recipe(kind, parameters[kind]), interactions)


class TestEveryModel:
    def test_all_kinds_are_held_to_what_they_state(self) -> None:
        assert set(LEARN_FROM_THEM) | set(ONLY_HIDE) | {"blend"} == set(FITS)

    @pytest.mark.parametrize("kind", LEARN_FROM_THEM)
    def test_these_lower_the_style_and_hardly_another(
        self, kind: str, world: Interactions, recipe: Recipe, styles: NDArray[np.int64]
    ) -> None:
        model, liked = model_of(kind, recipe, world), of_both(styles, 8)
        refused = np.flatnonzero(styles == 0)[20:25].tolist()
        before, after = (scores_of(model, history(liked, rows)) for rows in (NONE, refused))
        others = np.delete(np.arange(world.n_photos), [*liked, *refused])
        falls = [(before - after)[others[styles[others] == style]].mean() for style in range(3)]
        assert falls[0] > 0
        assert abs(falls[1]) < falls[0] / 3
        assert abs(falls[2]) < falls[0] / 3

    @pytest.mark.parametrize("kind", ONLY_HIDE)
    def test_these_change_no_score(self, kind: str, world: Interactions, recipe: Recipe) -> None:
        model = model_of(kind, recipe, world)
        what = world.history(0)
        others = np.setdiff1d(np.arange(world.n_photos), what.photo_rows)
        assert (
            scores_of(model, history(what.favorites, others[:9])) == scores_of(model, history(what.favorites))
        ).all()

    def test_what_contacts_like_stays_what_it_is(self, als: ALS) -> None:
        model, contacts = ContactVectors(als), np.array([3, 7], dtype=np.int32)
        before, after = (replace(history([1, 2], rows), contacts=contacts) for rows in ([], [5, 6]))
        assert (scores_of(model, before) == scores_of(model, after)).all()
        assert np.ptp(scores_of(model, after)) > 0

    def test_a_blend_falls_where_its_parts_fall_and_rises_where_they_rise(
        self, als: ALS, world: Interactions, styles: NDArray[np.int64]
    ) -> None:
        popularity = Popularity.fit(world, half_life_days=60.0)
        blend = Blend((Component("als", als, 0.7, 0.1), Component("popularity", popularity, 0.3, 5.0)))
        before = Histories.of([history(of_both(styles, 8))])
        after = Histories.of([history(of_both(styles, 8), np.flatnonzero(styles == 0)[20:25])])
        change, of_als = (model.scores(after)[0] - model.scores(before)[0] for model in (blend, als))
        clear = np.abs(of_als) > 1e-3
        assert clear.sum() > 30
        assert (np.sign(change[clear]) == np.sign(of_als[clear])).all()


class TestALS:
    @pytest.mark.parametrize("refused_style", [0, 1])
    def test_five_dismissals_of_one_of_two_liked_styles_halve_its_share_at_least_and_spare_the_other(
        self, als: ALS, styles: NDArray[np.int64], refused_style: int
    ) -> None:
        liked = of_both(styles, 8)
        scores = scores_of(als, history(liked))
        listed = next_list(scores, history(liked))
        shares = np.bincount(styles[listed], minlength=3) / len(listed)
        refused = listed[styles[listed] == refused_style][:5]
        assert len(refused) == 5
        what = history(liked, refused)
        later = next_list(scores_of(als, what), what)
        shares_later = np.bincount(styles[later], minlength=3) / len(later)
        assert shares_later[refused_style] <= shares[refused_style] / 2
        assert shares_later[1 - refused_style] > shares[1 - refused_style]

    @given(data=st.data())
    def test_a_dismissal_moves_the_photo_towards_nothing_and_never_past_it(self, als: ALS, data: st.DataObject) -> None:
        # s' = s ÷ (1 + (c − 1) · yᵀ W y), W ≻ 0: the rank-one update of the normal equations (Sherman–Morrison).
        rows = st.integers(0, len(als.photo_factors) - 1)
        liked = data.draw(st.lists(rows, min_size=1, max_size=30, unique=True))
        refused = data.draw(rows.filter(lambda row: row not in liked))
        weak, strong = sorted(data.draw(st.lists(st.floats(0.01, 1e4), min_size=2, max_size=2)))
        before = float(scores_of(als, history(liked))[refused])
        shrunk = [
            float(scores_of(with_alpha(als, alpha), history(liked, [refused]))[refused]) for alpha in (weak, strong)
        ]
        sign = np.sign(before)
        assert -1e-4 <= sign * shrunk[1] <= sign * shrunk[0] + 1e-4 <= sign * before + 2e-4

    def test_dismissals_of_long_ago_have_hardly_a_say(self, als: ALS, styles: NDArray[np.int64]) -> None:
        liked, refused = of_both(styles, 8), np.flatnonzero(styles == 0)[20:25]
        now, then = (history(liked, refused, at=at) for at in (NOW, NOW - 10 * 365 * DAY))
        before = scores_of(als, history(liked))
        of_style = np.setdiff1d(np.flatnonzero(styles == 0), [*liked, *refused])
        fresh, old = ((before - scores_of(als, what))[of_style].mean() for what in (now, then))
        assert 0 <= old < fresh / 20

    def test_training_on_dismissals_of_a_photo_lowers_it_for_those_who_never_saw_it(
        self, recipe: Recipe, world: Interactions, als: ALS, styles: NDArray[np.int64]
    ) -> None:
        refused = world.catalog.photo_ids[np.flatnonzero(styles == 0)[:3]]
        rows = [
            (user, photo, "", Kind.DISMISS_PHOTO, NOW) for user in world.user_ids[::3] for photo in refused
        ]  # users who like the style, and would have to favor other photos of it
        taught = fit(recipe, build_interactions(log_of([*world_rows(), *rows])))
        rest = np.flatnonzero(styles == 0)[20:28]
        catalog_rows = world.catalog.rows(refused)
        before, after = (scores_of(model, history(rest))[catalog_rows].mean() for model in (als, taught))
        assert after < before - 0.1


class TestPeople:
    """Dismissing a person: a negative on each of their photos that is not a favorite, in training and in fold-in."""

    WHO = "u005"

    def state(self, world: Interactions, user: int, people: tuple[str, ...] = ()) -> UserState:
        what = world.history(user)
        favorites = world.catalog.photo_ids[what.favorites]
        return UserState(
            user_id=str(world.user_ids[user]),
            favorite_ids=tuple(favorites),
            favorite_owners=tuple(world.catalog.owner_ids[what.favorites]),
            favorite_times=tuple(what.times.tolist()),
            dismissed_people=people,
            dismissed_people_times=(NOW,) * len(people),
        )

    def dismissed_by(self, world: Interactions, users: Iterable[int], taken_back: bool = False) -> Interactions:
        kinds = (Kind.DISMISS_USER, Kind.UNDISMISS_USER)[: 1 + taken_back]
        rows: list[Row] = [
            (str(world.user_ids[user]), "", self.WHO, kind, NOW + later)
            for user in users
            for later, kind in enumerate(kinds)
        ]
        return build_interactions(log_of([*world_rows(), *rows]))

    def test_fold_in_lowers_what_the_person_made_but_for_favorites(self, als: ALS, world: Interactions) -> None:
        user = self.somebody_who_favors(world)
        theirs, _ = world.catalog.rows_of_owners([self.WHO])
        before, after = (history_of(world.catalog, self.state(world, user, people)) for people in ((), (self.WHO,)))
        liked = np.intersect1d(theirs, before.favorites)
        others = np.setdiff1d(theirs, liked)
        assert len(liked) and len(others)
        assert after.photo_rows[~after.positive].tolist() == others.tolist()
        assert (after.favorites == before.favorites).all()
        scores_before, scores_after = scores_of(als, before), scores_of(als, after)
        assert (np.abs(scores_after[others]) < np.abs(scores_before[others])).all()

    def test_training_gives_the_same_confidences_as_fold_in(self, als: ALS, world: Interactions) -> None:
        user = self.somebody_who_favors(world)
        interactions = self.dismissed_by(world, [user])
        weighting = replace(als.weighting, reference_time=interactions.data_until)
        trained = confidence_matrix(interactions, weighting)[user].toarray()[0]
        served = history_of(world.catalog, self.state(world, user, (self.WHO,)))
        folded = replace(als, weighting=weighting)._confidence(Histories.of([served]))
        assert trained[served.photo_rows] == pytest.approx(folded)
        assert (trained < 0).sum() == (folded < 0).sum() > 0

    def test_a_person_whom_many_dismiss_is_ranked_lower_for_everybody(
        self, recipe: Recipe, als: ALS, world: Interactions
    ) -> None:
        theirs, _ = world.catalog.rows_of_owners([self.WHO])
        row = theirs[0]
        lovers = world.favorites.users[world.favorites.photos == row]
        refusing = np.setdiff1d(np.arange(world.n_users), lovers)
        taught = fit(recipe, self.dismissed_by(world, refusing.tolist()))
        what = history(np.setdiff1d(world.history(int(lovers[0])).favorites, theirs))
        before, after = (scores_of(model, what)[row] for model in (als, taught))
        assert after < before - 0.05

    def test_taken_back_it_leaves_no_trace(self, world: Interactions) -> None:
        assert len(self.dismissed_by(world, [0, 1]).dismissals) > 0
        assert len(self.dismissed_by(world, [0, 1], taken_back=True).dismissals) == 0

    def somebody_who_favors(self, world: Interactions) -> int:
        theirs, _ = world.catalog.rows_of_owners([self.WHO])
        favored = [np.isin(theirs, world.history(user).favorites).sum() for user in range(world.n_users)]
        return int(np.flatnonzero(np.array(favored) == 1)[0])


def with_alpha(model: ALS, alpha_dismissal: float) -> ALS:
    return replace(model, weighting=replace(model.weighting, alpha_dismissal=alpha_dismissal))
