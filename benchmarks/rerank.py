"""What each weight of re-ranking costs and gives: NDCG@20 against diversity, the share of new photos, and coverage.

Pages of 20 for the people of the sandbox's world, by the blend that a training there would register, judged on their
favorites of the two weeks after the cut. Each weight is varied alone, then all are set as by default; the value is what
share of NDCG@20 the defaults keep. Draws docs/images/rerank.svg. With PHOTO_RECOMMENDER_DATA set, diversity and
exploration are also judged on real favorites (the Yelp set, which has neither owners nor times of upload).
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import scipy.sparse
from _reporting import finish
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter
from numpy.typing import NDArray
from quality import SEARCHED
from sandbox_ceiling import log_of
from taste_sandbox import follows_of

from features.settings import Settings
from pipelines.sandbox.world import WorldConfig, generate_world
from serving.ranking.rerank import Pool, Weights, reranked, seed_of
from serving.ranking.sources import POOL
from training.evaluation import metrics
from training.evaluation.dataset import load_dataset
from training.evaluation.holdout import holdout_of_split
from training.evaluation.numbering import Holdout
from training.evaluation.ranking import Ranked, rank
from training.from_lake import build_interactions, temporal_split, utc, with_contacts
from training.models.als import ALS
from training.models.interface import Scorer
from training.models.recipes import Recipe, blend_of, fit, fit_each
from training.reports.figures import INK, LINE, MUTED, STYLE
from training.tuning.candidates import SERVED, candidates, tune

DRAWN = Path(__file__).parents[1] / "docs" / "images" / "rerank.svg"
K = 20
NEW_DAYS = 14
RESAMPLES = 1_000
KEPT = 0.98
YELP_USERS = 4_000

VARIED: dict[str, tuple[float, ...]] = {
    "diversity": (0.0, 1.0, 2.0, 3.0, 5.0, 8.0),
    "freshness": (0.0, 0.5, 1.0, 2.0, 3.0),
    "exploration": (0.0, 0.05, 0.1, 0.2, 0.4),
}


@dataclass(frozen=True)
class Asked:
    """Whom to make a page for, the candidates of each, and what is known of the photos of the catalog."""

    holdout: Holdout
    ranked: Ranked
    owners: NDArray[np.int64]
    directions: NDArray[np.float32]
    ages: NDArray[np.float64]
    favoriters: NDArray[np.float32]

    @classmethod
    def of(cls, holdout: Holdout, model: Scorer, als: ALS, ages: NDArray[np.float64]) -> Asked:
        norms = np.linalg.norm(als.photo_factors, axis=1, keepdims=True)
        catalog = holdout.train.catalog
        # Photos whose owners nobody knows are of an owner each.
        owners = pd.factorize(catalog.owner_ids)[0] if holdout.train.has_owners else np.arange(len(catalog))
        return cls(
            holdout=holdout,
            ranked=rank(model, holdout.histories, holdout.n_photos, holdout.hidden, POOL * K),
            owners=owners.astype(np.int64),
            directions=als.photo_factors / np.maximum(norms, 1e-12),
            ages=ages,
            favoriters=als.weighting.photo_degrees,
        )

    def pages(self, weights: Weights, day: Any) -> tuple[NDArray[np.int64], float]:
        """(n_users, K) rows, −1 where a page is shorter, and the median milliseconds of re-ranking one."""
        pages = np.full((len(self.holdout), K), -1, dtype=np.int64)
        seconds = []
        for user, user_id in enumerate(self.holdout.user_ids):
            rows = self.ranked.rows[user][self.ranked.rows[user] >= 0]
            started = time.perf_counter()
            pool = Pool(
                rows=rows,
                scores=self.ranked.scores[user][: len(rows)],
                owners=self.owners[rows],
                directions=self.directions[rows],
                ages=self.ages[rows],
                favoriters=self.favoriters[rows],
            )
            rows = rows[reranked(pool, weights, K, seed_of(str(user_id), day), spare=K // 2)]
            seconds.append(time.perf_counter() - started)
            if weights.owner_cap:  # as the page does it (serving/ranking/page.py)
                nth = pd.Series(self.owners[rows]).groupby(self.owners[rows]).cumcount().to_numpy()
                rows = rows[np.argsort(nth >= weights.owner_cap, kind="stable")]
            pages[user, : min(K, len(rows))] = rows[:K]
        return pages, 1_000 * float(np.median(seconds))


@dataclass(frozen=True)
class Judged:
    """ndcg: (n_users,); of all pages: the mean diversity of one, the share of new photos, the share of the catalog."""

    ndcg: NDArray[np.float64]
    diversity: float
    new: float
    coverage: float
    milliseconds: float


def judge(asked: Asked, weights: Weights, day: Any) -> Judged:
    pages, milliseconds = asked.pages(weights, day)
    hits = [np.isin(page, found) for page, found in zip(pages, asked.holdout.relevant_rows, strict=True)]
    favorites = asked.holdout.train.favorites
    shape = (asked.holdout.train.n_users, asked.holdout.n_photos)
    matrix = scipy.sparse.csr_matrix((np.ones(len(favorites)), (favorites.users, favorites.photos)), shape=shape)
    return Judged(
        ndcg=metrics.ndcg(np.array(hits), asked.holdout.relevant),
        diversity=float(np.nanmean(metrics.diversity(pages, matrix))),
        new=float((asked.ages[pages[pages >= 0]] < NEW_DAYS).mean()),
        coverage=metrics.coverage(pages, asked.holdout.n_photos),
        milliseconds=milliseconds,
    )


def share(judged: Judged, plain: Judged) -> tuple[float, float, float]:
    """NDCG as a share of the plain pages', with its 95 % interval by paired bootstrap over the users."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(plain.ndcg), size=(RESAMPLES, len(plain.ndcg)))
    ratios = judged.ndcg[drawn].mean(axis=1) / plain.ndcg[drawn].mean(axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(judged.ndcg.mean() / plain.ndcg.mean()), float(low), float(high)


def sandbox(settings: Settings) -> tuple[Asked, Any]:
    """Everybody with favorites after the cut, by the blend tuned on the two weeks before it; and the day of the cut."""
    world = generate_world(WorldConfig())
    log, follows = log_of(world), follows_of(world)
    days = timedelta(days=settings.holdout_days)
    cut = utc(build_interactions(log).data_until) - days
    split, earlier = temporal_split(log, cut), temporal_split(log, cut - days, until=cut)
    split, earlier = (replace(one, train=with_contacts(one.train, follows, -1)) for one in (split, earlier))
    als = Recipe.from_settings(settings, "als")
    tried = candidates(als, earlier.train, als_seeds=settings.blend_als_seeds, kinds=SERVED)
    tuned = tune(tried, holdout_of_split(earlier), settings.seed)
    models = fit_each(tuned.recipes, split.train)
    rows = {photo_id: row for row, photo_id in enumerate(world.photo_ids)}
    uploaded = world.photo_uploaded_at[[rows[photo_id] for photo_id in split.train.catalog.photo_ids]]
    ages = np.maximum((cut.timestamp() - uploaded) // 86_400, 0).astype(np.float64)
    return Asked.of(holdout_of_split(split), blend_of(tuned.blend, models), models["als"], ages), cut.date()


def yelp(folder: Path, settings: Settings, defaults: Weights) -> dict[str, Any]:
    """Diversity, exploration and both on real favorites, by ALS, for `YELP_USERS` of its people."""
    files = [folder / f"{part}.parquet" for part in ("train", "test", "val", "contacts")]
    holdout = load_dataset(*files, seed=0).final
    als = fit(Recipe.from_settings(settings, "als").changed(**SEARCHED), holdout.train)
    some = np.sort(np.random.default_rng(0).choice(len(holdout), min(YELP_USERS, len(holdout)), replace=False))
    histories = list(holdout.histories)
    holdout = replace(
        holdout,
        user_ids=holdout.user_ids[some],
        histories=type(holdout.histories).of([histories[user] for user in some]),
        relevant_rows=[holdout.relevant_rows[user] for user in some],
        relevant=holdout.relevant[some],
        hidden=[holdout.hidden[user] for user in some],
    )
    asked = Asked.of(holdout, als, als, np.full(holdout.n_photos, np.inf))
    off, day = Weights(owner_cap=0), utc(0).date()
    plain = judge(asked, off, day)
    chosen = {
        "diversity": replace(off, diversity=defaults.diversity),
        "exploration": replace(off, exploration=defaults.exploration),
        "both": replace(defaults, freshness=0.0, owner_cap=0),
    }
    return {name: told(judge(asked, weights, day), plain) for name, weights in chosen.items()}


def told(judged: Judged, plain: Judged) -> dict[str, Any]:
    kept, low, high = share(judged, plain)
    return {
        "ndcg_kept": {"mean": round(kept, 4), "low": round(low, 4), "high": round(high, 4)},
        "ndcg_at_20": round(float(judged.ndcg.mean()), 4),
        "diversity": round(judged.diversity, 4),
        "new_photos": round(judged.new, 4),
        "coverage": round(judged.coverage, 4),
        "milliseconds": round(judged.milliseconds, 3),
    }


PANELS = (
    ("diversity", "diversity", "diversity: 1 − mean cosine of two photos", 2, "#1467d8"),
    ("freshness", "new", f"photos uploaded in the last {NEW_DAYS} days", 0, "#178a5b"),
    ("exploration", "coverage", "photos of the catalog on anybody’s page", 1, "#c77700"),
)
"""The weight, what it is there for, its words, decimals (of a number, or of per cent), color."""


def draw(varied: dict[str, list[tuple[float, Judged]]], plain: Judged, at_defaults: Judged, defaults: Weights) -> None:
    """A panel a weight: what it is there for to the right, NDCG upward; at each point the weight."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.4, 3.7), layout="constrained")
        panels: Sequence[Axes] = figure.subplots(1, len(PANELS), sharey=True)
        for axes, (weight, measure, label, decimals, color) in zip(panels, PANELS, strict=True):
            x = [getattr(judged, measure) for _, judged in varied[weight]]
            shares = np.array([share(judged, plain) for _, judged in varied[weight]])
            axes.axhline(1.0, color=LINE, linewidth=1.2, zorder=1)
            axes.fill_between(x, shares[:, 1], shares[:, 2], color=color, alpha=0.12, linewidth=0, zorder=2)
            axes.plot(x, shares[:, 0], color=color, linewidth=1.6, zorder=3)
            for place, (value, _) in enumerate(varied[weight]):
                chosen = value == getattr(defaults, weight)
                axes.plot(
                    x[place],
                    shares[place, 0],
                    "o",
                    markersize=8 if chosen else 5,
                    color=color,
                    markerfacecolor=color if chosen else "white",
                    markeredgewidth=1.5,
                    zorder=4,
                )
                axes.annotate(
                    f"{value:g}",
                    (x[place], shares[place, 0]),
                    xytext=(0, 9),
                    textcoords="offset points",
                    ha="center",
                    color=INK if chosen else MUTED,
                    fontweight="bold" if chosen else "normal",
                    fontsize=9,
                )
            star = getattr(at_defaults, measure), share(at_defaults, plain)[0]
            axes.plot(*star, "*", color=INK, markersize=11, zorder=5)
            axes.annotate("all by default", star, xytext=(0, 10), textcoords="offset points", ha="center", fontsize=9)
            axes.set_title(f"{weight}, from 0 to {varied[weight][-1][0]:g}", color=color, fontsize=11, loc="left")
            axes.set_xlabel(label)
            axes.margins(x=0.1)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            axes.xaxis.set_major_formatter(
                StrMethodFormatter(f"{{x:.{decimals}f}}")
                if measure == "diversity"
                else PercentFormatter(1.0, decimals=decimals, symbol=" %")
            )
        panels[0].set_ylabel("NDCG@20 (100 %: by score alone)")
        panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        figure.savefig(DRAWN, metadata={"Date": None})


def main() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    defaults = Weights.of(settings)
    asked, day = sandbox(settings)
    off = Weights(owner_cap=0)
    plain = judge(asked, off, day)
    varied = {
        name: [(value, judge(asked, replace(off, **{name: value}), day)) for value in values]
        for name, values in VARIED.items()
    }
    capped = judge(asked, replace(off, owner_cap=defaults.owner_cap), day)
    at_defaults = judge(asked, defaults, day)
    draw(varied, plain, at_defaults, defaults)
    details: dict[str, Any] = {
        "off": told(plain, plain),
        "defaults": told(at_defaults, plain),
        "owner_cap": told(capped, plain),
        **{name: {f"{value:g}": told(one, plain) for value, one in found} for name, found in varied.items()},
        "users": len(asked.holdout),
    }
    data = os.environ.get("PHOTO_RECOMMENDER_DATA")
    if data:
        details["yelp"] = yelp(Path(data) / "yelp", settings, defaults)
    kept = share(at_defaults, plain)[0]
    ok = kept >= KEPT and at_defaults.diversity > plain.diversity and at_defaults.milliseconds < 1.0
    finish("rerank", kept, "share of NDCG@20 kept by the default weights", "higher", KEPT, details, ok=ok)


if __name__ == "__main__":
    main()
