"""What a training compares before it decides: its models, the blend of them, and the champion, on the newest days.

The blend's weights are learned on the days before those, so that the days on which all are compared are new to all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import pyarrow as pa

from features.errors import CorruptModelError
from features.schema import INTERACTIONS
from features.settings import Settings
from pipelines.train.stages import IterationsByName, Job
from training import tracking
from training.ann.choice import graphs_for
from training.bundle import Bundle, load_bundle
from training.evaluation.holdout import Evaluation, OtherCatalog, evaluate, holdout_of_split
from training.evaluation.sanity import LISTED, latency_of, not_finite
from training.from_lake import Split, build_interactions, contacts_until, temporal_split, utc, with_contacts
from training.gate import Decision, Margins, Measured, decide, first_champion, undecided
from training.interactions import Interactions
from training.models.blend import Blend
from training.models.contact_vectors import ContactVectors
from training.models.interface import Model, Scorer
from training.models.recipes import MODELS, Recipe, blend_of, fit, fit_each
from training.tuning.candidates import QUICK, SERVED, candidates, tune

CHAMPION = "champion"
"""How the current champion is called among the models that are compared."""

LEAST_USERS = 20
"""With fewer in the days before the cut, weights would be chance: there is no blend."""


@dataclass(frozen=True)
class Data:
    """What a training read: the log, who follows whom, and what is made of them. split: at the cut."""

    log: pa.Table
    log_version: int
    follows: pa.Table
    follows_version: int
    everything: Interactions
    split: Split

    @classmethod
    def of(
        cls,
        log: tuple[pa.Table, int],
        follows: tuple[pa.Table, int],
        *,
        as_of: datetime,
        holdout_days: float,
        cut: datetime | None = None,
    ) -> Data:
        """log, follows: rows and version, as `load_log` and `load_contacts` give them. cut: `holdout_days` before the
        newest event, if it is not given."""
        rows, version = log
        everything = build_interactions(rows, as_of=as_of, lake_versions={INTERACTIONS.name: version})
        cut = cut or utc(everything.data_until) - timedelta(days=holdout_days)
        split = _split_of(rows, follows, cut, as_of)
        return cls(rows, version, *follows, with_contacts(everything, *follows), split)

    def before(self, days: float) -> Split:
        """The split of what was known at the cut, at so many days before it."""
        cut = utc(self.split.cut)
        return _split_of(self.log, (self.follows, self.follows_version), cut - timedelta(days=days), cut)

    def counts(self) -> dict[str, int]:
        follows = self.everything.contacts
        return {
            "users": self.everything.n_users,
            "photos": self.everything.n_photos,
            "favorites": len(self.everything.favorites),
            "dismissals": len(self.everything.dismissals),
            "contacts": 0 if follows is None else len(follows.rows),
            "test_users": len(self.split.test_users),
            "test_favorites": sum(len(photos) for photos in self.split.test_photos),
        }


def _split_of(rows: pa.Table, follows: tuple[pa.Table, int], cut: datetime, until: datetime) -> Split:
    split = temporal_split(rows, cut, until=until)
    table, version = follows
    return replace(split, train=with_contacts(split.train, contacts_until(table, cut), version))


@dataclass(frozen=True)
class Comparison:
    """Everything measured before the cut: by model, and what follows from it. recipes, fitted: by kind, those that may
    be registered. evaluations, measured: of those and, if it was asked, of the "champion", of that version.
    iterations: of ALS, before the cut."""

    recipes: dict[str, Recipe]
    fitted: dict[str, Model]
    evaluations: dict[str, Evaluation]
    measured: dict[str, Measured]
    decision: Decision
    champion_version: str = ""
    iterations: IterationsByName = field(default_factory=IterationsByName)

    def metrics(self) -> dict[str, dict[str, float]]:
        return {name: evaluation.summary() for name, evaluation in self.evaluations.items()}


def recipes_of(settings: Settings, als: Recipe) -> dict[str, Recipe]:
    """By kind, the recipes of what is always compared. Favorites age for popularity as they do for ALS."""
    popularity = Recipe("popularity", {"half_life_days": als.parameters["half_life_days"]})
    given = {recipe.kind: recipe for recipe in (als, popularity)}
    return {kind: given.get(kind) or Recipe.from_settings(settings, kind) for kind in MODELS}


def compare(job: Job, data: Data, als: Recipe, versions: list[tracking.RegisteredVersion] | None) -> Comparison:
    """Fit each kind before the cut, and evaluate all of them beside the champion. versions None: registry unknown."""
    current = champion_of(versions or [])
    recipes, split = recipes_of(job.settings, als), data.split
    if len(split.test_users) == 0:
        return Comparison(recipes, {}, {}, {}, undecided(versions is None or current is not None))
    parts = {**recipes, **_blend_parts(job, data, recipes)}
    blend = parts.pop(Blend.kind, None)
    iterations = IterationsByName()
    with job.stage("fit"):
        models = fit_each(parts, split.train, partial(job.report, "fit models"), iterations.note)
    fitted: dict[str, Model] = {
        kind: one for kind, one in models.items() if kind in recipes and not isinstance(one, ContactVectors)
    }
    if blend is not None:
        recipes[blend.kind], fitted[blend.kind] = blend, blend_of(blend, models)
    asked: dict[str, Scorer] = dict(fitted)
    comparable, catalog = versions is not None, data.everything.n_photos
    if current is not None:
        comparable = False
        with job.mlflow_may_fail():
            champion, catalog = _champion_before(job, current, split, recipes, fitted)
            comparable = True
            if champion is not None:
                asked[CHAMPION] = champion
    with job.stage("evaluate"):
        evaluations = evaluate(asked, split, progress=partial(job.report, "rank test users"))
    with job.stage("measure"):
        measured = {
            kind: _measured(job.settings, kind, evaluations[kind], fitted[kind], split, data.everything.n_photos)
            for kind in fitted
        }
        if current is not None and CHAMPION in evaluations:
            found = evaluations[CHAMPION]
            measured[CHAMPION] = Measured(current.kind, found.ndcg, found.coverage, catalog)
    decision = _decide(job.settings, measured, split, comparable=comparable)
    version = current.trained if current is not None and CHAMPION in measured else ""
    return Comparison(recipes, fitted, evaluations, measured, decision, version, iterations)


def _measured(
    settings: Settings, kind: str, evaluation: Evaluation, model: Model, split: Split, n_photos: int
) -> Measured:
    histories = split.train.histories(split.test_users.astype(np.int64))
    # As it would be served: by graphs, where the catalog is large enough to get them.
    served = Bundle("", {}, split.train.catalog, model, graphs_for(model, split.train, settings.ann_photos))
    latency = latency_of(lambda history: served.top(history, LISTED, history.photo_rows), histories)
    return Measured(kind, evaluation.ndcg, evaluation.coverage, n_photos, not_finite(model), latency)


def _blend_parts(job: Job, data: Data, recipes: Mapping[str, Recipe]) -> dict[str, Recipe]:
    """The recipe of a blend, as "blend", and by name those of its components; nothing where none is wanted, or too few
    users favorited anything in the days before the cut."""
    settings = job.settings
    if not settings.train_blend:
        return {}
    with job.stage("learn the blend"):
        earlier = data.before(settings.holdout_days)
        if len(earlier.test_users) < LEAST_USERS:
            return {}
        kinds, every = (SERVED, 1) if settings.blend_thorough else (QUICK, 2)
        seeds = settings.blend_als_seeds
        tried = candidates(recipes["als"], earlier.train, als_seeds=seeds, kinds=kinds, every=every)
        holdout = holdout_of_split(earlier)
        tuned = tune(tried, holdout, settings.seed, partial(job.report, "fit candidates"))
    return {**tuned.recipes, Blend.kind: tuned.blend}


def champion_of(versions: list[tracking.RegisteredVersion]) -> tracking.RegisteredVersion | None:
    return next((version for version in versions if tracking.CHAMPION in version.aliases), None)


def _champion_before(
    job: Job,
    current: tracking.RegisteredVersion,
    split: Split,
    recipes: Mapping[str, Recipe],
    fitted: Mapping[str, Model],
) -> tuple[Scorer | None, int]:
    """The champion as it may fairly be asked: its own bundle if that saw nothing after the cut, or else what its recipe
    makes of the data before the cut; and how many photos it knows. None when it is corrupt: then nobody can serve it
    either.

    Raises DependencyError when it can't be fetched.
    """
    with job.stage("champion"):
        try:
            bundle = load_bundle(tracking.bundle_folder(job.settings, current), current.version)
        except CorruptModelError as error:
            job.problems.append(error.message)
            return None, 0
        n_photos = len(bundle.catalog)
        if bundle.manifest["data_until"] <= split.cut:
            return OtherCatalog.of(bundle, split.train), n_photos
        trained = Recipe.from_manifest(bundle.manifest["training"])
        same = trained == recipes.get(trained.kind)
        return fitted[trained.kind] if same else fit(trained, split.train), n_photos


def _decide(settings: Settings, measured: Mapping[str, Measured], split: Split, *, comparable: bool) -> Decision:
    """comparable: False when there is, or may be, a champion that could not be asked."""
    margins = Margins.from_settings(settings)
    kinds = {name: found for name, found in measured.items() if name != CHAMPION}
    challenger = max((kind for kind in kinds if kind != "popularity"), key=lambda kind: kinds[kind].ndcg.mean())
    if not comparable:
        return Decision(False, challenger, "MLflow failed: nothing replaces a champion unseen")
    if CHAMPION not in measured:
        return first_champion(kinds, margins)
    degrees = split.train.user_degrees[split.test_users]
    return decide(kinds[challenger], measured[CHAMPION], kinds["popularity"], degrees, margins)
