"""The gate: who may become champion, and the sentences that say why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import InvalidInputError
from features.settings import Settings
from training.gate import Decision, Margins, Measured, decide, first_champion, forced, undecided

USERS = 200
DEGREES = np.full(USERS, 7)
"""All users in one segment, that of 5–9 favorites."""


def around(mean: float, seed: int = 0, users: int = USERS) -> NDArray[np.float64]:
    """NDCG of users with this mean."""
    noise = np.random.default_rng(seed).normal(0, 0.05, users)
    return mean + noise - noise.mean()


def model(ndcg: float | NDArray[np.float64], kind: str = "als", **facts: Any) -> Measured:
    values = around(ndcg, len(kind)) if isinstance(ndcg, float) else ndcg
    return Measured(**{"kind": kind, "ndcg": values, "coverage": 0.4, "n_photos": 1_000, "latency_ms": 1.0, **facts})


POPULAR = model(np.full(USERS, 0.1), "popularity")
CHAMPION = model(around(0.4, 2), "champion")


def decision(challenger: Measured, champion: Measured | None = CHAMPION, **margins: float) -> Decision:
    return decide(challenger, champion, POPULAR, DEGREES, Margins(**margins))  # type: ignore[arg-type]


def failed(found: Decision) -> list[str]:
    return [check.name for check in found.checks if not check.passed]


def test_a_better_challenger_passes_every_check() -> None:
    found = decision(model(around(0.5, 1)))
    assert (found.passed, found.kind, found.forced) == (True, "als", False)
    names = [check.name for check in found.checks]
    assert names == ["popularity", "ndcg", "coverage", "segment 5–9", "catalog", "finite", "latency"]
    assert failed(found) == []
    assert found.reason.startswith("better than popularity: NDCG 0.5000 against 0.1000; not worse than the champion: ")
    assert "NDCG 0.5000 against 0.4000 (+0.1000, 95 % interval +0.0" in found.reason


def test_a_decision_is_json_with_all_checks() -> None:
    content = decision(model(around(0.5, 1))).as_dict()
    assert (content["passed"], content["checks"][0]["name"]) == (True, "popularity")


# NDCG


def test_a_challenger_that_loses_beyond_the_interval_is_refused() -> None:
    found = decision(model(around(0.3, 1)))
    assert not found.passed
    assert found.reason.startswith("worse than the champion: NDCG 0.3000 against 0.4000 (-0.1000, 95 % interval -0.1")
    assert "ndcg" in failed(found)


def test_a_challenger_that_is_worse_by_chance_only_passes() -> None:
    challenger = model(around(0.399, 1))
    assert challenger.ndcg.mean() < CHAMPION.ndcg.mean()
    assert decision(challenger).passed


def test_the_same_model_again_passes() -> None:
    assert decision(replace(CHAMPION, kind="als")).passed


def test_users_are_compared_with_themselves_so_a_small_loss_of_everybody_is_seen() -> None:
    # Between users NDCG varies by 0.05, so that unpaired means of two hundred could not tell 0.002 from chance.
    found = decision(model(CHAMPION.ndcg - 0.002))
    assert failed(found) == ["ndcg"]


def test_the_same_results_give_the_same_interval() -> None:
    challenger = model(around(0.398, 1))
    assert decision(challenger) == decision(challenger)
    assert decision(challenger).reason != decision(challenger, seed=1).reason


@pytest.mark.parametrize(("difference", "passed"), [(-0.01, False), (0.0, True), (0.01, True)])
def test_by_few_users_the_champion_stays_unless_the_mean_is_as_high(difference: float, passed: bool) -> None:
    few, popular = around(0.4, 2, users=9), model(np.full(9, 0.1))
    found = decide(model(few + difference), model(few), popular, np.full(9, 7))
    assert found.passed == passed
    assert "by 9 users, too few for an interval" in found.checks[1].detail


@given(st.integers(0, 10**6), st.floats(0, 0.2))
def test_who_is_no_worse_on_the_mean_passes(seed: int, difference: float) -> None:
    challenger, champion = model(around(0.5 + difference, seed)), model(around(0.5, seed + 1), "champion")
    assert decision(challenger, champion).passed


@given(st.integers(0, 10**6), st.floats(0.03, 0.4))
def test_who_is_much_worse_never_passes(seed: int, difference: float) -> None:
    challenger, champion = model(around(0.6 - difference, seed)), model(around(0.6, seed + 1), "champion")
    assert not decision(challenger, champion).passed


# Popularity


@pytest.mark.parametrize("mean", [0.1, 0.05])
def test_who_is_not_better_than_popularity_is_refused_even_without_a_champion(mean: float) -> None:
    found = decision(model(np.full(USERS, mean)), None)
    assert not found.passed
    assert found.reason == f"not better than popularity: NDCG {mean:.4f} against 0.1000"


def test_better_than_a_champion_that_fell_below_popularity_is_not_enough() -> None:
    assert failed(decision(model(around(0.08)), model(around(0.02), "champion"))) == ["popularity"]


def test_without_a_champion_better_than_popularity_is_enough() -> None:
    found = decision(model(around(0.2)), None)
    assert found.passed
    assert found.reason.startswith("there is no champion to compare with; better than popularity: NDCG 0.2000")


# Coverage, catalog, segments


@pytest.mark.parametrize(("coverage", "refused"), [(0.33, []), (0.31, ["coverage"])])
def test_coverage_may_not_fall_below_its_share_of_the_champions(coverage: float, refused: list[str]) -> None:
    found = decision(model(around(0.5), coverage=coverage))
    assert failed(found) == refused
    if refused:
        assert (
            found.reason
            == "covers too little: 31.0% of the photos against the champion's 40.0%, of which 80% are asked for"
        )


@pytest.mark.parametrize(("photos", "refused"), [(500, []), (499, ["catalog"]), (50_000, [])])
def test_the_catalog_may_grow_but_not_shrink_by_more_than_half(photos: int, refused: list[str]) -> None:
    found = decision(model(around(0.5), n_photos=photos))
    assert failed(found) == refused
    if refused:
        assert found.reason == "knows too few: 499 photos against the champion's 1,000, of which 50% are asked for"


def segmented(lost: float, users: int, of: int = 400) -> Decision:
    """A challenger that is much better for most, and loses `lost` of 0.4 for users with more than 100 favorites."""
    degrees = np.where(np.arange(of) < users, 150, 7)
    champion = around(0.4, 2, of)
    challenger = np.where(np.arange(of) < users, champion - lost + around(0, 3, of), champion + 0.1)
    popular = model(np.full(of, 0.1), "popularity")
    return decide(model(challenger), model(champion, "champion"), popular, degrees)


def test_a_segment_that_loses_more_than_the_margin_refuses_a_challenger_that_is_better_on_the_whole() -> None:
    found = segmented(lost=0.15, users=40)
    assert failed(found) == ["segment 100+"]
    assert found.reason.startswith("loses more than 10% for 40 users with 100+ favorites: NDCG 0.2")


def test_a_loss_within_the_margin_is_borne() -> None:
    found = segmented(lost=0.02, users=40)
    assert found.passed
    assert "segment 100+" in [check.name for check in found.checks]


def test_a_loss_that_may_be_chance_is_borne() -> None:
    noise = np.random.default_rng(1).normal(0, 0.5, 40)
    champion = np.concatenate([np.full(40, 0.4), around(0.4, 2, 360)])
    challenger = np.concatenate([0.34 + noise - noise.mean(), champion[40:] + 0.1])
    degrees = np.where(np.arange(400) < 40, 150, 7)
    found = decide(model(challenger), model(champion), model(np.full(400, 0.1)), degrees)
    assert found.passed


@pytest.mark.parametrize(("users", "of"), [(19, 400), (9, 100)])
def test_a_segment_of_few_users_is_not_judged(users: int, of: int) -> None:
    found = segmented(lost=0.3, users=users, of=of)
    assert "segment 100+" not in [check.name for check in found.checks]
    assert found.passed


# Sanity


def test_factors_that_are_not_finite_are_refused_by_name() -> None:
    found = decision(model(around(0.5), not_finite=["ALS.photo_factors"]))
    assert (failed(found), found.reason) == (["finite"], "not finite: ALS.photo_factors")


def test_a_model_that_is_too_slow_is_refused() -> None:
    found = decision(model(around(0.5), latency_ms=31.25))
    assert failed(found) == ["latency"]
    assert found.reason == "too slow: 31.2 ms for one recommendation (p95) of 25 ms allowed"


def test_a_latency_that_nobody_measured_is_no_pass() -> None:
    assert failed(decision(model(around(0.5), latency_ms=None))) == ["latency"]


def test_every_rule_that_fails_is_in_the_reason() -> None:
    found = decision(model(around(0.05), coverage=0.1, n_photos=10, latency_ms=99.0, not_finite=["x"]))
    assert failed(found) == ["popularity", "ndcg", "coverage", "segment 5–9", "catalog", "finite", "latency"]
    assert found.reason == "; ".join(check.detail for check in found.checks)


def test_the_settings_set_the_margins() -> None:
    settings = Settings(gate_latency_ms=50.0, gate_coverage=0.5, seed=3, _env_file=None)  # type: ignore[call-arg]
    margins = Margins.from_settings(settings)
    assert margins == Margins(latency_ms=50.0, coverage=0.5, seed=3)
    assert Margins.from_settings(Settings(_env_file=None)) == Margins()  # type: ignore[call-arg]


# Force


def test_force_passes_what_fails_and_keeps_both_reasons_and_the_checks() -> None:
    refused = decision(model(around(0.5), n_photos=10))
    found = forced(refused, " the owner asked for it ")
    assert (found.passed, found.forced, found.kind, found.checks) == (True, True, "als", refused.checks)
    assert found.reason == f"forced: the owner asked for it (it would have failed: {refused.reason})"


def test_force_says_so_too_where_it_was_not_needed() -> None:
    assert "(it would have passed: better than popularity" in forced(decision(model(around(0.5))), "sure").reason


@pytest.mark.parametrize("message", ["", "  \n"])
def test_force_needs_a_message(message: str) -> None:
    with pytest.raises(InvalidInputError, match="needs a message") as raised:
        forced(undecided(has_champion=True), message)
    assert raised.value.field == "message"


# The first champion, and nothing to measure


@pytest.mark.parametrize("best", ["als", "neighbor_score", "popularity"])
def test_the_first_champion_is_the_best_of_all_whichever_it_is(best: str) -> None:
    kinds = ("als", "neighbor_score", "popularity")
    found = first_champion({kind: model(0.3 if kind == best else 0.2, kind) for kind in kinds})
    assert (found.passed, found.kind) == (True, best)
    assert f"{best} is the best" in found.reason
    assert all(f"{kind} 0." in found.reason for kind in kinds)
    assert [check.name for check in found.checks] == ["finite", "latency"]


def test_the_best_is_no_first_champion_if_it_can_not_be_served() -> None:
    candidates = {"als": model(0.3, latency_ms=80.0), "popularity": model(0.2, "popularity")}
    found = first_champion(candidates)
    assert (found.passed, found.kind) == (True, "popularity")
    assert "als is unfit: too slow: 80.0 ms" in found.reason


def test_if_none_can_be_served_there_is_no_first_champion() -> None:
    found = first_champion({"als": model(0.3, not_finite=["y"]), "popularity": model(0.2, not_finite=["x"])})
    assert (found.passed, found.kind) == (False, "als")
    assert "none of NDCG als 0.3000, popularity 0.2000 can be served" in found.reason


def test_with_nothing_to_measure_popularity_begins() -> None:
    found = undecided(has_champion=False)
    assert (found.passed, found.kind) == (True, "popularity")


def test_with_nothing_to_measure_a_champion_stays() -> None:
    found = undecided(has_champion=True)
    assert not found.passed
    assert "nothing to measure with" in found.reason
