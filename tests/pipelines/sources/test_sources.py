"""Flickr is a source like any other, and ids of two services never meet."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInputError
from pipelines.flickr.client import Flickr
from pipelines.sources.source import Source, check_namespace, namespace_of, namespaced, unknown_owner

namespaces = st.from_regex(r"[a-z][a-z0-9-]{0,15}", fullmatch=True).filter(lambda name: name != "unknown")
flickr_ids = st.one_of(st.from_regex(r"[0-9]{1,12}@N[0-9]{2}", fullmatch=True), st.integers(0).map(str))


def test_flickr_offers_what_is_asked_of_a_source(flickr: Flickr, sandbox: Any, avid: str) -> None:
    source: Source = flickr  # mypy holds the rest: every method with its types
    person = source.person(avid)
    page = next(iter(source.favorites(avid)))
    window = source.favorites_window(avid, None)
    assert person.user_id == avid
    assert len(page.photo_ids) == len(page.owner_ids) == len(page.faved_at) > 0
    assert list(window.photo_ids) == list(page.photo_ids)
    assert page.photo(0).photo_id == page.photo_ids[0] == source.photo(page.photo_ids[0]).photo_id
    assert all(contact.user_id for contact in source.contacts(avid))
    assert source.calls >= 5


@given(namespaces, st.text(min_size=1))
def test_an_id_tells_its_service(namespace: str, subject_id: str) -> None:
    assert namespace_of(namespaced(namespace, subject_id)) == namespace


@given(namespaces, st.text(min_size=1), flickr_ids)
def test_no_id_of_a_service_is_one_of_flickrs(namespace: str, subject_id: str, flickr_id: str) -> None:
    assert namespaced("", flickr_id) == flickr_id
    assert namespace_of(flickr_id) == ""
    assert namespaced(namespace, subject_id) != flickr_id


def test_an_unknown_owner_is_of_no_service_and_of_one_photo() -> None:
    owners = {unknown_owner("7"), unknown_owner("8"), unknown_owner("imgur:7")}
    assert len(owners) == 3
    assert {namespace_of(owner) for owner in owners} == {"unknown"}


@pytest.mark.parametrize("namespace", ["Imgur", "im gur", "a:b", "9gag", "x" * 17, "unknown", "ü"])
def test_a_namespace_that_ids_could_not_be_told_apart_by_is_refused(namespace: str) -> None:
    with pytest.raises(InvalidInputError, match="is no namespace") as caught:
        check_namespace(namespace)
    assert caught.value.field == "namespace"


@pytest.mark.parametrize("namespace", ["", "imgur", "px500", "a-1"])
def test_a_short_lower_case_name_is_a_namespace(namespace: str) -> None:
    check_namespace(namespace)
