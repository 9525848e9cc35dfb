"""Why a photo is there: the favorites that speak for it."""

from __future__ import annotations

from collections.abc import Sequence

from serving.answers import Reason, Thumbnail
from serving.cards import Cards, thumbnails
from serving.champion.watch import Champion
from serving.ranking.page import Placed
from training.interactions import History

REASONS = 3


def reasons_of_page(
    cards: Cards, champion: Champion, history: History, page: Sequence[Placed]
) -> tuple[dict[str, list[Reason]], dict[str, Thumbnail]]:
    """Why each personalized photo is there: the favorites that speak for it, those that can still be shown."""
    explained = [placed.candidate for placed in page if placed.candidate.strategy == "personalized"]
    if not explained:
        return {}, {}
    bundle = champion.bundle
    found = bundle.reasons(history, [candidate.row for candidate in explained], REASONS)
    shown = thumbnails(cards, (bundle.photo_ids[row] for part in found for row, _ in part))
    reasons = {
        candidate.photo_id: [
            Reason(photo_id=bundle.photo_ids[row], weight=contribution / max(candidate.score, 1e-9))
            for row, contribution in part
            if bundle.photo_ids[row] in shown
        ]
        for candidate, part in zip(explained, found, strict=True)
    }
    return reasons, shown
