"""Entries of Flickr's lists that are not as they should be: the good ones stay, the bad ones are told, none breaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.settings import Settings
from pipelines.flickr import client as flickr_module
from pipelines.flickr.answers import LONGEST_PAYLOAD, PICTURE_SIZES, Places, read_favorites, read_photo
from pipelines.flickr.client import Flickr, FlickrUnavailableError, open_flickr
from pipelines.flickr.values import LONGEST_NAME, LONGEST_TAGS, LONGEST_TITLE, MOST_NUMBER

FLICKR = Places("https://www.flickr.com")
GOOD = {"id": "52", "owner": "7@N01", "date_faved": "86400"}

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.sampled_from(["240.5", "-1", "1e9"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
NAMES = [
    *("title", "ownername", "pathalias", "tags", "server", "secret", "iconserver", "iconfarm", "dateupload"),
    *("safety_level", "o_width", "o_height"),
    *(f"{field}_{suffix}" for field in ("url", "width", "height") for suffix in PICTURE_SIZES),
]
EXTRAS = st.dictionaries(st.sampled_from(NAMES), JSON)
IDENTITIES = st.one_of(st.text(min_size=1, max_size=200), st.integers(), JSON)


@given(extras=EXTRAS)
@hypothesis_settings(max_examples=300, deadline=None)
def test_a_favorite_is_kept_whatever_its_extras_are(extras: dict[str, Any]) -> None:
    page = read_favorites([{**extras, **GOOD}], 1, FLICKR)
    assert (page.photo_ids, page.owner_ids, page.faved_at, page.rejected) == (["52"], ["7@N01"], [86_400], [])
    photo = page.photo(0)
    assert len(photo.title) <= LONGEST_TITLE
    assert len(photo.owner.name) <= LONGEST_NAME
    assert photo.tags is None or 0 < len(photo.tags) <= LONGEST_TAGS
    lengths = [
        photo.width,
        photo.height,
        *(size[side] for size in photo.sizes.values() for side in ("width", "height")),
    ]
    assert all(length is None or 0 <= length <= MOST_NUMBER for length in lengths)
    assert photo.image_url


@given(entries=st.lists(st.fixed_dictionaries({"id": IDENTITIES, "owner": IDENTITIES, "date_faved": JSON}) | JSON))
@hypothesis_settings(max_examples=300, deadline=None)
def test_every_entry_is_either_kept_or_rejected_and_bad_ones_take_no_good_one_along(entries: list[Any]) -> None:
    page = read_favorites([GOOD, *entries, GOOD], len(entries) + 2, FLICKR)
    kept = len(page.photo_ids)
    assert kept == len(page.owner_ids) == len(page.faved_at) == len(page.entries)
    assert kept + len(page.rejected) == len(entries) + 2
    assert page.photo_ids[0] == page.photo_ids[-1] == "52"
    for index in range(kept):
        assert page.photo(index).photo_id == page.photo_ids[index]
        assert page.favorites[index].faved_at.timestamp() == page.faved_at[index]
    for name in (*page.photo_ids, *page.owner_ids):
        assert 1 <= len(name) <= 128
        assert "\x1f" not in name
    for rejected in page.rejected:
        assert rejected.reason
        assert len(rejected.payload.encode()) <= LONGEST_PAYLOAD


@pytest.mark.parametrize(
    ("field", "value", "read"),
    [
        ("id", 52, "52"),
        ("id", "Ж" * 64, "Ж" * 64),
        ("id", "x" * 128, "x" * 128),
        ("owner", "見@N01", "見@N01"),
        ("date_faved", 86_400, 86_400),
        ("date_faved", "86400.0", 86_400),
        ("date_faved", 86_400.0, 86_400),
    ],
)
def test_what_a_favorite_is_made_of_may_come_in_several_ways(field: str, value: object, read: object) -> None:
    page = read_favorites([{**GOOD, field: value}], 1, FLICKR)
    assert not page.rejected
    assert {"id": page.photo_ids, "owner": page.owner_ids, "date_faved": page.faved_at}[field] == [read]


@pytest.mark.parametrize("field", ["id", "owner", "date_faved"])
def test_what_lacks_what_a_favorite_is_made_of_is_rejected_with_the_fields_name(field: str) -> None:
    entry = {name: value for name, value in GOOD.items() if name != field}
    (rejected,) = read_favorites([entry], 1, FLICKR).rejected
    assert rejected.reason == f"{field} is missing"
    assert json.loads(rejected.payload) == entry


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "5\x1f2"),
        ("id", "x" * 129),
        ("id", True),
        ("id", 1.5),
        ("owner", {"nsid": "7@N01"}),
        ("owner", "7\n@N01"),
        ("date_faved", "yesterday"),
        ("date_faved", -86_400),
        ("date_faved", 0),
        ("date_faved", "9406800000000"),  # the year 300,000
        ("date_faved", 10**30),
        ("date_faved", [86_400]),
    ],
)
def test_what_can_be_no_id_or_date_is_rejected_with_field_and_value(field: str, value: object) -> None:
    (rejected,) = read_favorites([{**GOOD, field: value}], 1, FLICKR).rejected
    assert rejected.reason.startswith(f"{field}=")


def test_a_text_of_any_length_is_cut_and_the_rest_of_the_photo_stays() -> None:
    long = {**GOOD, "title": "Ж" * 100_000, "tags": "sea dusk " * 20_000, "ownername": "M" * 999, "url_z": "z" * 9_999}
    photo = read_photo(long, FLICKR)
    assert photo.title == "Ж" * (LONGEST_TITLE - 1) + "…"
    assert len(photo.owner.name) == LONGEST_NAME
    assert photo.tags is not None
    assert set(photo.tags.split()) == {"sea", "dusk"}
    assert photo.sizes == {}


def test_a_payload_that_is_set_aside_is_cut() -> None:
    (rejected,) = read_favorites([{"id": "52", "title": "Ж" * 100_000}], 1, FLICKR).rejected
    assert LONGEST_PAYLOAD - 2 < len(rejected.payload.encode()) <= LONGEST_PAYLOAD


def test_sizes_may_be_words_with_a_point() -> None:
    photo = read_photo({**GOOD, "url_m": "m.jpg", "width_m": "240.0", "height_m": 160.4}, FLICKR)
    assert photo.sizes == {"m": {"url": "m.jpg", "width": 240, "height": 160}}


def test_a_bad_entry_costs_neither_its_page_nor_a_call(
    sandbox: Any, flickr: Flickr, avid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sandbox.listed(avid)
    sandbox.faults({"kind": "bad_entry"})
    before = sandbox.calls(flickr_module.LIST_FAVORITES)
    (page,) = flickr.favorites(avid)
    assert sandbox.calls(flickr_module.LIST_FAVORITES) == before + 1
    assert page.photo_ids == [photo_id for photo_id, _, _ in expected[1:]]
    assert [rejected.reason for rejected in page.rejected] == ["owner is missing"]
    assert json.loads(page.rejected[0].payload)["id"] == expected[0][0]
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 50)
    pages = list(flickr.favorites(avid))
    assert sum(len(page.photo_ids) for page in pages) == len(expected) - len(pages)


def test_a_window_is_one_call_that_ends_with_what_was_faved_until_then(
    sandbox: Any, flickr: Flickr, avid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 20)
    listed = sandbox.listed(avid)
    read, until = 0, None
    before = sandbox.calls(flickr_module.LIST_FAVORITES)
    for number in range(1, 4):
        page = flickr.favorites_window(avid, until)
        assert sandbox.calls(flickr_module.LIST_FAVORITES) == before + number
        photos = page.photo_ids
        start = next(place for place, row in enumerate(listed) if row[0] == photos[0])
        assert start <= read  # the same second is read again, nothing is left out
        assert photos == [row[0] for row in listed[start : start + 20]]
        read, until = start + 20, datetime.fromtimestamp(page.faved_at[-1], UTC)


def test_a_window_before_the_first_favorite_is_empty(flickr: Flickr, avid: str) -> None:
    assert flickr.favorites_window(avid, datetime(2004, 2, 10, tzinfo=UTC)).photo_ids == []


def test_since_and_until_are_both_included(sandbox: Any, flickr: Flickr, avid: str) -> None:
    listed = sandbox.listed(avid)
    newest, oldest = listed[10][2], listed[60][2]
    since, until = (datetime.fromtimestamp(seconds, UTC) for seconds in (oldest, newest))
    expected = [row[0] for row in listed if oldest <= row[2] <= newest]
    assert listed[10][0] in expected
    assert listed[60][0] in expected
    read = [photo_id for page in flickr.favorites(avid, since=since, until=until) for photo_id in page.photo_ids]
    assert read == expected


@pytest.mark.parametrize("added", [1, 7])
def test_a_list_that_shifts_back_while_it_is_read_loses_nothing(
    sandbox: Any, flickr: Flickr, world: Any, avid: str, monkeypatch: pytest.MonkeyPatch, added: int
) -> None:
    monkeypatch.setattr(flickr_module, "FAVORITES_PER_PAGE", 10)
    expected = {row[0] for row in sandbox.listed(avid)}
    ever = {
        world.photo_ids[photo] for photo in world.favorites.photo[world.favorites.user == world.user_ids.index(avid)]
    }
    signed = sandbox.sign_in(avid)
    new = [
        photo_id
        for photo_id, owner, uploaded in zip(world.photo_ids, world.photo_owner, world.photo_uploaded_at, strict=True)
        if photo_id not in ever and world.user_ids[owner] != avid and uploaded < world.config.end.timestamp()
    ][:added]
    pages = flickr.favorites(avid)
    read = [*next(pages).photo_ids, *next(pages).photo_ids]
    for photo_id in new:
        signed.favorites.add(photo_id=photo_id)
    try:
        read += [photo_id for page in pages for photo_id in page.photo_ids]
    finally:
        for photo_id in new:
            signed.favorites.remove(photo_id=photo_id)
    assert set(read) == expected
    assert len(read) == len(expected) + added  # the next page repeated so many


@pytest.fixture
def answering(sandbox_settings: Settings, quick_retries: None) -> Iterator[tuple[Flickr, list[str]]]:
    """A client of a Flickr that answers each call with the document in the list."""
    bodies: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = bodies[0].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    yield open_flickr(sandbox_settings.model_copy(update={"flickr_rest_url": address})), bodies
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "listing",
    [
        "null",
        "[]",
        '{"total": 1, "pages": 1, "photo": {"id": "52"}}',
        '{"total": 1, "pages": 1, "photo": null}',
        '{"total": "many", "pages": 1, "photo": []}',
        '{"total": 1e999, "pages": 1, "photo": []}',
        '{"pages": 1, "photo": []}',
    ],
)
def test_a_document_that_is_no_list_is_an_unavailable_flickr(answering: tuple[Flickr, list[str]], listing: str) -> None:
    flickr, bodies = answering
    bodies.append(f'{{"stat": "ok", "photos": {listing}}}')
    with pytest.raises(FlickrUnavailableError, match="something unreadable"):
        flickr.favorites_window("7@N01", None)


def test_contacts_without_an_id_are_left_out(answering: tuple[Flickr, list[str]]) -> None:
    flickr, bodies = answering
    contacts = [
        {"nsid": "7@N01", "username": "Mara"},
        {"username": "nobody"},
        "x",
        {"nsid": "8@N01", "iconserver": "?"},
    ]
    document = {"stat": "ok", "contacts": {"total": 4, "pages": 1, "contact": contacts}}
    bodies.append(json.dumps(document))
    assert [contact.user_id for contact in flickr.contacts("9@N01")] == ["7@N01", "8@N01"]
