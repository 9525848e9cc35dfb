"""The cursor carries what was shown, whatever happens between two pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import InvalidInputError
from serving.ranking.cursor import MAX_SHOWN, MarkIndex, decode_cursor, encode_cursor, mark


@given(st.frozensets(st.integers(0, 2**24 - 1), max_size=200))
def test_decoding_gives_back_what_was_encoded(marks: frozenset[int]) -> None:
    assert decode_cursor(encode_cursor(marks)) == marks


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_clear_error(text: str) -> None:
    try:
        assert len(decode_cursor(text)) <= MAX_SHOWN
    except InvalidInputError as error:
        assert error.field == "cursor"


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "%%%%", encode_cursor([1])[:-1], "é" * 8])
def test_a_damaged_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInputError, match="cursor"):
        decode_cursor(cursor)


def test_the_longest_cursor_fits_into_an_address_of_8_kb() -> None:
    longest = encode_cursor(range(MAX_SHOWN))
    assert len(longest) < 7500
    assert len(decode_cursor(longest)) == MAX_SHOWN


def test_a_cursor_longer_than_the_longest_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        decode_cursor(encode_cursor(range(MAX_SHOWN + 1)))


@given(st.lists(st.from_regex(r"[0-9]{1,12}", fullmatch=True), unique=True, max_size=50), st.data())
def test_the_index_finds_every_row_of_the_marks_and_no_other(photo_ids: list[str], data: st.DataObject) -> None:
    shown = {mark(p) for p in data.draw(st.sets(st.sampled_from(photo_ids)) if photo_ids else st.just(set()))}
    rows = MarkIndex(photo_ids).rows(shown)
    assert sorted(rows) == [row for row, photo_id in enumerate(photo_ids) if mark(photo_id) in shown]
