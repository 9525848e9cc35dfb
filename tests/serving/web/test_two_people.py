"""Two people replay each other's cookies, CSRF tokens and ids on every address of `/api/me`: refused, nothing changed.

The addresses come from the OpenAPI document, so that a new one is tried by itself.
"""

from __future__ import annotations

import io
from typing import Any
from zipfile import ZipFile, is_zipfile

import httpx
import pytest
import sqlalchemy as sa
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from features.database import metadata, sessions
from features.lake import open_lake
from serving.accounts.export import own_column
from serving.accounts.sessions import digest
from serving.api import account
from serving.runtime import Runtime
from tests.serving.browser import APPLICATION
from tests.serving.conftest import Browser
from tests.serving.lived_in import ANNA, BEN, EVES_PHOTO, NAMES, browser_of, token_for

IDS = {"photo_id": EVES_PHOTO, "other_id": ANNA, "user_id": ANNA}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("DELETE", "/api/me"): {"confirm": ANNA},
    ("POST", "/api/me/impressions"): {"model_version": "1", "wall": ANNA, "shown": [{"photo_id": "1", "rank": 0}]},
    ("POST", "/api/me/photos/{photo_id}/comments"): {"text": "Lovely light."},
}
"""What each address takes, as Anna would send it."""

OPERATIONS = {
    (method.upper(), path): operation
    for path, methods in APPLICATION.openapi()["paths"].items()
    for method, operation in methods.items()
    if path == "/api/me" or path.startswith("/api/me/")
}
every_address = pytest.mark.parametrize(("method", "path"), list(OPERATIONS))
every_change = pytest.mark.parametrize(("method", "path"), [one for one in OPERATIONS if one[0] != "GET"])
every_read = pytest.mark.parametrize(("method", "path"), [one for one in OPERATIONS if one[0] == "GET"])


@pytest.fixture(autouse=True)
def fresh_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for anything yet."""
    monkeypatch.setattr(account, "_window", MovingWindowRateLimiter(MemoryStorage()))


@pytest.fixture
def anna(lived_in: Runtime) -> Browser:
    return browser_of(lived_in, ANNA)


@pytest.fixture
def ben(lived_in: Runtime) -> Browser:
    return browser_of(lived_in, BEN)


def send(browser: Browser, method: str, path: str, token: str, **query: str) -> httpx.Response:
    """As our own page would, with that CSRF token."""
    headers = {"X-CSRF-Token": token, "Sec-Fetch-Site": "same-origin"} | {f"X-{name}": IDS["user_id"] for name in query}
    options: dict[str, Any] = {"json": BODIES.get((method, path), {})} if method != "GET" else {}
    return browser.client.request(method, path.format(**IDS), headers=headers, params=query, **options)


def stored(runtime: Runtime, user_id: str | None = None) -> dict[str, Any]:
    """Every row of SQL and how far the lake is; of one user: the rows that are theirs."""
    found: dict[str, Any] = {}
    with runtime.engine.connect() as connection:
        for table in metadata.sorted_tables:
            own = own_column(table.columns.keys())
            if user_id is None:
                found[table.name] = connection.execute(sa.select(table)).all()
            elif own is not None:
                found[table.name] = connection.execute(sa.select(table).where(table.c[own] == user_id)).all()
    return found if user_id else {**found, "lake": open_lake(runtime.settings).versions()}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def told(answer: httpx.Response) -> str:
    """What an answer says, unpacked."""
    if not is_zipfile(io.BytesIO(answer.content)):
        return answer.text
    with ZipFile(io.BytesIO(answer.content)) as folder:
        return "\n".join(folder.read(name).decode() for name in folder.namelist())


def test_these_are_the_addresses_and_what_they_take() -> None:
    assert {("GET", "/api/me"), ("DELETE", "/api/me"), ("GET", "/api/me/export")} <= set(OPERATIONS)
    assert len(OPERATIONS) >= 10
    assert {one for one, operation in OPERATIONS.items() if "requestBody" in operation} <= set(BODIES)


@every_change
def test_nobody_acts_with_somebody_elses_csrf_token(
    anna: Browser, ben: Browser, lived_in: Runtime, method: str, path: str
) -> None:
    annas, bens = anna.session()["csrf_token"], ben.session()["csrf_token"]
    before = stored(lived_in)
    assert refusal(send(ben, method, path, annas)) == (403, "cross_site")
    assert refusal(send(anna, method, path, bens)) == (403, "cross_site")
    assert stored(lived_in) == before


@every_address
def test_a_cookie_that_somebody_took_is_worth_nothing_once_its_owner_has_signed_out(
    anna: Browser, ben: Browser, lived_in: Runtime, method: str, path: str
) -> None:
    taken, token = anna.cookie, anna.session()["csrf_token"]
    bens = ben.session()["csrf_token"]
    assert anna.change("DELETE", "/api/session").status_code == 204
    before = stored(lived_in)
    ben.cookie = taken
    for sent in (token, bens):
        assert refusal(send(ben, method, path, sent)) == (401, "not_signed_in")
    assert stored(lived_in) == before


@every_address
def test_what_the_database_knows_of_a_session_opens_none(
    anna: Browser, ben: Browser, lived_in: Runtime, method: str, path: str
) -> None:
    token, known_as = anna.session()["csrf_token"], digest(anna.cookie)
    with lived_in.engine.connect() as connection:
        assert known_as in connection.scalars(sa.select(sessions.c.session_hash)).all()
    before = stored(lived_in)
    ben.cookie = known_as
    assert refusal(send(ben, method, path, token)) == (401, "not_signed_in")
    assert stored(lived_in) == before


@every_address
def test_a_visitor_with_somebodys_csrf_token_is_still_a_visitor(
    anna: Browser, lived_in: Runtime, method: str, path: str
) -> None:
    token = anna.session()["csrf_token"]
    visitor = browser_of(lived_in, None)
    before = stored(lived_in)
    answer = send(visitor, method, path, token)
    assert refusal(answer) == ((401, "not_signed_in") if method == "GET" else (403, "cross_site"))
    assert stored(lived_in) == before


@every_change
def test_whoever_names_somebody_else_acts_for_themself_alone(
    anna: Browser, ben: Browser, lived_in: Runtime, method: str, path: str
) -> None:
    token = ben.session()["csrf_token"]
    before, held = stored(lived_in, ANNA), anna.get("/api/me").json()
    answer = send(ben, method, path, token, user_id=ANNA, wall=ANNA)
    lived_in.impressions.flush()
    assert stored(lived_in, ANNA) == before
    assert anna.get("/api/me").json() == held
    if (method, path) == ("DELETE", "/api/me"):
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "confirm")
        assert ben.get("/api/me").status_code == 200


@every_read
def test_whoever_names_somebody_else_is_told_of_themself_alone(ben: Browser, method: str, path: str) -> None:
    answer = send(ben, method, path, ben.session()["csrf_token"], user_id=ANNA, user=ANNA)
    assert answer.status_code == 200
    said = told(answer)
    assert BEN in said
    for secret in (NAMES[ANNA], token_for(ANNA).token, token_for(ANNA).secret):
        assert secret not in said
