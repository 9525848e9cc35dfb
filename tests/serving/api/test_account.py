"""What is held on a person is told to that person, and erased when they say so and mean it."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from features.database import accounts, metadata, pull_cursors
from features.errors import DependencyError
from features.lake import Lake
from features.schema import TABLES
from pipelines.privacy.erasure import Eraser
from serving.accounts.sessions import COOKIE
from serving.api import account
from serving.runtime import Runtime
from tests.serving.conftest import Browser
from tests.serving.lived_in import ANNA, BEN, BENS_PHOTO, EVES_PHOTO, NAMES, SINCE, browser_of

ME = "/api/me"


@pytest.fixture(autouse=True)
def fresh_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for anything yet."""
    monkeypatch.setattr(account, "_window", MovingWindowRateLimiter(MemoryStorage()))


@pytest.fixture
def anna(lived_in: Runtime) -> Browser:
    return browser_of(lived_in, ANNA)


@pytest.fixture
def pulled(lived_in: Runtime) -> Callable[[datetime], None]:
    """A function that sets when Anna's favorites were last pulled."""

    def put(at: datetime) -> None:
        with lived_in.engine.begin() as connection:
            mine = pull_cursors.c.user_id == ANNA
            connection.execute(sa.update(pull_cursors).where(mine).values(favorites_pulled_at=at))

    return put


def named_in_sql(engine: sa.Engine, word: str) -> list[str]:
    """The tables of which any row contains the word."""
    with engine.connect() as connection:
        rows = {table.name: connection.execute(sa.select(table)).all() for table in metadata.sorted_tables}
    return [name for name, found in rows.items() if any(word in str(tuple(row)) for row in found)]


def named_in_lake(lake: Lake, word: str) -> list[str]:
    return [name for name, table in TABLES.items() if word in str(lake.scan(table).to_pylist())]


def moment(value: str) -> datetime:
    return datetime.fromisoformat(value)


# What is held


def test_the_account_is_told_in_numbers_and_lists(anna: Browser) -> None:
    held = anna.get(ME).json()
    assert (held["user_id"], held["name"]) == (ANNA, NAMES[ANNA])
    assert (held["favorites"], held["favorite_owners"], held["contacts"], held["shown"]) == (2, 2, 1, 2)
    assert moment(held["since"]) == SINCE


def test_what_was_dismissed_last_comes_first(anna: Browser) -> None:
    held = anna.get(ME).json()
    assert [photo["photo_id"] for photo in held["dismissed_photos"]] == [BENS_PHOTO, EVES_PHOTO]
    assert held["dismissed_photos"][0]["title"] == f"Photo {BENS_PHOTO}"
    assert [person["user_id"] for person in held["dismissed_people"]] == ["44444@N04"]


def test_of_somebody_who_just_came_little_is_held(signed_in: Browser) -> None:
    held = signed_in.get(ME).json()
    numbers = {name: value for name, value in held.items() if isinstance(value, int)}
    assert numbers == {"favorites": 0, "favorite_owners": 0, "contacts": 0, "shown": 0}
    assert held["dismissed_photos"] == held["dismissed_people"] == []
    assert held["favorites_pulled_at"] is held["refresh_due_by"] is held["refresh_possible_at"] is None


def test_a_pull_of_a_moment_ago_need_not_be_asked_for_again_yet(
    anna: Browser, pulled: Callable[[datetime], None], lived_in: Runtime
) -> None:
    now = datetime.now(UTC)
    pulled(now)
    anna.change("POST", f"/api/users/{ANNA}/pull")
    held = anna.get(ME).json()
    assert moment(held["favorites_pulled_at"]) == now
    assert moment(held["refresh_possible_at"]) == now + timedelta(minutes=lived_in.settings.refresh_min_minutes)
    assert moment(held["refresh_due_by"]) == now + timedelta(hours=lived_in.settings.refresh_max_hours)


def test_a_pull_of_yesterday_may_be_asked_for_again(anna: Browser, pulled: Callable[[datetime], None]) -> None:
    pulled(datetime.now(UTC) - timedelta(days=1))
    assert anna.get(ME).json()["refresh_possible_at"] is None


def test_the_name_told_is_the_one_that_confirms_an_erasure(anna: Browser, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(accounts).where(accounts.c.user_id == ANNA).values(name=" Renamed today "))
    name = anna.get(ME).json()["name"]
    assert name == "Renamed today"
    assert anna.change("DELETE", ME, json={"confirm": name}).status_code == 200


# Erasure


@pytest.mark.parametrize("confirm", [NAMES[ANNA], ANNA, f"  {unicodedata.normalize('NFD', NAMES[ANNA])} "])
def test_whoever_confirms_it_is_erased_everywhere_and_signed_out_everywhere(
    anna: Browser, lived_in: Runtime, lake: Lake, confirm: str
) -> None:
    elsewhere = browser_of(lived_in, ANNA)
    assert named_in_sql(lived_in.engine, ANNA)
    assert named_in_lake(lake, ANNA)
    answer = anna.change("DELETE", ME, json={"confirm": confirm})
    assert answer.status_code == 200
    told = answer.json()
    assert (told["user_id"], told["complete"]) == (ANNA, True)
    assert told["removed"]["sql accounts"] == 1
    assert told["removed"]["sql sessions"] == 2
    assert told["removed"]["lake impressions"] == 1
    assert told["removed"]["online features"] == 4
    assert set(told["left"].values()) == {0}
    assert f'{COOKIE}=""' in answer.headers["Set-Cookie"]
    assert named_in_sql(lived_in.engine, ANNA) == named_in_lake(lake, ANNA) == []
    assert lived_in.online.rows_of_user(ANNA) == 0
    for browser in (anna, elsewhere):
        assert browser.get(ME).status_code == 401


def test_everybody_else_stays(anna: Browser, lived_in: Runtime) -> None:
    ben = browser_of(lived_in, BEN)
    before = ben.get(ME).json()
    assert anna.change("DELETE", ME, json={"confirm": ANNA}).status_code == 200
    # Of Ben's only what names Anna is gone: the favorite of her photo, and her as a contact.
    assert ben.get(ME).json() == before | {"favorites": 0, "favorite_owners": 0, "contacts": 0}


@pytest.mark.parametrize("confirm", ["", "   ", "anna", NAMES[ANNA].lower(), NAMES[ANNA][:-1], BEN, NAMES[BEN], "yes"])
def test_what_is_not_confirmed_by_the_own_name_is_not_done(anna: Browser, lived_in: Runtime, confirm: str) -> None:
    before = anna.get(ME).json()
    answer = anna.change("DELETE", ME, json={"confirm": confirm})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (422, "invalid_input", "confirm")
    assert ANNA in error["message"]
    assert anna.get(ME).json() == before


@pytest.mark.parametrize("body", [None, {}, {"confirm": None}, {"confirm": ["11111@N01"]}, {"confirm": "x" * 201}])
def test_without_a_confirmation_nothing_is_done(anna: Browser, body: Any) -> None:
    options = {} if body is None else {"json": body}
    answer = anna.change("DELETE", ME, **options)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input")
    assert anna.get(ME).status_code == 200


def test_a_name_of_nothing_but_spaces_confirms_nothing(anna: Browser, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(accounts).values(name="  "))
    for confirm in ("", "  "):
        assert anna.change("DELETE", ME, json={"confirm": confirm}).status_code == 422
    assert anna.change("DELETE", ME, json={"confirm": ANNA}).status_code == 200


def test_guessing_is_limited_for_each_person(anna: Browser, lived_in: Runtime) -> None:
    for _ in range(account.ERASURES_AN_HOUR):
        assert anna.change("DELETE", ME, json={"confirm": "?"}).status_code == 422
    answer = anna.change("DELETE", ME, json={"confirm": ANNA})
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_often")
    assert 0 < int(answer.headers["Retry-After"]) <= 3600
    assert anna.get(ME).status_code == 200
    assert browser_of(lived_in, BEN).change("DELETE", ME, json={"confirm": BEN}).status_code == 200


def test_while_a_store_is_away_nothing_is_begun(lived_in: Runtime, anna: Browser) -> None:
    before = anna.get(ME).json()
    elsewhere = lived_in.settings.model_copy(update={"online_store": "redis://127.0.0.1:1/0"})
    cut_off = browser_of(replace(lived_in, settings=elsewhere), ANNA)
    answer = cut_off.change("DELETE", ME, json={"confirm": ANNA})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "dependency_failed")
    assert anna.get(ME).json() == before


def test_what_breaks_off_halfway_is_told_with_what_becomes_of_it(
    anna: Browser, lived_in: Runtime, monkeypatch: pytest.MonkeyPatch, logs: list[Any]
) -> None:
    def fail(*_: object) -> int:
        raise DependencyError("the bucket is away")

    monkeypatch.setattr(Eraser, "_rebuild", fail)
    answer = anna.change("DELETE", ME, json={"confirm": ANNA})
    assert answer.status_code == 503
    assert "every day" in answer.json()["error"]["message"]
    assert f"erase {ANNA}" in answer.json()["error"]["message"]
    assert [entry["user_id"] for entry in logs if entry["event"] == "erasure_unfinished"] == [ANNA]
    assert anna.get(ME).status_code == 401
    assert lived_in.suppression.suppressed([ANNA]) == {ANNA}
