"""Which rows of a file are favorites: each is judged by itself, and told why it is none.

Vectorized over a batch, since a file may have tens of millions of rows and nearly all of them are good.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from features.schema import TIMESTAMP
from pipelines.sources.import_formats import IDS, REQUIRED, RawRows
from pipelines.sources.source import PHOTO_ID_LENGTH, USER_ID_LENGTH, namespaced

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""What is dated before is no date: zeros and other fillers come out there."""

CLOCK_SKEW = timedelta(minutes=5)
VALUE_LENGTH = 500
TEXT_LENGTH = 2_000
LENGTHS = {"user_id": USER_ID_LENGTH, "photo_id": PHOTO_ID_LENGTH, "owner_id": USER_ID_LENGTH}

GOOD = pa.schema(
    [
        ("user_id", pa.string()),
        ("photo_id", pa.string()),
        ("owner_id", pa.string()),
        ("faved_at", TIMESTAMP),
        ("title", pa.string()),
        ("image_url", pa.string()),
        ("page_url", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("tags", pa.string()),
        ("owner_name", pa.string()),
    ]
)

_CONTROL = r"[\x00-\x1f\x7f]"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rejected:
    """Rows that are no favorites, parallel.

    subject_ids: the user as the lake would have it, "" when there is none; payloads: what stood there, as JSON, a line
    that is no row as `text`; each value cut at VALUE_LENGTH characters.
    """

    subject_ids: list[str]
    reasons: list[str]
    payloads: list[str]


@dataclass(frozen=True)
class Checked:
    """good: rows by the schema GOOD, ids with their namespace, null where the file tells nothing."""

    good: pa.Table
    rejected: Rejected


def check(raw: RawRows, *, namespace: str, now: datetime) -> Checked:
    """Judge a batch. A missing owner or date is no fault; details that make no sense count as not given."""
    table = raw.columns
    n = table.num_rows
    verdicts = _Verdicts(n)
    columns: dict[str, pa.Array] = {}
    for name in table.column_names:
        column = _flat(table.column(name))
        if name == "faved_at":
            columns[name], unreadable = _moments(column)
            verdicts.give(unreadable, "faved_at is no date")
        else:
            columns[name], undecodable = _text(column)
            verdicts.give(undecodable & (name in IDS), f"{name} is no UTF-8")
    ids = {name: pc.utf8_trim_whitespace(columns[name]) for name in IDS if name in columns}
    room = len(namespaced(namespace, ""))
    for name, values in ids.items():
        length = pc.utf8_length(values)
        if name in REQUIRED:
            verdicts.give(_true(pc.equal(pc.fill_null(length, 0), 0)), f"{name} is missing")
        verdicts.give(_true(pc.greater(length, LENGTHS[name] - room)), f"{name} is too long")
        verdicts.give(_true(pc.match_substring_regex(values, _CONTROL)), f"{name} has control characters")
    if "faved_at" in columns:
        moments = columns["faved_at"]
        verdicts.give(_true(pc.greater(moments, pa.scalar(now + CLOCK_SKEW, TIMESTAMP))), "faved_at is in the future")
        verdicts.give(_true(pc.less(moments, pa.scalar(EARLIEST, TIMESTAMP))), f"faved_at is before {EARLIEST.year}")
    if "owner_id" in ids:
        verdicts.give(_true(pc.equal(ids["user_id"], ids["owner_id"])), "own photo")
    prefix = namespaced(namespace, "")
    for name, values in ids.items():
        known = pc.if_else(pc.equal(values, ""), None, values)
        columns[name] = pc.binary_join_element_wise(prefix, known, "") if prefix else known
    for name in ("image_url", "page_url"):
        if name in columns:
            columns[name] = _addresses(columns[name])
    for name in ("width", "height"):
        if name in columns:
            columns[name] = _pixels(columns[name])
    for name in ("title", "tags", "owner_name"):
        if name in columns:
            columns[name] = _short(columns[name])
    arrays = [columns.get(field.name, pa.nulls(n, field.type)).cast(field.type) for field in GOOD]
    good = pa.Table.from_arrays(arrays, schema=GOOD).filter(pa.array(verdicts.codes == 0))
    return Checked(good, _rejected(raw, verdicts, columns["user_id"]))


class _Verdicts:
    """Why each row is rejected: the first reason that applies to it."""

    def __init__(self, n: int) -> None:
        self.codes = np.zeros(n, dtype=np.int8)
        self.words: list[str] = []

    def give(self, mask: Mask, words: str) -> None:
        self.words.append(words)
        self.codes[(self.codes == 0) & mask] = len(self.words)


def _rejected(raw: RawRows, verdicts: _Verdicts, user_ids: pa.Array) -> Rejected:
    places = np.flatnonzero(verdicts.codes)
    rows = raw.columns.take(pa.array(places)).to_pylist()
    subjects = ((user_id or "")[:USER_ID_LENGTH] for user_id in user_ids.take(pa.array(places)).to_pylist())
    count = len(raw.malformed)
    return Rejected(
        [*subjects, *("" for _ in range(count))],
        [*(verdicts.words[verdicts.codes[place] - 1] for place in places), *["row can't be read"] * count],
        [*map(_payload, rows), *(_payload({"text": text}) for text in raw.malformed)],
    )


def _payload(row: dict[str, Any]) -> str:
    return orjson.dumps({name: _told(value) for name, value in row.items() if value is not None}).decode()


def _told(value: Any) -> str | int | float:
    if isinstance(value, int | float):
        return value
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text[:VALUE_LENGTH]


def _flat(column: pa.ChunkedArray) -> pa.Array:
    joined = column.combine_chunks()
    joined = joined if isinstance(joined, pa.Array) else pa.concat_arrays(joined.chunks)
    return joined.dictionary_decode() if pa.types.is_dictionary(joined.type) else joined


def _true(mask: pa.Array) -> Mask:
    """Where it is true: neither false nor unknown."""
    return np.asarray(pc.fill_null(mask, False))


def _text(column: pa.Array) -> tuple[pa.Array, Mask]:
    """As strings (of a list, its parts with blanks between), and where the bytes are no UTF-8 (null there)."""
    if pa.types.is_list(column.type) and pa.types.is_string(column.type.value_type):
        column = pc.binary_join(column, " ")
    try:
        return column.cast(pa.string()), np.zeros(len(column), dtype=bool)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        values = [_decoded(value) for value in column.to_pylist()]
    texts = pa.array(values, pa.string())
    return texts, _true(pc.and_(texts.is_null(), column.is_valid()))


def _decoded(value: Any) -> str | None:
    if not isinstance(value, bytes):
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


def _moments(column: pa.Array) -> tuple[pa.Array, Mask]:
    """Moments (timestamp[us, UTC]), null where none is given or none can be read; and where none can be read.

    Timestamps and dates, numbers as unix seconds, text as either ISO 8601 or unix seconds; what names no zone is UTC.
    """
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        moments = column.cast(pa.timestamp("us", tz=getattr(kind, "tz", None)), safe=False).cast(TIMESTAMP)
        return moments, np.zeros(len(column), dtype=bool)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        seconds = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        given = ~np.isnan(seconds)
        return _of_seconds(seconds), given & ~(np.abs(seconds) < _SECONDS_LIMIT)
    texts, undecodable = _text(column)
    texts = pc.utf8_trim_whitespace(texts)
    given = _true(pc.not_equal(texts, "")) | undecodable
    numeric = pc.match_substring_regex(texts, r"^-?\d{1,15}(\.\d*)?$")
    seconds = pc.if_else(numeric, texts, None).cast(pa.float64()).to_numpy(zero_copy_only=False)
    dated = pc.if_else(pc.match_substring_regex(texts, r"^\d{4}-\d{2}-\d{2}"), texts, None)
    written = pd.to_datetime(dated.to_pandas(), format="ISO8601", utc=True, errors="coerce")
    moments = pc.coalesce(_of_seconds(seconds), pa.array(written).cast(TIMESTAMP, safe=False))
    return moments, given & _true(moments.is_null())


_SECONDS_LIMIT = 1e11
"""Beyond (the year 5138) it is no count of seconds: milliseconds, most likely."""


def _of_seconds(seconds: npt.NDArray[np.float64]) -> pa.Array:
    with np.errstate(invalid="ignore"):
        fits = np.abs(seconds) < _SECONDS_LIMIT
    micros = np.rint(np.where(fits, seconds, 0.0) * 1e6).astype(np.int64)
    return pa.array(micros, mask=~fits).cast(TIMESTAMP)


def _addresses(texts: pa.Array) -> pa.Array:
    """Those that a browser may be sent to; anything else (`javascript:` among it) counts as not given."""
    usable = pc.match_substring_regex(texts, r"^https?://[^\s\"'<>]+$", ignore_case=True)
    return pc.if_else(pc.and_(usable, pc.less_equal(pc.utf8_length(texts), TEXT_LENGTH)), texts, None)


def _pixels(texts: pa.Array) -> pa.Array:
    whole = pc.replace_substring_regex(texts, r"\.0+$", "")
    return pc.if_else(pc.match_substring_regex(whole, r"^[1-9]\d{0,5}$"), whole, None).cast(pa.int32())


def _short(texts: pa.Array) -> pa.Array:
    trimmed = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(texts), 0, TEXT_LENGTH)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)
