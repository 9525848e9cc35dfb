"""Asking the sandbox for what users favor: the fetcher, and what it fetched in the terms of `sandbox.listed`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipelines.pull.fetch import Fetched, Fetcher

LIST_FAVORITES = "flickr.favorites.getPublicList"


@pytest.fixture
def fetcher(flickr) -> Fetcher:
    return Fetcher(flickr, 50_000)


def rows(fetched: Fetched) -> list[tuple[str, str, int]]:
    listing = fetched.listing
    return list(zip(listing.photo_ids, listing.owner_ids, listing.faved_at, strict=True))


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
