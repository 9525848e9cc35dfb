"""What is served, and its replacement by what the registry names newly while requests go on.

A thread looks every `model_poll_seconds`. A model that can't be loaded leaves the one before in place and says why in
`error`; where there is none before, a copy on this machine stands in, or the floor that was baked in. The popular
photos are refreshed beside them: they are what is left when there is no model at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import structlog
from prometheus_client import Gauge

from features.batch import PopularPhotos, popular_photos
from features.settings import Settings
from serving.champion.following import Find, Followed, words_of
from serving.champion.loading import has_stand_in, load_copy, load_floor
from serving.champion.served import Champion, Served

FIRST_LOOK_SECONDS = 60.0
"""How long a starting service waits for its first look; it becomes ready without a model after that."""

FIRST_LOOK_SECONDS_WITH_STAND_IN = 10.0
"""The same where it has something to begin with."""

STAND_IN = Gauge(
    "photo_recommender_model_stand_in",
    "1 while the model that is served is not known to be the registry's champion.",
    multiprocess_mode="livemax",
)

logger = structlog.get_logger(__name__)


def no_challenger(_settings: Settings) -> None:
    """A registry without one."""


class ChampionWatch:
    """Holds what is served and keeps it fresh.

    find: (version, folder) of the registry's champion, None when there is none; find_challenger: of the challenger,
    asked only where it gets a share. Both are called from the watching thread.
    """

    def __init__(
        self,
        settings: Settings,
        find: Find,
        popular: Callable[[Settings], PopularPhotos] = popular_photos,
        find_challenger: Find = no_challenger,
    ) -> None:
        self._settings = settings
        self._champion = Followed(settings, "champion", find)
        self._challenger = Followed(settings, "challenger", find_challenger)
        self._popular = popular
        self._served = Served(challenger_share=settings.challenger_share)
        self._copy: Champion | None = None
        self._copy_tried = False
        self._loading = threading.Lock()
        self._changing = threading.Lock()
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="champion", daemon=True)

    @property
    def served(self) -> Served:
        return self._served

    def start(self) -> None:
        """Begin to watch; returns when the first look is over, or has taken too long: a stand-in is served then."""
        self._thread.start()
        seconds = FIRST_LOOK_SECONDS_WITH_STAND_IN if has_stand_in(self._settings) else FIRST_LOOK_SECONDS
        if self._looked.wait(seconds):
            return
        stand_in = self._stand_in()
        with self._changing:
            if self._served.champion is None:
                STAND_IN.set(stand_in is not None)
                error = f"the registry has not named its champion within {seconds:.0f} seconds"
                self._put(replace(self._served, champion=stand_in, error=error))

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    def refresh(self) -> None:
        """Look once. Never raises: what fails is logged, once, and told in `served.error`."""
        popular = self._with_popular(replace(self._served, error=None))
        with self._changing:  # there are popular photos, though the registry may take its time
            self._put(replace(self._served, popular=popular.popular))
        served = self._with_challenger(self._with_champion(popular))
        with self._changing:
            self._put(served)

    def _with_popular(self, served: Served) -> Served:
        try:
            return replace(served, popular=self._popular(self._settings))
        except Exception as failure:  # noqa: BLE001  (a lake or disk in trouble must not end the watch)
            return replace(served, error=words_of(failure))

    def _with_champion(self, served: Served) -> Served:
        try:
            champion = self._champion.look()
        except Exception as failure:  # noqa: BLE001  (nor must a registry)
            champion = self._served.champion
            if champion is None:
                champion = self._stand_in()
                STAND_IN.set(champion is not None)
            return replace(served, champion=champion, error=words_of(failure))
        self._copy, self._copy_tried = None, True  # the registry has said what is champion, be it nothing
        STAND_IN.set(champion is None and self._floor is not None)
        return replace(served, champion=champion or self._floor)

    def _with_challenger(self, served: Served) -> Served:
        if not self._settings.challenger_share:
            return served
        try:
            return replace(served, challenger=self._challenger.look())
        except Exception as failure:  # noqa: BLE001  (nor must one that is only tried)
            return replace(served, error=served.error or f"challenger: {words_of(failure)}")

    def _stand_in(self) -> Champion | None:
        """What is served where the registry has named nothing yet: looked for once."""
        with self._loading:  # by the thread, or by a start that will not wait for it
            if not self._copy_tried:
                self._copy, self._copy_tried = load_copy(self._settings), True
                if self._copy is not None:
                    self._champion.hold(self._copy)
            return self._copy or self._floor

    @cached_property
    def _floor(self) -> Champion | None:
        return load_floor(self._settings)

    def _put(self, served: Served) -> None:
        before, self._served = self._served, served
        if served.error is not None and served.error != before.error:
            logger.error("champion_not_loaded", reason=served.error, kept=_version(served.champion))
        for alias, now, then in (
            ("champion", served.champion, before.champion),
            ("challenger", served.challenger, before.challenger),
        ):
            if _version(now) != _version(then):
                logger.info(f"{alias}_changed", version=_version(now), before=_version(then))

    def _watch(self) -> None:
        self.refresh()
        self._looked.set()
        while not self._stop.wait(self._settings.model_poll_seconds):
            self.refresh()


def _version(champion: Champion | None) -> str | None:
    return None if champion is None else champion.version
