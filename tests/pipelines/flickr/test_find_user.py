"""Finding the user that a person means: whatever is pasted is found, or said to be unreadable in the field `q`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.errors import InvalidInputError
from pipelines.flickr.client import UserNotFoundError, open_flickr


@pytest.fixture
def row(world) -> int:
    """Of a user with an alias that is nobody's name."""
    names = {name.lower() for name in world.user_names}
    return next(row for row, alias in enumerate(world.user_aliases) if alias and alias not in names)


@pytest.mark.parametrize(
    "text",
    [
        "{nsid}",
        "  {nsid}\n",
        "{name}",
        "{upper_name}",
        "{alias}",
        "https://www.flickr.com/photos/{nsid}/",
        "https://www.flickr.com/people/{alias}",
        "http://flickr.com/photos/{alias}/52000000000/in/dateposted/",
        "https://m.flickr.com/photos/{quoted_nsid}/?page=2#comments",
        "www.flickr.com/photos/{alias}",
        "FLICKR.com/people/{nsid}/",
        "{sandbox}/photos/{alias}/",
        "{sandbox_host}/people/{alias}/",
    ],
)
def test_a_user_is_found_by_id_address_name_and_alias(sandbox, flickr, world, row, text):
    nsid = world.user_ids[row]
    text = text.format(
        nsid=nsid,
        quoted_nsid=nsid.replace("@", "%40"),
        name=world.user_names[row],
        upper_name=world.user_names[row].upper(),
        alias=world.user_aliases[row],
        sandbox=sandbox.url,
        sandbox_host=sandbox.url.removeprefix("http://"),
    )
    found = flickr.find_user(text)
    assert (found.user_id, found.name, found.path_alias) == (nsid, world.user_names[row], world.user_aliases[row])


def test_a_name_in_another_script_is_found(flickr, world):
    name = next(name for name in world.user_names if not name.isascii())
    assert flickr.find_user(name).name == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "two\nlines",
        "a\x00b",
        "x" * 501,
        "https://www.flickr.com/",
        "https://www.flickr.com/explore",
        "https://www.flickr.com/photos/",
        "https://www.flickr.com/photos/tags/sea/",
        "https://www.flickr.com/groups/sea/",
        "https://example.com/photos/12037949754@N01/",
        "https://notflickr.com/photos/12037949754@N01/",
        "https://flickr.com.example.com/photos/12037949754@N01/",
        "http://[::1/photos/12037949754@N01/",
        "ftp://",
        "www.",
    ],
)
def test_what_names_no_user_is_refused_in_the_field_q_without_a_call(sandbox, flickr, text):
    before = sandbox.get("/sandbox/calls")["total"]
    with pytest.raises(InvalidInputError, match=r"try one like https://www\.flickr\.com/photos/") as raised:
        flickr.find_user(text)
    assert raised.value.field == "q"
    assert sandbox.get("/sandbox/calls")["total"] == before


@pytest.mark.parametrize(
    "text",
    ["1@N00", "nobody at all", "https://www.flickr.com/photos/nobody-at-all/", "https://flickr.com/people/1@N00"],
)
def test_what_could_be_a_user_but_is_none_is_not_found(flickr, text):
    with pytest.raises(UserNotFoundError):
        flickr.find_user(text)


def test_the_real_site_does_not_take_another_hosts_address_for_its_own(sandbox, sandbox_settings):
    real_site = sandbox_settings.model_copy(update={"flickr_site_url": "https://www.flickr.com"})
    with pytest.raises(InvalidInputError):
        open_flickr(real_site).find_user(f"{sandbox.url}/photos/12037949754@N01/")


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.one_of(
        st.text(max_size=40),
        st.builds("{}{}".format, st.sampled_from(["https://www.flickr.com/", "flickr.com/photos/", "//"]), st.text()),
    )
)
def test_whatever_is_typed_the_answer_is_a_user_or_a_clear_no(flickr, text):
    try:
        found = flickr.find_user(text)
    except (InvalidInputError, UserNotFoundError) as error:
        assert error.http_status in (404, 422)
    else:
        assert found.user_id
