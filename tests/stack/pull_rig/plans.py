"""What hypothesis draws: who is pulled, which workers are struck where, and how the queue and Flickr deceive them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from pull_rig.dooms import POINTS, Doom
from pull_rig.kills import Death, Plan

VISITORS = 12

KILLS = tuple(Doom(point, moment, nth) for nth in (1, 2) for point in POINTS for moment in ("before", "after"))  # type: ignore[arg-type]
"""A kill before and after each point, the first time and the second."""


def aimed(plan: Plan, number: int) -> Plan:
    """The plan with its first worker killed where the turn is: of a hundred runs, each meets another of `KILLS`."""
    (_, *beside), *later = plan.lives
    return replace(plan, lives=((Death((KILLS[number % len(KILLS)],)), *beside), *later))


def runs(examples: int) -> settings:
    """So many runs. None is repeated to find a smaller one: a run takes seconds, and chance is a part of it."""
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def dooms() -> st.SearchStrategy[Doom]:
    return st.builds(
        Doom,
        point=st.sampled_from(POINTS),
        moment=st.sampled_from(("before", "after")),
        nth=st.integers(1, 5),
        how=st.sampled_from(("kill", "kill", "kill", "unreachable", "break")),
    )


def deaths() -> st.SearchStrategy[Death]:
    struck = st.lists(dooms(), min_size=1, max_size=3).map(tuple)
    outside = st.builds(Death, seconds=st.floats(0.05, 1.5), politely=st.booleans())
    return st.one_of(st.builds(Death, dooms=struck), st.builds(Death, dooms=struck), outside)


def plans() -> st.SearchStrategy[Plan]:
    lives = st.lists(st.lists(deaths(), min_size=1, max_size=2).map(tuple), min_size=1, max_size=3)
    return st.builds(
        Plan,
        visitors=st.lists(st.integers(0, VISITORS - 1), min_size=2, max_size=3, unique=True).map(tuple),
        lives=lives.map(tuple),
        steals=st.booleans(),
        doubles=st.booleans(),
        fresh=st.booleans(),
        faulty=st.booleans(),
        again=st.booleans(),
        seed=st.integers(0, 2**16),
    )
