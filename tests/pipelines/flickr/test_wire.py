"""The client on the wire: what the real Flickr answers and the sandbox does not, and that no secret gets out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from pydantic import SecretStr

from features.errors import FlickrError
from pipelines.flickr.client import (
    FlickrRefusedError,
    FlickrToken,
    KeyInvalidError,
    TokenInvalidError,
    open_flickr,
)


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
            # Our own configuration keeps the library quiet: here it shall say all that it ever says.
            with (
                caplog.at_level(level),
                caplog.at_level(level, logger="flickrapi"),
                pytest.raises(FlickrError, match="Flickr") as raised,
            ):
                client.login()
            logged = caplog.text + "".join(capsys.readouterr())
            assert "flickr.test.login" in logged
            for secret in kept:
                assert secret not in f"{logged} {told(raised.value)} {client!r} {vars(client)} {settings!r}"
