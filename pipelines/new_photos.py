"""New photos as a job: those that enough people favorited since the champion was trained get into it within the hour.

The bundle of the training is extended from the lake as it is, anew each time, so that a photo that came in with three
favorites counts all that it has had since. What comes out is a minor version, whose gate was that of the training.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from features.database import open_database
from features.lake import Lake, one_of, open_lake
from features.schema import INTERACTIONS, PHOTOS
from features.settings import Settings
from features.state import newest
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import gone_among
from pipelines.train.job import UNREGISTERED
from training import tracking
from training.bundle import Bundle, load_bundle, save_bundle
from training.evaluation.sanity import not_finite
from training.from_lake import build_interactions, load_log
from training.interactions import Interactions
from training.keys import Rows
from training.models.als import ALS
from training.models.interface import Model
from training.models.recipes import Recipe
from training.new_photos import followed_by, new_rows, numbered_as, with_new_photos
from training.tracking.minor import forget_minors, register_minor

NEW_PHOTOS = "new_photos"
"""The manifest's entry of a minor version: how many there are, and the version of the log that they were found in."""

OWN = ("format", "bundle_id", "created_at", "components", "data_until", "n_photos", "files")
"""Entries of the manifest that tell of the bundle; all others tell of the training, and are the same in both."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class FreshenReport:
    """What became of new photos. version: the minor version that is champion now, None where nothing was registered;
    extends: the training's; new_photos: in it, beyond those of the training; seconds: by step."""

    version: str | None
    extends: str | None
    new_photos: int
    reason: str
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def freshen(settings: Settings, now: datetime | None = None) -> FreshenReport:
    """Register the champion with what is new since its training as a minor version, which becomes champion.

    Nothing is registered without new photos that the champion lacks, nor when another training has become champion
    meanwhile. Raises NotFoundError when the training's version is no longer registered, CorruptModelError,
    DependencyError.
    """
    current = tracking.champion(settings)
    if current is None:
        return FreshenReport(None, None, 0, "there is no champion yet: `photo-recommender train` makes the first")
    trained = tracking.version_named(settings, current.trained)
    folder = tracking.bundle_folder(settings, trained)
    bundle = load_bundle(folder, trained.version)
    served = bundle if not current.minor_of else load_bundle(tracking.bundle_folder(settings, current), current.version)
    lake, done = open_lake(settings), _Steps()
    if _read_until(served) == lake.version(INTERACTIONS):
        return done.nothing(trained, f"nothing has come to the lake since version {served.version}")
    rows, version = load_log(lake)
    everything = build_interactions(rows, as_of=now or datetime.now(UTC))
    done.step("read")
    found = _to_show(settings, lake, everything, new_rows(everything, bundle.catalog, settings.fresh_photos_favoriters))
    if (served.photo_rows(everything.catalog.photo_ids[found]) >= 0).all():
        return done.nothing(trained, f"version {served.version} knows every photo with enough favorites")
    interactions = numbered_as(everything, followed_by(bundle.catalog, everything, found))
    recipe = Recipe.from_manifest(bundle.manifest["training"])
    model = with_new_photos(_with_users(bundle.model, folder), recipe, interactions)
    done.step("extend")
    if unfit := not_finite(model):
        return done.nothing(trained, f"not finite: {', '.join(unfit)}")
    reason = f"minor version of {trained.version}: {len(found):,} new photo{'s' if len(found) > 1 else ''}"
    new_photos = {"count": len(found), "lake_version": version}
    minor = _register(settings, trained, bundle, model, interactions, new_photos, reason)
    done.step("register")
    if minor is None:
        return done.nothing(trained, f"version {trained.version} is champion no longer")
    return FreshenReport(minor, trained.version, len(found), reason, done.seconds)


class _Steps:
    """How long each step took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._began = time.perf_counter()

    def step(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name], self._began = round(now - self._began, 3), now

    def nothing(self, trained: tracking.RegisteredVersion, reason: str) -> FreshenReport:
        return FreshenReport(None, trained.version, 0, reason, self.seconds)


def _read_until(bundle: Bundle) -> int | None:
    """The version of the log that all of the bundle's photos are of."""
    of_training = bundle.manifest["lake_versions"].get(INTERACTIONS.name)
    found: int | None = bundle.manifest.get(NEW_PHOTOS, {}).get("lake_version", of_training)
    return found


def _to_show(settings: Settings, lake: Lake, everything: Interactions, rows: Rows) -> Rows:
    """Those of the rows whose photos may be shown: not gone, nor of somebody who is."""
    catalog = everything.catalog
    photo_ids, owner_ids = list(catalog.photo_ids[rows]), set(catalog.owner_ids[rows])
    engine = open_database(settings.database_url)
    try:
        gone = gone_among(engine, photo_ids, owner_ids, Suppression(settings, engine))
    finally:
        engine.dispose()
    hidden = np.array(sorted(gone.photo_ids | _gone_in_lake(lake, photo_ids)), dtype=object)
    of_gone = np.array(sorted(gone.user_ids), dtype=object)
    shown = ~np.isin(catalog.photo_ids[rows], hidden) & ~np.isin(catalog.owner_ids[rows], of_gone)
    return rows[shown]


def _gone_in_lake(lake: Lake, photo_ids: Iterable[str]) -> set[str]:
    wanted = list(photo_ids)
    if not wanted:
        return set()
    columns = ("photo_id", "created_timestamp", "gone_at")
    held = newest(lake.scan(PHOTOS, columns=columns, where=one_of("photo_id", wanted)), PHOTOS.key, columns[1:2])
    return set(held.filter(held.column("gone_at").is_valid()).column("photo_id").to_pylist())


def _with_users(model: Model, folder: Path) -> Model:
    """ALS with the user factors that its bundle keeps; a blend has loaded those that it needs."""
    return model.with_users(folder) if isinstance(model, ALS) else model


def _register(
    settings: Settings,
    trained: tracking.RegisteredVersion,
    bundle: Bundle,
    model: Model,
    interactions: Interactions,
    new_photos: dict[str, int],
    reason: str,
) -> str | None:
    """Save the bundle and register it; the version, None where the champion has changed."""
    of_training = {name: value for name, value in bundle.manifest.items() if name not in OWN}
    recipe = Recipe.from_manifest(bundle.manifest["training"])
    folder = settings.home / "models" / f"{UNREGISTERED}{uuid.uuid4().hex[:8]}"
    more = {**of_training, "minor_of": trained.version, NEW_PHOTOS: new_photos}
    try:
        # The graphs hold the photos of the training, whose factors are what they were.
        save_bundle(folder, recipe, model, interactions, bundle.manifest["metrics"], more, bundle.graphs)
        example = [str(photo) for photo in bundle.photo_ids[:3]]
        version = register_minor(settings, trained, folder, reason, example)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if version is not None:
        forget_minors(settings)
        log.info("new_photos", version=version, extends=trained.version, **new_photos)
    return version
