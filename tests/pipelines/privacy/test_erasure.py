"""Who is erased is named nowhere any more, everybody else keeps everything, and nothing brings the user back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from features.actions import record_action
from features.batch import build_features
from features.builds import Build, Builds, new_version
from features.database import (
    accounts,
    actions,
    metadata,
    oauth_requests,
    photo_checks,
    pull_asked,
    pull_cursors,
    pull_parts,
    pull_progress,
    pull_requests,
    sessions,
    shown,
    tombstones,
)
from features.feature_tables import USER_CARD
from features.lake import Lake
from features.online import OnlineFeatures, materialize
from features.schema import CONTACTS, IMPRESSIONS, INTERACTIONS, PHOTOS, QUARANTINE, TABLES, USERS, Kind, LakeTable
from features.settings import PREFIX, Settings, get_settings
from features.state import STATE_COLUMNS, interaction_state
from pipelines import relay
from pipelines.commands import privacy as commands_privacy
from pipelines.privacy import erasure
from pipelines.privacy.erasure import Eraser
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import Reason, bury_users, gone_photos, taken_down
from pipelines.queue.requests import Kind as Pulled
from pipelines.queue.requests import Priority, PullRequest
from pipelines.shown import Repetition, Showing, note_shown

ANNA, BEN, EVE = "anna@N01", "ben@N02", "o'eve@N03"
NSID = "eve@N03"
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """The settings with each of the online stores; the Redis is empty."""
    if request.param == "sqlite":
        return settings
    return on_redis(settings, request.getfixturevalue("redis_url"))


def on_redis(settings: Settings, url: str) -> Settings:
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return settings.model_copy(update={"online_store": url})


def append(lake: Lake, table: LakeTable, *rows: dict[str, Any]) -> None:
    lake.append(table, pa.Table.from_pylist(list(rows), schema=table.schema))


def favorite(user_id: str, photo_id: str, owner_id: str, kind: Kind = Kind.FAVORITE, day: int = 1) -> dict[str, Any]:
    at = datetime(2026, 3, day, tzinfo=UTC)
    return {
        "user_id": user_id,
        "photo_id": photo_id,
        "owner_id": owner_id,
        "kind": str(kind),
        "source": "flickr",
        "event_timestamp": at,
        "created_timestamp": at,
        "ingest_date": at.date(),
    }


def fill_lake(lake: Lake) -> None:
    """Eve is named as favoriter, owner, contact, follower, dismissed person and user, in rows of several days."""
    append(
        lake,
        INTERACTIONS,
        favorite(EVE, "b1", BEN),
        favorite(EVE, "a1", ANNA, day=2),
        favorite(ANNA, "e1", EVE),
        favorite(ANNA, "b1", BEN),
        favorite(BEN, "a1", ANNA),
        favorite(BEN, "", EVE, Kind.DISMISS_USER, day=2),
    )
    at = {"event_timestamp": NOW, "created_timestamp": NOW, "kind": "follow"}
    follows = [(EVE, ANNA), (ANNA, EVE), (ANNA, BEN)]
    append(lake, CONTACTS, *({"user_id": one, "contact_id": other, **at} for one, other in follows))
    append(lake, USERS, *({"user_id": u, "name": f"Name of {u}", "created_timestamp": NOW} for u in (ANNA, BEN, EVE)))
    for photo_id, owner_id in (("a1", ANNA), ("b1", BEN), ("e1", EVE), ("e2", EVE)):
        shown = {"title": f"Title {photo_id}", "image_url": f"https://x/{photo_id}", "sizes": "{}", "page_url": "p"}
        append(lake, PHOTOS, {"photo_id": photo_id, "owner_id": owner_id, "created_timestamp": NOW, **shown})
    seen = {"photo_id": "a1", "rank": 1, "model_version": "1", "variant": "", "shown_at": NOW, "created_timestamp": NOW}
    append(lake, IMPRESSIONS, {"user_id": EVE, **seen}, {"user_id": BEN, **seen})
    bad = {"source": "flickr", "reason": "no date", "created_timestamp": NOW, "ingest_date": NOW.date()}
    listings = [(EVE, "{}"), (ANNA, f'{{"owner": "{EVE}"}}'), (ANNA, f'{{"owner": "{BEN}"}}')]
    append(lake, QUARANTINE, *({"subject_id": who, "payload": payload, **bad} for who, payload in listings))


def fill_database(engine: sa.Engine) -> None:
    def rows(**values: object) -> list[dict[str, object]]:
        return [{**values, "user_id": user_id} for user_id in (ANNA, EVE)]

    later = NOW + timedelta(days=900)
    with engine.begin() as connection:
        connection.execute(sa.insert(accounts), rows(name="N", token_ciphertext="t", created_at=NOW))
        for user_id in (ANNA, EVE):
            session = {"session_hash": user_id, "user_id": user_id, "csrf_token": "c", "created_at": NOW}
            connection.execute(sa.insert(sessions).values(**session, expires_at=later))
            sign_in = {"token_hash": user_id, "secret_ciphertext": "s", "session_hash": user_id, "return_to": "/"}
            connection.execute(sa.insert(oauth_requests).values(**sign_in, expires_at=later))
            request = PullRequest(user_id=user_id, kind=Pulled.FAVORITES, reason="due", priority=Priority.REFRESH)
            message = {"priority": 2, "body": request.body(), "state": "waiting", "visible_at": NOW, "created_at": NOW}
            connection.execute(sa.insert(pull_requests).values(**message))
        connection.execute(sa.insert(pull_asked), rows(kind="favorites", priority=0, asked_at=NOW))
        connection.execute(sa.insert(pull_progress), rows(stage="done", priority=0, asked_at=NOW, updated_at=NOW))
        connection.execute(sa.insert(pull_cursors), rows(newest_faved_at=NOW))
        connection.execute(sa.insert(shown), rows(photo_id="b1", first_shown_at=NOW, last_shown_at=NOW, visits=1))
        parts = [(EVE, ANNA), (ANNA, EVE), (ANNA, BEN)]
        connection.execute(sa.insert(pull_parts), [{"user_id": u, "neighbor_id": n} for u, n in parts])
        connection.execute(sa.insert(photo_checks), [{"photo_id": p, "reported_at": NOW} for p in ("e1", "a1")])
    bury_users(engine, [EVE, BEN], Reason.DELETED)
    record_action(engine, user_id=EVE, kind=Kind.DISMISS_PHOTO, photo_id="a1", owner_id=ANNA)
    record_action(engine, user_id=ANNA, kind=Kind.DISMISS_USER, owner_id=EVE)
    record_action(engine, user_id=ANNA, kind=Kind.DISMISS_PHOTO, photo_id="b1", owner_id=BEN)


@pytest.fixture
def everything(engine: sa.Engine, lake: Lake) -> None:
    fill_lake(lake)
    fill_database(engine)


def go_online(settings: Settings, lake: Lake) -> OnlineFeatures:
    materialize(settings, build_features(lake, settings))
    return OnlineFeatures(settings)


def names_in_sql(engine: sa.Engine, word: str) -> list[str]:
    """The tables in which any column of any row contains the word."""
    with engine.connect() as connection:
        rows = {table.name: connection.execute(sa.select(table)).all() for table in metadata.sorted_tables}
    return [name for name, found in rows.items() if any(word in str(tuple(row)) for row in found)]


def names_in_lake(lake: Lake, word: str) -> list[str]:
    return [name for name, table in TABLES.items() if word in str(lake.scan(table).to_pylist())]


def names_in_builds(lake: Lake, word: str) -> list[str]:
    """Files of any build, current or not, that contain the word."""
    files = sorted(Path(Builds(lake.uri).uri).rglob("*.parquet"))
    return [str(file) for file in files if word in str(pq.read_table(file).to_pylist())]


def test_nothing_names_the_user_any_more(stores: Settings, engine: sa.Engine, lake: Lake, everything: None) -> None:
    online = go_online(stores, lake)
    assert online.rows_of_user(EVE) == 4
    assert len(names_in_sql(engine, NSID)) == 11
    assert names_in_lake(lake, NSID) == list(TABLES)
    assert names_in_builds(lake, NSID)

    erased = Eraser(stores, engine, lake, online).erase(EVE)
    assert erased.complete
    assert erased.removed["sql accounts"] == erased.removed["sql sessions"] == 1
    assert erased.removed["sql actions"] == erased.removed["sql pull_parts"] == 2
    assert (erased.removed["lake interactions"], erased.removed["lake contacts"]) == (4, 2)
    assert erased.removed["online features"] == 4
    assert names_in_sql(engine, NSID) == names_in_lake(lake, NSID) == names_in_builds(lake, NSID) == []
    assert online.rows_of_user(EVE) == 0
    assert EVE not in online.user_state(ANNA).contacts + online.user_state(ANNA).favorite_owners
    assert online.user_state(BEN).dismissed_people == ()


def test_everybody_else_keeps_everything(settings: Settings, engine: sa.Engine, lake: Lake, everything: None) -> None:
    online = go_online(settings, lake)
    before = {table.name: count(engine, table) for table in metadata.sorted_tables}
    Eraser(settings, engine, lake, online).erase(EVE)
    with engine.connect() as connection:
        for table in (accounts, sessions, oauth_requests, pull_asked, pull_progress, pull_cursors, pull_parts, shown):
            owners = set(connection.execute(sa.select(table)).scalars())
            assert owners == {ANNA}, table.name
        assert connection.scalars(sa.select(photo_checks.c.photo_id)).all() == ["a1"]
        assert connection.scalars(sa.select(actions.c.photo_id)).all() == ["b1"]
        assert BEN in connection.scalars(sa.select(tombstones.c.subject_id)).all()
    assert count(engine, pull_requests) == before["pull_requests"] - 1
    state = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS))
    kept = {(row["user_id"], row["photo_id"]) for row in state.favorites.to_pylist()}
    assert kept == {(ANNA, "b1"), (BEN, "a1")}
    assert online.user_state(ANNA).favorite_ids == ("b1",)
    assert online.user_state(ANNA).contacts == (BEN,)
    assert {row["user_id"] for row in lake.scan(IMPRESSIONS).to_pylist()} == {BEN}
    assert [row["payload"] for row in lake.scan(QUARANTINE).to_pylist()] == [f'{{"owner": "{BEN}"}}']
    assert online.photo_cards(["a1"])["a1"].title == "Title a1"


def count(engine: sa.Engine, table: sa.Table) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def test_the_photos_of_the_user_are_gone_from_every_wall_and_stay_gone(
    settings: Settings, engine: sa.Engine, lake: Lake, everything: None
) -> None:
    online = OnlineFeatures(settings)
    Eraser(settings, engine, lake, online).erase(EVE)
    assert taken_down(engine, ["a1", "b1", "e1", "e2"]) == {"e1", "e2"}
    rows = {row["photo_id"]: row for row in lake.scan(PHOTOS).to_pylist()}
    assert [rows[p][name] for p in ("e1", "e2") for name in ("title", "image_url", "owner_id")] == [""] * 6
    assert all(card.gone_at and not card.image_url for card in online.photo_cards(["e1", "e2"]).values())
    suppression = Suppression(settings, engine)
    assert suppression.suppressed([ANNA, BEN, EVE]) == {EVE}
    assert suppression.lift(EVE)
    assert gone_photos(engine, ["e1", "e2"]) == set()


STEPS = ["_forget_in_sql", "_photos_of", "_forget_checks", "_hold_back_relays", "_rebuild", "_left"]
FUNCTIONS = ["bury_photos", "blank", "delete_rows"]


@pytest.mark.parametrize("step", [*STEPS, *FUNCTIONS])
def test_after_a_kill_anywhere_running_it_again_completes_it(
    settings: Settings, engine: sa.Engine, lake: Lake, everything: None, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    online = go_online(settings, lake) if step in ("_rebuild", "_left") else OnlineFeatures(settings)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Eraser if step in STEPS else erasure, step, die)
        Eraser(settings, engine, lake, online).erase(EVE)
    # From the first moment on, no pull takes the user up again.
    assert Suppression(settings, engine).suppressed([EVE]) == {EVE}
    assert Eraser(settings, engine, lake, online).erase(EVE).complete
    assert names_in_sql(engine, NSID) == names_in_lake(lake, NSID) == names_in_builds(lake, NSID) == []
    assert online.rows_of_user(EVE) == 0
    assert taken_down(engine, ["a1", "b1", "e1", "e2"]) == {"e1", "e2"}


def test_somebody_unknown_is_kept_out_and_the_features_are_not_built_anew(
    settings: Settings, engine: sa.Engine, lake: Lake, everything: None
) -> None:
    online = OnlineFeatures(settings)
    build = build_features(lake, settings).build
    versions = lake.versions()
    for _ in range(2):
        erased = Eraser(settings, engine, lake, online).erase("nobody@N09")
        assert erased.complete
        assert not any(erased.removed.values())
    assert Builds(lake.uri).current() == build
    assert lake.versions() == versions
    assert Suppression(settings, engine).suppressed(["nobody@N09"]) == {"nobody@N09"}


def test_before_anything_was_pulled_there_is_nothing_to_remove(
    settings: Settings, engine: sa.Engine, lake: Lake
) -> None:
    assert Eraser(settings, engine, lake, OnlineFeatures(settings)).erase(EVE).complete


def test_a_build_that_is_still_being_written_stays_when_the_older_ones_go(lake: Lake, settings: Settings) -> None:
    builds, now = Builds(lake.uri), datetime.now(UTC)
    made = [now - timedelta(hours=3), now - timedelta(hours=2), now - timedelta(minutes=50)]
    old, current, writing = (new_version(moment) for moment in made)
    rows = pa.table({"a": [1]})
    for version in (old, current, writing):
        builds.write(version, "popular", rows)
    assert builds.retire(Build(current, made[1], {}, {}), now) == [old, current]
    assert [folder.name for folder in Path(builds.uri).iterdir()] == [writing]


# What is under way meanwhile


@pytest.mark.parametrize("others", ["before", "after", "none"])
def test_a_relay_that_read_its_batch_before_the_erasure_cannot_bring_the_actions_back(
    settings: Settings, engine: sa.Engine, lake: Lake, monkeypatch: pytest.MonkeyPatch, others: str
) -> None:
    def ben_acts() -> None:
        record_action(engine, user_id=BEN, kind=Kind.DISMISS_PHOTO, photo_id="a1", owner_id=ANNA)

    if others == "before":
        ben_acts()
    record_action(engine, user_id=EVE, kind=Kind.DISMISS_PHOTO, photo_id="a1", owner_id=ANNA)
    if others == "after":
        ben_acts()
    online = OnlineFeatures(settings)
    read = relay.next_actions

    def read_and_let_the_erasure_happen(*arguments: Any) -> Any:
        batch = read(*arguments)
        monkeypatch.setattr(relay, "next_actions", read)
        assert Eraser(settings, engine, lake, online).erase(EVE).complete
        return batch

    monkeypatch.setattr(relay, "next_actions", read_and_let_the_erasure_happen)
    relay.drain(engine, lake)
    rows = lake.scan(INTERACTIONS).to_pylist()
    assert [row["user_id"] for row in rows] == ([] if others == "none" else [BEN])
    ben_acts()
    assert relay.drain(engine, lake) == 1


def test_what_is_written_while_the_erasure_runs_is_removed_by_its_next_pass(
    settings: Settings, engine: sa.Engine, lake: Lake, everything: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = OnlineFeatures(settings)
    rebuild = Eraser._rebuild

    def rebuild_while_a_worker_commits(self: Eraser, user_id: str, progress: None) -> int:
        monkeypatch.setattr(Eraser, "_rebuild", rebuild)
        append(lake, INTERACTIONS, favorite(EVE, "b1", BEN, day=5))
        with engine.begin() as connection:
            connection.execute(sa.insert(pull_cursors).values(user_id=EVE))
        return rebuild(self, user_id, progress)

    monkeypatch.setattr(Eraser, "_rebuild", rebuild_while_a_worker_commits)
    assert Eraser(settings, engine, lake, online).erase(EVE).complete
    assert names_in_sql(engine, NSID) == names_in_lake(lake, NSID) == names_in_builds(lake, NSID) == []


def test_whoever_comes_back_by_what_was_under_way_is_found(
    settings: Settings, engine: sa.Engine, lake: Lake, everything: None
) -> None:
    eraser = Eraser(settings, engine, lake, OnlineFeatures(settings))
    assert eraser.returned() == []
    eraser.erase(EVE)
    assert eraser.returned() == []
    append(lake, CONTACTS, {"user_id": ANNA, "contact_id": EVE, "kind": "follow", "event_timestamp": NOW,
                            "created_timestamp": NOW})  # fmt: skip
    assert eraser.returned() == [EVE]
    assert eraser.erase(EVE).complete
    assert eraser.returned() == []
    note_shown(engine, [Showing(EVE, "b1", NOW)], Repetition())
    assert eraser.returned() == [EVE]
    assert eraser.erase(EVE).complete
    assert eraser.returned() == []


def test_an_older_build_that_is_materialized_late_does_not_hide_from_the_check(
    settings: Settings, engine: sa.Engine, lake: Lake, everything: None
) -> None:
    eraser = Eraser(settings, engine, lake, OnlineFeatures(settings))
    eraser.erase(EVE)
    eraser._online.write(USER_CARD, [(EVE, NOW, {"name": "Eve", "path_alias": None, "avatar_url": None})])
    assert eraser._left(EVE)["online features"] == 1
    assert eraser.erase(EVE).complete


# The command


@pytest.fixture
def command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    monkeypatch.setenv(f"{PREFIX}HOME", str(settings.home))
    get_settings.cache_clear()
    application = typer.Typer()
    commands_privacy.register(application)
    application.command("other")(lambda: None)
    yield lambda *arguments, **more: CliRunner().invoke(application, ["erase", *arguments], **more)
    get_settings.cache_clear()


def test_the_command_shows_what_it_removed_and_found_again(
    engine: sa.Engine, lake: Lake, everything: None, command: Callable[..., Any]
) -> None:
    result = command(EVE, "--yes")
    assert result.exit_code == 0, result.output
    assert "lake interactions" in result.output
    assert "7 days" in result.output
    assert names_in_sql(engine, NSID) == names_in_lake(lake, NSID) == []
    again = json.loads(command(EVE, "--yes", "--json").stdout)
    assert again["complete"] is True
    assert set(again["left"].values()) == {0}


def test_the_command_asks_first_and_wants_an_nsid(
    engine: sa.Engine, lake: Lake, everything: None, command: Callable[..., Any]
) -> None:
    assert command(EVE, input="n\n").exit_code == 1
    assert "no Flickr NSID" in str(command("eve", "--yes").exception)
    assert "accounts" in names_in_sql(engine, NSID)


def test_the_command_fails_when_something_is_left(
    engine: sa.Engine, lake: Lake, everything: None, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "delete_rows", lambda *_, **__: 0)
    result = command(EVE, "--yes")
    assert result.exit_code != 0
    assert "lake interactions: 4" in str(result.exception)
    assert "run it again" in str(result.exception)
