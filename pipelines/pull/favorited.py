"""A new favorite asks for its owner's favorites, ahead of refreshes: photographers whom one likes are one's neighbors.

Until the person's next pull the owner is no part of their wall; by then the owner's favorites are in the lake.
"""

from __future__ import annotations

import sqlalchemy as sa

from features.settings import Settings
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import gone_users
from pipelines.pull.ask import ask
from pipelines.pull.conclude import is_fresh
from pipelines.pull.cursors import read_cursors
from pipelines.queue.messages import Queue
from pipelines.queue.requests import Kind, Priority, PullRequest
from pipelines.sources.source import namespace_of


def ask_for_owner(
    settings: Settings, engine: sa.Engine, queue: Queue, suppression: Suppression, owner_id: str, correlation_id: str
) -> bool:
    """Ask for the favorites of a photo's owner, unless that is asked for already, was done lately
    (`pull_fresh_minutes`), or can't be done; whether a request went out.

    It is paid as neighbors are, when the hour has a call left. Raises DependencyError or SQLAlchemyError.
    """
    if namespace_of(owner_id) or gone_users(engine, [owner_id]) or suppression.suppressed([owner_id]):
        return False
    cursor = read_cursors(engine, [owner_id]).get(owner_id)
    if is_fresh(settings, cursor, Kind.FAVORITES, Priority.NEIGHBOR):
        return False
    request = PullRequest(
        user_id=owner_id,
        kind=Kind.FAVORITES,
        reason="favorited",
        priority=Priority.NEIGHBOR,
        correlation_id=correlation_id,
    )
    return ask(engine, queue, [request]) > 0
