"""Drift: silent for more of the same, loud for another population, and small enough to travel with a model."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.conftest import DAY, START, interactions_of, log_of, world_rows
from training.drift import (
    SAMPLED_USERS,
    SIGNIFICANT,
    DriftProfile,
    DriftReport,
    FeatureDrift,
    Observed,
    Sample,
    drift,
    observe,
    profile,
)
from training.from_lake import build_interactions
from training.interactions import Contacts, Interactions
from training.models.recipes import Recipe, fit


def observed(values: object, units: int | None = None) -> Observed:
    array = np.asarray(values, dtype=np.float64)
    return Observed(0, {}, {"it": Sample(array, len(array) if units is None else units)})


def moved(then: object, now: object, units: int | None = None) -> FeatureDrift:
    (feature,) = drift(profile(observed(then, units)), observed(now, units)).features
    return feature


def found(report: DriftReport, name: str) -> FeatureDrift:
    return next(feature for feature in report.features if feature.name == name)


def normal(mean: float, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, n)


# The index


def test_the_index_by_hand() -> None:
    # Half of them 0 and half 1, then a fifth 0.
    then, now = np.repeat([0, 1], 5_000), np.repeat([0, 1], [2_000, 8_000])
    by_hand = (0.2 - 0.5) * np.log(0.2 / 0.5) + (0.8 - 0.5) * np.log(0.8 / 0.5)
    feature = moved(then, now)
    assert feature.psi == pytest.approx(by_hand, rel=1e-3)
    assert (feature.level, feature.then_mean, feature.now_mean) == ("significant", 0.5, 0.8)


def test_the_same_values_have_not_moved_at_all() -> None:
    assert moved(normal(0, 1_000), normal(0, 1_000)).psi == 0


@pytest.mark.parametrize(("shift", "level"), [(0.05, "stable"), (0.35, "moderate"), (1.0, "significant")])
def test_levels_are_those_of_the_field(shift: float, level: str) -> None:
    assert moved(normal(0, 20_000, 1), normal(shift, 20_000, 2)).level == level


@pytest.mark.parametrize(
    ("then", "now"), [([1.0] * 500, [0.0] * 500), ([0.0] * 500, [1.0] * 500), ([3.0] * 500, [2.0, 4.0] * 250)]
)
def test_a_constant_that_changes_is_seen(then: list[float], now: list[float]) -> None:
    assert moved(then, now).level == "significant"
    assert moved(then, then).psi == 0


def test_of_samples_of_one_population_at_most_a_few_percent_are_called_drift() -> None:
    levels = [moved(normal(0, 60, seed), normal(0, 60, 1_000 + seed)).level for seed in range(200)]
    assert levels.count("stable") >= 190
    # Without the bound by chance most of them would be: with 60 users the index is .3 in the mean.
    indices = [moved(normal(0, 60, seed), normal(0, 60, 1_000 + seed)).psi for seed in range(200)]
    assert sum(index > SIGNIFICANT for index in indices) > 60


def test_favorites_of_few_users_count_as_few() -> None:
    one, other = normal(0, 1_000, 1), normal(0.6, 1_000, 2)
    assert moved(one, other).level == "significant"
    assert moved(one, other, units=20).level == "stable"


@given(st.lists(st.integers(0, 20), min_size=1, max_size=80), st.lists(st.integers(0, 30), min_size=1, max_size=80))
def test_the_index_is_finite_and_not_negative(then: list[int], now: list[int]) -> None:
    feature = moved(then, now)
    assert np.isfinite(feature.psi)
    assert feature.psi >= 0
    assert feature.chance > 0


# Profiles


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_a_profile_survives_json_and_names_bins_of_which_the_shares_add_up(values: list[float]) -> None:
    kept = profile(observed(values))
    assert DriftProfile.from_dict(json.loads(json.dumps(kept.as_dict()))) == kept
    distribution = kept.distributions["it"]
    assert len(distribution.shares) == len(distribution.edges) + 1 <= 10
    assert sum(distribution.shares) == pytest.approx(1)
    assert distribution.edges == sorted(set(distribution.edges))


def test_a_profile_of_interactions_names_nobody_and_is_small(world: Interactions, recipe: Recipe) -> None:
    text = json.dumps(profile(observe(world, fit(recipe, world))).as_dict())
    assert len(text) < 5_000
    assert not any(user in text for user in world.user_ids)
    assert not any(photo in text for photo in world.catalog.photo_ids)


# Interactions


def rows(days: int = 100, **world: int) -> Interactions:
    return build_interactions(log_of(world_rows(days=days, **world)))


def test_what_is_observed_of_interactions(world: Interactions, recipe: Recipe) -> None:
    samples = observe(world, fit(recipe, world)).samples
    assert samples["favorites a user"].values.tolist() == world.user_degrees.tolist()
    assert samples["favorites a photo"].values.tolist() == world.photo_degrees.tolist()
    ages = samples["age of favorites in days"]
    assert (len(ages.values), ages.units) == (len(world.favorites), world.n_users)
    assert (ages.values.min(), ages.values.max() < 100) == (0, True)
    assert len(samples["scores of the best photos"].values) == world.n_users


def test_newcomers_are_those_whose_first_favorite_is_recent() -> None:
    old, new = START, START + 90 * DAY
    listed = [("ann", "a", old), ("ann", "b", new), ("ben", "c", new), ("cid", "a", old)]
    built = build_interactions(log_of([(user, photo, "o", "favorite", at) for user, photo, at in listed]))
    samples = observe(built).samples
    assert sorted(samples["share of new users"].values) == [0, 1]  # ann, ben; cid did nothing lately
    assert sorted(samples["share of new photos"].values) == [1, 1]  # b, c


def test_another_world_of_the_same_kind_has_not_drifted() -> None:
    report = drift(profile(observe(rows(seed=1))), observe(rows(seed=2)))
    assert report.beyond(SIGNIFICANT) == []
    assert report.counts["users"] == (60, 60)


def test_users_with_twice_the_favorites_are_a_drift_of_just_that() -> None:
    report = drift(profile(observe(rows(users=300, photos=200))), observe(rows(users=300, photos=400)))
    assert found(report, "favorites a user").level == "significant"
    assert found(report, "age of favorites in days").level == "stable"
    assert report.features[0].psi == max(feature.psi for feature in report.features)


def test_scores_of_another_model_are_a_drift_of_the_scores(world: Interactions, recipe: Recipe) -> None:
    then = profile(observe(world, fit(recipe, world)))
    other = fit(recipe.changed(alpha=0.1), world)
    report = drift(then, observe(world, other))
    assert [feature.name for feature in report.beyond(SIGNIFICANT)] == ["scores of the best photos"]
    assert drift(then, observe(world, fit(recipe, world))).beyond(0) == []


def test_the_users_whose_scores_are_taken_stay_the_same_when_others_come() -> None:
    class Counts:
        """The score of every photo is how many favorites the user has."""

        def __init__(self, n_photos: int) -> None:
            self.n_photos = n_photos

        def scores(self, histories):  # type: ignore[no-untyped-def]
            return np.repeat(histories.degrees[:, None], self.n_photos, axis=1).astype(np.float32)

    def sampled(n: int) -> set[float]:
        # The n-th user has n + 1 favorites, so that a score says who it is.
        built = interactions_of({f"user {user:04d}": [f"p{i}" for i in range(user + 1)] for user in range(n)})
        sample = observe(built, Counts(built.n_photos)).samples["scores of the best photos"]
        return set(sample.values.tolist())

    before, after = sampled(SAMPLED_USERS + 50), sampled(SAMPLED_USERS + 60)
    assert len(before & after) >= SAMPLED_USERS - 12


def test_whom_a_user_follows_makes_no_drift(world: Interactions) -> None:
    class Followed:
        """The score of every photo is how many people the user follows."""

        def scores(self, histories):  # type: ignore[no-untyped-def]
            follows = np.diff(histories.contact_indptr).astype(np.float32)
            return np.repeat(follows[:, None], world.n_photos, axis=1)

    followers = np.arange(1, world.n_users)
    following = replace(world, contacts=Contacts.of(followers, 0 * followers, world.n_users))
    for one in (world, following):
        assert not observe(one, Followed()).samples["scores of the best photos"].values.any()


def test_without_favorites_there_is_nothing_to_compare() -> None:
    empty = build_interactions(log_of([]))
    assert observe(empty).samples == {}
    assert drift(profile(observe(empty)), observe(rows())).features == []


def test_the_report_is_json_and_a_table(world: Interactions) -> None:
    report = drift(profile(observe(world)), observe(rows(photos=240)))
    content = json.loads(json.dumps(report.as_dict()))
    assert content["counts"]["photos"] == [120, 240]
    assert {feature["name"] for feature in content["features"]} == set(observe(world).samples)
    lines = report.markdown().splitlines()
    assert lines[0].startswith("| distribution | PSI |")
    assert f"| {report.features[0].name} | {report.features[0].psi:.3f} |" in lines[2]
    assert "| photos | 120 | 240 |" in lines
