"""Committing listings: into every table, exactly once, whoever else commits and wherever it was killed before."""

from __future__ import annotations

import itertools
import multiprocessing
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from features.database import open_database, pull_cursors
from features.errors import DependencyError
from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, QUARANTINE, USERS, LakeTable
from features.settings import Settings
from features.state import STATE_COLUMNS, interaction_state
from pipelines.flickr.answers import Person, Photo, Rejected
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import Reason, bury_photos
from pipelines.pull import commit as commit_module
from pipelines.pull.commit import commit, shard_of
from pipelines.pull.cursors import Cursor, read_cursors
from pipelines.pull.fetch import Fetched
from pipelines.pull.ingest import Added
from pipelines.pull.listing import Listing
from pipelines.pull.sweep import Window

MORNING = datetime(2026, 11, 24, 8, tzinfo=UTC)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TABLES = (INTERACTIONS, PHOTOS, USERS, CONTACTS)


def listed(user: str, *photos: str, contacts: Sequence[str] | None = None, at: datetime = NOON) -> Fetched:
    """What a fetch of the user's favorites brings: photos of `o`, favored in the morning."""
    listing = Listing(
        user_id=user,
        observed_at=at,
        photo_ids=list(photos),
        owner_ids=["o"] * len(photos),
        faved_at=[int(MORNING.timestamp())] * len(photos),
        contacts=None if contacts is None else [Person(contact, contact.upper()) for contact in contacts],
    )
    pulled_at = None if contacts is None else at
    return Fetched(listing, Cursor(user, MORNING if photos else None, at, pulled_at, favorites=len(photos)))


def following(user: str, *contacts: str, at: datetime = NOON) -> Fetched:
    """What a fetch of the user's contacts alone brings."""
    people = [Person(contact, contact.upper()) for contact in contacts]
    return Fetched(Listing(user, at, contacts=people), Cursor(user, contacts_pulled_at=at), favorites=False)


def photo(photo_id: str, owner: str = "o") -> Photo:
    return Photo(
        photo_id=photo_id,
        owner=Person(owner, owner.upper()),
        title="Sea",
        image_url=f"https://pictures.example/{photo_id}.jpg",
        sizes={},
        page_url=f"https://flickr.example/{photo_id}",
        width=None,
        height=None,
        tags=None,
        safety_level=0,
        uploaded_at=MORNING,
    )


PULLED = [listed("u", "p", "q", contacts=["a"]), listed("v", "p", contacts=[])]
DETAILS = [photo("p"), photo("q")]

Commit = Callable[..., Added]


@pytest.fixture
def put(lake: Lake, engine: sa.Engine, settings: Settings) -> Commit:
    """`commit` into the test's lake."""

    def run(batch: Sequence[Fetched], photos: Sequence[Photo] = (), into: Lake = lake, **options: Any) -> Added:
        return commit(into, engine, settings, batch, photos, **options)

    return run


@pytest.fixture(params=["folder", "s3"])
def uri(request: pytest.FixtureRequest, settings: Settings) -> str:
    """Where a lake may be: in a folder, or in a bucket of the emulator."""
    if request.param == "folder":
        return settings.lake_uri
    return f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"


def contents(lake: Lake) -> dict[str, list[dict[str, object]]]:
    """All raw rows, without the time of their ingestion."""

    def rows(table: LakeTable) -> list[dict[str, object]]:
        names = [name for name in table.schema.names if name not in ("created_timestamp", "ingest_date")]
        return sorted(lake.scan(table, columns=names).to_pylist(), key=str)

    return {table.name: rows(table) for table in TABLES}


def pairs(lake: Lake) -> list[tuple[str, str]]:
    """(user, photo) of each raw row of the interactions, sorted."""
    rows = lake.scan(INTERACTIONS)
    return sorted(zip(rows.column("user_id").to_pylist(), rows.column("photo_id").to_pylist(), strict=True))


def favorites(lake: Lake) -> set[tuple[str, str]]:
    state = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS)).favorites
    return set(zip(state.column("user_id").to_pylist(), state.column("photo_id").to_pylist(), strict=True))


# One after the other.


def test_a_commit_adds_to_every_table_says_how_much_and_moves_the_cursors(
    put: Commit, uri: str, engine: sa.Engine
) -> None:
    lake = Lake(uri)
    assert put(PULLED, DETAILS, into=lake) == Added(interactions=3, photos=2, users=2, contacts=1)
    assert {name: len(rows) for name, rows in contents(lake).items()} == {
        "interactions": 3,
        "photos": 2,
        "users": 2,
        "contacts": 1,
    }
    assert read_cursors(engine, ["u", "v"]) == {fetched.listing.user_id: fetched.cursor for fetched in PULLED}


def test_committing_again_adds_nothing(put: Commit, uri: str) -> None:
    lake = Lake(uri)
    put(PULLED, DETAILS, into=lake)
    before, versions = contents(lake), lake.versions()
    assert put(PULLED, DETAILS, into=lake) == Added()
    assert put(PULLED[::-1], DETAILS[:1], into=Lake(uri)) == Added()
    assert (contents(lake), lake.versions()) == (before, versions)


def test_an_empty_commit_makes_no_table(put: Commit, lake: Lake) -> None:
    assert put([]) == Added()
    assert put([listed("u")]) == Added()
    assert lake.versions() == {}


def test_the_person_pulled_is_known_by_name(put: Commit, lake: Lake) -> None:
    fetched = listed("u", "p")
    put([replace(fetched, listing=replace(fetched.listing, person=Person("u", "Ute", "ute")))])
    (row,) = lake.scan(USERS, where=pc.field("user_id") == "u").to_pylist()
    assert (row["name"], row["path_alias"]) == ("Ute", "ute")


def test_what_is_taken_back_and_what_can_not_be_used_is_counted(put: Commit, lake: Lake) -> None:
    put([listed("u", "p", "q")], DETAILS)
    fetched = listed("u", "q", at=NOON + timedelta(hours=1))
    swept = replace(fetched.listing, window=Window(None, NOON), rejected=[Rejected("owner is missing", "{}")])
    assert put([replace(fetched, listing=swept)]) == Added(interactions=1, unfavorites=1, quarantined=1)
    assert favorites(lake) == {("u", "q")}
    assert lake.scan(QUARANTINE).column("subject_id").to_pylist() == ["u"]


@pytest.mark.parametrize("order", [1, -1])
def test_favorites_and_contacts_fetched_apart_do_not_undo_each_others_cursor(
    put: Commit, engine: sa.Engine, order: int
) -> None:
    put([listed("u", "p", contacts=["a"], at=MORNING)])
    both = [listed("u", "p", "q"), following("u", "b", at=NOON + timedelta(seconds=1))]
    for fetched in both[::order]:
        put([fetched])
    cursor = read_cursors(engine, ["u"])["u"]
    assert (cursor.favorites, cursor.favorites_pulled_at) == (2, NOON)
    assert cursor.contacts_pulled_at == NOON + timedelta(seconds=1)


def test_what_two_messages_asked_for_at_once_is_added_once(put: Commit, lake: Lake, engine: sa.Engine) -> None:
    """A request that became urgent is two messages, and both listings may end in one batch."""
    later = NOON + timedelta(seconds=1)
    twice = [listed("u", "p", "q", at=later), following("u", "a", at=later), listed("u", "p"), following("u", "a")]
    assert put(twice, DETAILS) == Added(interactions=2, photos=2, users=2, contacts=1)
    assert pairs(lake) == [("u", "p"), ("u", "q")]
    cursor = read_cursors(engine, ["u"])["u"]
    assert (cursor.favorites_pulled_at, cursor.contacts_pulled_at, cursor.favorites) == (later, later, 2)


def test_the_log_of_the_lake_tells_which_requests_a_commit_was_for(put: Commit, lake: Lake) -> None:
    put(PULLED, DETAILS, correlation_ids={"b-2", "", "a-1"})
    for table in TABLES:
        delta = lake.delta_table(table)
        assert delta is not None
        assert delta.history(1)[0]["correlation_ids"] == "a-1,b-2"


class TestKeptOut:
    def test_who_was_erased_comes_back_neither_as_user_nor_as_owner_nor_as_contact(
        self, put: Commit, lake: Lake, engine: sa.Engine, settings: Settings
    ) -> None:
        for erased in ("x", "o"):
            Suppression(settings, engine).suppress(erased)
        mine = Listing("u", NOON, ["p", "q"], ["o", "y"], [1, 2], contacts=[Person("x", "X"), Person("y", "Y")])
        added = put([listed("x", "q"), Fetched(mine, Cursor("u", NOON, NOON, NOON))], [photo("p"), photo("q", "y")])
        assert added == Added(interactions=1, photos=1, users=1, contacts=1)
        for table in TABLES:
            told = {value for row in lake.scan(table).to_pylist() for value in row.values()}
            assert not told & {"x", "o", "p"}
        assert set(read_cursors(engine, ["u", "x"])) == {"u"}

    def test_a_photo_that_was_taken_down_stays_out_and_one_that_had_vanished_may_return(
        self, put: Commit, lake: Lake, engine: sa.Engine
    ) -> None:
        bury_photos(engine, ["p"], Reason.TAKEDOWN)
        bury_photos(engine, ["q"], Reason.VANISHED)
        put([listed("u", "p", "q")], DETAILS)
        assert pairs(lake) == [("u", "q")]
        assert lake.scan(PHOTOS).column("photo_id").to_pylist() == ["q"]


# Killed.


@pytest.fixture
def undisturbed(tmp_path: Path, settings: Settings) -> Iterator[tuple[Lake, sa.Engine]]:
    """The lake and the cursors that one commit of all this leaves."""
    lake, engine = Lake(str(tmp_path / "undisturbed")), open_database(f"sqlite:///{tmp_path / 'undisturbed.db'}")
    commit(lake, engine, settings, PULLED, DETAILS)
    yield lake, engine
    engine.dispose()


@pytest.mark.parametrize("written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_commit_killed_at_any_table_is_completed_by_the_next_and_leaves_nothing_dangling(
    put: Commit,
    lake: Lake,
    engine: sa.Engine,
    undisturbed: tuple[Lake, sa.Engine],
    monkeypatch: pytest.MonkeyPatch,
    table: LakeTable,
    written: bool,
) -> None:
    append = lake.append

    def dying(into: LakeTable, rows: pa.Table, **options: Any) -> bool:
        if into is table and not written:
            raise DependencyError("killed")
        done = append(into, rows, **options)
        if into is table:
            raise DependencyError("killed")
        return done

    monkeypatch.setattr(lake, "append", dying)
    with pytest.raises(DependencyError, match="killed"):
        put(PULLED, DETAILS)
    half = contents(lake)
    assert {row["photo_id"] for row in half["interactions"]} <= {row["photo_id"] for row in half["photos"]}
    assert {row["owner_id"] for row in half["interactions"]} <= {row["user_id"] for row in half["users"]}
    assert read_cursors(engine, ["u", "v"]) in ({}, {"u": Cursor("u"), "v": Cursor("v")})
    put(PULLED, DETAILS, into=Lake(lake.uri))
    assert contents(lake) == contents(undisturbed[0])
    assert read_cursors(engine, ["u", "v"]) == read_cursors(undisturbed[1], ["u", "v"])


def test_a_commit_killed_before_the_cursors_is_repeated_without_a_row(
    put: Commit,
    lake: Lake,
    engine: sa.Engine,
    undisturbed: tuple[Lake, sa.Engine],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise DependencyError("killed")

    monkeypatch.setattr(commit_module, "write_cursors", killed)
    with pytest.raises(DependencyError, match="killed"):
        put(PULLED, DETAILS)
    monkeypatch.undo()
    assert put(PULLED, DETAILS) == Added()
    assert contents(lake) == contents(undisturbed[0])
    assert read_cursors(engine, ["u", "v"]) == read_cursors(undisturbed[1], ["u", "v"])


# At once.


class AtOnce(Lake):
    """A lake as one of several workers sees it, who all have looked before any of them appends interactions."""

    def __init__(self, uri: str, everybody: threading.Barrier) -> None:
        super().__init__(uri)
        self._everybody = everybody
        self._first = True

    def append(self, table: LakeTable, rows: pa.Table, **options: Any) -> bool:
        if table is INTERACTIONS and self._first:
            self._first = False
            self._everybody.wait(30)
        return super().append(table, rows, **options)


def at_once(uri: str, engine: sa.Engine, settings: Settings, batches: Sequence[Sequence[Fetched]]) -> Added:
    """Commit each batch in a thread of its own, with a lake of its own; all that was added."""
    together = threading.Barrier(len(batches))
    lakes = [AtOnce(uri, together) for _ in batches]
    added: list[Added] = []

    def work(lake: Lake, batch: Sequence[Fetched]) -> None:
        added.append(commit(lake, engine, settings, batch, ()))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(lakes, batches, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(added) == len(batches)
    return sum(added, Added())


@pytest.mark.parametrize("known", [False, True], ids=["never seen", "pulled before"])
def test_workers_with_the_same_listing_add_it_once(
    put: Commit, uri: str, engine: sa.Engine, settings: Settings, known: bool
) -> None:
    if known:
        put([listed("u", "p", at=MORNING)], into=Lake(uri))
    added = at_once(uri, engine, settings, [[listed("u", "p", "q", "r")]] * 3)
    assert added.interactions == 3 - known
    assert pairs(Lake(uri)) == [("u", "p"), ("u", "q"), ("u", "r")]


def neighbors_in_a_shard() -> tuple[str, str]:
    """Two users of one shard."""
    seen: dict[str, str] = {}
    for number in itertools.count():
        user = f"{number}@N01"
        if (other := seen.setdefault(shard_of(user), user)) != user:
            return other, user
    raise AssertionError


def test_workers_with_different_users_of_one_shard_add_each_once(
    uri: str, engine: sa.Engine, settings: Settings
) -> None:
    first, second = neighbors_in_a_shard()
    batches = [[listed(first, "p", "q")], [listed(second, "p")], [listed(first, "p", "q"), listed(second, "p")]]
    assert at_once(uri, engine, settings, batches).interactions == 3
    assert pairs(Lake(uri)) == sorted([(first, "p"), (first, "q"), (second, "p")])
    assert set(read_cursors(engine, [first, second])) == {first, second}


def test_workers_whose_users_are_of_different_shards_do_not_repeat_each_others_work(
    uri: str, engine: sa.Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    compute = commit_module.new_interactions
    monkeypatch.setattr(commit_module, "new_interactions", lambda *arguments: (looks.append(1), compute(*arguments))[1])
    assert shard_of("1@N01") != shard_of("2@N01")
    assert at_once(uri, engine, settings, [[listed("1@N01", "p")], [listed("2@N01", "p")]]).interactions == 2
    assert len(looks) == 2


def _in_a_process(settings: Settings, barrier: Any, results: Any) -> None:
    engine = open_database(settings.database_url)
    lake = Lake(settings.lake_uri)
    barrier.wait(60)
    results.put(commit(lake, engine, settings, PULLED, ()).interactions)
    engine.dispose()


def test_processes_with_the_same_listings_add_them_once(lake: Lake, engine: sa.Engine, settings: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    workers = [context.Process(target=_in_a_process, args=(settings, barrier, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    added = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert sum(added) == 3
    assert pairs(lake) == [("u", "p"), ("u", "q"), ("v", "p")]


def test_a_table_at_which_every_commit_is_lost_is_given_up_and_the_cursor_stays(
    put: Commit, lake: Lake, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = lake.append
    monkeypatch.setattr(commit_module, "ATTEMPTS", 3)
    monkeypatch.setattr(
        lake, "append", lambda table, rows, **more: table is not INTERACTIONS and append(table, rows, **more)
    )
    with pytest.raises(DependencyError, match=r"interactions .* too busy: 3 commits lost"):
        put([listed("u", "p")])
    assert read_cursors(engine, ["u"]) == {"u": Cursor("u")}


# Whatever comes.

SOMEBODY = itertools.count()
LOOKS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sets(st.sampled_from("pqrs")), st.booleans(), st.booleans()), max_size=6
)


@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(looks=LOOKS)
def test_however_listings_come_and_are_repeated_each_favorite_is_one_row(
    put: Commit, lake: Lake, engine: sa.Engine, looks: list[tuple[str, set[str], bool, bool]]
) -> None:
    """Each look lists some photos; some are delivered twice, some to a worker that dies before the cursor moves."""
    example = next(SOMEBODY)
    seen: set[tuple[str, str]] = set()
    for number, (name, photos, twice, dies) in enumerate(looks):
        user = f"{name}{example}"
        fetched = listed(user, *sorted(photos), at=NOON + timedelta(minutes=number))
        before = read_cursors(engine, [user])
        put([fetched] * (2 if twice else 1))
        if dies:
            with engine.begin() as connection:
                connection.execute(sa.delete(pull_cursors).where(pull_cursors.c.user_id == user))
                rows = [vars(cursor) for cursor in before.values()] or [vars(Cursor(user))]
                connection.execute(sa.insert(pull_cursors), rows)
            put([fetched], into=Lake(lake.uri))
        seen |= {(user, photo_id) for photo_id in photos}
    assert [pair for pair in pairs(lake) if pair[0][1:] == str(example)] == sorted(seen)
