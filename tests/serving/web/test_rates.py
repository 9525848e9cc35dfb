"""Who asks too often is told to wait, by session and by address, and nobody else is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from starlette.requests import Request
from starlette.testclient import TestClient

from features.database import accounts
from features.settings import Settings
from serving.accounts.sessions import open_session
from serving.runtime import Runtime
from serving.web.rates import TrustedProxies, address_of
from tests.serving.conftest import Browser, application_of

USER = "12037949754@N01"
PULL = f"/api/users/{USER}/pull"


def at(runtime: Runtime, address: str = "203.0.113.1") -> Browser:
    """A browser at that address, with a session of its own."""
    application = application_of(runtime)
    client = TestClient(application, "https://testserver", raise_server_exceptions=False, client=(address, 50_000))
    return Browser(client)


def pulls(browser: Browser, count: int) -> list[int]:
    return [browser.change("POST", PULL).status_code for _ in range(count)]


@pytest.fixture
def strict(runtime: Runtime, settings: Settings) -> Runtime:
    """Two pulls a session and five an address an hour."""
    rates = {"pull_rate": "2/hour", "pull_rate_address": "5/hour", "lookup_rate": "1/hour"}
    return replace(runtime, settings=settings.model_copy(update=rates))


def test_a_session_that_asks_too_often_is_told_when_to_ask_again(strict: Runtime) -> None:
    browser = at(strict)
    assert pulls(browser, 2) == [202, 202]
    refused = browser.change("POST", PULL)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_often")
    assert 3_500 < int(refused.headers["Retry-After"]) <= 3_600
    assert "try again in" in refused.json()["error"]["message"]


def test_one_noisy_address_locks_nobody_else_out(strict: Runtime) -> None:
    for _ in range(3):
        pulls(at(strict), 4)
    assert pulls(at(strict), 1) == [429]
    assert pulls(at(strict, "203.0.113.2"), 2) == [202, 202]


def test_a_session_that_is_refused_takes_nothing_from_its_address(strict: Runtime) -> None:
    assert pulls(at(strict), 10).count(202) == 2
    assert pulls(at(strict), 2) == [202, 202]


def test_who_signed_in_is_one_person_in_all_their_browsers(strict: Runtime, engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(accounts).values(user_id="12@N01", name="Ansel", created_at=datetime.now(UTC)))
    found = []
    for address in ("203.0.113.1", "203.0.113.2"):
        browser = at(strict, address)
        browser.cookie, _ = open_session(engine, user_id="12@N01")
        found += pulls(browser, 2)
    assert found == [202, 202, 429, 429]


def test_a_lookup_that_is_refused_costs_no_call_of_flickr(strict: Runtime) -> None:
    """The world has no Flickr at all: asking it would be a failure of the configuration."""
    browser = at(strict)
    browser.session()
    assert browser.get("/api/users/lookup?q=x").status_code == 500
    assert browser.get("/api/users/lookup?q=x").status_code == 429


def test_without_a_session_the_address_counts(strict: Runtime, settings: Settings) -> None:
    tight = replace(strict, settings=settings.model_copy(update={"lookup_rate_address": "2/hour"}))
    codes = [at(tight).get("/api/users/lookup?q=x").status_code for _ in range(3)]
    assert codes == [500, 500, 429]


def test_processes_that_share_a_redis_count_together(strict: Runtime, redis_url: str) -> None:
    shared = strict.settings.model_copy(update={"online_store": redis_url})
    browser = at(replace(strict, settings=shared))
    assert pulls(browser, 2) == [202, 202]
    other = at(replace(strict, settings=shared))
    other.client.cookies = browser.client.cookies
    assert pulls(other, 1) == [429]


def test_while_redis_does_not_answer_each_process_counts_by_itself(
    strict: Runtime, free_port: Callable[[], int]
) -> None:
    gone = strict.settings.model_copy(update={"online_store": f"redis://127.0.0.1:{free_port()}/0"})
    assert pulls(at(replace(strict, settings=gone)), 3) == [202, 202, 429]


# Whose address it is


def client_behind(environment: Callable[..., None], trusted: str, peer: str, forwarded: str) -> str:
    environment(trusted_proxies=trusted)

    async def tell(scope: Any, receive: Any, send: Any) -> None:
        body = address_of(Request(scope)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    client = TestClient(TrustedProxies(tell), client=(peer, 1))
    answer: httpx.Response = client.get("/", headers={"X-Forwarded-For": forwarded})
    return answer.text


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ("", "127.0.0.1", "203.0.113.9", "127.0.0.1"),
        ("10.0.0.0/8", "192.0.2.1", "203.0.113.9", "192.0.2.1"),
        ("10.0.0.0/8", "10.1.2.3", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.0/8", "10.1.2.3", "198.51.100.7, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.0/8,192.0.2.1", "192.0.2.1", "203.0.113.9, 10.0.0.4", "203.0.113.9"),
    ],
)
def test_a_client_is_whom_a_trusted_proxy_names_and_no_other_is_believed(
    environment: Callable[..., None], trusted: str, peer: str, forwarded: str, client: str
) -> None:
    assert client_behind(environment, trusted, peer, forwarded) == client


@given(low=st.integers(0, 2**64 - 1))
def test_of_an_ipv6_address_the_network_that_one_client_has_counts(low: int) -> None:
    host = f"2001:db8:0:1:{low >> 48:x}:{low >> 32 & 0xFFFF:x}:{low >> 16 & 0xFFFF:x}:{low & 0xFFFF:x}"
    assert address_of(Request({"type": "http", "client": (host, 1)})) == "2001:db8:0:1::"
    assert address_of(Request({"type": "http", "client": ("::ffff:192.0.2.1", 1)})) == "192.0.2.1"


@pytest.mark.parametrize(
    ("name", "value"), [("lookup_rate", "often"), ("pull_rate_address", "1/eon"), ("trusted_proxies", "*")]
)
def test_a_setting_that_can_not_be_meant_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValidationError, match="must be"):
        Settings(_env_file=None, **{name: value})  # type: ignore[call-arg, arg-type]
