"""What the suites of features share: a real Redis, rows of the log in a line each, and one lake with a known answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import redis

from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, USERS
from features.settings import Settings

InteractionRows = Callable[[Sequence[tuple[str, str, str, str, datetime]]], pa.Table]

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "redis"])
def online_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with each of the online stores; the Redis is empty."""
    home = tmp_path / "home"
    if request.param == "sqlite":
        return Settings(home=home, _env_file=None)  # type: ignore[call-arg]
    url = request.getfixturevalue("redis_url")
    client = redis.Redis.from_url(url)
    client.flushall()
    client.close()
    return Settings(home=home, online_store=url, _env_file=None)  # type: ignore[call-arg]


@pytest.fixture(scope="session")
def now() -> datetime:
    """The moment that the features under test are of."""
    return NOW


@pytest.fixture(scope="session")
def interaction_rows() -> InteractionRows:
    """Makes rows of `interactions` from (user, photo, owner, kind, moment)."""

    def rows(events: Sequence[tuple[str, str, str, str, datetime]]) -> pa.Table:
        user, photo, owner, kind, moment = (list(c) for c in zip(*events, strict=True)) if events else ([],) * 5
        return pa.table(
            {
                "user_id": user,
                "photo_id": photo,
                "owner_id": owner,
                "kind": kind,
                "source": ["flickr"] * len(events),
                "event_timestamp": moment,
                "created_timestamp": moment,
                "faved_at": [t if k == "favorite" else None for t, k in zip(moment, kind, strict=True)],
                "action_id": pa.nulls(len(events), pa.string()),
                "ingest_date": [t.date() for t in moment],
            },
            schema=INTERACTIONS.schema,
        )

    return rows


@pytest.fixture
def small_lake(lake: Lake, interaction_rows: InteractionRows, now: datetime) -> Lake:
    """Three users a, b, c: a favorited photos of b and c, and b and c have a favorite in common with a."""

    def at(day: int) -> datetime:
        return datetime(2026, 3, day, 9, tzinfo=UTC)

    fill(
        lake,
        interaction_rows(
            [
                ("a", "b1", "b", "favorite", at(1)),
                ("a", "b2", "b", "favorite", at(2)),
                ("a", "c1", "c", "favorite", at(20)),
                ("b", "b2", "b", "favorite", at(3)),
                ("b", "c2", "c", "favorite", at(4)),
                ("b", "x1", "x", "favorite", at(5)),
                ("c", "c1", "c", "favorite", at(6)),
                ("c", "x1", "x", "favorite", at(7)),
                ("c", "x2", "x", "favorite", at(8)),
                ("a", "x2", "x", "dismiss_photo", at(21)),
                ("a", "", "y", "dismiss_user", at(22)),
            ]
        ),
        contacts=[("a", "b", "follow", at(1)), ("a", "c", "follow", at(1)), ("a", "c", "unfollow", at(9))],
        photos=["b1", "b2", "c1", "c2", "x1", "x2"],
        users=["a", "b", "c"],
        now=at(10),
    )
    return lake


def fill(
    lake: Lake,
    interactions: pa.Table,
    *,
    contacts: Sequence[tuple[str, str, str, datetime]],
    photos: Sequence[str],
    users: Sequence[str],
    now: datetime,
) -> None:
    lake.append(INTERACTIONS, interactions)
    user, contact, kind, moment = (list(column) for column in zip(*contacts, strict=True))
    lake.append(
        CONTACTS,
        pa.table(
            {
                "user_id": user,
                "contact_id": contact,
                "kind": kind,
                "event_timestamp": moment,
                "created_timestamp": moment,
            },
            schema=CONTACTS.schema,
        ),
    )
    lake.append(
        PHOTOS,
        pa.Table.from_pylist(
            [
                {
                    "photo_id": photo,
                    "owner_id": photo[0],
                    "title": f"photo {photo}",
                    "image_url": f"https://pictures.example/{photo}.jpg",
                    "sizes": '{"m":{"url":"https://pictures.example/m.jpg","width":240,"height":160}}',
                    "page_url": f"https://flickr.example/{photo}",
                    "width": 1024,
                    "height": 683,
                    "tags": "sea dusk",
                    "safety_level": 0,
                    "uploaded_at": datetime(2025, 1, 2, 3, tzinfo=UTC),
                    "created_timestamp": now,
                }
                for photo in photos
            ],
            schema=PHOTOS.schema,
        ),
    )
    lake.append(
        USERS,
        pa.Table.from_pylist(
            [{"user_id": user, "name": f"user {user}", "created_timestamp": now} for user in users],
            schema=USERS.schema,
        ),
    )
