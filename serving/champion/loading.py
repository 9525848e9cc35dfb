"""From a folder to a champion that answers its first request as fast as its thousandth."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import structlog

from features.errors import CorruptModelError
from features.settings import Settings
from features.user_state import UserState
from serving.champion.served import Champion
from serving.ranking.cursor import MarkIndex
from training.bundle import Bundle, load_bundle
from training.tracking.copies import copies_here

ROOT = Path(__file__).parents[2]
"""Where the code lies, and a model that was baked in with it."""

TYPICAL = 100
"""Favorites of the person who is asked about before anybody else."""

logger = structlog.get_logger(__name__)


def load_champion(version: str | None, folder: Path) -> Champion:
    """Load a bundle, check its digests, and do once what the first request would wait for. Raises CorruptModelError.

    version: the registry's; None: what the bundle calls itself.
    """
    bundle = load_bundle(folder, version)
    warm(bundle)
    champion = Champion(bundle.version, bundle, MarkIndex(bundle.photo_ids), datetime.now(UTC))
    _ = champion.facts
    return champion


def warm(bundle: Bundle) -> None:
    """Score, explain and compare for somebody typical: maps the arrays' pages, and fills what is computed on first use.

    The favorites are spread over the catalog, dense among the most favorited, as people's are.
    """
    n_photos = len(bundle.catalog)
    if n_photos == 0:
        return
    rows = np.unique(np.geomspace(1, n_photos, TYPICAL).astype(np.int64) - 1)
    photos, owners = bundle.photo_ids[rows].tolist(), bundle.owner_ids[rows].tolist()
    dismissed, times = slice(len(rows) // 10), (int(datetime.now(UTC).timestamp()),) * len(rows)
    history = bundle.history(
        UserState(
            user_id="",
            favorite_ids=tuple(photos),
            favorite_owners=tuple(owners),
            favorite_times=times,
            dismissed_people=tuple(owners[dismissed]),
            dismissed_people_times=times[dismissed],
            contacts=tuple(bundle.followed.ids[:TYPICAL]) if bundle.followed else (),
        )
    )
    best, _ = bundle.top(history, TYPICAL, rows)
    bundle.reasons(history, best)
    bundle.similar(0, TYPICAL)


def load_copy(settings: Settings) -> Champion | None:
    """The copy on this machine that was champion last, else the newest that is whole; None: there is none."""
    for version, folder in copies_here(settings):
        try:
            return _standing_in(version, folder)
        except CorruptModelError as error:
            logger.error("stand_in_not_loaded", reason=error.message)
    return None


def load_floor(settings: Settings) -> Champion | None:
    """The model of the setting `model_floor`; None without one, or where it is broken."""
    if not settings.model_floor:
        return None
    try:
        return _standing_in(None, ROOT / settings.model_floor)
    except CorruptModelError as error:
        logger.error("stand_in_not_loaded", reason=error.message)
        return None


def has_stand_in(settings: Settings) -> bool:
    """Whether there is a copy or a floor to try."""
    return bool(settings.model_floor or copies_here(settings))


def _standing_in(version: str | None, folder: Path) -> Champion:
    champion = load_champion(version, folder)
    logger.warning("stand_in_loaded", version=champion.version, folder=str(folder))
    return champion
