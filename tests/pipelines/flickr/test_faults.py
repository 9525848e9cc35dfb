"""The client on Flickr's bad days: nothing is lost, nothing doubled, and what can't be had is said as what it is."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines.flickr import calls as flickr_calls
from pipelines.flickr import client as flickr_module
from pipelines.flickr.client import (
    FlickrRefusedError,
    FlickrToken,
    FlickrUnavailableError,
    TokenInvalidError,
    open_flickr,
)

ATTEMPTS = 3  # the fixture sandbox_settings'
LIST_FAVORITES = "flickr.favorites.getPublicList"
INFO = "flickr.people.getInfo"

PASSING = {
    "too_many_requests": {"kind": "too_many_requests", "retry_after": 0},
    "bad_gateway": {"kind": "bad_gateway"},
    "html": {"kind": "html"},
    "truncated_json": {"kind": "truncated_json"},
    "hang": {"kind": "hang", "seconds": 1.0},
    "fail_105": {"kind": "fail", "code": 105},
}
"""Trouble after which asking again helps."""


@pytest.fixture
def impatient(sandbox, sandbox_settings, quick_retries):
    """The client, waiting a fifth of a second for an answer."""
    return open_flickr(sandbox_settings.model_copy(update={"flickr_timeout": 0.2}))


def read(pages) -> list[tuple[str, str, int]]:
    return [row for page in pages for row in zip(page.photo_ids, page.owner_ids, page.faved_at, strict=True)]


@pytest.mark.parametrize("fault", PASSING)
def test_a_call_that_fails_is_tried_again_and_answered(sandbox, impatient, world, fault):
    sandbox.faults({**PASSING[fault], "times": ATTEMPTS - 1})
    before = sandbox.calls(INFO)
    assert impatient.person(world.user_ids[0]).name == world.user_names[0]
    assert sandbox.calls(INFO) == before + ATTEMPTS
    assert impatient.calls == ATTEMPTS


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("too_many_requests", "HTTP 429"),
        ("bad_gateway", "HTTP 502"),
        ("html", "something unreadable: '<!DOCTYPE html>"),
        ("truncated_json", "something unreadable: '{"),
        ("hang", "does not answer: ReadTimeout"),
        ("fail_105", "code 105"),
    ],
)
def test_after_its_attempts_a_call_says_that_flickr_is_unavailable_and_why(sandbox, impatient, world, fault, reason):
    sandbox.faults(PASSING[fault])
    before = sandbox.calls(INFO)
    with pytest.raises(FlickrUnavailableError) as raised:
        impatient.person(world.user_ids[0])
    assert reason in raised.value.message
    assert raised.value.http_status == 502
    assert sandbox.calls(INFO) == before + ATTEMPTS


@pytest.mark.parametrize("fault", PASSING)
def test_favorites_are_whole_when_any_page_fails(sandbox, impatient, avid, monkeypatch, fault):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 50)
    expected = sandbox.listed(avid)
    pages = impatient.favorites(avid)
    first = next(pages)
    sandbox.faults({**PASSING[fault], "times": ATTEMPTS - 1})
    assert read([first, *pages]) == expected


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "short_pages"},
        {"kind": "wrong_total"},
        {"kind": "empty_page", "times": 2},  # the first page uses one up, and can't be empty
    ],
    ids=lambda rule: str(rule["kind"]),
)
@pytest.mark.parametrize("per_page", [10, 64, 500])
def test_favorites_are_whole_when_pages_are_not_what_they_claim(sandbox, flickr, avid, monkeypatch, rule, per_page):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", per_page)
    expected = sandbox.listed(avid)
    sandbox.faults(rule)
    assert read(flickr.favorites(avid)) == expected


def test_a_list_that_claims_too_much_ends_soon_after_it_ends(sandbox, flickr, avid, monkeypatch):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 10)
    pages = -(-len(sandbox.listed(avid)) // 10)
    sandbox.faults({"kind": "wrong_total"})
    before = sandbox.calls(LIST_FAVORITES)
    read(flickr.favorites(avid))
    assert sandbox.calls(LIST_FAVORITES) <= before + pages + 3


@hypothesis_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # every example is real HTTP: shrinking one takes minutes
)
@given(
    user=st.integers(0, 50),
    per_page=st.integers(3, 80),
    seed=st.integers(0, 10_000),
    rate=st.floats(0, 0.25),  # of each kind: even with all five, sixty tries in a row never fail
    kinds=st.sets(st.sampled_from(["too_many_requests", "bad_gateway", "html", "truncated_json", "fail_105"])),
    listing=st.sampled_from([None, "short_pages", "wrong_total"]),
)
def test_whatever_goes_wrong_now_and_then_favorites_are_read_once(
    sandbox, sandbox_settings, quick_retries, world, monkeypatch, user, per_page, seed, rate, kinds, listing
):
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", per_page)
    client = open_flickr(sandbox_settings.model_copy(update={"flickr_attempts": 60, "breaker_failures": 1_000}))
    sandbox.faults()
    expected = sandbox.listed(world.user_ids[user])
    rules = [{**PASSING[kind], "rate": rate} for kind in sorted(kinds)]
    sandbox.faults(*rules, *([{"kind": listing}] if listing else []), seed=seed)
    assert read(client.favorites(world.user_ids[user])) == expected


def test_retry_after_is_honoured(sandbox, flickr, world):
    sandbox.faults({"kind": "too_many_requests", "retry_after": 1, "times": 1})
    before = time.monotonic()
    flickr.person(world.user_ids[0])
    assert time.monotonic() - before >= 1


def test_backing_off_grows_and_has_a_most(sandbox, sandbox_settings, world, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
    monkeypatch.setattr(flickr_calls, "FIRST_WAIT", 1.0)
    monkeypatch.setattr(flickr_calls, "LONGEST_WAIT", 8.0)
    sandbox.faults({"kind": "bad_gateway"})
    client = open_flickr(sandbox_settings.model_copy(update={"flickr_attempts": 10, "breaker_failures": 1_000}))
    for _ in range(4):
        with pytest.raises(FlickrUnavailableError):
            client.person(world.user_ids[0])
    assert len(waits) == 4 * 9
    rounds = np.array(waits).reshape(4, 9)
    assert (rounds <= [1, 2, 4, 8, 8, 8, 8, 8, 8]).all()
    assert rounds[:, 4:].max() > 1


def test_an_expired_token_is_said_at_once(sandbox, sandbox_settings, quick_retries, world):
    me = world.user_ids[-1]
    signed = open_flickr(sandbox_settings, sandbox.token(me))
    sandbox.faults({"kind": "expired_token"})
    before = sandbox.calls("flickr.test.login")
    with pytest.raises(TokenInvalidError, match="sign in again") as raised:
        signed.login()
    assert raised.value.http_status == 401
    assert sandbox.calls("flickr.test.login") == before + 1


def test_a_token_that_flickr_never_gave_is_invalid(sandbox_settings, sandbox):
    with pytest.raises(TokenInvalidError):
        open_flickr(sandbox_settings, FlickrToken("72157-unknown", "unknown")).login()


def test_a_refusal_is_not_asked_again(sandbox, flickr, world):
    sandbox.faults({"kind": "fail", "code": 3})
    before = sandbox.calls(INFO)
    with pytest.raises(FlickrRefusedError, match="code 3") as raised:
        flickr.person(world.user_ids[0])
    assert raised.value.flickr_code == 3
    assert sandbox.calls(INFO) == before + 1


@pytest.mark.parametrize("fault", ["hang", "truncated_json"])
def test_a_favorite_whose_answer_was_lost_is_a_favorite_once(
    sandbox, sandbox_settings, quick_retries, world, avid, fault
):
    me = world.user_ids[-2]
    signed = open_flickr(sandbox_settings.model_copy(update={"flickr_timeout": 0.2}), sandbox.token(me))
    before = sandbox.listed(me)
    taken = {row[0] for row in before} | {
        world.photo_ids[photo] for photo in world.favorites.photo[world.favorites.user == len(world.user_ids) - 2]
    }
    photo_id = next(row[0] for row in sandbox.listed(avid) if row[0] not in taken and row[1] != me)
    sandbox.faults({**PASSING[fault], "times": 1})
    signed.add_favorite(photo_id)
    assert [row[0] for row in sandbox.listed(me)].count(photo_id) == 1
    sandbox.faults({**PASSING[fault], "times": 1})
    signed.remove_favorite(photo_id)
    assert sandbox.listed(me) == before


def test_a_flickr_that_is_not_there_is_unavailable(sandbox_settings, quick_retries, free_port):
    nowhere = sandbox_settings.model_copy(update={"flickr_rest_url": f"http://127.0.0.1:{free_port()}/"})
    with pytest.raises(FlickrUnavailableError, match="does not answer: ConnectionError"):
        open_flickr(nowhere).person("1@N00")
