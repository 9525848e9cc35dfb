"""What dismissals do, on the sandbox's worlds: to the lists of who makes them, and to a model that learns from them.

α_d is chosen on two worlds and reported on four others. The value is the median, over users, of a style's share of the
next top 50 over its share before, when the five best photos of the strongest style there were dismissed (fold-in only).
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from _dismissal_world import Setting, setting_of
from _reporting import finish
from numpy.typing import NDArray

from features.settings import Settings
from training.evaluation import metrics
from training.evaluation.holdout import holdout_of_split
from training.evaluation.measures import with_intervals
from training.interactions import History, Interactions
from training.models.blend import Blend, Part
from training.models.interface import Model, Scores, scores_of
from training.models.recipes import Recipe, blend_of, blend_recipe, fit
from training.retrieval import top_rows
from training.shares import shares_of_people, whole
from training.tuning.blending import learn_blend

CHOOSING, REPORTING = (11, 12), (7, 8, 9, 10)
GRID = (1.0, 3.0, 5.0, 7.0, 8.0, 10.0, 15.0, 20.0, 30.0, 100.0)
FEWEST_FAVORITES, LISTED, DISMISSED, K = 20, 50, 5, 20
BAR, BAR_TO_CHOOSE = 0.5, 0.45  # worlds differ by some hundredths
ITEM_ITEM: dict[str, dict[str, Any]] = {"item_knn": {}, "local_ease": {"regularization": 100.0}, "low_pass": {}}

BOUNDS = ("mean", "low", "high")

Floats = NDArray[np.float64]
PerUser = dict[str, list[float]]
Found = dict[str, Any]


def after_dismissing(
    model: Model, setting: Setting, groups: NDArray[np.int64], count: int | None, tastes: Floats | None = None
) -> PerUser:
    """What becomes of each user's list who dismisses `count` photos (None: all) of the strongest group of its top 50.

    groups: (n_photos,), a photo's style or owner. tastes: (n_users, n_groups); with them it is the group liked least of
    at least two that have `count` photos there. Of users with FEWEST_FAVORITES and two groups in their favorites and
    their list. `before`, `after`: the group's share of the top 50; the list after holds no dismissed photo and is
    filled from below. `hidden_only`: the share if they were left out and nothing learned. Then changes of NDCG@20 on
    favorites after the cut of other groups, among all photos but the dismissed (`shown`) and among the other groups'
    alone (`rest`); and of the same with the true rates as gains (`rest_true`).
    """
    train, found = setting.train, PerUser()

    def note(**values: float) -> None:
        for name, value in values.items():
            found.setdefault(name, []).append(value)

    for user in range(train.n_users):
        history = train.history(user)
        if len(history.favorites) < FEWEST_FAVORITES or len(np.unique(groups[history.favorites])) < 2:
            continue
        hidden = np.concatenate([history.photo_rows, setting.own(user)])
        scores = scores_of(model, history)
        listed, _ = top_rows(scores, LISTED, hidden)
        ids, counts = np.unique(groups[listed], return_counts=True)
        enough = ids if count is None else ids[counts >= count]
        if len(ids) < 2 or len(enough) < (1 if tastes is None else 2):
            continue
        group = ids[counts.argmax()] if tastes is None else enough[tastes[user, enough].argmin()]
        of_group = np.flatnonzero(groups == group)
        chosen = of_group if count is None else listed[groups[listed] == group][:count]
        later = scores_of(model, dismissing(history, chosen, setting.split.cut, person=count is None))
        gone = np.concatenate([hidden, chosen])
        shares = [np.count_nonzero(groups[top_rows(s, LISTED, gone)[0]] == group) / LISTED for s in (scores, later)]
        note(before=counts[ids == group][0] / LISTED, hidden_only=shares[0], after=shares[1])
        rest, gains = np.concatenate([gone, of_group]), setting.rates[user].copy()
        gains[rest] = 0
        found_before, found_later = (true_ndcg(top_rows(s, K, rest)[0], gains) for s in (scores, later))
        note(rest_true=found_later - found_before, rest_true_before=found_before)
        wanted = setting.test.get(user, np.empty(0, np.int32))
        wanted = wanted[groups[wanted] != group]
        if len(wanted):
            shown = [ndcg(s, gone, wanted) for s in (scores, later)]
            among_rest = [ndcg(s, rest, wanted) for s in (scores, later)]
            note(shown=shown[1] - shown[0], rest=among_rest[1] - among_rest[0], rest_before=among_rest[0])
    return found


def dismissing(history: History, rows: NDArray[np.integer], at: int, *, person: bool) -> History:
    """The history with these photos dismissed at that time, but for those that are favorites; person: by one click."""
    liked = history.positive
    favorites = np.sort(history.favorites.astype(np.int64))
    shares = (
        shares_of_people(favorites, rows.astype(np.int64), np.zeros(len(rows), np.int64))
        if person
        else whole(len(rows))
    )
    dismissed = np.concatenate([history.photo_rows[~liked], rows]).astype(np.int64)
    times = np.concatenate([history.times[~liked], np.full(len(rows), at)])
    shares = np.concatenate([history.shares[~liked], shares])
    return History.of(history.favorites.astype(np.int64), history.times[liked], dismissed, times, shares=shares)


def ndcg(scores: Scores, hidden: NDArray[np.int64], wanted: NDArray[np.int32]) -> float:
    listed, _ = top_rows(scores, K, hidden)
    hits = np.zeros((1, K), dtype=bool)
    hits[0, : len(listed)] = np.isin(listed, wanted)
    return float(metrics.ndcg(hits, np.array([len(wanted)]))[0])


def true_ndcg(listed: NDArray[np.int64], gains: NDArray[np.float32]) -> float:
    """NDCG@20 with the rates as gains: how near the list is to the best that there is."""
    discounts = 1 / np.log2(np.arange(2, K + 2))
    ideal = -np.sort(np.partition(-gains, K)[:K])
    return float(gains[listed] @ discounts[: len(listed)] / (ideal @ discounts))


def learned(model: Model, data: Interactions, setting: Setting) -> dict[str, Floats]:
    """`dismissed`: the mean place of each user's held-out dismissals among all photos that could be shown, from 0 for
    the first to 1 for the last; `ndcg`: NDCG@20 of the favorites after the cut. `data`: whose histories fold in.
    """
    places, found = [], []
    for user in sorted(setting.held_out.keys() | setting.test.keys()):
        scores = scores_of(model, data.history(user))
        hidden = np.concatenate([setting.train.history(user).photo_rows, setting.own(user)])  # the same for all
        if user in setting.held_out:
            ordered = np.sort(np.delete(scores, hidden))
            places.append(1 - float(np.mean(np.searchsorted(ordered, scores[setting.held_out[user]]) / len(ordered))))
        if user in setting.test:
            found.append(ndcg(scores, hidden, setting.test[user]))
    return {"dismissed": np.array(places), "ndcg": np.array(found)}


def interval(values: list[float] | Floats) -> dict[str, float]:
    """Mean and 95 % interval by bootstrap over the users."""
    found = with_intervals({"": np.asarray(values, dtype=np.float64)}, seed=0)[""]
    return {**{name: round(value, 5) for name, value in found.items()}, "users": len(values)}


def effect_of(found: PerUser) -> Found:
    before, after, hidden = (np.array(found[name]) for name in ("before", "after", "hidden_only"))
    return {
        "median": round(float(np.median(after / before)), 4),
        "mean": round(float(np.mean(after / before)), 4),
        "median_hidden_only": round(float(np.median(hidden / before)), 4),
        "share_before": round(float(before.mean()), 4),
        "share_after": round(float(after.mean()), 4),
        **ndcg_of(found),
    }


def ndcg_of(found: PerUser) -> Found:
    changes = {f"{name}_ndcg_change": interval(found[name]) for name in ("shown", "rest", "rest_true")}
    means = {f"{name}_ndcg_before": round(float(np.mean(found[f"{name}_before"])), 4) for name in ("rest", "rest_true")}
    return {**changes, **means}


def pooled(parts: list[PerUser]) -> PerUser:
    return {name: [value for part in parts for value in part[name]] for name in parts[0]}


def measure(settings: list[Setting], recipe: Recipe, baselines: list[Model]) -> tuple[Found, list[Model]]:
    """What the recipe's α_d does, users of all worlds together, and the models. `baselines`: trained without any."""
    models = [fit(recipe, setting.train) for setting in settings]
    found: Found = {"effect": effect_of(over(settings, models, styles, DISMISSED))}
    groups = list(zip(settings, models, baselines, strict=True))
    trained = [learned(model, setting.train, setting) for setting, model, _ in groups]
    without = [learned(model, setting.without, setting) for setting, _, model in groups]
    for name in ("dismissed", "ndcg"):
        before, after = (np.concatenate([part[name] for part in parts]) for parts in (without, trained))
        found |= {f"{name}_change": interval(after - before), f"{name}_without": round(float(before.mean()), 4)}
    print(recipe.parameters["alpha_dismissal"], found, file=sys.stderr, flush=True)
    return found, models


def over(
    settings: list[Setting], models: list[Model], groups: Callable[[Setting], NDArray[np.int64]], count: int | None
) -> PerUser:
    pairs = zip(models, settings, strict=True)
    return pooled([after_dismissing(model, setting, groups(setting), count) for model, setting in pairs])


def blended(setting: Setting, als: Model, recipe: Recipe, half_life_days: float) -> Blend:
    """That ALS with item-kNN and popularity, weighed by the favorites after the cut."""
    recipes = {
        "popularity": Recipe("popularity", {"half_life_days": half_life_days}),
        "item_knn": Recipe("item_knn", {"shrink": 10.0}),
        "als": recipe,
    }
    models: dict[str, Part] = {
        **{name: fit(one, setting.train) for name, one in recipes.items() if name != "als"},
        "als": als,
    }
    weights, units = learn_blend(models, holdout_of_split(setting.split), seed=0)
    return blend_of(blend_recipe(recipes, weights, units), models)


def of_least_liked(settings: list[Setting], models: list[Model]) -> PerUser:
    pairs = zip(models, settings, strict=True)
    return pooled(
        [after_dismissing(model, setting, styles(setting), DISMISSED, setting.tastes) for model, setting in pairs]
    )


def styles(setting: Setting) -> NDArray[np.int64]:
    return setting.world.photo_style[setting.photos].astype(np.int64)


def owners(setting: Setting) -> NDArray[np.int64]:
    return pd.factorize(setting.train.catalog.owner_ids[:])[0].astype(np.int64)


def choose(recipe: Recipe, holdout_days: float) -> tuple[float, Found]:
    """The smallest α_d of GRID that reaches BAR_TO_CHOOSE in median and mean: more costs more of the other tastes.

    Raises StopIteration when none does.
    """
    settings = [setting_of(seed, holdout_days) for seed in CHOOSING]
    baselines = [fit(recipe, setting.without) for setting in settings]
    found = {
        alpha_dismissal: measure(settings, recipe.changed(alpha_dismissal=alpha_dismissal), baselines)[0]
        for alpha_dismissal in GRID
    }
    effects = {alpha_dismissal: one["effect"] for alpha_dismissal, one in found.items()}
    chosen = next(a for a, effect in effects.items() if max(effect["median"], effect["mean"]) <= BAR_TO_CHOOSE)
    return chosen, {str(alpha_dismissal): summary(one) for alpha_dismissal, one in found.items()}


def summary(found: Found) -> Found:
    """The median and mean effect, and of each change [mean, low, high]."""
    effect = found["effect"]
    changes = {**{name: effect[name] for name in effect if name.endswith("_change")}, **found}
    bounds = {name: [of[bound] for bound in BOUNDS] for name, of in changes.items() if name.endswith("_change")}
    return {"median": effect["median"], "mean": effect["mean"], **bounds}


def main() -> None:
    configured = Settings(_env_file=None)  # type: ignore[call-arg]
    recipe = Recipe.from_settings(configured, "als")
    chosen, grid = choose(recipe, configured.holdout_days)
    settings = [setting_of(seed, configured.holdout_days) for seed in REPORTING]
    baselines = [fit(recipe, setting.without) for setting in settings]
    recipe = recipe.changed(alpha_dismissal=chosen)
    found, models = measure(settings, recipe, baselines)
    effect = found["effect"]
    holds = {
        "share_halves": effect["median"] <= BAR,
        "ndcg_on_remaining_tastes_does_not_fall": effect["rest_ndcg_change"]["high"] >= 0,
        "held_out_dismissals_rank_lower": found["dismissed_change"]["low"] > 0,
        "no_loss_on_favorites": found["ndcg_change"]["high"] >= 0,
        "the_default_is_the_choice": chosen == configured.confidence_alpha_dismissal,
    }
    others = {
        kind: effect_of(over(settings[:1], [fit(Recipe(kind, parameters), settings[0].train)], styles, DISMISSED))
        for kind, parameters in ITEM_ITEM.items()
    }
    blend = blended(settings[0], models[0], recipe, configured.recency_half_life_days)
    details = {
        "bars": holds,
        "alpha_dismissal": chosen,
        **found,
        "effect_on_the_style_liked_least": effect_of(of_least_liked(settings, models)),
        "dismissing_the_person_listed_most": ndcg_of(over(settings, models, owners, None)),
        "item_item_models": others,
        "blend": effect_of(over(settings[:1], [blend], styles, DISMISSED)),
        "choosing": grid,
    }
    finish("dismissal_effect", effect["median"], "share after ÷ before", "lower", BAR, details, ok=all(holds.values()))


if __name__ == "__main__":
    main()
