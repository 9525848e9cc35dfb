"""The order of a page: what each weight does to it, and what none of them can do."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.settings import Settings
from serving.ranking.rerank import Pool, Weights, in_turns, reranked, seed_of, uniform

NOTHING = Weights(owner_cap=0)


def pool_of(
    scores: list[float],
    *,
    owners: list[int] | None = None,
    directions: list[tuple[float, float]] | None = None,
    ages: list[float] | None = None,
    favoriters: list[float] | None = None,
) -> Pool:
    """Photos of an owner each, unlike each other, old and well known, but for what is said."""
    n = len(scores)
    return Pool(
        rows=np.arange(n) * 7 + 100,
        scores=np.array(scores, dtype=np.float32),
        owners=np.array(owners if owners is not None else range(n)),
        directions=np.array(directions, dtype=np.float32) if directions else np.zeros((n, 2), dtype=np.float32),
        ages=np.array(ages if ages is not None else [np.inf] * n, dtype=np.float64),
        favoriters=np.array(favoriters if favoriters is not None else [np.inf] * n, dtype=np.float64),
    )


@st.composite
def pools(draw: st.DrawFn) -> Pool:
    n = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 1_000)))
    directions = rng.normal(size=(n, 4)).astype(np.float32)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
    directions[rng.random(n) < 0.2] = 0.0
    scores = np.sort(rng.choice([0.0, 0.5, rng.random()], n) if draw(st.booleans()) else rng.normal(size=n))[::-1]
    return Pool(
        rows=rng.choice(10_000, n, replace=False),
        scores=scores.astype(np.float32),
        owners=rng.integers(0, max(n // 3, 1), n),
        directions=directions,
        ages=np.where(rng.random(n) < 0.3, np.inf, rng.integers(0, 200, n)),
        favoriters=np.where(rng.random(n) < 0.1, np.inf, rng.integers(1, 100, n)),
    )


weights = st.builds(
    Weights,
    diversity=st.sampled_from([0.0, 0.5, 3.0]),
    freshness=st.sampled_from([0.0, 1.0, 10.0]),
    exploration=st.sampled_from([0.0, 0.05, 0.5]),
    owner_cap=st.integers(0, 3),
)
places = st.integers(1, 40)
seeds = st.integers(0, 2**32 - 1)


@given(pool=pools(), weights=weights, places=places, seed=seeds, spare=st.integers(0, 10))
def test_every_candidate_keeps_exactly_one_place_whatever_the_weights(
    pool: Pool, weights: Weights, places: int, seed: int, spare: int
) -> None:
    assert sorted(reranked(pool, weights, places, seed, spare)) == list(range(len(pool)))


@given(pool=pools(), weights=weights, places=places, seed=seeds)
def test_the_same_seed_gives_the_same_page(pool: Pool, weights: Weights, places: int, seed: int) -> None:
    first = reranked(pool, weights, places, seed)
    assert first.tolist() == reranked(pool, weights, places, seed).tolist()


@given(pool=pools(), places=places, seed=seeds, cap=st.integers(0, 3))
def test_without_weights_the_order_of_the_scores_stands(pool: Pool, places: int, seed: int, cap: int) -> None:
    assert reranked(pool, Weights(owner_cap=cap), places, seed).tolist() == list(range(len(pool)))


@given(pool=pools(), weights=weights, places=places, seed=seeds)
def test_no_owner_has_more_than_the_cap_on_a_page_while_others_have_any_left(
    pool: Pool, weights: Weights, places: int, seed: int
) -> None:
    weights = replace(weights, diversity=max(weights.diversity, 0.1))
    page = reranked(pool, weights, places, seed)[:places]
    cap = weights.owner_cap or len(pool)
    available = sum(min(count, cap) for count in Counter(pool.owners.tolist()).values())
    over = sum(max(count - cap, 0) for count in Counter(pool.owners[page].tolist()).values())
    assert over <= max(len(page) - available, 0)


@given(pool=pools(), weights=weights, places=places, seed=seeds)
def test_exploration_takes_its_share_of_the_places_in_the_lower_half_and_no_more(
    pool: Pool, weights: Weights, places: int, seed: int
) -> None:
    exploring = replace(weights, diversity=0.0, freshness=0.0, exploration=max(weights.exploration, 0.01))
    page = reranked(pool, exploring, places, seed)[:places]
    explored = np.flatnonzero(page >= places)
    if not weights.owner_cap:
        assert len(explored) <= exploring.exploration * places + 1
        assert (explored >= places // 2).all()
    assert np.isfinite(pool.favoriters[page[explored]]).all() or weights.owner_cap


def test_two_photos_alike_do_not_stand_side_by_side_where_others_are_nearly_as_good() -> None:
    same, other = (1.0, 0.0), (0.0, 1.0)
    pool = pool_of([1.0, 0.9, 0.8, 0.1], directions=[same, same, other, other])
    assert reranked(pool, NOTHING, 4, 0).tolist() == [0, 1, 2, 3]
    assert reranked(pool, replace(NOTHING, diversity=1.0), 4, 0).tolist()[:2] == [0, 2]


def test_a_photo_of_which_nothing_is_known_is_like_no_other() -> None:
    pool = pool_of([1.0, 0.9, 0.85, 0.1], directions=[(1.0, 0.0), (1.0, 0.0), (0.0, 0.0), (0.0, 0.0)])
    assert reranked(pool, replace(NOTHING, diversity=5.0), 4, 0).tolist() == [0, 2, 3, 1]


def test_of_two_equally_good_photos_the_newer_comes_first_and_an_old_one_gains_nothing() -> None:
    pool = pool_of([1.0, 1.0, 1.0, 0.0], ages=[300.0, 1.0, 20.0, np.inf])
    assert reranked(pool, replace(NOTHING, freshness=0.5), 4, 0).tolist() == [1, 2, 0, 3]


def test_the_boost_of_a_new_photo_is_the_weight_in_standard_deviations_and_half_of_it_after_a_week() -> None:
    scores = [2.0, 1.0, 0.0, -1.0]
    unit = float(np.std(scores))
    just_enough, too_little = 2.01 / unit, 1.99 / unit
    for age, factor in ((0.0, 1.0), (7.0, 2.0)):
        pool = pool_of(scores, ages=[np.inf, np.inf, age, np.inf])
        assert reranked(pool, replace(NOTHING, freshness=just_enough * factor), 4, 0)[0] == 2
        assert reranked(pool, replace(NOTHING, freshness=too_little * factor), 4, 0)[0] == 0


def test_what_few_have_favorited_is_explored_most_and_differently_every_day() -> None:
    pool = pool_of(list(np.linspace(1, 0, 80)), favoriters=[1.0 if n % 2 else 50.0 for n in range(80)])
    weights = replace(NOTHING, exploration=0.1)
    drawn = Counter[int]()
    pages = set()
    for day in range(1, 29):
        page = reranked(pool, weights, 20, seed_of("30@N09", date(2026, 11, day)))[:20]
        explored = page[page >= 20].tolist()
        assert len(explored) in (2, 3)
        drawn.update(explored)
        pages.add(tuple(page.tolist()))
    assert len(pages) > 20
    few = sum(count for number, count in drawn.items() if number % 2)
    assert few > 5 * (drawn.total() - few)


def test_what_is_explored_today_stays_on_the_page_when_another_photo_leaves_the_pool() -> None:
    pool = pool_of(list(np.linspace(1, 0, 80)), favoriters=[5.0] * 80)
    weights, seed = replace(NOTHING, exploration=0.2), seed_of("30@N09", date(2026, 11, 1))

    def explored(pool: Pool) -> set[int]:
        page = reranked(pool, weights, 20, seed)[:20]
        return set(pool.rows[page[page >= 20]].tolist())

    before = explored(pool)
    left = np.array([n for n in range(80) if n != 79 and n != 50])
    without = Pool(*(getattr(pool, name)[left] for name in vars(pool)))
    assert explored(without) >= before - {int(pool.rows[50]), int(pool.rows[79])}


def test_a_share_below_one_place_is_one_place_on_some_days() -> None:
    pool = pool_of(list(np.linspace(1, 0, 80)), favoriters=[5.0] * 80)
    counts = [
        int((reranked(pool, replace(NOTHING, exploration=0.02), 20, seed)[:20] >= 20).sum()) for seed in range(300)
    ]
    assert set(counts) == {0, 1}
    assert sum(counts) / 300 == pytest.approx(0.02 * 20, abs=0.1)


@given(pool=pools(), weights=weights, places=places, seed=seeds, data=st.data())
def test_what_was_seen_on_fewer_visits_comes_first_and_every_candidate_once(
    pool: Pool, weights: Weights, places: int, seed: int, data: st.DataObject
) -> None:
    visits = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(pool), max_size=len(pool))), dtype=np.int64)
    order = in_turns(pool, visits, weights, places, seed)
    assert sorted(order) == list(range(len(pool)))
    assert (np.diff(visits[order]) >= 0).all()


def test_draws_are_spread_evenly_and_differ_between_people_and_days() -> None:
    drawn = uniform(seed_of("30@N09", date(2026, 11, 1)), np.arange(20_000))
    assert np.histogram(drawn, 10, (0, 1))[0] == pytest.approx([2_000] * 10, rel=0.1)
    others = uniform(seed_of("30@N09", date(2026, 11, 2)), np.arange(20_000))
    assert abs(np.corrcoef(drawn, others)[0, 1]) < 0.05
    assert seed_of("30@N09", date(2026, 11, 1)) != seed_of("31@N09", date(2026, 11, 1))


def test_the_weights_are_settings_and_zero_turns_each_off() -> None:
    off = Settings(rerank_diversity=0, rerank_freshness=0, rerank_exploration=0, rerank_owner_cap=0, _env_file=None)  # type: ignore[call-arg]
    assert Weights.of(off) == NOTHING
    assert Weights.of(off).only_cap
    assert not Weights.of(Settings(_env_file=None)).only_cap  # type: ignore[call-arg]


def test_a_page_from_150_candidates_is_ordered_in_about_a_millisecond() -> None:
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(150, 64)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    pool = Pool(
        np.arange(150),
        np.sort(rng.random(150))[::-1],
        rng.integers(0, 80, 150),
        directions,
        rng.integers(0, 400, 150).astype(np.float64),
        rng.integers(3, 90, 150),
    )
    seconds = []
    for seed in range(50):
        started = time.perf_counter()
        reranked(pool, Weights(3.0, 1.0, 0.05, 3), 30, seed, spare=15)
        seconds.append(time.perf_counter() - started)
    # The best of many: other work on the machine is not what is asked about.
    assert min(seconds) < 0.001
