"""A user's state as ranking needs it: the snapshot of the online store, brought up to this second by newer actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from features.actions import Action
from features.schema import Kind


@dataclass(frozen=True)
class UserState:
    """Everything that one user likes, dismissed and follows; complete, never capped.

    The tuples of a group (favorite_*, dismissed_*, dismissed_people*) are parallel; times are unix seconds.
    `watermark` is the newest action contained (-1: none); `updated_at` is None when there is no snapshot.
    """

    user_id: str
    favorite_ids: tuple[str, ...] = ()
    favorite_owners: tuple[str, ...] = ()
    favorite_times: tuple[int, ...] = ()
    dismissed_ids: tuple[str, ...] = ()
    dismissed_owners: tuple[str, ...] = ()
    dismissed_times: tuple[int, ...] = ()
    dismissed_people: tuple[str, ...] = ()
    dismissed_people_times: tuple[int, ...] = ()
    contacts: tuple[str, ...] = ()
    watermark: int = -1
    updated_at: datetime | None = None

    @classmethod
    def empty(cls, user_id: str) -> UserState:
        """The state of somebody nothing is known of."""
        return cls(user_id=user_id)


def apply_actions(state: UserState, actions: Sequence[Action]) -> UserState:
    """The state after `actions`, which are the user's own, in order; those up to the watermark are left out.

    Favorites and dismissals are independent: faving a dismissed photo does not take the dismissal back.
    """
    newer = [action for action in actions if action.seq > state.watermark]
    if not newer:
        return state
    favorites = dict(
        zip(state.favorite_ids, zip(state.favorite_owners, state.favorite_times, strict=True), strict=True)
    )
    photos = dict(
        zip(state.dismissed_ids, zip(state.dismissed_owners, state.dismissed_times, strict=True), strict=True)
    )
    people = dict(zip(state.dismissed_people, state.dismissed_people_times, strict=True))
    for action in newer:
        seconds = int(action.event_timestamp.timestamp())
        match action.kind:
            case Kind.FAVORITE:
                favorites.setdefault(action.photo_id, (action.owner_id, seconds))
            case Kind.UNFAVORITE:
                favorites.pop(action.photo_id, None)
            case Kind.DISMISS_PHOTO:
                photos[action.photo_id] = (action.owner_id, seconds)
            case Kind.UNDISMISS_PHOTO:
                photos.pop(action.photo_id, None)
            case Kind.DISMISS_USER:
                people[action.owner_id] = seconds
            case Kind.UNDISMISS_USER:
                people.pop(action.owner_id, None)
            case unknown:
                raise ValueError(f"action {action.action_id}: unknown kind {unknown!r}")
    return UserState(
        user_id=state.user_id,
        favorite_ids=tuple(favorites),
        favorite_owners=tuple(owner for owner, _ in favorites.values()),
        favorite_times=tuple(seconds for _, seconds in favorites.values()),
        dismissed_ids=tuple(photos),
        dismissed_owners=tuple(owner for owner, _ in photos.values()),
        dismissed_times=tuple(seconds for _, seconds in photos.values()),
        dismissed_people=tuple(people),
        dismissed_people_times=tuple(people.values()),
        contacts=state.contacts,
        watermark=newer[-1].seq,
        updated_at=state.updated_at,
    )
