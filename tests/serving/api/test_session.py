"""Sessions: what the browser gets, what the database keeps, and what is left when one is over."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from features.database import accounts, sessions
from serving.accounts.sessions import COOKIE, open_session
from serving.accounts.signin import token_of
from serving.accounts.tokens import Vault
from serving.runtime import Runtime
from tests.serving.api.conftest import cookie_of, in_the_past, refusal, rows
from tests.serving.conftest import Browser, Sandbox, client_of

SESSION = "/api/session"


# Sessions


def test_the_first_visit_begins_a_session_of_nobody(browser: Browser, engine: sa.Engine) -> None:
    answer = browser.get(SESSION)
    assert answer.json()["user"] is None
    assert answer.json()["sandbox"] is False
    assert len(answer.json()["csrf_token"]) >= 43  # 256 bits
    assert [row["user_id"] for row in rows(engine, sessions)] == [None]


def test_the_cookie_is_out_of_reach_of_scripts_of_other_sites_and_of_plain_http(browser: Browser) -> None:
    value, attributes = cookie_of(browser.get(SESSION))
    assert len(value) >= 43
    assert attributes == {
        "httponly": "True",
        "secure": "True",
        "samesite": "lax",
        "path": "/",
        "max-age": attributes["max-age"],
    }
    assert COOKIE.startswith("__Host-")  # which no subdomain can set
    assert 0 < int(attributes["max-age"]) <= 24 * 3600


def test_the_next_visit_keeps_the_session(browser: Browser, engine: sa.Engine) -> None:
    first = browser.session()
    again = browser.get(SESSION)
    assert again.json() == first
    assert "Set-Cookie" not in again.headers
    assert len(rows(engine, sessions)) == 1


def test_whoever_reads_the_database_cannot_take_over_a_session(browser: Browser, engine: sa.Engine) -> None:
    browser.session()
    (row,) = rows(engine, sessions)
    cookie = browser.cookie
    assert cookie not in map(str, row.values())
    browser.cookie = row["session_hash"]
    assert cookie_of(browser.get(SESSION))[0] not in (cookie, row["session_hash"])


@pytest.mark.parametrize("cookie", ["", "x", "é", "A" * 5000, "' or 1=1 --"])
def test_a_cookie_that_we_never_gave_begins_a_new_session(browser: Browser, cookie: str) -> None:
    answer = browser.get(SESSION, headers={"Cookie": f"{COOKIE}={cookie}".encode()})
    assert answer.status_code == 200
    assert cookie_of(answer)[0] != cookie


def test_a_session_that_has_run_out_is_none_and_is_swept_away(browser: Browser, engine: sa.Engine) -> None:
    before = browser.session()
    in_the_past(engine, sessions)
    assert browser.session()["csrf_token"] != before["csrf_token"]
    assert len(rows(engine, sessions)) == 1


# When it is over


def test_signing_out_ends_the_session_on_the_server(
    visitor: Browser, other_browser: Browser, sandbox: Sandbox, somebody: str
) -> None:
    visitor.sign_in(sandbox, somebody)
    other_browser.cookie = visitor.cookie
    answer = visitor.change("DELETE", SESSION)
    assert answer.status_code == 204
    value, attributes = cookie_of(answer)
    assert (value, attributes["max-age"], attributes["secure"]) == ("", "0", "True")
    assert other_browser.get("/api/me").status_code == 401
    assert visitor.session()["user"] is None


def test_signing_out_here_leaves_the_other_browser_signed_in(
    visitor: Browser, other_browser: Browser, sandbox: Sandbox, somebody: str
) -> None:
    visitor.sign_in(sandbox, somebody)
    other_browser.sign_in(sandbox, somebody)
    visitor.change("DELETE", SESSION)
    assert other_browser.session()["user"]["user_id"] == somebody


def test_with_the_last_sign_out_the_flickr_token_is_gone(
    visitor: Browser, other_browser: Browser, sandbox: Sandbox, somebody: str, flickr_runtime: Runtime
) -> None:
    ((photo_id, _),) = sandbox.photos_for(somebody, 1)
    for browser in (visitor, other_browser):
        browser.sign_in(sandbox, somebody)
    visitor.change("DELETE", SESSION)
    for method in ("PUT", "DELETE"):
        assert other_browser.change(method, f"/api/me/favorites/{photo_id}").status_code == 200
    other_browser.change("DELETE", SESSION)
    assert token_of(flickr_runtime.engine, flickr_runtime.vault, somebody) is None
    assert [account["token_ciphertext"] for account in rows(flickr_runtime.engine, accounts)] == [None]
    visitor.sign_in(sandbox, somebody)
    assert token_of(flickr_runtime.engine, flickr_runtime.vault, somebody) is not None


def test_signing_in_as_somebody_else_takes_the_token_of_who_was_signed_in(
    visitor: Browser, sandbox: Sandbox, flickr_runtime: Runtime
) -> None:
    for person in sandbox.people[:2]:
        visitor.sign_in(sandbox, person)
    kept = {row["user_id"]: row["token_ciphertext"] is not None for row in rows(flickr_runtime.engine, accounts)}
    assert kept == {sandbox.people[0]: False, sandbox.people[1]: True}


def test_a_token_that_flickr_no_longer_takes_signs_out_everywhere_and_is_gone(
    visitor: Browser, other_browser: Browser, sandbox: Sandbox, somebody: str, engine: sa.Engine
) -> None:
    for browser in (visitor, other_browser):
        browser.sign_in(sandbox, somebody)
    ((photo_id, _),) = sandbox.photos_for(somebody, 1)
    sandbox.faults({"kind": "expired_token"})
    assert refusal(visitor.change("PUT", f"/api/me/favorites/{photo_id}")) == (401, "not_signed_in")
    for browser in (visitor, other_browser):
        assert browser.session()["user"] is None
    assert [account["token_ciphertext"] for account in rows(engine, accounts)] == [None]


def test_after_a_rotation_of_the_keys_one_stays_signed_in(
    visitor: Browser, sandbox: Sandbox, somebody: str, flickr_runtime: Runtime
) -> None:
    old = (flickr_runtime.settings.home / "token.key").read_text()
    visitor.sign_in(sandbox, somebody)
    rotated = replace(flickr_runtime, vault=Vault([Fernet.generate_key().decode(), old]))
    later = Browser(client_of(rotated))
    later.cookie = visitor.cookie
    ((photo_id, _),) = sandbox.photos_for(somebody, 1)
    assert later.change("PUT", f"/api/me/favorites/{photo_id}").status_code == 200


def test_a_token_whose_key_is_gone_asks_to_sign_in_again(
    visitor: Browser, sandbox: Sandbox, somebody: str, flickr_runtime: Runtime
) -> None:
    visitor.sign_in(sandbox, somebody)
    later = Browser(client_of(replace(flickr_runtime, vault=Vault([Fernet.generate_key().decode()]))))
    later.cookie = visitor.cookie
    ((photo_id, _),) = sandbox.photos_for(somebody, 1)
    assert refusal(later.change("PUT", f"/api/me/favorites/{photo_id}")) == (401, "not_signed_in")
    assert later.session()["user"] is None


def test_a_signed_in_session_that_has_run_out_is_over(
    visitor: Browser, sandbox: Sandbox, somebody: str, engine: sa.Engine
) -> None:
    visitor.sign_in(sandbox, somebody)
    in_the_past(engine, sessions)
    assert visitor.get("/api/me").status_code == 401
    assert visitor.session()["user"] is None


def test_no_session_outlives_its_account(visitor: Browser, sandbox: Sandbox, somebody: str, engine: sa.Engine) -> None:
    visitor.sign_in(sandbox, somebody)
    with engine.begin() as connection:
        connection.execute(sa.delete(accounts))
    assert visitor.get("/api/me").status_code == 401


def test_a_session_of_an_account_that_does_not_exist_cannot_be_opened(engine: sa.Engine) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        open_session(engine, user_id="404@N01")
