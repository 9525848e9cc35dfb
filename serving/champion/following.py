"""One alias of the registry, followed: whatever it names is loaded, and the one before stays loaded for a rollback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic

import structlog
from prometheus_client import Counter

from features.errors import CorruptModelError, DependencyError, PhotoRecommenderError
from features.settings import Settings
from serving.champion.loading import load_champion
from serving.champion.served import Champion
from training.tracking.copies import discard_copy

RETRY_SECONDS = 600.0
"""A bundle that was corrupt is fetched anew after so long: until then another look at it would find the same."""

FAILURES = Counter(
    "photo_recommender_model_failures",
    "Looks at the registry after which its champion or challenger could not be served.",
    ["alias", "reason"],
)

Find = Callable[[Settings], tuple[str, Path] | None]

logger = structlog.get_logger(__name__)


class Followed:
    """What is loaded for an alias. For one thread.

    find: (version, folder) of what the alias names now, None when nothing.
    """

    def __init__(self, settings: Settings, alias: str, find: Find) -> None:
        self._settings = settings
        self._alias = alias
        self._find = find
        self._loaded: list[Champion] = []
        self._refused: tuple[tuple[str, Path], CorruptModelError, float] | None = None

    def look(self) -> Champion | None:
        """What the alias names now, loaded. Raises CorruptModelError, and whatever the registry or a disk raises."""
        try:
            return self._look()
        except Exception as error:
            FAILURES.labels(self._alias, _reason(error)).inc()
            raise

    def hold(self, champion: Champion) -> None:
        """Take it for loaded, should the alias name it."""
        self._loaded = [champion, *self._loaded[:1]]

    def _look(self) -> Champion | None:
        found = self._find(self._settings)
        if found is None:
            return None
        version, folder = found
        held = next((one for one in self._loaded if one.version == version), None)
        if held is None:
            held = self._load(version, folder)
        others = [one for one in self._loaded if one is not held]
        self._loaded = [held, *others[:1]]
        return held

    def _load(self, version: str, folder: Path) -> Champion:
        if self._refused is not None and self._refused[0] == (version, folder):
            _, error, since = self._refused
            if monotonic() - since < RETRY_SECONDS:
                raise error
            # It may have been broken here: what is fetched anew may be whole.
            self._refused = None
            discard_copy(self._settings, folder)
            return self._load(*(self._find(self._settings) or (version, folder)))
        try:
            return load_champion(version, folder)
        except CorruptModelError as error:
            self._refused = (version, folder), error, monotonic()
            raise


def _reason(error: Exception) -> str:
    if isinstance(error, CorruptModelError):
        return "corrupt"
    return "unreachable" if isinstance(error, DependencyError | OSError) else "other"


def words_of(failure: Exception) -> str:
    """What the status says of a failure."""
    return failure.message if isinstance(failure, PhotoRecommenderError) else f"{type(failure).__name__}: {failure}"
