"""Numbering, histories and the temporal split."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS, Kind
from features.state import STATE_COLUMNS
from features.user_state import UserState
from tests.training.conftest import DAY, START, Row, append_to, interactions_of, log_of
from training.catalog import Catalog
from training.from_lake import (
    build_interactions,
    contacts_until,
    history_of,
    load_contacts,
    load_interactions,
    load_log,
    temporal_split,
    utc,
    with_contacts,
)
from training.interactions import History
from training.tracking import digest_of_rows


def test_photos_are_numbered_by_favorites_then_id() -> None:
    interactions = interactions_of({"u1": ["b", "c"], "u2": ["c"], "u3": ["a"]})
    assert interactions.catalog.photo_ids.tolist() == ["c", "a", "b"]
    assert interactions.photo_degrees.tolist() == [2, 1, 1]
    assert interactions.user_ids.tolist() == ["u1", "u2", "u3"]
    assert interactions.user_degrees.tolist() == [2, 1, 1]


def test_numbers_do_not_depend_on_the_order_of_the_log() -> None:
    rows: list[Row] = [(f"u{n % 3}", f"p{n}", f"o{n % 2}", Kind.FAVORITE, START + n) for n in range(9)]
    one, other = build_interactions(log_of(rows)), build_interactions(log_of(rows[::-1]))
    assert one.catalog.photo_ids.tolist() == other.catalog.photo_ids.tolist()
    assert one.catalog.owner_ids.tolist() == other.catalog.owner_ids.tolist()
    assert all(
        (a == b).all() for a, b in zip(vars(one.favorites).values(), vars(other.favorites).values(), strict=True)
    )


def test_a_photo_keeps_its_owner() -> None:
    interactions = interactions_of({"u1": ["a", "b"]}, owners={"a": "o1", "b": "o2"})
    assert dict(zip(interactions.catalog.photo_ids, interactions.catalog.owner_ids, strict=True)) == {
        "a": "o1",
        "b": "o2",
    }


def test_an_unknown_photo_has_row_minus_one() -> None:
    catalog = interactions_of({"u1": ["a", "b"]}).catalog
    assert catalog.rows(["b", "nothing", "a"]).tolist() == [1, -1, 0]
    assert catalog.rows([]).tolist() == []


def test_rows_of_owners_name_whose_they_are() -> None:
    catalog = Catalog(np.array(["a", "b", "c"], dtype=object), np.array(["x", "y", "x"], dtype=object))
    rows, positions = catalog.rows_of_owners(["nobody", "y", "x"])
    assert rows.tolist() == [1, 0, 2]
    assert positions.tolist() == [1, 2, 2]


def test_a_dismissed_person_puts_a_negative_on_each_photo_that_is_no_favorite() -> None:
    owners = {"a": "x", "b": "x", "c": "y"}
    favorites: list[Row] = [(u, p, owners[p], Kind.FAVORITE, START) for u, p in (("u1", "a"), ("u2", "b"), ("u2", "c"))]
    dismissal: Row = ("u1", "", "x", Kind.DISMISS_USER, START + 5)
    interactions = build_interactions(log_of([*favorites, dismissal]))
    history = interactions.history(0)
    named = interactions.catalog.photo_ids[history.photo_rows].tolist()
    assert list(zip(named, history.positive.tolist(), strict=True)) == [("a", True), ("b", False)]
    assert history.times.tolist() == [START, START + 5]


def test_a_favorite_that_is_dismissed_as_well_stays_a_favorite() -> None:
    interactions = interactions_of({"u1": ["a", "b"]}, dismissed={"u1": ["a"]})
    assert interactions.history(0).positive.tolist() == [True, True]


def test_a_dismissal_taken_back_is_none() -> None:
    rows: list[Row] = [
        ("u1", "a", "x", Kind.FAVORITE, START),
        ("u2", "b", "x", Kind.FAVORITE, START),
        ("u1", "b", "x", Kind.DISMISS_PHOTO, START + 1),
        ("u1", "b", "x", Kind.UNDISMISS_PHOTO, START + 2),
    ]
    assert len(build_interactions(log_of(rows)).dismissals) == 0


def test_a_state_gives_the_history_that_training_saw() -> None:
    rows: list[Row] = [
        ("u1", "a", "x", Kind.FAVORITE, START),
        ("u1", "c", "y", Kind.FAVORITE, START + 9),
        ("u2", "b", "x", Kind.FAVORITE, START),
        ("u2", "d", "y", Kind.FAVORITE, START),
        ("u1", "", "x", Kind.DISMISS_USER, START + 5),
        ("u1", "d", "y", Kind.DISMISS_PHOTO, START + 6),
    ]
    interactions = build_interactions(log_of(rows))
    state = UserState(
        user_id="u1",
        favorite_ids=("c", "a", "not in the catalog"),
        favorite_owners=("y", "x", "z"),
        favorite_times=(START + 9, START, START),
        dismissed_ids=("d",),
        dismissed_owners=("y",),
        dismissed_times=(START + 6,),
        dismissed_people=("x", "somebody"),
        dismissed_people_times=(START + 5, START),
    )
    served, trained = history_of(interactions.catalog, state), interactions.history(0)
    for name in ("photo_rows", "times", "positive"):
        assert getattr(served, name).tolist() == getattr(trained, name).tolist(), name
        assert getattr(served, name).dtype == getattr(trained, name).dtype, name


def test_nobody_has_an_empty_history() -> None:
    history = history_of(interactions_of({"u1": ["a"]}).catalog, UserState.empty("u9"))
    assert isinstance(history, History)
    assert len(history.photo_rows) == 0


def test_an_empty_lake_gives_empty_interactions(lake: Lake) -> None:
    interactions = load_interactions(lake)
    assert (interactions.n_users, interactions.n_photos, len(interactions.favorites)) == (0, 0, 0)
    assert interactions.lake_versions == {INTERACTIONS.name: -1}


def test_an_older_version_of_the_lake_can_be_read(lake: Lake, tmp_path: Path) -> None:
    for photo in ("a", "b"):
        rows = log_of([("u1", photo, "x", Kind.FAVORITE, START)])
        rows = rows.append_column("source", pa.array(["flickr"]))
        rows = rows.append_column("ingest_date", rows.column("created_timestamp").cast(pa.date32()))
        lake.append(INTERACTIONS, rows)
    newest = load_interactions(lake)
    before = load_interactions(lake, version=newest.lake_versions[INTERACTIONS.name] - 1)
    assert (newest.n_photos, before.n_photos) == (2, 1)


@pytest.mark.parametrize("at_once", [0, 10**9])
def test_the_log_is_what_the_lake_holds_whether_read_by_the_column_or_at_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr("training.from_lake.ROWS_AT_ONCE", at_once)
    for day in range(3):
        named = [(f"u{n % 7}", f"p{n * (day + 1)}", f"o{n}") for n in range(40)]
        append_to(lake, [(*names, Kind.FAVORITE, START + day * DAY) for names in named])
    log, version = load_log(lake)
    assert version == lake.version(INTERACTIONS)
    assert all(pa.types.is_dictionary(log.schema.field(name).type) for name in ("user_id", "photo_id", "kind"))
    held = lake.scan(INTERACTIONS, columns=STATE_COLUMNS)
    assert sorted(log.to_pylist(), key=str) == sorted(held.to_pylist(), key=str)
    assert digest_of_rows(log) == digest_of_rows(held)
    one, other = build_interactions(log), build_interactions(held)
    assert one.user_ids.tolist() == other.user_ids.tolist()
    assert one.catalog.photo_ids.tolist() == other.catalog.photo_ids.tolist()
    assert one.catalog.owner_ids.tolist() == other.catalog.owner_ids.tolist()
    for name, values in vars(one.favorites).items():
        assert values.tolist() == getattr(other.favorites, name).tolist(), name


def test_a_photo_that_sources_give_two_owners_has_the_smaller_name() -> None:
    rows: list[Row] = [("u1", "a", "y", Kind.FAVORITE, START), ("u2", "a", "x", Kind.FAVORITE, START)]
    assert build_interactions(log_of(rows)).catalog.owner_ids.tolist() == ["x"]


events = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "u3"]),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from([Kind.FAVORITE, Kind.FAVORITE, Kind.UNFAVORITE, Kind.DISMISS_PHOTO, Kind.DISMISS_USER]),
        st.integers(0, 20),
    ),
    max_size=40,
)


def rows_of(drawn: list[tuple[str, str, Kind, int]]) -> list[Row]:
    owner = {"a": "x", "b": "x", "c": "y", "d": "u1"}
    return [
        (user, "" if kind == Kind.DISMISS_USER else photo, owner[photo], kind, START + day * DAY)
        for user, photo, kind, day in drawn
    ]


@given(events, st.integers(0, 20))
def test_nothing_after_the_cut_changes_what_is_trained_on(drawn: list[tuple[str, str, Kind, int]], day: int) -> None:
    rows, cut = rows_of(drawn), utc(START + day * DAY)
    train = temporal_split(log_of(rows), cut).train
    alone = build_interactions(log_of([row for row in rows if row[4] <= START + day * DAY]))
    assert train.catalog.photo_ids.tolist() == alone.catalog.photo_ids.tolist()
    assert train.user_ids.tolist() == alone.user_ids.tolist()
    for events_of in ("favorites", "dismissals"):
        for name in ("users", "photos", "times"):
            assert (getattr(getattr(train, events_of), name) == getattr(getattr(alone, events_of), name)).all()
    assert train.data_until <= START + day * DAY


@given(events, st.integers(0, 20))
def test_what_is_asked_for_is_new_to_the_user_and_came_later(drawn: list[tuple[str, str, Kind, int]], day: int) -> None:
    rows, cut = rows_of(drawn), utc(START + day * DAY)
    split = temporal_split(log_of(rows), cut)
    later = {(user, photo) for user, photo, _, kind, at in rows if kind == Kind.FAVORITE and at > START + day * DAY}
    for user, photos in zip(split.test_users, split.test_photos, strict=True):
        assert len(photos) == len(set(photos.tolist())) > 0
        seen = set(split.train.history(user).photo_rows.tolist())
        for photo in photos.tolist():
            assert photo not in seen
            assert (split.train.user_ids[user], split.train.catalog.photo_ids[photo]) in later
    assert 0 <= split.reachable <= 1


def test_the_split_counts_what_could_not_be_known() -> None:
    rows: list[Row] = [
        ("u1", "a", "x", Kind.FAVORITE, START),
        ("u2", "b", "x", Kind.FAVORITE, START),
        ("u1", "b", "x", Kind.FAVORITE, START + 2 * DAY),
        ("u1", "new photo", "x", Kind.FAVORITE, START + 2 * DAY),
        ("new user", "a", "x", Kind.FAVORITE, START + 2 * DAY),
        ("u2", "a", "x", Kind.FAVORITE, START + 9 * DAY),
    ]
    cut = utc(START + DAY)
    split = temporal_split(log_of(rows), cut, until=cut + timedelta(days=2))
    assert split.train.user_ids[split.test_users].tolist() == ["u1"]
    assert [split.train.catalog.photo_ids[p].tolist() for p in split.test_photos] == [["b"]]
    assert split.reachable == 1 / 3


# Contacts


def follow(*rows: tuple[str, str, str, int]) -> pa.Table:
    """Rows of the table `contacts`: follower, followed, follow or unfollow, day."""
    columns = [[utc(START + day * DAY) for *_, day in rows]] * 2
    names = ["user_id", "contact_id", "kind", "event_timestamp", "created_timestamp"]
    values = [*([row[place] for row in rows] for place in range(3)), *columns]
    return pa.table(dict(zip(names, values, strict=True)), schema=CONTACTS.schema)


def test_contacts_are_those_still_followed_at_the_version_read(lake: Lake) -> None:
    lake.append(CONTACTS, follow(("u1", "u2", "follow", 0), ("u1", "u3", "follow", 0)))
    before = lake.version(CONTACTS)
    lake.append(CONTACTS, follow(("u1", "u2", "unfollow", 1)))
    now, version = load_contacts(lake)
    followed = {"user_id": "u1", "contact_id": "u3", "first_seen": utc(START)}
    assert (now.to_pylist(), version) == ([followed], lake.version(CONTACTS))
    assert load_contacts(lake, before)[0].num_rows == 2


def test_a_cut_leaves_out_follows_that_began_later_and_keeps_those_of_unknown_beginning(lake: Lake) -> None:
    lake.append(
        CONTACTS,
        follow(
            ("u1", "u2", "follow", 0),
            ("u1", "u3", "follow", 5),
            ("u2", "u3", "follow", 5),
            ("u3", "u1", "follow", 0),
            ("u3", "u1", "unfollow", 1),
            ("u3", "u1", "follow", 6),
        ),
    )
    kept = contacts_until(load_contacts(lake)[0], utc(START + 2 * DAY))
    pairs = zip(kept["user_id"].to_pylist(), kept["contact_id"].to_pylist(), strict=True)
    assert sorted(pairs) == [("u1", "u2"), ("u2", "u3"), ("u3", "u1")]


def test_without_contacts_a_cut_keeps_nobody(lake: Lake) -> None:
    assert contacts_until(load_contacts(lake)[0], utc(START)).num_rows == 0


def test_a_lake_without_contacts_has_nobody_followed(lake: Lake) -> None:
    table, version = load_contacts(lake)
    assert (table.num_rows, version) == (0, -1)


def test_contacts_with_favorites_become_rows_of_histories(lake: Lake) -> None:
    world = interactions_of({"u1": ["a"], "u2": ["a"], "u3": ["b"]})
    lake.append(CONTACTS, follow(("u1", "u3", "follow", 0), ("u1", "nobody", "follow", 0), ("who", "u1", "follow", 0)))
    known = with_contacts(world, *load_contacts(lake))
    assert known.user_ids[known.history(0).contacts].tolist() == ["u3"]
    assert known.history(1).contacts.tolist() == []
    assert known.lake_versions[CONTACTS.name] == lake.version(CONTACTS)
