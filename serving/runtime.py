"""What a serving process has open: database, online features, champion, keys. Opened once, handed to every face."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import sqlalchemy as sa
import structlog
from prometheus_client import CollectorRegistry

from features.database import open_database
from features.errors import DependencyError
from features.settings import Settings
from pipelines.budget.windows import Purpose, open_budget
from pipelines.flickr.client import Flickr, FlickrToken, open_flickr
from pipelines.operation.metrics import shared_state
from pipelines.privacy.suppression import Suppression
from pipelines.queue.messages import Queue, open_queue
from pipelines.shown import Repetition
from serving.accounts.tokens import Vault, open_vault
from serving.champion.watch import ChampionWatch
from serving.groups import Groups
from serving.impressions import Impressions
from serving.last_known import LastKnown
from serving.ranking.recommender import Recommender
from serving.ranking.rerank import Weights
from serving.web.rates import Rates

INTERACTIVE_ATTEMPTS = 2
"""A person waits for the answer: better a quick "Flickr does not answer" than a minute of backing off."""

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Runtime:
    settings: Settings
    engine: sa.Engine
    queue: Queue
    online: LastKnown
    watch: ChampionWatch
    recommender: Recommender
    vault: Vault
    impressions: Impressions

    @cached_property
    def suppression(self) -> Suppression:
        """Who was erased."""
        return Suppression(self.settings, self.engine)

    @cached_property
    def shared_state(self) -> CollectorRegistry:
        """What Prometheus reads of the state that all processes share."""
        return shared_state(self.settings, self.engine, self.queue)

    @cached_property
    def rates(self) -> Rates:
        """Who may ask how often."""
        return Rates(self.settings)

    @cached_property
    def flickr(self) -> Flickr:
        """Flickr without anybody's token. Raises when no API key is set: only what needs Flickr fails then."""
        return open_flickr(self.interactive)

    @cached_property
    def groups(self) -> Groups:
        """The groups that people begin with."""
        return Groups(self.settings.onboarding_groups, lambda: self.flickr)

    def flickr_of(self, token: FlickrToken) -> Flickr:
        """Flickr in the name of the token's owner."""
        return open_flickr(self.interactive, token)

    @cached_property
    def interactive(self) -> Settings:
        """The settings for calls of Flickr that a person waits for."""
        attempts = min(self.settings.flickr_attempts, INTERACTIVE_ATTEMPTS)
        return self.settings.model_copy(update={"flickr_attempts": attempts})

    def calls_left(self) -> int | None:
        """Calls of Flickr that people who wait may still make this hour; None when that can't be found out now."""
        try:
            return open_budget(self.settings).left(Purpose.PERSON)
        except DependencyError as error:
            logger.warning("budget_not_read", reason=error.message)
            return None

    def close(self) -> None:
        self.watch.stop()
        self.online.stop()
        self.impressions.stop()
        self.engine.dispose()


def open_runtime(settings: Settings) -> Runtime:
    """Open everything; nothing is served yet: `watch.start()` or `watch.refresh()` loads the champion.

    `impressions.start()` begins to write what walls showed, `online.start()` to go on without the online store.

    Raises ConfigurationError or DependencyError when the database or the keys can't be used.
    """
    from training.tracking import challenger_folder, champion_folder

    engine = open_database(settings.database_url)
    watch = ChampionWatch(settings, champion_folder, find_challenger=challenger_folder)
    online = LastKnown(settings, lambda: watch.served)
    suppression = Suppression(settings, engine)
    suppression.check()
    recommender = Recommender(
        engine, online, lambda: watch.served, suppression, Repetition.of(settings), Weights.of(settings)
    )
    queue, vault = open_queue(settings, engine), open_vault(settings)
    impressions = Impressions(settings, engine, suppression)
    return Runtime(settings, engine, queue, online, watch, recommender, vault, impressions)
