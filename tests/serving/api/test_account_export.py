"""The download of everything that is held on a person: all of it, nobody else's, and nothing to impersonate them by."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from features.database import accounts, metadata, sessions
from features.lake import Lake
from features.online import USER_TABLES
from features.schema import TABLES
from pipelines.privacy.tombstones import Reason, bury_users
from serving.accounts.export import BYTES_AT_ONCE, SECRETS, WORDS, Part, archive, gather, own_column
from serving.api import account
from serving.runtime import Runtime
from tests.serving.conftest import NOW, Browser
from tests.serving.lived_in import ANNA, BEN, BENS_PHOTO, EVES_PHOTO, NAMES, browser_of, token_for

EXPORT = "/api/me/export"
ROOT = Path(__file__).parents[3]

Files = dict[str, list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def fresh_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for anything yet."""
    monkeypatch.setattr(account, "_window", MovingWindowRateLimiter(MemoryStorage()))


@pytest.fixture
def anna(lived_in: Runtime) -> Browser:
    return browser_of(lived_in, ANNA)


def unpacked(content: bytes) -> tuple[str, Files]:
    """The words for the person, and the rows of each file."""
    with ZipFile(io.BytesIO(content)) as folder:
        assert folder.testzip() is None
        texts = {name: folder.read(name).decode() for name in folder.namelist()}
    words = texts.pop("README.txt")
    return words, {
        name.removesuffix(".jsonl"): [json.loads(line) for line in text.splitlines()] for name, text in texts.items()
    }


def test_it_is_a_file_to_keep(anna: Browser) -> None:
    answer = anna.get(EXPORT)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    kept_as = answer.headers["Content-Disposition"]
    assert re.fullmatch(r'attachment; filename="photo-recommender-11111-N01-\d{4}-\d\d-\d\d\.zip"', kept_as)


def test_it_says_in_words_whose_it_is_and_what_each_file_holds(anna: Browser) -> None:
    words, files = unpacked(anna.get(EXPORT).content)
    assert words.startswith(f"What photo-recommender holds on {NAMES[ANNA]} ({ANNA}), as of 20")
    lines = {line.split()[0]: line.split()[1] for line in words.splitlines() if ".jsonl" in line}
    assert lines == {f"{name}.jsonl": str(len(rows)) for name, rows in files.items()}


def test_it_tells_what_holds_now_and_how_it_came_about(anna: Browser) -> None:
    _, files = unpacked(anna.get(EXPORT).content)
    assert {row["photo_id"] for row in files["favorites"]} == {BENS_PHOTO, EVES_PHOTO}
    assert files["favorites"][0]["faved_at"] == "2026-03-30T12:00:00Z"
    assert {row["photo_id"] for row in files["dismissed_photos"]} == {BENS_PHOTO, EVES_PHOTO}
    assert [row["user_id"] for row in files["dismissed_people"]] == ["44444@N04"]
    assert files["contacts"] == [{"user_id": BEN}]
    assert [row["kind"] for row in files["sql/actions"]] == ["dismiss_user", "dismiss_photo"]
    assert len(files["lake/interactions"]) == 3
    assert files["lake/impressions"][0]["shown_at"] == "2026-03-31T12:00:00Z"
    assert files["features/user_snapshot"][0]["contacts"] == [BEN]
    assert set(files["sql/sessions"][0]) == {"user_id", "created_at", "expires_at", "revoked_at"}


def test_nothing_in_it_lets_anybody_act_in_the_persons_name(anna: Browser, lived_in: Runtime) -> None:
    token, session = token_for(ANNA), anna.session()
    with lived_in.engine.connect() as connection:
        hashes = connection.scalars(sa.select(sessions.c.session_hash)).all()
    words, files = unpacked(anna.get(EXPORT).content)
    text = words + json.dumps(files)
    for secret in (token.token, token.secret, session["csrf_token"], anna.cookie, *hashes):
        assert secret not in text


def test_no_column_that_sounds_like_a_secret_is_in_it() -> None:
    theirs = [table for table in metadata.sorted_tables if own_column(table.columns.keys())]
    told = {name for table in theirs for name in table.columns.keys()} - SECRETS  # noqa: SIM118  (no dict)
    assert told
    assert not [name for name in told if re.search("token|secret|hash|cipher|key|password|digest", name)]


def test_whose_a_row_is_is_never_somebody_else(anna: Browser) -> None:
    _, files = unpacked(anna.get(EXPORT).content)
    for name, rows in files.items():
        if "/" in name:
            assert {row[own_column(row)] for row in rows} == {ANNA}, name


def test_all_that_an_erasure_would_remove_as_theirs_is_in_it(anna: Browser, lived_in: Runtime, lake: Lake) -> None:
    bury_users(lived_in.engine, [ANNA], Reason.DELETED)
    parts = gather(lived_in.engine, lake, lived_in.online, lived_in.recommender.state(ANNA))
    expected = [f"sql/{table.name}" for table in metadata.sorted_tables if own_column(table.columns.keys())]
    expected += [f"lake/{name}" for name in TABLES]
    expected += [f"features/{table.name}" for table in USER_TABLES]
    now = ["favorites", "dismissed_photos", "dismissed_people", "contacts"]
    assert sorted(part.name for part in parts) == sorted([*expected, *now])
    assert all(part.says for part in parts)


@pytest.mark.parametrize("name", [*WORDS, *(f"features/{table.name}" for table in USER_TABLES)])
def test_every_file_is_described_where_the_api_is(name: str) -> None:
    assert f"`{name}.jsonl`" in (ROOT / "docs/http.md").read_text()


def test_of_somebody_who_just_came_it_holds_the_account_and_the_session(lived_in: Runtime) -> None:
    with lived_in.engine.begin() as connection:
        connection.execute(sa.insert(accounts).values(user_id="55555@N05", name="Cai", created_at=NOW))
    _, files = unpacked(browser_of(lived_in, "55555@N05").get(EXPORT).content)
    assert set(files) == {"sql/accounts", "sql/sessions"}


def test_it_may_be_asked_for_a_few_times_an_hour_by_each_person(anna: Browser, lived_in: Runtime) -> None:
    for _ in range(account.EXPORTS_AN_HOUR):
        assert anna.get(EXPORT).status_code == 200
    answer = anna.get(EXPORT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_often")
    assert 0 < int(answer.headers["Retry-After"]) <= 3600
    assert browser_of(lived_in, BEN).get(EXPORT).status_code == 200


def test_a_store_that_fails_is_an_error_and_not_half_a_file(anna: Browser, lived_in: Runtime) -> None:
    for file in Path(lived_in.settings.lake_uri, "impressions").glob("*.parquet"):
        file.unlink()
    answer = anna.get(EXPORT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "dependency_failed")


# The archive


def test_it_is_sent_while_it_is_made() -> None:
    rows = pa.table({"photo_id": [f"{number * 7919 % 1_000_003}" for number in range(200_000)]})
    pieces = list(archive([Part("lake/photos", "many", rows)], "Anna", ANNA, NOW))
    assert len(pieces) > 3
    assert max(map(len, pieces)) < 2 * BYTES_AT_ONCE
    _, files = unpacked(b"".join(pieces))
    assert [row["photo_id"] for row in files["lake/photos"]] == rows.column("photo_id").to_pylist()


def some_rows() -> st.SearchStrategy[list[dict[str, Any]]]:
    values = (
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"]))
    )
    return st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), values), max_size=5)


@given(st.dictionaries(st.sampled_from(["favorites", "sql/actions", "lake/users"]), some_rows()))
def test_whatever_the_rows_hold_each_is_one_line(tables: Files) -> None:
    parts: Iterator[Part] = (Part(name, "some", rows) for name, rows in tables.items())
    _, files = unpacked_strictly(b"".join(archive(parts, "Ann\nä", ANNA, NOW)))
    assert files == tables


def unpacked_strictly(content: bytes) -> tuple[str, Files]:
    """As `unpacked`, with nothing but a line feed for the end of a line."""
    with ZipFile(io.BytesIO(content)) as folder:
        texts = {name: folder.read(name) for name in folder.namelist()}
    words = texts.pop("README.txt").decode()
    return words, {
        name.removesuffix(".jsonl"): [json.loads(line) for line in text.split(b"\n")[:-1]]
        for name, text in texts.items()
    }
