"""Misbehaviour on request: what each fault looks like to a client, how often it comes, and which rules are refused."""

from __future__ import annotations

import flickrapi
import httpx
import pytest
import requests
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines.sandbox.faults import KINDS, ONLY_FAVORITES, Faults

LIST = "flickr.favorites.getPublicList"
INFO = "flickr.people.getInfo"


def page_of(sandbox, user_id, page=1, per_page=10):
    return sandbox.call(LIST, user_id=user_id, page=page, per_page=per_page).json()["photos"]


def pages_of(sandbox, user_id, per_page=10):
    """Ids of the photos of each page, up to the first empty one."""
    pages = []
    while ids := [photo["id"] for photo in page_of(sandbox, user_id, len(pages) + 1, per_page)["photo"]]:
        pages.append(ids)
    return pages


def hits(faults, count, method=INFO):
    return [faults.draw(method) is not None for _ in range(count)]


def ruled(*rules, seed=0):
    faults = Faults()
    faults.set({"seed": seed, "rules": list(rules)})
    return faults


@pytest.fixture
def addable(sandbox, world):
    """Signs user 8 in; gives the client, the user's id, and a photo that they may add. Takes it back in the end."""
    user_id = world.user_ids[8]
    taken = {photo for photo, _, _ in sandbox.listed(user_id)}
    photo_id = next(
        photo
        for photo, owner in zip(world.photo_ids, world.photo_owner, strict=True)
        if owner != 8 and photo not in taken
    )
    client = sandbox.sign_in(user_id)
    yield client, user_id, photo_id
    sandbox.faults()
    client.favorites.remove(photo_id=photo_id)


# What a client meets


def test_too_many_requests_is_429_with_the_wait(sandbox, world):
    sandbox.faults({"kind": "too_many_requests", "retry_after": 7})
    answer = sandbox.call(INFO, user_id=world.user_ids[0])
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


def test_bad_gateway_is_502_with_html(sandbox, world):
    sandbox.faults({"kind": "bad_gateway"})
    answer = sandbox.call(INFO, user_id=world.user_ids[0])
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (502, "text/html")
    assert "502 Bad Gateway" in answer.text


def test_html_comes_with_200(sandbox, world):
    sandbox.faults({"kind": "html"})
    answer = sandbox.call(INFO, user_id=world.user_ids[0])
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_fail_is_stat_fail_with_the_code_asked_for(sandbox, world):
    sandbox.faults({"kind": "fail", "code": 10})
    with pytest.raises(flickrapi.FlickrError) as raised:
        sandbox.flickr().people.getInfo(user_id=world.user_ids[0])
    assert raised.value.code == 10


def test_an_expired_token_is_met_by_signed_calls_alone(sandbox, world):
    client = sandbox.sign_in(world.user_ids[3], "read")
    sandbox.faults({"kind": "expired_token"})
    with pytest.raises(flickrapi.FlickrError) as raised:
        client.test.login()
    assert raised.value.code == 98
    assert sandbox.call(INFO, user_id=world.user_ids[0]).json()["stat"] == "ok"


def test_truncated_json_breaks_off_and_the_call_is_carried_out_all_the_same(sandbox, addable):
    client, user_id, photo_id = addable
    sandbox.faults({"kind": "truncated_json", "times": 1})
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        client.favorites.add(photo_id=photo_id)
    assert photo_id in {photo for photo, _, _ in sandbox.listed(user_id)}


def test_a_hang_answers_late_and_the_call_is_carried_out_at_once(sandbox, addable):
    client, user_id, photo_id = addable
    impatient = sandbox.flickr(client.token_cache.token, timeout=0.3)
    sandbox.faults({"kind": "hang", "seconds": 5, "times": 1})
    with pytest.raises(requests.exceptions.ReadTimeout):
        impatient.favorites.add(photo_id=photo_id)
    assert photo_id in {photo for photo, _, _ in sandbox.listed(user_id)}


def test_while_one_call_hangs_others_are_answered(sandbox, world):
    sandbox.faults({"kind": "hang", "seconds": 5, "times": 1})
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(sandbox.rest_url, params={"method": INFO}, timeout=0.2)
    assert sandbox.call(INFO, user_id=world.user_ids[0]).elapsed.total_seconds() < 3


def test_short_pages_hide_the_end_from_who_trusts_the_count_of_pages(sandbox, avid):
    whole = [photo for photo, _, _ in sandbox.listed(avid)]
    sandbox.faults({"kind": "short_pages"})
    first = page_of(sandbox, avid)
    pages = pages_of(sandbox, avid)
    assert first["total"] == len(whole)
    assert len(first["photo"]) < first["perpage"] == 10
    assert len(pages) > first["pages"]
    assert [photo for page in pages for photo in page] == whole


def test_an_empty_page_comes_between_full_ones(sandbox, avid):
    sandbox.faults({"kind": "empty_page"})
    first, second = page_of(sandbox, avid, 1), page_of(sandbox, avid, 2)
    last = page_of(sandbox, avid, first["pages"])
    assert [bool(page["photo"]) for page in (first, second, last)] == [True, False, True]
    assert second["total"] == first["total"]


def test_a_wrong_total_claims_a_third_more_than_there_is(sandbox, avid):
    there = len(sandbox.listed(avid))
    sandbox.faults({"kind": "wrong_total"})
    answer = page_of(sandbox, avid)
    assert answer["total"] == there + -(-there // 3)
    assert answer["pages"] == -(-answer["total"] // 10)
    assert sum(len(page) for page in pages_of(sandbox, avid)) == there


def test_a_bad_entry_lacks_its_owner_and_the_others_are_whole(sandbox, avid):
    sandbox.faults({"kind": "bad_entry"})
    for number in (1, 2):
        first, *others = page_of(sandbox, avid, number)["photo"]
        assert "owner" not in first
        assert {"id", "date_faved"} <= first.keys()
        assert all("owner" in photo for photo in others)


@pytest.mark.parametrize("kind", ONLY_FAVORITES)
def test_what_is_wrong_with_lists_of_favorites_leaves_other_calls_alone(sandbox, world, kind):
    plain = sandbox.call("flickr.contacts.getPublicList", user_id=world.user_ids[0], per_page=3).json()
    sandbox.faults({"kind": kind})
    assert sandbox.call("flickr.contacts.getPublicList", user_id=world.user_ids[0], per_page=3).json() == plain


def test_every_kind_is_counted_as_what_it_is(sandbox, world):
    for kind in ("too_many_requests", "bad_gateway", "html", "truncated_json", "hang"):
        before = sandbox.get("/sandbox/calls")["methods"].get(INFO, {}).get(kind, 0)
        sandbox.faults({"kind": kind, "seconds": 0.01})
        sandbox.call(INFO, user_id=world.user_ids[0])
        assert sandbox.get("/sandbox/calls")["methods"][INFO][kind] == before + 1


def test_pictures_and_sign_in_stay_well(sandbox, world):
    sandbox.faults({"kind": "bad_gateway"})
    assert httpx.get(f"{sandbox.url}/pictures/{world.photo_ids[0]}_m.svg").status_code == 200
    sandbox.flickr().get_request_token(oauth_callback="oob")


# How often


def test_without_rules_nothing_goes_wrong(sandbox, world):
    sandbox.faults({"kind": "bad_gateway"})
    sandbox.faults()
    assert sandbox.get("/sandbox/faults") == {"seed": 0, "rules": []}
    assert sandbox.call(INFO, user_id=world.user_ids[0]).status_code == 200


def test_the_same_seed_hits_the_same_calls(sandbox, world):
    def answers(seed):
        sandbox.faults({"kind": "bad_gateway", "rate": 0.4}, {"kind": "html", "rate": 0.2}, seed=seed)
        calls = [sandbox.call(INFO, user_id=world.user_ids[0]) for _ in range(40)]
        return [(call.status_code, call.headers["content-type"]) for call in calls]

    once = answers(5)
    assert len(set(once)) == 3
    assert answers(5) == once
    assert answers(6) != once


@hypothesis_settings(max_examples=25)
@given(rate=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_the_rate_is_the_share_of_calls_that_are_hit(rate, seed):
    assert sum(hits(ruled({"kind": "html", "rate": rate}, seed=seed), 2_000)) / 2_000 == pytest.approx(rate, abs=0.06)


def test_the_rate_of_short_pages_is_a_share_of_users_and_all_pages_of_one_are_cut_alike():
    faults = ruled({"kind": "short_pages", "rate": 0.3})
    cut = [{faults.draw(LIST, subject=f"{user}@N00") is not None for _ in range(5)} for user in range(1_000)]
    assert all(len(answers) == 1 for answers in cut)
    assert sum(True in answers for answers in cut) / 1_000 == pytest.approx(0.3, abs=0.06)


def test_times_bounds_how_often_a_rule_applies(sandbox, world):
    sandbox.faults({"kind": "bad_gateway", "times": 2})
    answers = [sandbox.call(INFO, user_id=world.user_ids[0]).status_code for _ in range(4)]
    assert answers == [502, 502, 200, 200]
    assert sandbox.get("/sandbox/faults")["rules"][0]["times"] == 0


def test_times_are_used_up_by_hits_alone():
    faults = ruled({"kind": "html", "rate": 0.2, "times": 3}, seed=1)
    assert sum(hits(faults, 200)) == 3


def test_a_rule_can_be_for_one_method(sandbox, world):
    sandbox.faults({"kind": "bad_gateway", "method": LIST})
    assert sandbox.call(INFO, user_id=world.user_ids[0]).status_code == 200
    assert sandbox.call(LIST, user_id=world.user_ids[0]).status_code == 502


def test_the_first_rule_that_applies_wins():
    faults = ruled({"kind": "html", "method": INFO}, {"kind": "fail", "times": 1}, {"kind": "bad_gateway"})
    assert [faults.draw(INFO).kind, faults.draw(LIST).kind, faults.draw(LIST).kind] == ["html", "fail", "bad_gateway"]


# What is refused


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"kind": "earthquake"}, "kind"),
        ({"kind": "html", "rate": 1.1}, "rate"),
        ({"kind": "html", "rate": -0.1}, "rate"),
        ({"kind": "html", "rate": "often"}, "rate"),
        ({"kind": "html", "rate": True}, "rate"),
        ({"kind": "html", "times": -1}, "times"),
        ({"kind": "html", "times": 1.5}, "times"),
        ({"kind": "html", "times": True}, "times"),
        ({"kind": "html", "method": "favorites"}, "method"),
        ({"kind": "html", "method": 5}, "method"),
        ({"kind": "fail", "code": "105"}, "code"),
        ({"kind": "hang", "seconds": -1}, "seconds"),
        ({"kind": "too_many_requests", "retry_after": None}, "retry_after"),
        ({"kind": "html", "how_often": 3}, "rules"),
        ({"rate": 0.5}, "rules"),
        ("html", "rules"),
    ],
)
def test_an_impossible_rule_is_refused_with_the_field_and_the_rules_in_force_stay(sandbox, rule, field):
    sandbox.faults({"kind": "bad_gateway", "times": 9})
    before = sandbox.get("/sandbox/faults")
    refused = sandbox.put("/sandbox/faults", {"rules": [{"kind": "fail"}, rule]})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, field)
    assert sandbox.get("/sandbox/faults") == before


@pytest.mark.parametrize(
    ("body", "field"),
    [(b"{", "rules"), (b"[]", "rules"), (b'{"rules": 3}', "rules"), (b'{"rules": [], "seed": "x"}', "seed")],
)
def test_an_impossible_document_is_refused_with_the_field(sandbox, body, field):
    refused = httpx.put(f"{sandbox.url}/sandbox/faults", content=body)
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, field)


def test_an_unknown_kind_is_answered_with_those_that_there_are(sandbox):
    message = sandbox.put("/sandbox/faults", {"rules": [{"kind": "earthquake"}]}).json()["error"]["message"]
    for kind in KINDS:
        assert kind in message
