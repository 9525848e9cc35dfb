"""How much of what can be known of a person's taste the models know, by how many favorites the person has.

The world of the sandbox knows the rates that its favorites are drawn from; ranking by them is the ceiling. All who have
so many favorites at the cut is asked with just the newest 3, 10, 30, 100 or 1,000 of them; lists are judged on the two
weeks after it, and leave out the whole history. The value is the blend's share of the ceiling's NDCG@20 at 30.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
from _reporting import finish
from numpy.typing import NDArray
from sandbox_ceiling import ceiling, log_of

from features.settings import Settings
from pipelines.sandbox.world import World, WorldConfig, generate_world
from training.evaluation.holdout import holdout_of_split
from training.evaluation.measures import full_metrics, with_intervals
from training.evaluation.numbering import Holdout
from training.evaluation.ranking import rank
from training.from_lake import Split, build_interactions, temporal_split, utc, with_contacts
from training.interactions import Histories, History
from training.models.recipes import Recipe, blend_of, fit_each
from training.tuning.candidates import SERVED, candidates, tune

K = 20
SIZES = (3, 10, 30, 100, 1_000)
SHOWN = ("popularity", "neighbor_score", "als", "blend")


def follows_of(world: World) -> pa.Table:
    follower, followed = world.contacts.nonzero()
    ids = np.array(world.user_ids, dtype=object)
    return pa.table({"user_id": pa.array(ids[follower]), "contact_id": pa.array(ids[followed])})


def newest(history: History, n: int) -> History:
    """The history with the n newest of its favorites, and all dismissals."""
    favorites = np.flatnonzero(history.positive)
    kept = np.sort(favorites[np.argsort(-history.times[favorites], kind="stable")[:n]])
    rows = np.concatenate([kept, np.flatnonzero(~history.positive)])
    return History(
        history.photo_rows[rows], history.times[rows], history.positive[rows], history.contacts, history.shares[rows]
    )


def asked_with(holdout: Holdout, n: int) -> tuple[NDArray[np.intp], Holdout]:
    """Those who have at least n favorites, as if they had the newest n only; what is hidden stays hidden."""
    users = np.flatnonzero(holdout.histories.degrees >= n)
    whole = list(holdout.histories)
    return users, replace(
        holdout,
        user_ids=holdout.user_ids[users],
        histories=Histories.of([newest(whole[user], n) for user in users]),
        relevant_rows=[holdout.relevant_rows[user] for user in users],
        relevant=holdout.relevant[users],
        hidden=[holdout.hidden[user] for user in users],
    )


def main() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    world = generate_world(WorldConfig())
    log, follows = log_of(world), follows_of(world)
    days = timedelta(days=settings.holdout_days)
    cut = utc(build_interactions(log).data_until) - days

    def split_at(moment: object, until: object) -> Split:
        split = temporal_split(log, moment, until=until)  # type: ignore[arg-type]
        return replace(split, train=with_contacts(split.train, follows, -1))

    split, earlier = split_at(cut, None), split_at(cut - days, cut)
    als = Recipe.from_settings(settings, "als")
    tried = candidates(als, earlier.train, als_seeds=settings.blend_als_seeds, kinds=SERVED)
    tuned = tune(tried, holdout_of_split(earlier), settings.seed)
    models = fit_each(tuned.recipes, split.train)
    asked = {**models, "blend": blend_of(tuned.blend, models)}
    best, holdout = ceiling(world, split), holdout_of_split(split)

    shares: dict[int, dict[str, dict[str, float]]] = {}
    for n in SIZES:
        users, part = asked_with(holdout, n)
        ndcg = {
            name: full_metrics(rank(asked[name], part.histories, part.n_photos, part.hidden, K), part, (K,))[
                "ndcg_at_20"
            ]
            for name in SHOWN
        }
        reachable = float(best[users].mean())
        shares[n] = {
            name: {bound: round(value / reachable, 4) for bound, value in interval.items()}
            for name, interval in with_intervals(ndcg, settings.seed).items()
        }
        shares[n]["true_rates"] = {"ndcg_at_20": round(reachable, 4), "users": len(users)}
    means = {n: {name: found[name]["mean"] for name in SHOWN} for n, found in shares.items()}
    ok = (
        all(found["blend"] > found["popularity"] for found in means.values())
        and means[30]["blend"] >= means[3]["blend"]
    )
    details = {
        "share_of_the_ceiling": shares,
        "blend": {one["name"]: one["weight"] for one in tuned.blend.parameters["components"]},
    }
    finish("taste_sandbox", means[30]["blend"], "share of NDCG@20 at 30 favorites", "higher", 0.0, details, ok=ok)


if __name__ == "__main__":
    main()
