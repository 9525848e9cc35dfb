"""From the online store's cards to what an answer shows of photos and people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from features.database import Readable
from features.online import OnlineFeatures, PhotoCard, UserCard
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import gone_among
from serving.answers import Person, Photo, Thumbnail
from serving.ranking.exclusions import is_showable


@dataclass(frozen=True)
class Cards:
    """The one door through which cards come to a page: what has a tombstone, or is of somebody who has one, or who was
    erased, stays behind it, whatever the online store still holds.

    source: of the tombstones.
    """

    online: OnlineFeatures
    source: Readable
    suppression: Suppression | None = None

    def photos(self, photo_ids: Sequence[str]) -> dict[str, PhotoCard]:
        """The cards of those photos that have one and that nobody asked to take away; one look into SQL."""
        return self.standing(self.online.photo_cards(photo_ids))

    def standing(self, found: Mapping[str, PhotoCard]) -> dict[str, PhotoCard]:
        """Those of the cards, by photo, that nobody asked to take away, in their order; one look into SQL."""
        owners = {card.owner_id for card in found.values()}
        gone = gone_among(self.source, found, owners, self.suppression)
        return {
            photo_id: card
            for photo_id, card in found.items()
            if photo_id not in gone.photo_ids and card.owner_id not in gone.user_ids
        }

    def gone_people(self, user_ids: Sequence[str]) -> frozenset[str]:
        """Those of the users who must not be shown."""
        return gone_among(self.source, (), user_ids, self.suppression).user_ids


def photo_fields(card: PhotoCard) -> dict[str, Any]:
    """The fields of `Photo` (serving/answers.py)."""
    return {
        "photo_id": card.photo_id,
        "owner_id": card.owner_id,
        "owner_name": card.owner_name,
        "title": card.title,
        "image_url": card.image_url,
        "sizes": card.sizes,
        "width": card.width,
        "height": card.height,
        "page_url": card.page_url,
    }


def thumbnails(cards: Cards, photo_ids: Iterable[str]) -> dict[str, Thumbnail]:
    """Those of the photos that can be shown."""
    found = cards.photos(list(dict.fromkeys(photo_ids)))
    return {
        photo_id: Thumbnail(title=card.title, image_url=card.image_url, page_url=card.page_url)
        for photo_id, card in found.items()
        if is_showable(card)
    }


def people(online: OnlineFeatures, user_ids: Sequence[str]) -> list[Person]:
    """The users in that order; one of whom no card is known is called by the NSID."""
    cards = online.user_cards(list(user_ids))
    return [person(user_id, cards.get(user_id)) for user_id in user_ids]


def person(user_id: str, card: UserCard | None) -> Person:
    return Person(
        user_id=user_id,
        name=card.name if card is not None and card.name else user_id,
        avatar_url=card.avatar_url if card is not None else None,
    )


def photos(cards: Cards, photo_ids: Sequence[str]) -> list[Photo]:
    """The photos in that order, without those of which no card is known, or that were taken away."""
    found = cards.photos(list(photo_ids))
    return [Photo(**photo_fields(found[photo_id])) for photo_id in photo_ids if photo_id in found]
