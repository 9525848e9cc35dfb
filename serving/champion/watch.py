"""The champion that is served now, and its replacement by a newer one while requests go on.

A thread looks for a new champion every `model_poll_seconds`; one that can't be loaded leaves the previous one in place
and says why in `error`. The popular photos are refreshed beside it: they are what is left when there is no champion.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import structlog

from features.batch import PopularPhotos, popular_photos
from features.errors import PhotoRecommenderError
from features.settings import Settings
from serving.ranking.cursor import MarkIndex
from training.bundle import Bundle, load_bundle
from training.interactions import History

logger = structlog.get_logger(__name__)

FIRST_LOOK_SECONDS = 60.0
"""How long a starting service waits for its first look; it becomes ready without a champion after that."""


@dataclass(frozen=True)
class Champion:
    """A loaded bundle with what serving looks up in it."""

    version: str
    bundle: Bundle
    marks: MarkIndex
    loaded_at: datetime


@dataclass(frozen=True)
class Served:
    """What a request ranks with. One request reads it once, so a replacement never mixes two models.

    error: why the newest champion could not be loaded; None when it could, or when there is none.
    """

    champion: Champion | None = None
    popular: PopularPhotos = field(default_factory=PopularPhotos)
    error: str | None = None


def load_champion(version: str, folder: Path) -> Champion:
    """Load a bundle and touch what the first request would wait for. Raises CorruptModelError."""
    bundle = load_bundle(folder, version)
    nobody = History(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))
    bundle.top(nobody, 1)
    return Champion(version, bundle, MarkIndex(bundle.photo_ids), datetime.now(UTC))


class ChampionWatch:
    """Holds what is served and keeps it fresh.

    find: (version, folder) of the registry's champion, None when there is none; called from the watching thread.
    """

    def __init__(
        self,
        settings: Settings,
        find: Callable[[Settings], tuple[str, Path] | None],
        popular: Callable[[Settings], PopularPhotos] = popular_photos,
    ) -> None:
        self._settings = settings
        self._find = find
        self._popular = popular
        self._served = Served()
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="champion", daemon=True)

    @property
    def served(self) -> Served:
        return self._served

    def start(self) -> None:
        """Begin to watch; returns when the first look is over, or after `FIRST_LOOK_SECONDS`."""
        self._thread.start()
        self._looked.wait(FIRST_LOOK_SECONDS)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def refresh(self) -> None:
        """Look once. Never raises: what fails is logged, once, and told in `served.error`."""
        served, error = self._served, None
        for look in (self._with_champion, self._with_popular):
            try:
                served = look(served)
            except Exception as failure:  # noqa: BLE001  (a registry or disk in trouble must not end the watch)
                error = error or _words(failure)
        if error is not None and error != self._served.error:
            logger.error("champion_not_loaded", reason=error, kept=_version(served.champion))
        served = replace(served, error=error)
        if _version(served.champion) != _version(self._served.champion):
            logger.info("champion_changed", version=_version(served.champion), before=_version(self._served.champion))
        self._served = served

    def _with_champion(self, served: Served) -> Served:
        found = self._find(self._settings)
        if found is None:
            return replace(served, champion=None)
        version, folder = found
        if served.champion is not None and served.champion.version == version:
            return served
        return replace(served, champion=load_champion(version, Path(folder)))

    def _with_popular(self, served: Served) -> Served:
        return replace(served, popular=self._popular(self._settings))

    def _watch(self) -> None:
        self.refresh()
        self._looked.set()
        while not self._stop.wait(self._settings.model_poll_seconds):
            self.refresh()


def _words(failure: Exception) -> str:
    return failure.message if isinstance(failure, PhotoRecommenderError) else f"{type(failure).__name__}: {failure}"


def _version(champion: Champion | None) -> str | None:
    return None if champion is None else champion.version
