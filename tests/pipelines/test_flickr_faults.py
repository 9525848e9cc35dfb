"""The client on Flickr's bad days: nothing is lost, nothing doubled, and what can't be had is said as what it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr

from features.errors import FlickrError
from pipelines import flickr as flickr_module
from pipelines.flickr import (
    FlickrRefusedError,
    FlickrToken,
    FlickrUnavailableError,
    KeyInvalidError,
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
    client = open_flickr(sandbox_settings.model_copy(update={"flickr_attempts": 60}))
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
    monkeypatch.setattr(flickr_module, "FIRST_WAIT", 1.0)
    monkeypatch.setattr(flickr_module, "LONGEST_WAIT", 8.0)
    sandbox.faults({"kind": "bad_gateway"})
    client = open_flickr(sandbox_settings.model_copy(update={"flickr_attempts": 10}))
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


# What the real Flickr answers and the sandbox does not.


@pytest.fixture
def flickr_that_answers(sandbox_settings, quick_retries) -> Callable[..., object]:
    """`with flickr_that_answers(status, headers, body) as (settings, asked)`: at each call the next such answer."""

    @contextmanager
    def serve(*answers: tuple[int, dict[str, str], str]) -> Iterator[tuple[object, list[float]]]:
        asked: list[float] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, body = answers[min(len(asked), len(answers) - 1)]
                asked.append(time.time())
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        try:
            yield sandbox_settings.model_copy(update={"flickr_rest_url": address}), asked
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serve


PERSON = (200, {}, '{"stat": "ok", "person": {"nsid": "7@N01", "username": {"_content": "Mara"}}}')


def test_retry_after_may_be_a_date(flickr_that_answers):
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    busy = (429, {"Retry-After": format_datetime(moment, usegmt=True)}, "")
    with flickr_that_answers(busy, PERSON) as (settings, asked):
        assert open_flickr(settings).person("7@N01").name == "Mara"
    assert asked[1] >= moment.timestamp()


@pytest.mark.parametrize("value", ["soon", "", "-5", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_retry_after_that_says_nothing_is_backed_off_from(flickr_that_answers, value):
    with flickr_that_answers((503, {"Retry-After": value}, ""), PERSON) as (settings, asked):
        assert open_flickr(settings).person("7@N01").name == "Mara"
    assert asked[1] - asked[0] < 1


def test_an_unknown_key_is_a_wrong_configuration(flickr_that_answers):
    with (
        flickr_that_answers((401, {}, "oauth_problem=consumer_key_unknown")) as (settings, asked),
        pytest.raises(KeyInvalidError, match=r"consumer_key_unknown.*PHOTO_RECOMMENDER_FLICKR_KEY"),
    ):
        open_flickr(settings).person("7@N01")
    assert len(asked) == 1


def test_a_token_that_was_taken_back_is_invalid(flickr_that_answers):
    with (
        flickr_that_answers((401, {}, "oauth_problem=token_rejected")) as (settings, asked),
        pytest.raises(TokenInvalidError, match=r"token_rejected.*sign in again"),
    ):
        open_flickr(settings, FlickrToken("t", "s")).login()
    assert len(asked) == 1


def test_a_signed_call_does_not_follow_a_redirection(flickr_that_answers, sandbox):
    elsewhere = (302, {"Location": sandbox.rest_url}, "")
    before = sandbox.get("/sandbox/calls")["total"]
    with (
        flickr_that_answers(elsewhere) as (settings, _),
        pytest.raises(FlickrRefusedError, match="HTTP 302"),
    ):
        open_flickr(settings).person("7@N01")
    assert sandbox.get("/sandbox/calls")["total"] == before


@pytest.mark.parametrize(
    "body", ["", "[]", "null", '{"stat": "ok"}', '{"stat": "ok", "person": 1}', '{"stat": "fail", "code": "x"}']
)
def test_json_of_another_shape_is_unreadable_and_asked_again(flickr_that_answers, body):
    with flickr_that_answers((200, {}, body), PERSON) as (settings, _):
        assert open_flickr(settings).person("7@N01").name == "Mara"


# Secrets.

KEY_SECRET, TOKEN, TOKEN_SECRET = "secret-of-the-key", "the-persons-token", "secret-of-the-token"
DEBUG_SBS = (
    "oauth_problem=signature_invalid&debug_sbs=POST&https%3A%2F%2Fapi.flickr.com%2Fservices%2Frest%2F"
    f"&oauth_token%3D{TOKEN}%26api_key%3Dk"
)


def told(error: BaseException | None) -> str:
    """Everything that the error and what is behind it say of themselves."""
    words = ""
    while error is not None:
        words += f"{error}\n{error!r}\n"
        error = error.__cause__ or error.__context__
    return words


def test_a_token_does_not_show_itself():
    token = FlickrToken(TOKEN, TOKEN_SECRET)
    assert TOKEN not in f"{token} {token!r}"


@pytest.mark.parametrize(
    "answer",
    [
        (429, {"Retry-After": "0"}, ""),
        (502, {}, "<html>"),
        (200, {}, "<html>"),
        (200, {}, '{"stat": "fail", "code": 98, "message": "Invalid auth token"}'),
        (401, {}, DEBUG_SBS),
        (404, {}, ""),
    ],
    ids=lambda answer: f"{answer[0]}{answer[2][:12]}",
)
def test_no_secret_is_in_a_log_line_an_error_or_the_client(flickr_that_answers, capsys, caplog, answer):
    with flickr_that_answers(answer) as (settings, _):
        settings = settings.model_copy(update={"flickr_secret": SecretStr(KEY_SECRET)})
        client = open_flickr(settings, FlickrToken(TOKEN, TOKEN_SECRET))
        for level, kept in (
            (logging.INFO, (KEY_SECRET, TOKEN_SECRET, TOKEN)),
            (logging.DEBUG, (KEY_SECRET, TOKEN_SECRET)),
        ):
            with caplog.at_level(level), pytest.raises(FlickrError, match="Flickr") as raised:
                client.login()
            logged = caplog.text + "".join(capsys.readouterr())
            assert "flickr.test.login" in logged
            for secret in kept:
                assert secret not in f"{logged} {told(raised.value)} {client!r} {vars(client)} {settings!r}"
