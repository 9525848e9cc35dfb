"""From the online store's cards to what an answer shows of photos and people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from features.online import OnlineFeatures, PhotoCard, UserCard
from serving.answers import Person, Photo, Thumbnail
from serving.exclusions import is_showable

NEW_FOR = timedelta(days=30)


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


def is_new(card: PhotoCard, now: datetime) -> bool:
    return card.uploaded_at is not None and now - card.uploaded_at.astimezone(UTC) <= NEW_FOR


def thumbnails(online: OnlineFeatures, photo_ids: Iterable[str]) -> dict[str, Thumbnail]:
    """Those of the photos that can be shown."""
    cards = online.photo_cards(list(dict.fromkeys(photo_ids)))
    return {
        photo_id: Thumbnail(title=card.title, image_url=card.image_url, page_url=card.page_url)
        for photo_id, card in cards.items()
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


def photos(online: OnlineFeatures, photo_ids: Sequence[str]) -> list[Photo]:
    """The photos in that order, without those of which no card is known."""
    cards = online.photo_cards(list(photo_ids))
    return [Photo(**photo_fields(cards[photo_id])) for photo_id in photo_ids if photo_id in cards]
