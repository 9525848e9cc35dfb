"""OAuth 1.0a as Flickr speaks it: an application may do what a person allows, and nothing else gets through."""

from __future__ import annotations

import time
from urllib.parse import parse_qsl

import httpx
import pytest
from oauthlib.oauth1 import SIGNATURE_PLAINTEXT, SIGNATURE_TYPE_BODY, SIGNATURE_TYPE_QUERY, Client

from pipelines.sandbox.oauth import (
    CLOCK_SKEW,
    CONSUMER_KEY,
    CONSUMER_SECRET,
    REQUEST_TOKEN_LIFETIME,
    HttpCall,
    OAuthProblem,
    OAuthProvider,
)
from pipelines.sandbox.store import RequestToken, Store

CALLBACK = "http://localhost/callback"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed(address, body="", *, key=CONSUMER_KEY, secret=CONSUMER_SECRET, token=None, token_secret=None, **options):
    """A signed POST as (address, headers, body); a call of oauthlib's, which flickrapi uses too."""
    client = Client(key, secret, token, token_secret, **options)
    return client.sign(address, "POST", body=body, headers=dict(FORM))


def send(call):
    address, headers, body = call
    return httpx.post(address, headers=headers, content=body)


def request_token(sandbox, callback=CALLBACK, **options):
    body = f"oauth_callback={callback}" if callback else ""
    return send(signed(f"{sandbox.url}/services/oauth/request_token", body, **options))


def decide(sandbox, token, **fields):
    form = {"oauth_token": token, "perms": "write", **fields}
    return httpx.post(f"{sandbox.url}/services/oauth/authorize", data=form)


def access_token(sandbox, token, verifier):
    fields = {"token": token["oauth_token"], "token_secret": token["oauth_token_secret"], "verifier": verifier}
    return send(signed(f"{sandbox.url}/services/oauth/access_token", **fields))


def fields_of(answer):
    return dict(parse_qsl(answer.text))


def consented(sandbox, user_id, **fields):
    """A request token that the user allowed, and its verifier."""
    token = fields_of(request_token(sandbox))
    answer = decide(sandbox, token["oauth_token"], user_id=user_id, decision="allow", **fields)
    return token, httpx.URL(answer.headers["location"]).params["oauth_verifier"]


def login(sandbox, **options):
    return signed(sandbox.rest_url, "method=flickr.test.login&format=json&nojsoncallback=1", **options)


@pytest.fixture
def refused():
    """A refusal by the word that Flickr answers."""

    def check(answer, problem):
        assert (answer.status_code, answer.text) == (401, f"oauth_problem={problem}")

    return check


@pytest.fixture
def token(sandbox, world):
    """The access token that user 3 gave for reading, as options of `signed`."""
    answer = fields_of(access_token(sandbox, *consented(sandbox, world.user_ids[3], perms="read")))
    return {"token": answer["oauth_token"], "token_secret": answer["oauth_token_secret"]}


# The dance


def test_a_request_token_is_confirmed_with_its_secret(sandbox):
    answer = fields_of(request_token(sandbox))
    assert answer["oauth_callback_confirmed"] == "true"
    assert answer["oauth_token"]
    assert answer["oauth_token_secret"]


def test_who_allows_is_sent_back_with_a_verifier_and_the_application_acts_for_them(sandbox, world):
    token = fields_of(request_token(sandbox, f"{CALLBACK}?state=5"))
    answer = decide(sandbox, token["oauth_token"], user_id=world.user_ids[3], decision="allow")
    location = httpx.URL(answer.headers["location"])
    assert answer.status_code == 303
    assert str(location).startswith(f"{CALLBACK}?state=5&oauth_token={token['oauth_token']}&oauth_verifier=")
    access = fields_of(access_token(sandbox, token, location.params["oauth_verifier"]))
    assert (access["user_nsid"], access["username"]) == (world.user_ids[3], world.user_names[3])
    call = login(sandbox, token=access["oauth_token"], token_secret=access["oauth_token_secret"])
    assert send(call).json()["user"]["id"] == world.user_ids[3]


def test_who_refuses_is_sent_back_and_the_token_is_void(sandbox, refused):
    token = fields_of(request_token(sandbox))
    location = httpx.URL(decide(sandbox, token["oauth_token"], decision="refuse").headers["location"])
    assert dict(location.params) == {"oauth_token": token["oauth_token"], "oauth_problem": "user_refused"}
    refused(access_token(sandbox, token, ""), "token_rejected")
    assert decide(sandbox, token["oauth_token"], decision="allow").status_code == 400


def test_out_of_band_the_verifier_is_shown_instead(sandbox, world):
    token = fields_of(request_token(sandbox, "oob"))
    page = decide(sandbox, token["oauth_token"], user_id=world.user_ids[3], decision="allow")
    assert page.status_code == 200
    verifier = page.text.split("this code: ")[1].split("<")[0]
    assert fields_of(access_token(sandbox, token, verifier))["user_nsid"] == world.user_ids[3]


def test_a_token_may_what_was_allowed_and_no_more(sandbox, token):
    body = "method=flickr.favorites.add&photo_id=1&format=json&nojsoncallback=1"
    assert send(login(sandbox, **token)).json()["stat"] == "ok"
    assert send(signed(sandbox.rest_url, body, **token)).json()["code"] == 99


@pytest.mark.parametrize("place", [SIGNATURE_TYPE_BODY, SIGNATURE_TYPE_QUERY])
def test_a_signature_may_be_in_the_body_or_the_query_too(sandbox, world, token, place):
    assert send(login(sandbox, **token, signature_type=place)).json()["user"]["id"] == world.user_ids[3]
    assert send(login(sandbox, **token, secret="another", signature_type=place)).json()["code"] == 96


# The consent page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"oauth_token": "unknown"}, "token_rejected"),
        ({"perms": "everything"}, "perms must be one of"),
    ],
)
def test_what_cannot_be_authorized_is_said_on_the_consent_page(sandbox, fields, words):
    token = fields_of(request_token(sandbox))["oauth_token"]
    address = f"{sandbox.url}/services/oauth/authorize"
    page = httpx.get(address, params={"oauth_token": token, "perms": "write", **fields})
    assert page.status_code == 400
    assert words in page.text


def test_only_a_person_of_the_world_can_allow_and_only_what_there_is(sandbox, world):
    token = fields_of(request_token(sandbox))["oauth_token"]
    for user_id in ("", "1@N00"):
        assert decide(sandbox, token, user_id=user_id, decision="allow").status_code == 400
    answer = decide(sandbox, token, user_id=world.user_ids[0], decision="allow", perms="everything")
    assert answer.status_code == 400
    assert decide(sandbox, token, user_id=world.user_ids[0], decision="allow").status_code == 303


def test_one_consent_is_asked_for_once(sandbox, world):
    token, _ = consented(sandbox, world.user_ids[0])
    again = decide(sandbox, token["oauth_token"], user_id=world.user_ids[1], decision="allow")
    assert again.status_code == 400


# What is refused


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"key": "another"}, "consumer_key_unknown"),
        ({"secret": "another"}, "signature_invalid"),
        ({"signature_method": SIGNATURE_PLAINTEXT}, "signature_method_rejected"),
        ({"timestamp": "0"}, "timestamp_refused"),
        ({"timestamp": "soon"}, "timestamp_refused"),
        ({"token": "unknown", "token_secret": "unknown"}, "signature_invalid"),
        ({"callback": ""}, "parameter_absent"),
        ({"callback": "javascript:alert(1)"}, "parameter_rejected"),
    ],
)
def test_a_request_token_is_refused_with_the_reason(sandbox, refused, options, problem):
    refused(request_token(sandbox, **options), problem)


def test_a_timestamp_may_be_off_by_five_minutes(sandbox, refused):
    now = int(time.time())
    for skew in (-CLOCK_SKEW + 20, CLOCK_SKEW - 20):
        assert request_token(sandbox, timestamp=str(now + skew)).status_code == 200
    for skew in (-CLOCK_SKEW - 20, CLOCK_SKEW + 20):
        refused(request_token(sandbox, timestamp=str(now + skew)), "timestamp_refused")


def test_a_call_without_signature_is_refused(sandbox, refused):
    refused(httpx.post(f"{sandbox.url}/services/oauth/request_token", data={}), "parameter_absent")


def test_the_same_request_a_second_time_is_refused(sandbox, refused):
    call = signed(f"{sandbox.url}/services/oauth/request_token", f"oauth_callback={CALLBACK}")
    assert send(call).status_code == 200
    refused(send(call), "nonce_used")


def test_a_wrong_verifier_is_refused_and_the_right_one_still_works(sandbox, world, refused):
    token, verifier = consented(sandbox, world.user_ids[3])
    for wrong in ("", "wrong", verifier[:-1]):
        refused(access_token(sandbox, token, wrong), "verifier_invalid")
    assert access_token(sandbox, token, verifier).status_code == 200


def test_a_request_token_is_exchanged_once(sandbox, world, refused):
    token, verifier = consented(sandbox, world.user_ids[3])
    assert access_token(sandbox, token, verifier).status_code == 200
    refused(access_token(sandbox, token, verifier), "token_rejected")


def test_there_is_no_access_before_consent(sandbox, refused):
    refused(access_token(sandbox, fields_of(request_token(sandbox)), ""), "token_rejected")


def test_the_secret_of_the_request_token_signs_the_exchange(sandbox, world, refused):
    token, verifier = consented(sandbox, world.user_ids[3])
    refused(access_token(sandbox, token | {"oauth_token_secret": "another"}, verifier), "signature_invalid")


def test_a_request_token_expires_after_an_hour(tmp_path):
    store = Store(tmp_path / "sandbox.db")
    provider = OAuthProvider(store)
    for token, age in (("young", REQUEST_TOKEN_LIFETIME - 60), ("old", REQUEST_TOKEN_LIFETIME + 60)):
        store.add_request_token(RequestToken(token, "secret", CALLBACK, None, None, None, int(time.time()) - age))
    assert provider.pending("young").token == "young"
    with pytest.raises(OAuthProblem, match="token_expired"):
        provider.pending("old")
    with pytest.raises(OAuthProblem, match="token_expired"):
        provider.allow("old", user_id="1@N00", perms="read")
    store.allow_request_token("old", user_id="1@N00", perms="read", verifier="verifier")
    address = "http://localhost/services/oauth/access_token"
    _, headers, body = signed(address, token="old", token_secret="secret", verifier="verifier")
    call = HttpCall("POST", address, {name.lower(): value for name, value in headers.items()}, body)
    with pytest.raises(OAuthProblem, match="token_expired"):
        provider.access_token(call, lambda user_id: user_id)
    store.close()


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"key": "another"}, 100),
        ({"secret": "another"}, 96),
        ({"token_secret": "another"}, 96),
        ({"token": "unknown"}, 98),
        ({"timestamp": "0"}, 96),
    ],
)
def test_a_signed_call_is_refused_with_flickrs_code(sandbox, token, options, code):
    assert send(login(sandbox, **token | options)).json()["code"] == code


def test_a_call_changed_after_signing_is_refused(sandbox, token):
    address, headers, body = login(sandbox, **token)
    assert send((address, headers, body.replace("test.login", "people.getInfo"))).json()["code"] == 96
    assert send((f"{address}?user_id=1", headers, body)).json()["code"] == 96
    assert send((address, headers, body)).json()["stat"] == "ok"


def test_a_signed_call_a_second_time_is_refused(sandbox, token):
    call = login(sandbox, **token)
    assert send(call).json()["stat"] == "ok"
    assert send(call).json()["code"] == 96
