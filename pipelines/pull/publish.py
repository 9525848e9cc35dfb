"""A person's features online while a pull is still running: the wall does not wait for the last neighbor.

Cards go first, then candidates, then the snapshot, so that whatever a page is told to show has something to show.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from features.batch import neighbor_candidates_for, photo_cards, user_cards, user_states
from features.feature_tables import PHOTO_CARD, USER_CARD, PhotoCard, UserCard
from features.lake import Lake, one_of
from features.schema import INTERACTIONS, PHOTOS, USERS
from features.settings import Settings
from features.state import STATE_COLUMNS, interaction_state, newest

if TYPE_CHECKING:
    from features.online import OnlineFeatures


class Publisher:
    """Writes the online features of one person, again and again; cards only once (an instance serves one pull)."""

    def __init__(self, lake: Lake, online: OnlineFeatures, settings: Settings) -> None:
        self._lake = lake
        self._online = online
        self._settings = settings
        self._photos_written: set[str] = set()
        self._users_written: set[str] = set()

    def publish(self, user_id: str, coverage: float, as_of: datetime | None = None) -> int:
        """Bring the person's snapshot, candidates (with that coverage) and cards online as the lake has them now.

        as_of: from before the coverage was counted, so that what was counted later stays. Returns the number of the
        person's favorites.
        """
        state = user_states(self._lake, [user_id])[0]
        people = {user_id, *state.favorite_owners}
        rows = self._lake.scan(INTERACTIONS, columns=STATE_COLUMNS, where=one_of("user_id", people))
        candidates = neighbor_candidates_for(
            user_id,
            interaction_state(rows).favorites,
            dismissed_photos=state.dismissed_ids,
            dismissed_people=state.dismissed_people,
            contacts=state.contacts,
            photos=self._settings.neighbor_photos,
            people=self._settings.neighbor_people,
            max_neighbors=self._settings.pull_max_neighbors,
            coverage=coverage,
            now=as_of,
        )
        self._write_cards(
            {*state.favorite_ids, *state.dismissed_ids, *candidates.photo_ids},
            {user_id, *state.dismissed_people, *candidates.people_ids},
        )
        self._online.write_neighbor_candidates([candidates])
        self._online.write_user_states([state])
        return len(state.favorite_ids)

    def _write_cards(self, photo_ids: Collection[str], user_ids: Collection[str]) -> None:
        now = datetime.now(UTC)
        new_photos = sorted(set(photo_ids) - self._photos_written)
        photos = newest(
            self._lake.scan(PHOTOS, where=one_of("photo_id", new_photos)), PHOTOS.key, ("created_timestamp",)
        )
        new_users = sorted(set(user_ids) - self._users_written)
        known = {*new_users, *photos.column("owner_id").to_pylist()}
        users = newest(self._lake.scan(USERS, where=one_of("user_id", known)), USERS.key, ("created_timestamp",))
        cards = photo_cards(photos, users, now).select(["photo_id", *PHOTO_CARD.features]).to_pylist()
        self._online.write_photo_cards([PhotoCard(**{**row, "sizes": orjson.loads(row["sizes"])}) for row in cards])
        shown = users.filter(one_of("user_id", new_users))
        rows = user_cards(shown, now).select(["user_id", *USER_CARD.features]).to_pylist()
        self._online.write_user_cards([UserCard(**row) for row in rows])
        self._photos_written.update(new_photos)
        self._users_written.update(new_users)
