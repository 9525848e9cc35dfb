"""Signing in with Flickr, against the sandbox: what comes of it, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from features.database import accounts, oauth_requests
from features.errors import InvalidInputError
from serving.accounts.signin import safe_return_to, token_of
from serving.runtime import Runtime
from tests.serving.api.conftest import cookie_of, in_the_past, refusal, rows
from tests.serving.conftest import Browser, Sandbox, client_of

LOGIN, SESSION = "/api/session/login", "/api/session"


# Signing in


def test_consent_is_asked_for_at_flickr_to_write(visitor: Browser, sandbox: Sandbox) -> None:
    address = urlsplit(visitor.begin_sign_in())
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{sandbox.url}/services/oauth/authorize"
    assert parse_qs(address.query)["perms"] == ["write"]


def test_with_consent_one_is_signed_in_and_back_where_one_was(
    visitor: Browser, sandbox: Sandbox, somebody: str
) -> None:
    answer = visitor.sign_in(sandbox, somebody, return_to="/wall/12037949754@N01?from=start")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/wall/12037949754@N01?from=start")
    session = visitor.session()
    profile = sandbox.call("flickr.people.getInfo", user_id=somebody)["person"]
    assert session["user"]["user_id"] == somebody
    assert session["user"]["name"] == profile["username"]["_content"]
    assert session["user"]["avatar_url"] == f"{sandbox.url}/avatars/{somebody}.svg"
    assert session["sandbox"] is True
    assert visitor.get("/api/me").json()["user_id"] == somebody


def test_a_signed_in_session_lasts_as_the_settings_say(
    visitor: Browser, sandbox: Sandbox, somebody: str, flickr_runtime: Runtime
) -> None:
    _, attributes = cookie_of(visitor.sign_in(sandbox, somebody))
    days = flickr_runtime.settings.session_days
    assert days * 86400 - 60 < int(attributes.pop("max-age")) <= days * 86400
    assert attributes == {"httponly": "True", "secure": "True", "samesite": "lax", "path": "/"}


def test_a_session_planted_on_somebody_is_not_signed_in_with_them(
    visitor: Browser, other_browser: Browser, sandbox: Sandbox, somebody: str
) -> None:
    other_browser.session()
    visitor.cookie = planted = other_browser.cookie
    visitor.sign_in(sandbox, somebody)
    assert visitor.cookie != planted
    assert visitor.session()["user"]["user_id"] == somebody
    assert other_browser.session()["user"] is None
    assert other_browser.get("/api/me").status_code == 401


def test_the_csrf_token_from_before_the_sign_in_is_worth_nothing_after_it(
    visitor: Browser, sandbox: Sandbox, somebody: str
) -> None:
    before = visitor.session()["csrf_token"]
    visitor.sign_in(sandbox, somebody)
    assert visitor.session()["csrf_token"] != before
    answer = visitor.client.delete(SESSION, headers={"X-CSRF-Token": before})
    assert refusal(answer) == (403, "cross_site")


def test_signing_in_as_somebody_else_ends_the_session_before(
    visitor: Browser, other_browser: Browser, sandbox: Sandbox
) -> None:
    visitor.sign_in(sandbox, sandbox.people[0])
    other_browser.cookie = visitor.cookie
    visitor.sign_in(sandbox, sandbox.people[1])
    assert visitor.session()["user"]["user_id"] == sandbox.people[1]
    assert other_browser.get("/api/me").status_code == 401


def test_the_token_is_kept_encrypted_and_can_be_used(
    visitor: Browser, sandbox: Sandbox, somebody: str, flickr_runtime: Runtime
) -> None:
    visitor.sign_in(sandbox, somebody)
    (account,) = rows(flickr_runtime.engine, accounts)
    token = token_of(flickr_runtime.engine, flickr_runtime.vault, somebody)
    assert token is not None
    assert flickr_runtime.flickr_of(token).login().user_id == somebody
    for value in map(str, account.values()):
        assert token.token not in value
        assert token.secret not in value


def test_signing_in_again_replaces_the_token(
    visitor: Browser, sandbox: Sandbox, somebody: str, flickr_runtime: Runtime
) -> None:
    tokens = []
    for _ in range(2):
        visitor.sign_in(sandbox, somebody)
        tokens.append(token_of(flickr_runtime.engine, flickr_runtime.vault, somebody))
    assert tokens[0] != tokens[1]
    assert len(rows(flickr_runtime.engine, accounts)) == 1


def test_the_secret_of_a_sign_in_under_way_is_kept_encrypted_and_gone_after_it(
    visitor: Browser, sandbox: Sandbox, somebody: str, flickr_runtime: Runtime
) -> None:
    address = visitor.begin_sign_in()
    (request,) = rows(flickr_runtime.engine, oauth_requests)
    (token,) = parse_qs(urlsplit(address).query)["oauth_token"]
    waiting = flickr_runtime.vault.open(request["secret_ciphertext"])
    assert waiting is not None
    assert waiting.token == token
    assert not {token, waiting.secret} & set(map(str, request.values()))
    visitor.get(sandbox.consent(address, somebody))
    assert rows(flickr_runtime.engine, oauth_requests) == []


# What is refused


def test_a_consent_is_good_for_one_sign_in(visitor: Browser, sandbox: Sandbox, somebody: str) -> None:
    callback = sandbox.consent(visitor.begin_sign_in(), somebody)
    assert visitor.get(callback).status_code == 303
    assert refusal(visitor.get(callback)) == (422, "sign_in_expired")
    assert visitor.session()["user"]["user_id"] == somebody


def test_a_consent_that_comes_too_late_is_refused(
    visitor: Browser, sandbox: Sandbox, somebody: str, engine: sa.Engine
) -> None:
    callback = sandbox.consent(visitor.begin_sign_in(), somebody)
    in_the_past(engine, oauth_requests)
    assert refusal(visitor.get(callback)) == (422, "sign_in_expired")
    assert visitor.session()["user"] is None


def test_a_sign_in_that_was_never_finished_is_swept_away(visitor: Browser, engine: sa.Engine) -> None:
    visitor.begin_sign_in()
    in_the_past(engine, oauth_requests)
    visitor.begin_sign_in()
    assert len(rows(engine, oauth_requests)) == 1


@pytest.mark.parametrize("visited_before", [True, False])
def test_a_consent_of_another_browser_is_refused_and_stays_good_for_its_own(
    visitor: Browser, other_browser: Browser, sandbox: Sandbox, somebody: str, visited_before: bool
) -> None:
    callback = sandbox.consent(visitor.begin_sign_in(), somebody)
    if visited_before:
        other_browser.session()
    answer = other_browser.get(callback)
    assert refusal(answer) == (403, "other_browser")
    assert "Set-Cookie" not in answer.headers
    assert other_browser.session()["user"] is None
    assert visitor.get(callback).status_code == 303


def test_a_verifier_that_flickr_did_not_give_signs_nobody_in(
    visitor: Browser, sandbox: Sandbox, somebody: str, engine: sa.Engine
) -> None:
    callback = urlsplit(sandbox.consent(visitor.begin_sign_in(), somebody))
    forged = {name: values[0] for name, values in parse_qs(callback.query).items()} | {"oauth_verifier": "guessed"}
    assert refusal(visitor.get(f"{callback.path}?{urlencode(forged)}")) == (502, "flickr_failed")
    assert visitor.session()["user"] is None
    assert rows(engine, accounts) == []


@pytest.mark.parametrize("query", ["oauth_token=unknown&oauth_verifier=x", "oauth_verifier=x"])
def test_a_consent_that_nobody_asked_for_is_refused(visitor: Browser, query: str) -> None:
    assert refusal(visitor.get(f"/api/session/callback?{query}")) == (422, "sign_in_expired")


def test_who_says_no_at_flickr_is_back_where_they_were_and_not_signed_in(
    visitor: Browser, sandbox: Sandbox, somebody: str, engine: sa.Engine
) -> None:
    answer = visitor.get(sandbox.consent(visitor.begin_sign_in("/wall/1@N01"), somebody, decision="refuse"))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/wall/1@N01")
    assert visitor.session()["user"] is None
    assert rows(engine, oauth_requests) == []


def test_nobody_else_can_say_no_for_somebody(visitor: Browser, other_browser: Browser, sandbox: Sandbox) -> None:
    address = visitor.begin_sign_in("/wall/1@N01")
    (token,) = parse_qs(urlsplit(address).query)["oauth_token"]
    answer = other_browser.get(f"/api/session/callback?denied={token}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert visitor.get(sandbox.consent(address, sandbox.people[0])).status_code == 303


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "//[",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "wall/1@N01",
        "",
        "/wall/1@N01\r\nSet-Cookie: x=y",
    ],
)
def test_a_place_to_return_to_must_be_on_this_site(visitor: Browser, engine: sa.Engine, address: str) -> None:
    answer = visitor.change("POST", LOGIN, json={"return_to": address})
    assert refusal(answer) == (422, "invalid_input")
    assert answer.json()["error"]["field"] == "return_to"
    assert rows(engine, oauth_requests) == []


@given(st.text(st.sampled_from("/\\:.@?#[]%a \t\n\r\x00é")) | st.text())
def test_no_place_that_is_accepted_leaves_the_site(path: str) -> None:
    try:
        accepted = safe_return_to(path)
    except InvalidInputError as error:
        assert error.field == "return_to"
        return
    # As browsers read it: a backslash is a slash, tabs and line ends are not there.
    read = accepted.replace("\\", "/").translate({9: None, 10: None, 13: None}).strip()
    assert urlsplit(urljoin("https://here.example/api/session/callback", read)).netloc == "here.example"


def test_without_a_flickr_key_signing_in_names_the_setting(browser: Browser) -> None:
    answer = browser.change("POST", LOGIN, json={})
    assert refusal(answer) == (500, "configuration")
    assert "PHOTO_RECOMMENDER_FLICKR_KEY" in answer.json()["error"]["message"]


def test_a_flickr_that_does_not_answer_is_said_without_what_was_sent(
    flickr_runtime: Runtime, free_port: Callable[[], int]
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/services/oauth"
    settings = flickr_runtime.settings.model_copy(update={"flickr_oauth_url": nobody})
    answer = Browser(client_of(replace(flickr_runtime, settings=settings))).change("POST", LOGIN, json={})
    assert refusal(answer) == (502, "flickr_failed")
    assert "oauth" not in answer.text
    assert settings.flickr_secret.get_secret_value() not in answer.text


def test_a_flickr_that_fails_after_the_consent_signs_nobody_in(
    visitor: Browser, sandbox: Sandbox, somebody: str, engine: sa.Engine
) -> None:
    callback = sandbox.consent(visitor.begin_sign_in(), somebody)
    sandbox.faults({"kind": "bad_gateway"})
    assert refusal(visitor.get(callback)) == (502, "flickr_unavailable")
    assert visitor.session()["user"] is None
    assert rows(engine, accounts) == []


def test_a_person_who_signs_in_waits_for_two_tries_at_most(
    flickr_runtime: Runtime, sandbox: Sandbox, somebody: str
) -> None:
    patient = flickr_runtime.settings.model_copy(update={"flickr_attempts": 6})
    browser = Browser(client_of(replace(flickr_runtime, settings=patient)))
    callback = sandbox.consent(browser.begin_sign_in(), somebody)
    sandbox.faults({"kind": "bad_gateway", "times": 2})
    assert refusal(browser.get(callback)) == (502, "flickr_unavailable")
