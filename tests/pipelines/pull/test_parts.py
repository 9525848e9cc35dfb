"""The parts of a person's pull: a set, so that nothing is counted twice and nothing passes a hundred percent."""

from __future__ import annotations

import sqlalchemy as sa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipelines.pull.parts import Parts, count_parts, finish_parts, replace_parts

PERSON, OTHER = "1@N01", "2@N01"


def counted(engine: sa.Engine, user_id: str = PERSON) -> Parts:
    return count_parts(engine, [user_id])[user_id]


def test_without_neighbors_there_is_nothing_to_do(engine: sa.Engine) -> None:
    replace_parts(engine, PERSON, [])
    assert counted(engine) == Parts(0, 0, 0)
    assert counted(engine).coverage == 0.0


def test_a_neighbor_is_finished_for_everybody_who_shares_it(engine: sa.Engine) -> None:
    replace_parts(engine, PERSON, ["a", "b"])
    replace_parts(engine, OTHER, ["b", "c"])
    assert finish_parts(engine, {"b": True}) == {PERSON, OTHER}
    assert (counted(engine), counted(engine, OTHER)) == (Parts(2, 1, 1), Parts(2, 1, 1))


def test_finishing_again_changes_nothing_and_concerns_nobody(engine: sa.Engine) -> None:
    replace_parts(engine, PERSON, ["a", "b"])
    finish_parts(engine, {"a": True})
    assert finish_parts(engine, {"a": True}) == set()
    assert finish_parts(engine, {"a": False}) == set()
    assert counted(engine) == Parts(2, 1, 1)


def test_a_neighbor_that_was_given_up_is_finished_but_not_covered(engine: sa.Engine) -> None:
    replace_parts(engine, PERSON, ["a", "b"])
    finish_parts(engine, {"a": False, "b": True})
    assert counted(engine) == Parts(2, 2, 1)
    assert counted(engine).coverage == 0.5


def test_a_neighbor_that_was_given_up_is_covered_after_all_when_it_is_pulled_later(engine: sa.Engine) -> None:
    replace_parts(engine, PERSON, ["a", "b"])
    finish_parts(engine, {"a": False})
    assert finish_parts(engine, {"a": True}) == {PERSON}
    assert counted(engine) == Parts(2, 1, 1)


def test_new_neighbors_take_the_place_of_the_old(engine: sa.Engine) -> None:
    replace_parts(engine, PERSON, ["a", "b"])
    finish_parts(engine, {"a": True})
    replace_parts(engine, PERSON, ["a", "c", "d"])
    assert counted(engine) == Parts(3, 0, 0)


def test_more_neighbors_than_fit_into_one_statement(engine: sa.Engine) -> None:
    neighbors = [f"{number}@N02" for number in range(1_201)]
    replace_parts(engine, PERSON, neighbors)
    assert finish_parts(engine, dict.fromkeys(neighbors, True)) == {PERSON}
    assert counted(engine) == Parts(1_201, 1_201, 1_201)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    neighbors=st.lists(st.sampled_from("abcdef"), unique=True),
    deliveries=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.booleans())),
)
def test_no_redelivery_passes_a_hundred_percent(
    engine: sa.Engine, neighbors: list[str], deliveries: list[tuple[str, bool]]
) -> None:
    replace_parts(engine, PERSON, neighbors)
    for neighbor, covered in deliveries:
        finish_parts(engine, {neighbor: covered})
    parts = counted(engine)
    delivered = {neighbor for neighbor, _ in deliveries} & set(neighbors)
    assert (parts.made, parts.finished) == (len(neighbors), len(delivered))
    assert 0 <= parts.covered <= parts.finished <= parts.made
