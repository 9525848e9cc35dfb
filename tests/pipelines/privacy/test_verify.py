"""Flickr is asked for photos that pages reported, then for those shown: each once a day, within the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa
from prometheus_client import REGISTRY

from features.database import photo_checks
from features.lake import Lake, one_of
from features.schema import IMPRESSIONS, PHOTOS
from features.settings import Settings
from pipelines.flickr.client import Flickr, Purpose, open_flickr
from pipelines.privacy.tombstones import Reason, bury_photos, gone_photos, photos_buried_for
from pipelines.privacy.verify import Verified, is_there, photos_due, verify_photos
from pipelines.sandbox.world import World
from tests.pipelines.conftest import RunningSandbox

GET_INFO = "flickr.photos.getInfo"


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.fixture
def photos(world: World, lake: Lake) -> list[str]:
    """Six photos of the sandbox's world, held in the lake."""
    ids = [str(photo_id) for photo_id in world.photo_ids[:6]]
    content = {"owner_id": "o", "title": "t", "image_url": "i", "sizes": "{}", "page_url": "p"}
    pulled = datetime(2026, 3, 1, tzinfo=UTC)
    rows = [{"photo_id": photo_id, "created_timestamp": pulled, **content} for photo_id in ids]
    lake.append(PHOTOS, pa.Table.from_pylist(rows, schema=PHOTOS.schema))
    return ids


@pytest.fixture
def gone(sandbox: RunningSandbox) -> Iterator[Callable[..., None]]:
    """A function that lets photos be gone from the sandbox, or private, until the test ends."""

    def put(*photo_ids: str, private: Sequence[str] = ()) -> None:
        sandbox.put("/sandbox/gone", {"photos": list(photo_ids), "private": list(private)}).raise_for_status()

    yield put
    put()


def show(lake: Lake, at: datetime, *photo_ids: str) -> None:
    common = {"user_id": "u", "rank": 1, "model_version": "1", "variant": "", "shown_at": at, "created_timestamp": at}
    rows = [{"photo_id": photo_id, **common} for photo_id in photo_ids]
    lake.append(IMPRESSIONS, pa.Table.from_pylist(rows, schema=IMPRESSIONS.schema))


def report(engine: sa.Engine, photo_id: str, at: datetime, checked_at: datetime | None = None) -> None:
    with engine.begin() as connection:
        row = {"photo_id": photo_id, "reported_at": at, "checked_at": checked_at}
        connection.execute(sa.insert(photo_checks).values(row))


def gone_at(lake: Lake, photo_id: str) -> datetime | None:
    rows = lake.scan(PHOTOS, where=one_of("photo_id", [photo_id])).to_pylist()
    moment: datetime | None = max(rows, key=lambda row: row["created_timestamp"])["gone_at"]
    return moment


def outcomes() -> dict[str, float]:
    def value(outcome: str) -> float:
        return REGISTRY.get_sample_value("photo_recommender_photos_verified_total", {"outcome": outcome}) or 0.0

    return {outcome: value(outcome) for outcome in ("there", "gone", "refused")}


def test_reports_come_first_then_what_was_shown_most_in_the_last_day(
    engine: sa.Engine, lake: Lake, photos: list[str], now: datetime
) -> None:
    hour = timedelta(hours=1)
    show(lake, now - hour, photos[0], photos[1], photos[1], photos[2])
    show(lake, now - 25 * hour, photos[3])
    report(engine, photos[4], now - hour)
    report(engine, photos[5], now - 2 * hour)
    assert photos_due(engine, lake, now)[:3] == [photos[5], photos[4], photos[1]]
    assert set(photos_due(engine, lake, now)[3:]) == {photos[0], photos[2]}


def test_nobody_was_shown_anything_yet(engine: sa.Engine, lake: Lake, flickr: Flickr, now: datetime) -> None:
    assert verify_photos(engine, lake, flickr, 10, now) == Verified(0, 0, 0)


def test_photos_that_are_gone_are_buried_and_marked_in_the_lake_and_the_others_are_left_alone(
    engine: sa.Engine, lake: Lake, flickr: Flickr, photos: list[str], now: datetime, gone: Callable[..., None]
) -> None:
    gone(photos[1], photos[4])
    show(lake, now - timedelta(hours=1), *photos[:4])
    report(engine, photos[4], now - timedelta(hours=1))
    before = outcomes()
    assert verify_photos(engine, lake, flickr, 10, now) == Verified(checked=5, gone=2, left=0)
    assert gone_photos(engine, photos) == {photos[1], photos[4]}
    assert [gone_at(lake, photo_id) for photo_id in photos] == [None, now, None, None, now, None]
    assert {name: count - before[name] for name, count in outcomes().items()} == {"there": 3, "gone": 2, "refused": 0}


def test_a_private_photo_is_buried_as_such_and_comes_back_when_it_is_public_again(
    engine: sa.Engine, lake: Lake, flickr: Flickr, photos: list[str], now: datetime, gone: Callable[..., None]
) -> None:
    gone(photos[0], private=[photos[1]])
    show(lake, now, *photos[:3])
    assert verify_photos(engine, lake, flickr, 10, now) == Verified(checked=3, gone=2, left=0)
    assert photos_buried_for(engine, Reason.VANISHED) == {photos[0]}
    assert photos_buried_for(engine, Reason.PRIVATE) == {photos[1]}
    assert [gone_at(lake, photo_id) for photo_id in photos[:3]] == [now, now, None]
    gone()
    assert is_there(engine, flickr, photos[1], now + timedelta(days=1)) is True
    assert gone_photos(engine, photos) == {photos[0]}


def test_each_photo_is_asked_for_once_a_day(
    engine: sa.Engine, lake: Lake, flickr: Flickr, photos: list[str], now: datetime, sandbox: RunningSandbox
) -> None:
    show(lake, now, *photos[:2])
    show(lake, now + timedelta(hours=23), *photos[:2])
    report(engine, photos[2], now)
    calls = sandbox.calls(GET_INFO)
    assert verify_photos(engine, lake, flickr, 10, now).checked == 3
    assert verify_photos(engine, lake, flickr, 10, now + timedelta(hours=23)) == Verified(0, 0, 0)
    assert sandbox.calls(GET_INFO) == calls + 3
    # A day later those that were shown since are due again; the report was answered, and is forgotten.
    assert verify_photos(engine, lake, flickr, 10, now + timedelta(hours=25)).checked == 2
    with engine.connect() as connection:
        assert set(connection.scalars(sa.select(photo_checks.c.photo_id))) == set(photos[:2])


def test_the_limit_is_kept_and_what_is_left_is_told(
    engine: sa.Engine, lake: Lake, flickr: Flickr, photos: list[str], now: datetime
) -> None:
    show(lake, now, *photos)
    assert verify_photos(engine, lake, flickr, 4, now) == Verified(checked=4, gone=0, left=2)
    assert verify_photos(engine, lake, flickr, 4, now) == Verified(checked=2, gone=0, left=0)


def test_when_the_budget_is_spent_it_stops_and_keeps_what_it_knows(
    engine: sa.Engine,
    lake: Lake,
    sandbox_settings: Settings,
    photos: list[str],
    now: datetime,
    gone: Callable[..., None],
) -> None:
    gone(photos[0])
    report(engine, photos[0], now)
    show(lake, now, *photos[1:])
    poor = sandbox_settings.model_copy(update={"flickr_calls_per_hour": 4})  # three for a refresh
    verified = verify_photos(engine, lake, open_flickr(poor, None, Purpose.REFRESH), 10, now)
    assert verified == Verified(checked=3, gone=1, left=3)
    assert gone_at(lake, photos[0]) == now


def test_a_flickr_that_does_not_answer_condemns_no_photo(
    engine: sa.Engine, lake: Lake, flickr: Flickr, photos: list[str], now: datetime, sandbox: RunningSandbox
) -> None:
    show(lake, now, *photos)
    sandbox.faults({"kind": "bad_gateway"})
    assert verify_photos(engine, lake, flickr, 10, now) == Verified(checked=0, gone=0, left=6)
    sandbox.faults({"kind": "fail", "code": 3, "method": GET_INFO})
    assert verify_photos(engine, lake, flickr, 10, now).gone == 0
    assert gone_photos(engine, photos) == set()


def test_a_kill_before_the_lake_was_told_lets_the_photo_be_asked_for_again(
    engine: sa.Engine, lake: Lake, flickr: Flickr, photos: list[str], now: datetime, gone: Callable[..., None]
) -> None:
    gone(photos[0])
    report(engine, photos[0], now)
    assert is_there(engine, flickr, photos[0], now) is False  # as far as it came
    assert gone_photos(engine, photos) == {photos[0]}
    assert verify_photos(engine, lake, flickr, 10, now).gone == 1
    assert gone_at(lake, photos[0]) == now


def test_a_photo_that_is_public_again_comes_back_but_not_one_that_was_taken_down(
    engine: sa.Engine, lake: Lake, flickr: Flickr, photos: list[str], now: datetime, sandbox: RunningSandbox
) -> None:
    bury_photos(engine, [photos[0]], Reason.VANISHED)
    bury_photos(engine, [photos[1]], Reason.TAKEDOWN)
    show(lake, now, *photos[:2])
    calls = sandbox.calls(GET_INFO)
    assert verify_photos(engine, lake, flickr, 10, now).checked == 1
    assert gone_photos(engine, photos) == {photos[1]}
    assert sandbox.calls(GET_INFO) == calls + 1
