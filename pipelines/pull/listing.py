"""What Flickr lists for one user at one look, on its way from the threads that fetch to the lake."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.flickr.answers import Person, Rejected
from pipelines.pull.sweep import Window


@dataclass(frozen=True)
class Listing:
    """What Flickr lists for one user, looked at from `observed_at` on.

    photo_ids, owner_ids, faved_at (unix seconds): parallel, each photo once. `contacts` is None when not asked for.
    window: the times of favoriting of which the listing holds everything, None when of none. rejected: entries that
    can't be used.
    """

    user_id: str
    observed_at: datetime
    photo_ids: Sequence[str] = ()
    owner_ids: Sequence[str] = ()
    faved_at: Sequence[int] = ()
    contacts: Sequence[Person] | None = None
    person: Person | None = None
    window: Window | None = None
    rejected: Sequence[Rejected] = ()

    def without(self, people: Collection[str], photos: Collection[str]) -> Listing:
        """The listing without what must not come in: those people, as owners and contacts, and those photos."""
        if not people and not photos:
            return self
        kept = [
            place
            for place, (photo_id, owner_id) in enumerate(zip(self.photo_ids, self.owner_ids, strict=True))
            if owner_id not in people and photo_id not in photos
        ]
        contacts = self.contacts
        return replace(
            self,
            photo_ids=[self.photo_ids[place] for place in kept],
            owner_ids=[self.owner_ids[place] for place in kept],
            faved_at=[self.faved_at[place] for place in kept],
            contacts=None if contacts is None else [person for person in contacts if person.user_id not in people],
        )
