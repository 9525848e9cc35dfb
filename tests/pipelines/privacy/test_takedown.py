"""A photo that is taken down is gone from SQL, lake and online store, stays gone, and may be taken down any number of
times, also after a kill halfway."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from features import commands as features_commands
from features.batch import build_features
from features.errors import InvalidInputError
from features.lake import Lake, one_of
from features.online import OnlineFeatures, PhotoCard, materialize
from features.schema import PHOTOS
from features.settings import PREFIX, Settings, get_settings
from pipelines.commands import privacy as commands_privacy
from pipelines.privacy import takedown
from pipelines.privacy.takedown import mark_gone, take_down
from pipelines.privacy.tombstones import taken_down

PULLED = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 4, 1, tzinfo=UTC)


@pytest.fixture
def online(settings: Settings) -> OnlineFeatures:
    return OnlineFeatures(settings)


def photo(photo_id: str, at: datetime = PULLED, **changes: Any) -> dict[str, Any]:
    return {
        "photo_id": photo_id,
        "owner_id": "ben@N01",
        "title": f"The title of {photo_id}",
        "image_url": f"https://pictures.example/{photo_id}.jpg",
        "sizes": '{"m":{"url":"https://pictures.example/m.jpg","width":240,"height":160}}',
        "page_url": f"https://flickr.example/{photo_id}",
        "created_timestamp": at,
        **changes,
    }


@pytest.fixture
def held(lake: Lake, online: OnlineFeatures) -> Lake:
    """A lake with two rows of photo 1, one of photo 2, and a card of each online."""
    for rows in ([photo("1"), photo("2")], [photo("1", PULLED + timedelta(days=1), title="A newer title")]):
        lake.append(PHOTOS, pa.Table.from_pylist(rows, schema=PHOTOS.schema))
    online.write_photo_cards(PhotoCard(n, "ben@N01", "Ben", f"The title of {n}", "https://x/y.jpg") for n in "12")
    return lake


def rows_of(lake: Lake, photo_id: str) -> list[dict[str, Any]]:
    return list(lake.scan(PHOTOS, where=one_of("photo_id", [photo_id])).to_pylist())


def is_blank(lake: Lake, photo_id: str) -> bool:
    (row,) = rows_of(lake, photo_id)
    texts = [row[name] for name in ("title", "image_url", "page_url")]
    return texts == ["", "", ""] and row["sizes"] == "{}" and row["gone_at"] is not None


def test_a_photo_is_gone_everywhere_and_the_others_stay(engine: sa.Engine, held: Lake, online: OnlineFeatures) -> None:
    done = take_down(engine, held, online, "1", now=NOW)
    assert (done.new, done.known, done.rows) == (True, True, 2)
    assert taken_down(engine, ["1", "2"]) == {"1"}
    assert is_blank(held, "1")
    assert rows_of(held, "1")[0]["owner_id"] == "ben@N01"
    card = online.photo_cards(["1"])["1"]
    assert (card.title, card.image_url, card.gone_at) == ("", "", NOW)
    assert rows_of(held, "2")[0]["title"] == online.photo_cards(["2"])["2"].title == "The title of 2"


def test_again_it_does_nothing_more(engine: sa.Engine, held: Lake, online: OnlineFeatures) -> None:
    take_down(engine, held, online, "1")
    version = held.version(PHOTOS)
    done = take_down(engine, held, online, "1", note="asked again")
    assert (done.new, done.known, done.rows) == (False, True, 0)
    assert held.version(PHOTOS) == version


def test_a_photo_that_nothing_is_known_of_is_kept_out_all_the_same(
    engine: sa.Engine, held: Lake, online: OnlineFeatures
) -> None:
    done = take_down(engine, held, online, "77")
    assert (done.new, done.known) == (True, False)
    assert taken_down(engine, ["77"]) == {"77"}
    assert rows_of(held, "77") == []


@pytest.mark.parametrize("step", ["delete_rows", "_blank_rows"])
def test_after_a_kill_the_next_run_does_the_rest(
    engine: sa.Engine, held: Lake, online: OnlineFeatures, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(takedown, step, die)
        take_down(engine, held, online, "1")
    assert taken_down(engine, ["1"]) == {"1"}
    assert take_down(engine, held, online, "1").known
    assert is_blank(held, "1")


def test_a_row_that_a_pull_brought_back_goes_too(engine: sa.Engine, held: Lake, online: OnlineFeatures) -> None:
    take_down(engine, held, online, "1")
    held.append(PHOTOS, pa.Table.from_pylist([photo("1", datetime.now(UTC))], schema=PHOTOS.schema))
    take_down(engine, held, online, "1")
    assert is_blank(held, "1")


def test_neither_the_next_build_nor_an_older_one_brings_the_card_back(
    engine: sa.Engine, held: Lake, online: OnlineFeatures, settings: Settings
) -> None:
    before = build_features(held, settings)
    take_down(engine, held, online, "1")
    for built in (before, build_features(held, settings)):
        materialize(settings, built)
        assert online.photo_cards(["1"])["1"].title == ""
        assert online.photo_cards(["1"])["1"].gone_at is not None
        assert online.photo_cards(["2"])["2"].gone_at is None


@pytest.mark.parametrize("photo_id", ["", "1 OR 1=1", "../1", "١٢", "9" * 65])
def test_what_is_no_photo_id_is_refused(engine: sa.Engine, held: Lake, online: OnlineFeatures, photo_id: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        take_down(engine, held, online, photo_id)
    assert refused.value.field == "photo"
    assert len(rows_of(held, "1")) == 2


def test_a_photo_that_is_gone_from_flickr_keeps_its_content_and_gets_its_date_once(held: Lake) -> None:
    assert mark_gone(held, ["1", "2", "77"], NOW) == 2
    assert mark_gone(held, ["1"], NOW + timedelta(days=1)) == 0
    newest = max(rows_of(held, "1"), key=lambda row: row["created_timestamp"])
    assert (newest["title"], newest["gone_at"]) == ("A newer title", NOW)


def test_the_command_says_what_it_did(
    engine: sa.Engine, held: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}HOME", str(settings.home))
    get_settings.cache_clear()
    application = typer.Typer()
    features_commands.register(application)
    commands_privacy.register(application)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(application, ["lake", "takedown", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    said = run("1", "--reason", "by mail")
    assert "no wall shows it any more" in said
    assert "2 rows of the lake's table photos were removed" in said
    assert "7 days" in said
    assert "was taken down before" in run("1")
    assert "1 row of the lake's table photos was removed" in run("2")
    assert "Nothing was held of it" in run("77")
    assert json.loads(run("1", "--json")) == {"photo_id": "1", "new": False, "known": True, "rows": 0}
    get_settings.cache_clear()
