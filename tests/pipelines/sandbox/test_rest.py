"""The REST methods, called by the real `flickrapi`, against the world that the server has."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import flickrapi
import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st


def code_of(call: Callable[[], object]) -> int:
    with pytest.raises(flickrapi.FlickrError) as raised:
        call()
    return int(raised.value.code)


def listed(
    client: flickrapi.FlickrAPI, user_id: str, per_page: int = 500, **parameters: object
) -> list[dict[str, Any]]:
    """All favorites, page after page until an empty one."""
    photos: list[dict[str, Any]] = []
    for page in range(1, 10_000):
        answer = client.favorites.getPublicList(user_id=user_id, per_page=per_page, page=page, **parameters)
        if not answer["photos"]["photo"]:
            return photos
        photos += answer["photos"]["photo"]
    raise AssertionError("no end of pages")


def test_favorites_are_all_those_of_the_world_that_stand_now_and_newest_first(sandbox, world, favorites_at):
    client = sandbox.flickr()
    for user in range(0, len(world.user_ids), 7):
        photos = listed(client, world.user_ids[user])
        assert [(p["id"], p["date_faved"]) for p in photos] == favorites_at(user, time.time())


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(per_page=st.integers(1, 700))
def test_any_page_size_lists_the_same_favorites(sandbox, world, per_page):
    user = world.user_ids[5]
    answer = sandbox.flickr().favorites.getPublicList(user_id=user, per_page=per_page)["photos"]
    assert answer["perpage"] == min(per_page, 500)
    assert answer["pages"] == -(-answer["total"] // answer["perpage"])
    photos = listed(sandbox.flickr(), user, per_page)
    assert len(photos) == answer["total"]
    assert photos == listed(sandbox.flickr(), user)


def test_a_page_after_the_last_is_empty(sandbox, world):
    answer = sandbox.flickr().favorites.getPublicList(user_id=world.user_ids[0], page=9_999)["photos"]
    assert answer["photo"] == []
    assert answer["total"] > 0


def test_min_and_max_fave_date_bound_the_list_inclusively(sandbox, world, favorites_at, most_active):
    everything = favorites_at(most_active, time.time())
    newest, oldest = everything[3][1], everything[20][1]
    photos = listed(sandbox.flickr(), world.user_ids[most_active], min_fave_date=oldest, max_fave_date=newest)
    assert [(p["id"], p["date_faved"]) for p in photos] == [f for f in everything if oldest <= f[1] <= newest]


def test_a_photo_carries_only_the_extras_that_were_asked_for(sandbox, world):
    user = world.user_ids[0]
    plain = listed(sandbox.flickr(), user)[0]
    assert set(plain) == {
        *("id", "owner", "secret", "server", "farm", "title", "ispublic", "isfriend", "isfamily", "date_faved")
    }
    rich = listed(
        sandbox.flickr(), user, extras="owner_name,date_upload,tags,path_alias,o_dims,url_m,media,unheard_of"
    )[0]
    assert set(rich) - set(plain) == {
        *("ownername", "dateupload", "tags", "pathalias", "o_width", "o_height", "media", "media_status"),
        *("url_m", "width_m", "height_m"),
    }
    photo = world.photo_ids.index(rich["id"])
    owner = int(world.photo_owner[photo])
    assert (rich["owner"], rich["ownername"]) == (world.user_ids[owner], world.user_names[owner])
    assert rich["pathalias"] == (world.user_aliases[owner] or None)
    assert rich["dateupload"] == str(world.photo_uploaded_at[photo])


def test_sizes_keep_the_shape_of_the_original(sandbox, world, most_active):
    extras = "o_dims,url_sq,url_t,url_m,url_n,url_z,url_c,url_l"
    for photo in listed(sandbox.flickr(), world.user_ids[most_active], extras=extras)[:50]:
        assert (photo["width_sq"], photo["height_sq"]) == (75, 75)
        for suffix, longest in {"t": 100, "m": 240, "n": 320, "z": 640, "c": 800, "l": 1024}.items():
            width, height = photo[f"width_{suffix}"], photo[f"height_{suffix}"]
            assert max(width, height) == longest
            assert width / height == pytest.approx(photo["o_width"] / photo["o_height"], rel=0.03)


def test_get_list_is_the_callers_own_unless_somebody_else_is_named(sandbox, world):
    me, other = world.user_ids[1], world.user_ids[2]
    signed = sandbox.sign_in(me, "read")
    own = signed.favorites.getList(per_page=500)["photos"]
    assert own["photo"] == sandbox.flickr().favorites.getPublicList(user_id=me, per_page=500)["photos"]["photo"]
    named = signed.favorites.getList(user_id=other)["photos"]
    assert named["photo"] == sandbox.flickr().favorites.getPublicList(user_id=other)["photos"]["photo"]
    assert code_of(lambda: sandbox.flickr().favorites.getList()) == 1


def test_contacts_are_those_of_the_world(sandbox, world):
    for user in (0, 10, len(world.user_ids) - 1):
        answer = sandbox.flickr().contacts.getPublicList(user_id=world.user_ids[user])["contacts"]
        expected = {world.user_ids[row] for row in world.contacts[[user]].tocoo().coords[1]}
        assert {contact["nsid"] for contact in answer["contact"]} == expected
        assert answer["total"] == len(answer["contact"]) == len(expected)
        for contact in answer["contact"]:
            assert contact["username"] == world.user_names[world.user_ids.index(contact["nsid"])]


def test_people_are_found_by_id_name_and_address(sandbox, world):
    client = sandbox.flickr()
    row = next(row for row, alias in enumerate(world.user_aliases) if alias)
    user_id, name, alias = world.user_ids[row], world.user_names[row], world.user_aliases[row]
    person = client.people.getInfo(user_id=user_id)["person"]
    assert (person["nsid"], person["username"]["_content"], person["path_alias"]) == (user_id, name, alias)
    assert client.people.findByUsername(username=name.upper())["user"]["nsid"] == user_id
    for address in (
        f"https://www.flickr.com/photos/{alias}/",
        f"http://flickr.com/people/{user_id}",
        f"{sandbox.url}/photos/{alias}/52000000000/in/dateposted/",
    ):
        assert client.urls.lookupUser(url=address)["user"]["id"] == user_id


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.people.getInfo(user_id="1@N00"),
        lambda client: client.people.getInfo(),
        lambda client: client.people.findByUsername(username="nobody at all"),
        lambda client: client.urls.lookupUser(url="https://www.flickr.com/photos/nobody-at-all/"),
        lambda client: client.urls.lookupUser(url="https://www.flickr.com/explore"),
        lambda client: client.favorites.getPublicList(user_id="1@N00"),
        lambda client: client.contacts.getPublicList(user_id="1@N00"),
        lambda client: client.photos.getInfo(photo_id="1"),
        lambda client: client.photos.getSizes(photo_id="1"),
    ],
)
def test_what_is_unknown_is_code_1(sandbox, call):
    assert code_of(lambda: call(sandbox.flickr())) == 1


def test_photo_info_tells_owner_title_tags_and_whether_the_caller_favors_it(sandbox, world, favorites_at, most_active):
    photo_id = favorites_at(most_active, time.time())[0][0]
    photo = sandbox.sign_in(world.user_ids[most_active], "read").photos.getInfo(photo_id=photo_id)["photo"]
    assert photo["owner"]["nsid"] == world.user_ids[world.photo_owner[world.photo_ids.index(photo_id)]]
    assert photo["isfavorite"] == 1
    assert photo["title"]["_content"]
    assert photo["tags"]["tag"]
    assert photo["urls"]["url"][0]["_content"].endswith(f"/{photo_id}/")
    assert sandbox.flickr().photos.getInfo(photo_id=photo_id)["photo"]["isfavorite"] == 0


def test_a_favorite_added_is_the_newest_and_gone_when_removed(sandbox, world):
    me = world.user_ids[4]
    client = sandbox.sign_in(me)
    before = listed(client, me)
    taken = {p["id"] for p in before}
    photo_id = next(
        photo_id
        for photo_id, owner in zip(world.photo_ids, world.photo_owner, strict=True)
        if photo_id not in taken and owner != 4
    )
    assert client.favorites.add(photo_id=photo_id) == {"stat": "ok"}
    after = listed(client, me)
    assert after[0]["id"] == photo_id
    assert abs(int(after[0]["date_faved"]) - time.time()) < 10
    assert after[1:] == before
    assert code_of(lambda: client.favorites.add(photo_id=photo_id)) == 3
    assert client.favorites.remove(photo_id=photo_id) == {"stat": "ok"}
    assert listed(client, me) == before
    assert code_of(lambda: client.favorites.remove(photo_id=photo_id)) == 1


def test_what_may_not_be_favored(sandbox, world):
    owner = int(world.photo_owner[0])
    client = sandbox.sign_in(world.user_ids[owner])
    assert code_of(lambda: client.favorites.add(photo_id=world.photo_ids[0])) == 2
    assert code_of(lambda: client.favorites.add(photo_id="1")) == 1
    assert code_of(lambda: sandbox.flickr().favorites.add(photo_id=world.photo_ids[0])) == 99
    reader = sandbox.sign_in(world.user_ids[owner], "read")
    assert code_of(lambda: reader.favorites.add(photo_id=world.photo_ids[0])) == 99


def test_login_names_the_user_of_the_token(sandbox, world):
    user = sandbox.sign_in(world.user_ids[3], "read").test.login()["user"]
    assert (user["id"], user["username"]["_content"]) == (world.user_ids[3], world.user_names[3])
    assert code_of(lambda: sandbox.flickr().test.login()) == 99


def test_an_unknown_method_is_code_112_and_a_wrong_key_100(sandbox, world):
    assert code_of(lambda: sandbox.flickr().galleries.getList()) == 112
    assert sandbox.call("flickr.people.getInfo", user_id=world.user_ids[0]).json()["stat"] == "ok"
    for key in ("another", ""):
        answer = sandbox.call("flickr.people.getInfo", user_id=world.user_ids[0], api_key=key)
        assert (answer.status_code, answer.json()["code"]) == (200, 100)


def test_xml_is_the_format_unless_json_is_asked_for(sandbox, world):
    client = sandbox.flickr(format="etree")
    photos = client.favorites.getPublicList(user_id=world.user_ids[0], per_page=500).findall("photos/photo")
    assert [p.get("id") for p in photos] == [p["id"] for p in listed(sandbox.flickr(), world.user_ids[0])]
    assert client.people.getInfo(user_id=world.user_ids[0]).findtext("person/username") == world.user_names[0]
    assert code_of(lambda: client.people.getInfo(user_id="1@N00")) == 1
    wrapped = sandbox.call("flickr.people.getInfo", user_id=world.user_ids[0], nojsoncallback="").text
    assert re.fullmatch(r"jsonFlickrApi\(\{.*\}\)", wrapped)


def test_people_come_visitors_first_with_their_favorites(sandbox, world):
    people = sandbox.get("/sandbox/people")
    assert {p["user_id"] for p in people} == set(world.user_ids)
    assert [p["visitor"] for p in people] == sorted((p["visitor"] for p in people), reverse=True)
    assert sandbox.get("/sandbox/people?limit=3") == people[:3]
    untouched = next(p for p in people if p["visitor"])
    assert len(listed(sandbox.flickr(), untouched["user_id"])) == untouched["favorites"]
    assert httpx.get(f"{sandbox.url}/sandbox/people?limit=x").json()["error"]["field"] == "limit"
