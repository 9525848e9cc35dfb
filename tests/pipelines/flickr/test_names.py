"""Reading whom a text names: however an address is written, the person in it; else a clear no with an example."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInputError
from pipelines.flickr.errors import UserNotFoundError, error_of, not_found
from pipelines.flickr.names import EXAMPLE, Named, read_user

SITE = "www.flickr.com"
NSIDS = st.from_regex(r"[0-9]{5,12}@N0[0-9]", fullmatch=True)
ALIASES = st.from_regex(r"[a-z][a-z0-9_-]{3,20}", fullmatch=True).filter(
    lambda alias: alias not in {"tags", "upload", "organize", "search", "friends"}
)
SCHEMES = st.sampled_from(["", "http://", "https://", "HTTPS://", "http:/", "https//", "https;//", "http: //", "//"])
HOSTS = st.sampled_from(["flickr.com", "www.flickr.com", "m.flickr.com", "WWW.Flickr.COM", "secure.flickr.com"])
ENDS = st.sampled_from(
    ["", "/", "/53000000000/in/dateposted/", "/albums/72157", "/?page=2", "#comments", "/with/1/#x", "//", " / ", ","]
)
SPACES = st.sampled_from(["", " ", "\n", "\u200b", " \u202a", "\ufeff"])


@given(
    who=st.one_of(NSIDS, ALIASES),
    scheme=SCHEMES,
    host=HOSTS,
    kind=st.sampled_from(["photos", "people", "Photos"]),
    end=ENDS,
    before=SPACES,
    after=SPACES,
    quoted=st.booleans(),
)
def test_however_an_address_is_written_the_person_in_it_is_read(
    who: str, scheme: str, host: str, kind: str, end: str, before: str, after: str, quoted: bool
) -> None:
    written = who.replace("@", "%40") if quoted else who
    named = read_user(f"{before}{scheme}{host}/{kind}/{written}{end}{after}", SITE)
    assert named == Named("nsid" if "@" in who else "alias", who)


@given(nsid=NSIDS, before=st.sampled_from(["", "@", " @"]), lower=st.booleans(), quoted=st.booleans(), after=SPACES)
def test_an_id_is_read_with_an_at_before_it_in_lower_case_and_quoted(
    nsid: str, before: str, lower: bool, quoted: bool, after: str
) -> None:
    text = nsid.lower() if lower else nsid
    text = text.replace("@", "%40") if quoted else text
    assert read_user(f"{before}{text}{after}", SITE) == Named("nsid", nsid)


@given(text=st.one_of(st.text(max_size=80), st.builds("flickr.com/{}/{}".format, st.text(), st.text())))
def test_whatever_is_typed_it_names_somebody_or_is_refused_with_an_example(text: str) -> None:
    try:
        named = read_user(text, SITE)
    except InvalidInputError as error:
        assert error.field == "q"
        assert f"try one like {EXAMPLE}" in error.message
    else:
        assert named.value.isprintable()
        # What becomes part of an address that Flickr is asked about is one part of it.
        assert named.kind == "name" or not re.search(r"[/?#\\\s]", named.value)
        assert named.kind != "nsid" or read_user(named.value, SITE) == named


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("@anna", Named("name", "anna")),
        ("Ansel Adams", Named("name", "Ansel Adams")),
        ("m.flickr.com/#/photos/anna/123", Named("alias", "anna")),
        ("flickr.com/gp/12345678@N04/7s4hG1", Named("nsid", "12345678@N04")),
        ("photos/anna/", Named("alias", "anna")),
        ("<https://www.flickr.com/photos/anna>", Named("alias", "anna")),
        ("flickr.com/photos/anna and more", Named("alias", "anna")),
    ],
)
def test_what_people_paste_beside_addresses_is_read(text: str, named: Named) -> None:
    assert read_user(text, SITE) == named


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("https://flic.kr/p/2kabc", "short link"),
        ("https://live.staticflickr.com/65535/5300_ab_z.jpg", "address of a picture"),
        ("https://www.flickr.com/groups/sea/", "no person's"),
        ("https://www.flickr.com/photos/me/", "no person's"),
        ("https://example.com/photos/anna/", "no address at Flickr"),
        ("https://www.flickr.com@example.com/photos/anna/", "no address at Flickr"),
        ("flickr.com/photos/a%2Fb", "no user's name"),
        ("@", "names nobody"),
    ],
)
def test_what_names_nobody_is_told_what_it_is(text: str, what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        read_user(text, SITE)


def test_somebody_unknown_and_somebody_who_left_are_told_apart() -> None:
    def told(code: int) -> UserNotFoundError:
        error = error_of("flickr.people.getInfo", code, "…")
        assert isinstance(error, UserNotFoundError)
        return not_found(Named("nsid", "1@N01"), error)

    assert "knows no user with the ID 1@N01" in told(1).message
    assert EXAMPLE in told(1).message
    assert told(5).message == "“1@N01” has deleted the account at Flickr"
    assert (told(1).deleted, told(5).deleted) == (False, True)
