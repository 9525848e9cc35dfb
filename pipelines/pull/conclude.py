"""What follows from requests whose rows are in the lake: parts are finished, walls renewed, and at last the messages
acknowledged.

Every step may be repeated: a worker that is killed anywhere in here leaves its messages, and who gets them next finds
everything fresh and comes here again.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import prometheus_client
import structlog

from features.settings import Settings
from features.snapshots import user_states
from pipelines.privacy.tombstones import Reason, bury_users, gone_users, revive_users
from pipelines.pull.ask import ask, open_kinds, settle
from pipelines.pull.cursors import Cursor, read_cursors, write_cursors
from pipelines.pull.parts import count_parts, finish_parts, people_of, replace_parts
from pipelines.pull.progress import OpenPull, forget_progress, open_pulls, reopen_progress, update_progress
from pipelines.pull.publish import Publisher
from pipelines.pull.workplace import Held, Outcome, Workplace
from pipelines.queue.requests import Kind, Priority, PullRequest
from pipelines.sources.source import namespace_of

FIRST_STEP, LARGEST_STEP = 10, 50
"""Parts after which a wall is made anew: few at first, for an early wall, twice as many each time."""

_ASKING = threading.Lock()
"""Two people whose neighbors a worker finds at once share many of them: each is asked for once all the same."""

ALL_DATA = prometheus_client.Histogram(
    "photo_recommender_pull_complete_seconds",
    "From the request of a person's pull until everything that the wall is made of was in the lake.",
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400),
)

logger = structlog.get_logger(__name__)


def conclude(place: Workplace, outcomes: Sequence[Outcome]) -> None:
    """The listings of these outcomes are in the lake: tell everybody who waits for them, then acknowledge.

    Raises DependencyError or SQLAlchemyError when something can't be reached; then it may be called again.
    """
    # First of all: who finds a request open leaves it to us to do everything below. A request that were still open when
    # its message is gone, as after a kill, nobody would ask for again.
    settle(place.engine, [outcome.held.request for outcome in outcomes])
    favorites = [outcome for outcome in outcomes if outcome.held.request.kind is Kind.FAVORITES]
    _note_gone(place, [outcome for outcome in outcomes if outcome.is_gone])
    revive_users(place.engine, [outcome.held.request.user_id for outcome in favorites if not outcome.is_gone])
    pulled = {outcome.held.request.user_id: outcome for outcome in favorites}
    finish_parts(place.engine, dict.fromkeys(pulled, True))
    waited_for = [o.held.request for o in favorites if o.held.request.priority in (Priority.PERSON, Priority.ANONYMOUS)]
    reopen_progress(place.engine, {request.user_id for request in waited_for})
    own = {outcome.held.request.user_id for outcome in outcomes}
    # Not only people for whom a part was finished just now: who was killed after that left their walls to us.
    for user_id, pull in open_pulls(place.engine, own | people_of(place.engine, pulled)).items():
        if user_id in pulled:
            _go_on(place, pull, pulled[user_id])
        renew_wall(place, pull)
    place.queue.done([outcome.held.message for outcome in outcomes])


def expand(place: Workplace, held: Held) -> None:
    """Fulfil a request of kind `neighbors`: find the owners of the person's favorites, and ask for what is not fresh.

    The parts are written before the cursors are read: who is committed in between is seen by one of the two.
    """
    settle(place.engine, [held.request])
    user_id = held.request.user_id
    reopen_progress(place.engine, {user_id})
    pull = open_pulls(place.engine, {user_id}).get(user_id)
    if pull is not None:
        state = user_states(place.lake, [user_id])[0]
        # Owners of other services' photos are nobody whom Flickr could be asked about.
        owners = Counter(owner for owner in state.favorite_owners if owner != user_id and not namespace_of(owner))
        suppressed = place.suppression.suppressed(owners)
        ranked = (owner for owner, _ in owners.most_common() if owner not in suppressed)
        neighbors = [owner for owner, _ in zip(ranked, range(place.settings.pull_max_neighbors), strict=False)]
        replace_parts(place.engine, user_id, neighbors)
        cursors = read_cursors(place.engine, neighbors)
        gone = gone_users(place.engine, neighbors)
        done = {
            one
            for one in neighbors
            if one in gone or is_fresh(place.settings, cursors.get(one), Kind.FAVORITES, Priority.NEIGHBOR)
        }
        finish_parts(place.engine, dict.fromkeys(done, True))
        update_progress(place.engine, user_id, "neighbors", favorites=len(state.favorite_ids))
        priority = Priority.ANONYMOUS if pull.priority is Priority.ANONYMOUS else Priority.NEIGHBOR
        correlation_id = held.request.correlation_id
        requests = [
            PullRequest(
                user_id=neighbor,
                kind=Kind.FAVORITES,
                reason="neighbor",
                priority=priority,
                correlation_id=correlation_id,
            )
            for neighbor in neighbors
            if neighbor not in done
        ]
        with _ASKING:
            ask(place.engine, place.queue, requests)
        renew_wall(place, replace(pull, stage="neighbors"))
    place.queue.done([held.message])


def give_up(place: Workplace, request: PullRequest, reason: str) -> None:
    """A request can't be fulfilled: who waits for it goes on without."""
    settle(place.engine, [request])
    user_id = request.user_id
    affected = {user_id}
    if request.kind is Kind.FAVORITES:
        finish_parts(place.engine, {user_id: False})
        affected |= people_of(place.engine, [user_id])
    if request.kind is not Kind.CONTACTS:
        update_progress(place.engine, user_id, "failed", error=reason)
    for pull in open_pulls(place.engine, affected).values():
        renew_wall(place, pull)


def refuse(place: Workplace, held: Held) -> None:
    """A request for somebody who was erased after it was made: nothing is pulled, and nothing stays of it."""
    settle(place.engine, [held.request])
    place.queue.done([held.message])
    forget_progress(place.engine, held.request.user_id)


def is_fresh(settings: Settings, cursor: Cursor | None, kind: Kind, priority: Priority) -> bool:
    """Whether this was pulled so recently that pulling again would be a waste.

    One call for a person who waits, or for a refresh that the planner has weighed, is worth more than three hundred for
    neighbors.
    """
    if cursor is None:
        return False
    pulled_at = cursor.contacts_pulled_at if kind is Kind.CONTACTS else cursor.favorites_pulled_at
    one_call = priority in (Priority.PERSON, Priority.REFRESH)
    minutes = settings.refresh_min_minutes if one_call else settings.pull_fresh_minutes
    return pulled_at is not None and pulled_at > datetime.now(UTC) - timedelta(minutes=minutes)


def renew_wall(place: Workplace, pull: OpenPull) -> None:
    """Bring a person's features online when enough has come in since the last time, and end the pull with the rest."""
    if pull.wants_neighbors and pull.stage != "neighbors":
        return
    missing = open_kinds(place.engine, pull.user_id)
    if not pull.wants_neighbors and missing:
        return
    as_of = datetime.now(UTC)
    parts = count_parts(place.engine, [pull.user_id])[pull.user_id]
    complete = not missing and (parts.finished >= parts.made or not pull.wants_neighbors)
    step = min(LARGEST_STEP, max(FIRST_STEP, pull.published))
    if not complete and pull.published >= 0 and parts.finished < pull.published + step:
        return
    favorites = _publish(place, pull.user_id, parts.coverage, as_of)
    if not complete:
        update_progress(place.engine, pull.user_id, "neighbors", published=parts.finished)
        # Another worker may have made the whole wall while this one made a part of it, and have been overwritten.
        newest = count_parts(place.engine, [pull.user_id])[pull.user_id]
        if newest.finished >= newest.made:
            renew_wall(place, replace(pull, published=parts.finished))
    elif update_progress(place.engine, pull.user_id, "done", published=parts.finished, favorites=favorites):
        seconds = (datetime.now(UTC) - pull.asked_at).total_seconds()
        ALL_DATA.observe(seconds)
        logger.info(
            "pull_complete",
            user_id=pull.user_id,
            seconds=round(seconds, 1),
            neighbors=parts.made,
            covered=parts.covered,
        )


def _go_on(place: Workplace, pull: OpenPull, outcome: Outcome) -> None:
    """The person's own favorites are in: on to the neighbors."""
    request = outcome.held.request
    if outcome.is_gone:
        update_progress(
            place.engine, pull.user_id, "failed", error=f"Flickr knows no user {pull.user_id!r}, or no longer"
        )
    # Later, the neighbors are under way: this is a refresh, or a message that was delivered again.
    elif pull.wants_neighbors and pull.stage != "neighbors":
        follow_up = PullRequest(
            user_id=pull.user_id,
            kind=Kind.NEIGHBORS,
            reason=request.reason,
            priority=pull.priority,
            correlation_id=request.correlation_id,
        )
        ask(place.engine, place.queue, [follow_up])


def _publish(place: Workplace, user_id: str, coverage: float, as_of: datetime) -> int:
    """The number of favorites of the person."""
    if place.online is None:
        return len(user_states(place.lake, [user_id])[0].favorite_ids)
    return Publisher(place.lake, place.online, place.settings).publish(user_id, coverage, as_of)


def _note_gone(place: Workplace, outcomes: Sequence[Outcome]) -> None:
    """The cursor moves here too: somebody who has left Flickr is not asked for again at once."""
    users = [outcome.held.request.user_id for outcome in outcomes]
    note_gone(place, users, read_cursors(place.engine, users))


def note_gone(place: Workplace, user_ids: Sequence[str], cursors: Mapping[str, Cursor]) -> None:
    """Tombstones for users whom Flickr does not know, and cursors as if they had been pulled."""
    if not user_ids:
        return
    now = datetime.now(UTC)
    bury_users(place.engine, user_ids, Reason.DELETED)
    moved = [cursors.get(user_id) or Cursor(user_id) for user_id in user_ids]
    write_cursors(place.engine, [replace(cursor, favorites_pulled_at=now, contacts_pulled_at=now) for cursor in moved])
