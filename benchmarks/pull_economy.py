"""How many of Flickr's calls keep walls fresh: the planner against what it replaces, on a simulated clock.

The sandbox's default world goes on for 30 days, everybody in it has a wall, and every policy makes its calls as the
code would. The ancestor's policy, a full pull of each user and of all neighbors every two hours for each wall anew,
sets the freshness that ours has to reach.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from _pull_simulation import DAYS, Array, Outcome, People, ancestor, ours, people_of, round_robin, simulate
from _reporting import finish
from matplotlib.figure import Figure

from features.settings import Settings
from pipelines.plan import planner
from pipelines.sandbox.world import WorldConfig, generate_world

BAR = 50.0
ANCESTOR_HOURS = 2.0
SHORTEST_MINUTES = 15
"""The default, 120 minutes, is a floor under which the planner could spend nothing on those who are worth most."""
BUDGETS = (750, 1_500, 3_000, 6_000, 12_000, 24_000)  # calls a day
ANCESTOR_INTERVALS = (0.5, 1, 2, 6, 12, 24, 72, 168)  # hours
FIGURE = Path(__file__).parents[1] / "docs" / "images" / "pull_economy.svg"


def cheapest(people: People, bounds: planner.Bounds, tried: dict[float, Outcome], hours: float) -> float:
    """The budget (calls a day) at which our mean delay keeps under so many hours, from those that were tried."""
    budgets = np.array(sorted(tried))
    delays = np.array([tried[budget].mean_delay for budget in budgets])
    budget = float(np.exp(np.interp(-np.log(hours), -np.log(delays), np.log(budgets))))
    while simulate(people, ours(bounds, budget), bounds).mean_delay > hours:
        budget *= 1.02
    return budget


def draw(lines: dict[str, list[tuple[float, float]]], marked: tuple[float, float], limit: float) -> None:
    """Mean delay over calls a day, a line a policy, both logarithmic; always the same file for the same numbers."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "pull_economy", "font.size": 10}):
        figure = Figure(figsize=(7.5, 4.6), layout="constrained")
        axes = figure.add_subplot()
        colors = dict(zip(lines, ("#0072b2", "#767676", "#d55e00"), strict=True))
        for name, points in lines.items():
            calls, delays = zip(*points, strict=True)
            axes.plot(calls, delays, marker="o", markersize=4, linewidth=1.6, color=colors[name])
            left = name == "planner"
            axes.annotate(
                name, points[len(points) // 2], (-8, -6) if left else (8, 6), textcoords="offset points",
                ha="right" if left else "left", va="top" if left else "bottom", color=colors[name],
            )  # fmt: skip
        axes.annotate("every 2 hours", marked, (8, 6), textcoords="offset points", color="#d55e00")
        axes.axvline(limit, color="#bbbbbb", linewidth=1, linestyle="--", zorder=0)
        axes.annotate(
            "Flickr's limit for a key", (limit, 0), (6, 6), xycoords=("data", "axes fraction"),
            textcoords="offset points", color="#767676",
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="Flickr calls a day, 2,000 users with a wall each")
        axes.set_ylabel("mean delay of a new favorite (hours)")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _place: f"{value:,.10g}")
        axes.grid(visible=True, which="major", color="#eeeeee", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(FIGURE, metadata={"Date": None})


def _ratio(people: People, before: Outcome, after: Outcome) -> Array:
    """(n,) calls a wall and day, before ÷ after."""
    return np.asarray((before.calls + before.contact_calls) / DAYS / after.split(people))


def main() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    defaults = planner.Bounds.from_settings(settings)
    bounds = replace(defaults, shortest=SHORTEST_MINUTES / 1_440)
    people = people_of(generate_world(WorldConfig()), settings.pull_max_neighbors)
    old = {hours: ancestor(people, hours) for hours in ANCESTOR_INTERVALS}
    before = old[ANCESTOR_HOURS]
    planned = {float(budget): simulate(people, ours(bounds, budget), bounds) for budget in BUDGETS}
    equal = [simulate(people, round_robin(people, bounds, budget), bounds) for budget in BUDGETS]
    draw(
        {
            "planner": [(outcome.calls_per_day, outcome.mean_delay) for outcome in planned.values()],
            "round-robin, shared": [(outcome.calls_per_day, outcome.mean_delay) for outcome in equal],
            "ancestor, each wall alone": [(outcome.calls_per_day, outcome.mean_delay) for outcome in old.values()],
        },
        marked=(before.calls_per_day, before.mean_delay),
        limit=settings.flickr_calls_per_hour * 24.0,
    )
    budget = cheapest(people, bounds, planned, before.mean_delay)
    # For twice as long, so that each deletion of the 30 days has had its 30 days.
    after = simulate(people, ours(bounds, budget), bounds, days=2 * DAYS)
    beside = simulate(people, round_robin(people, bounds, budget), bounds)
    usual = simulate(people, ours(defaults, 24 * 0.8 * settings.flickr_calls_per_hour), defaults)
    ratio = _ratio(people, before, after)
    value = float(np.median(ratio))
    found = float((after.deletions <= settings.sweep_days).mean())
    kept = float((after.gaps <= settings.refresh_max_hours / 24 + 1e-6).mean())
    details = {
        "calls_per_day": {"ancestor": round(before.calls_per_day), "planner": round(after.calls_per_day)},
        "calls_per_wall_and_day_median": {
            "ancestor": round(float(np.median(before.calls + before.contact_calls) / DAYS), 1),
            "planner": round(float(np.median(after.split(people))), 2),
        },
        "ratio_10_90_percent": [round(float(quantile)) for quantile in np.quantile(ratio, (0.1, 0.9))],
        "mean_delay_hours": {
            "ancestor": round(before.mean_delay, 3),
            "planner": round(after.mean_delay, 3),
            "round_robin_same_budget": round(beside.mean_delay, 3),
        },
        "median_delay_hours": {
            "ancestor": round(before.median_delay, 3),
            "planner": round(after.median_delay, 3),
            "round_robin_same_budget": round(beside.median_delay, 3),
        },
        "median_wall_mean_delay_hours": {
            "planner": round(float(np.median(after.wall_delays(people))), 3),
            "round_robin_same_budget": round(float(np.median(beside.wall_delays(people))), 3),
        },
        "mean_delay_hours_each_favorite_once": {
            "planner": round(float(after.delays.mean()), 3),
            "round_robin_same_budget": round(float(beside.delays.mean()), 3),
        },
        "default_settings": {
            "calls_per_day": round(usual.calls_per_day),
            "mean_delay_hours": round(usual.mean_delay, 3),
            "ratio": round(float(np.median(_ratio(people, before, usual))), 1),
        },
        "deletions": len(after.deletions),
        "deletions_found_within_sweep_days": found,
        "users_within_longest_wait": kept,
    }
    ok = value >= BAR and after.mean_delay <= before.mean_delay and found == 1.0 and kept == 1.0
    finish("pull_economy", value, "times fewer calls", "higher", BAR, details, ok=ok)


if __name__ == "__main__":
    main()
