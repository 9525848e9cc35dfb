"""The digest of what a training read: of the rows alone, however they came."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from training.tracking import LakeInput, digest_of_rows

ids = st.one_of(st.none(), st.text(max_size=3))
moments = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
rows = st.lists(st.tuples(ids, ids, st.integers(-(2**31), 2**31), st.one_of(st.none(), moments)), max_size=12)

SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("photo_id", pa.string()),
        ("rank", pa.int64()),
        ("at", pa.timestamp("us", tz="UTC")),
    ]
)


def table(entries: list[tuple[object, ...]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, entry, strict=True)) for entry in entries], SCHEMA)


@given(rows, st.randoms(), st.integers(0, 12))
def test_neither_order_nor_chunks_matter(entries: list[tuple[object, ...]], random: st.random.Random, cut: int) -> None:
    shuffled = random.sample(entries, len(entries))
    in_chunks = pa.concat_tables([table(shuffled[:cut]), table(shuffled[cut:])])
    assert digest_of_rows(table(entries)) == digest_of_rows(in_chunks)


@given(rows, rows)
def test_other_rows_have_another_digest(a: list[tuple[object, ...]], b: list[tuple[object, ...]]) -> None:
    same = sorted(map(repr, a)) == sorted(map(repr, b))
    assert (digest_of_rows(table(a)) == digest_of_rows(table(b))) == same


def test_values_swapped_between_rows_are_other_rows() -> None:
    a = table([("1", "x", 0, None), ("2", "y", 0, None)])
    b = table([("1", "y", 0, None), ("2", "x", 0, None)])
    assert digest_of_rows(a) != digest_of_rows(b)


def test_nothing_is_not_the_text_of_nothing() -> None:
    assert digest_of_rows(table([(None, "x", 0, None)])) != digest_of_rows(table([("None", "x", 0, None)]))


def test_an_input_knows_its_version_and_its_rows() -> None:
    some = table([("1", "x", 0, None)])
    found = LakeInput.of("interactions", "s3://lake/interactions", 17, some)
    assert (found.rows, found.digest) == (1, f"v17-{digest_of_rows(some)}")
    assert len(LakeInput.of("interactions", "", 10**7 - 1, some).digest) <= 36
