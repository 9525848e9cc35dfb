"""The body of a message: what was asked for comes out again, and anything else is told apart as poison."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInputError
from pipelines.budget.windows import Purpose
from pipelines.queue.requests import MOST_BYTES, Kind, Priority, PullRequest

ANY_REQUEST = st.builds(
    PullRequest,
    user_id=st.text(min_size=1, max_size=128),
    kind=st.sampled_from(Kind),
    reason=st.text(min_size=1, max_size=32),
    priority=st.sampled_from(Priority),
    correlation_id=st.text(max_size=64),
)
FITTING: dict[str, Any] = {
    "version": 1,
    "user_id": "12037949754@N01",
    "kind": "favorites",
    "reason": "visit",
    "priority": 0,
    "correlation_id": "c",
}


@given(ANY_REQUEST)
def test_what_was_asked_for_comes_out_again(request: PullRequest) -> None:
    assert PullRequest.parse(request.body()) == request


@given(ANY_REQUEST)
def test_no_request_is_too_long_for_its_own_limit(request: PullRequest) -> None:
    assert len(request.body().encode()) < MOST_BYTES


def test_each_request_can_be_followed_by_an_id_of_its_own() -> None:
    first, second = (PullRequest(user_id="a", kind=Kind.CONTACTS, reason="visit", priority=Priority(0)) for _ in "12")
    assert first.correlation_id != second.correlation_id


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "everything"}, "kind"),
        ({"kind": None}, "kind"),
        ({"user_id": 12}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "1" * 129}, "user_id"),
        ({"user_id": ["12037949754@N01"]}, "user_id"),
        ({"reason": ""}, "reason"),
        ({"priority": 4}, "priority"),
        ({"priority": "0"}, "priority"),
        ({"version": 2}, "version"),
        ({"version": "1"}, "version"),
        ({"version": int("9" * 4_000)}, "version"),
        ({"because": "of a field that nobody knows"}, "because"),
    ],
    ids=str,
)
def test_a_field_that_does_not_fit_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInputError, match=field) as refused:
        PullRequest.parse(json.dumps({**FITTING, **change}))
    assert refused.value.field == field
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("field", ["user_id", "kind", "reason", "priority"])
def test_a_field_that_is_missing_is_named(field: str) -> None:
    with pytest.raises(InvalidInputError, match="required") as refused:
        PullRequest.parse(json.dumps({name: value for name, value in FITTING.items() if name != field}))
    assert refused.value.field == field


@pytest.mark.parametrize("body", ["", "{", "null", "[]", "12", '"text"', "<html>", json.dumps([FITTING]), "9" * 5_000])
def test_what_is_no_json_object_is_refused_as_a_whole(body: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        PullRequest.parse(body)
    assert refused.value.field == "body"


def test_a_body_of_300_kb_is_refused_by_its_size() -> None:
    with pytest.raises(InvalidInputError, match=r"300,\d{3} bytes"):
        PullRequest.parse(json.dumps({**FITTING, "reason": "x" * 300_000}))


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_no_text_raises_anything_else(body: str) -> None:
    with pytest.raises(InvalidInputError):
        PullRequest.parse(body)


def test_a_pull_is_paid_from_the_share_of_whom_it_is_for() -> None:
    assert {priority: priority.purpose for priority in Priority} == {
        Priority.PERSON: Purpose.PERSON,
        Priority.NEIGHBOR: Purpose.PERSON,
        Priority.REFRESH: Purpose.REFRESH,
        Priority.ANONYMOUS: Purpose.ANONYMOUS,
    }
