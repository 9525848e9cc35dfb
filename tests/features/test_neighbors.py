"""The neighbor score and the candidates made from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import sqrt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features import neighbor_ranking, neighbors
from features.arrays import flat
from features.feature_tables import NEIGHBOR_CANDIDATES
from features.neighbors import (
    Catalog,
    Exclusions,
    World,
    candidate_tables,
    candidates_of,
    neighbor_candidates,
    neighbor_candidates_for,
    neighbor_scores,
    photos_and_owners,
    world_of,
)

NOW = datetime(2026, 3, 31, tzinfo=UTC)


def favorites(*rows: tuple[str, str]) -> pa.Table:
    """(user, photo) pairs; the owner of a photo is its first letter."""
    return pa.table(
        {
            "user_id": pa.array([user for user, _ in rows], pa.string()),
            "photo_id": pa.array([photo for _, photo in rows], pa.string()),
            "owner_id": pa.array([photo[0] for _, photo in rows], pa.string()),
        }
    )


WORLD = favorites(
    ("a", "b1"), ("a", "b2"), ("a", "c1"),
    ("b", "b2"), ("b", "c2"), ("b", "x1"),
    ("c", "c1"), ("c", "x1"), ("c", "x2"), ("c", "a1"),
    ("d", "b1"), ("d", "x9"),
)  # fmt: skip
SCORE_B = 150 * sqrt(1 / (3 + 250))
SCORE_C = 150 * sqrt(1 / (4 + 250))


def test_the_score_is_150_times_the_root_of_common_over_favorites_plus_250() -> None:
    scores = neighbor_scores(np.array([0.0, 1.0, 9.0]), np.array([10.0, 0.0, 375.0]))
    assert scores == pytest.approx([0, 150 * sqrt(1 / 250), 150 * sqrt(9 / 625)])


def test_a_photos_score_is_the_sum_over_the_neighbors_who_favorited_it() -> None:
    found = neighbor_candidates_for("a", WORLD)
    assert dict(zip(found.photo_ids, found.photo_scores, strict=True)) == pytest.approx(
        {"x1": SCORE_B + SCORE_C, "x2": SCORE_C, "c2": SCORE_B}
    )
    assert found.photo_owners == ("x", "c", "x")
    assert found.photo_ids[0] == "x1"


def test_somebody_who_is_no_neighbor_counts_for_nothing_however_much_is_in_common() -> None:
    assert "x9" not in neighbor_candidates_for("a", WORLD).photo_ids


def test_favorites_own_photos_and_dismissed_ones_are_no_candidates() -> None:
    found = neighbor_candidates_for("a", WORLD, dismissed_photos=["x1"], dismissed_people=["c"])
    assert found.photo_ids == ("x2",)


def test_people_come_best_first_without_the_dismissed_and_the_followed() -> None:
    found = neighbor_candidates_for("a", WORLD)
    assert found.people_ids == ("b", "c")
    assert found.people_scores == pytest.approx((SCORE_B, SCORE_C))
    assert found.people_common == (1, 1)
    assert neighbor_candidates_for("a", WORLD, dismissed_people=["c"]).people_ids == ("b",)
    assert neighbor_candidates_for("a", WORLD, contacts=["b"]).people_ids == ("c",)


def test_coverage_is_the_share_of_the_neighbors_whose_favorites_are_known() -> None:
    assert neighbor_candidates_for("a", WORLD).coverage == 1.0
    only_b = neighbor_candidates_for("a", WORLD.slice(0, 6))
    assert only_b.coverage == 0.5
    assert neighbor_candidates_for("a", WORLD.slice(0, 6), max_neighbors=1).coverage == 1.0
    assert neighbor_candidates_for("a", WORLD, coverage=0.25).coverage == 0.25


def test_somebody_without_favorites_has_no_candidates() -> None:
    found = neighbor_candidates_for("nobody", WORLD, now=NOW)
    assert (found.photo_ids, found.people_ids, found.coverage, found.updated_at) == ((), (), 0.0, NOW)
    assert neighbor_candidates_for("nobody", WORLD.slice(0, 0)).photo_ids == ()


def test_no_more_than_asked_for_and_the_best_of_them() -> None:
    found = neighbor_candidates_for("a", WORLD, photos=1, people=1)
    assert (found.photo_ids, found.people_ids) == (("x1",), ("b",))
    assert neighbor_candidates_for("a", WORLD, people=0).people_ids == ()


def pairs(column: str, rows: Iterable[tuple[str, str]] = ()) -> pa.Table:
    table = pa.Table.from_pylist([{"user_id": user, column: other} for user, other in rows])
    return table if table.num_rows else pa.table({name: pa.array([], pa.string()) for name in ("user_id", column)})


NOTHING = Exclusions(pairs("photo_id"), pairs("owner_id"), pairs("owner_id"))


def everybody(rows: pa.Table, excluded: Exclusions = NOTHING, photos: int = 500, people: int = 50) -> pa.Table:
    return neighbor_candidates(rows, excluded, NOW, photos=photos, people=people, max_neighbors=3)


@pytest.mark.parametrize("budget", ["ENTRIES_AT_ONCE", "CELLS_AT_ONCE"])
def test_the_size_of_blocks_changes_nothing(budget: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = everybody(WORLD)
    assert whole.column("user_id").to_pylist() == ["a", "b", "c", "d"]
    blocks = len(list(candidate_tables(world(WORLD), NOW, photos=500, people=50, max_neighbors=3)))
    monkeypatch.setattr(neighbor_ranking, budget, 1)
    assert everybody(WORLD) == whole
    tables = list(candidate_tables(world(WORLD), NOW, photos=500, people=50, max_neighbors=3))
    assert (blocks, [table.num_rows for table in tables]) == (1, [1, 1, 1, 1])


def world(rows: pa.Table, users_a_part: int = 26) -> World:
    """As a build makes it: some users at a time."""
    names = sorted(set(rows.column("user_id").to_pylist()))
    groups = [names[i : i + users_a_part] for i in range(0, len(names), users_a_part)]
    parts = [rows.filter(pc.is_in(rows.column("user_id"), pa.array(group))) for group in groups]
    catalog = Catalog.of(flat(rows.column("user_id")), *photos_and_owners(rows))
    return world_of(catalog, [(part, NOTHING) for part in parts])


@pytest.mark.parametrize("rows_at_once", [1, 5, 100])
def test_it_is_one_world_however_many_users_come_at_once(rows_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbors, "ROWS_AT_ONCE", rows_at_once)
    whole, parts = world(WORLD), world(WORLD, users_a_part=1)
    assert parts.favorites.photo.tolist() == whole.favorites.photo.tolist()
    assert parts.favorites.offsets.tolist() == whole.favorites.offsets.tolist() == [0, 3, 6, 10, 12, 12]


def test_of_equal_scores_the_lower_id_comes_first() -> None:
    rows = favorites(("a", "b1"), ("b", "b1"), ("b", "x3"), ("b", "x1"), ("b", "x2"), ("a", "c1"), ("c", "c1"))
    rows = pa.concat_tables([rows, favorites(("c", "y1"), ("c", "y2"))])
    found = neighbor_candidates_for("a", rows, photos=4)
    assert found.photo_ids == ("y1", "y2", "x1", "x2")
    turned = rows.take(list(reversed(range(rows.num_rows))))
    assert neighbor_candidates_for("a", turned, photos=4).photo_ids == found.photo_ids


def test_where_a_source_errs_the_owner_of_a_photo_is_the_first_by_name() -> None:
    rows = pa.table({"photo_id": ["p", "q", "p", "p"], "owner_id": ["z", "y", "m", "z"]})
    photos, owners = photos_and_owners(rows)
    assert dict(zip(photos.to_pylist(), owners.to_pylist(), strict=True)) == {"p": "m", "q": "y"}


def test_an_empty_lake_has_an_empty_table() -> None:
    assert everybody(WORLD.slice(0, 0)) == NEIGHBOR_CANDIDATES.schema.empty_table()


PEOPLE = "abcdx"
PHOTOS = [owner + number for owner in PEOPLE for number in "12"]


def some(second: Sequence[str]) -> st.SearchStrategy[set[tuple[str, str]]]:
    return st.sets(st.tuples(st.sampled_from("abcd"), st.sampled_from(second)), max_size=12)


@given(
    liked=st.sets(st.tuples(st.sampled_from("abcd"), st.sampled_from(PHOTOS)), min_size=1),
    dismissed=some(PHOTOS),
    dismissed_people=some(PEOPLE),
    followed=some(PEOPLE),
    kept=st.integers(1, 6),
    entries=st.integers(1, 30),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_matrices_say_what_the_definition_says(
    liked: set[tuple[str, str]],
    dismissed: set[tuple[str, str]],
    dismissed_people: set[tuple[str, str]],
    followed: set[tuple[str, str]],
    kept: int,
    entries: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neighbor_ranking, "ENTRIES_AT_ONCE", entries)
    mine: dict[str, set[str]] = {}
    for user, photo in liked:
        mine.setdefault(user, set()).add(photo)
    excluded = Exclusions(
        pairs("photo_id", dismissed), pairs("owner_id", dismissed_people), pairs("owner_id", followed)
    )
    found = candidates_of(everybody(favorites(*liked), excluded, photos=kept, people=kept))
    assert [each.user_id for each in found] == sorted(mine)
    for each in found:
        user, own = each.user_id, mine[each.user_id]
        owners = {photo[0] for photo in own} - {user}
        common = {n: len(own & mine[n]) for n in sorted(owners & mine.keys()) if own & mine[n]}
        score = {n: 150 * sqrt(common[n] / (len(mine[n]) + 250)) for n in common}
        expected: dict[str, float] = {}
        for n, value in score.items():
            for photo in mine[n] - own:
                if photo[0] != user and (user, photo) not in dismissed and (user, photo[0]) not in dismissed_people:
                    expected[photo] = expected.get(photo, 0.0) + value
        best = sorted(expected, key=lambda photo: (-expected[photo], photo))[:kept]
        assert list(each.photo_ids) == best
        assert list(each.photo_owners) == [photo[0] for photo in best]
        assert list(each.photo_scores) == pytest.approx([expected[photo] for photo in best])
        free = [n for n in score if (user, n) not in dismissed_people | followed]
        closest = sorted(free, key=lambda n: (-score[n], n))[:kept]
        assert list(each.people_ids) == closest
        assert list(each.people_scores) == pytest.approx([score[n] for n in closest])
        assert list(each.people_common) == [common[n] for n in closest]
        pulled, wanted = min(len(owners & mine.keys()), 3), min(len(owners), 3)
        assert each.coverage == pytest.approx(pulled / wanted if wanted else 0.0)
