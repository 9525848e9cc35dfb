"""What is kept from a person never leaves, whatever proposes it, and a page is full as long as enough is left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.actions import record_action
from features.schema import Kind
from features.user_state import UserState
from pipelines.shown import Repetition, Showing, note_shown
from serving.champion.served import Served
from serving.ranking.cursor import encode_cursor, mark
from serving.ranking.exclusions import Exclusions, is_showable
from serving.ranking.page import fill_page
from serving.ranking.recommender import Recommender
from serving.ranking.sources import from_lists
from tests.serving.conftest import (
    EPOCH,
    NOW,
    OWNERS,
    PHOTOS,
    World,
    card_of,
    owner_of,
    showable,
    state_of,
)

numbers = count()
CARDS = {photo_id: card_of(photo_id) for photo_id in PHOTOS}


def wear_out(engine: sa.Engine, user_id: str, photo_ids: Iterable[str]) -> None:
    """The person saw these photos on as many visits as they may, the last of them yesterday."""
    rule, yesterday = Repetition(), datetime.now(UTC) - timedelta(days=1)
    for visit in reversed(range(rule.visits)):
        showings = [Showing(user_id, photo_id, yesterday - visit * timedelta(hours=3)) for photo_id in photo_ids]
        note_shown(engine, showings, rule)


photo_sets = st.frozensets(st.sampled_from(PHOTOS), max_size=len(PHOTOS))
owner_sets = st.frozensets(st.sampled_from(OWNERS), max_size=8)


@dataclass(frozen=True)
class Person:
    """What is kept from somebody, in plain sets."""

    user_id: str
    favorites: frozenset[str]
    dismissed: frozenset[str]
    dismissed_people: frozenset[str]
    tired: frozenset[str]
    shown: frozenset[str]

    @property
    def state(self) -> UserState:
        dismissed, people = sorted(self.dismissed), sorted(self.dismissed_people)
        return state_of(
            self.user_id,
            sorted(self.favorites),
            dismissed_ids=tuple(dismissed),
            dismissed_owners=tuple(map(owner_of, dismissed)),
            dismissed_times=(EPOCH,) * len(dismissed),
            dismissed_people=tuple(people),
            dismissed_people_times=(EPOCH,) * len(people),
        )

    @property
    def exclusions(self) -> Exclusions:
        return Exclusions.of(self.state, frozenset(map(mark, self.shown)), self.tired)

    @property
    def allowed(self) -> set[str]:
        """The rule of serving/ranking/exclusions.py, written once more."""
        return {
            photo_id
            for photo_id in PHOTOS
            if showable(photo_id)
            and photo_id not in self.favorites | self.dismissed | self.tired | self.shown
            and owner_of(photo_id) not in self.dismissed_people | {self.user_id}
        }


people = st.builds(
    Person,
    user_id=st.sampled_from([OWNERS[3], "70@N09"]),
    favorites=photo_sets,
    dismissed=photo_sets,
    dismissed_people=owner_sets,
    tired=photo_sets,
    shown=photo_sets,
)


def test_no_two_photos_of_this_world_share_a_mark() -> None:
    assert len({mark(photo_id) for photo_id in PHOTOS}) == len(PHOTOS)


@given(people)
def test_exactly_what_may_be_shown_is_allowed(person: Person) -> None:
    exclusions = person.exclusions
    assert {photo_id for photo_id, card in CARDS.items() if exclusions.allow(card)} == person.allowed


@given(people)
def test_what_is_skipped_without_looking_at_its_card_would_be_refused_with_it(person: Person) -> None:
    exclusions = person.exclusions
    for photo_id, card in CARDS.items():
        if not exclusions.could_allow(photo_id, card.owner_id):
            assert not exclusions.allow(card)


@given(person=people)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_mask_of_a_model_hides_the_rows_that_would_be_refused_and_no_other(world: World, person: Person) -> None:
    champion, exclusions = world.champions["als"], person.exclusions
    mask = exclusions.mask(champion, champion.bundle.history(person.state))
    rows = zip(champion.bundle.photo_ids, champion.bundle.owner_ids, strict=True)
    assert mask.tolist() == [not exclusions.could_allow(photo_id, owner_id) for photo_id, owner_id in rows]


@given(person=people, order=st.permutations(PHOTOS), length=st.integers(0, len(PHOTOS)), limit=st.integers(1, 40))
def test_a_page_is_filled_with_what_is_allowed_as_long_as_any_is_proposed(
    person: Person, order: list[str], length: int, limit: int
) -> None:
    # Some proposals come twice, some are of photos that nobody knows.
    proposed = [*order[:length], "1", *order[: length // 3], "2"]

    def read_cards(photo_ids: list[str]) -> dict[str, object]:
        return {photo_id: CARDS[photo_id] for photo_id in photo_ids if photo_id in CARDS}

    # A source may be out of date about owners: the card has the last word.
    owners = ["somebody@N00" if n % 5 == 0 else owner_of(photo_id) for n, photo_id in enumerate(proposed)]
    candidates = from_lists(proposed, owners, [float(-n) for n in range(len(proposed))], "popular")
    page = fill_page(candidates, person.exclusions, read_cards, limit)  # type: ignore[arg-type]
    shown = [placed.card.photo_id for placed in page]
    possible = person.allowed & set(proposed)
    assert set(shown) <= possible
    assert len(set(shown)) == len(shown) == min(limit, len(possible))


@given(person=people, kind=st.sampled_from(["als", "neighbor_score", None]), limit=st.integers(1, 30))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_was_done_a_moment_ago_and_shown_on_earlier_pages_is_kept_from_the_next_page(
    world: World, session_engine: sa.Engine, person: Person, kind: str | None, limit: int
) -> None:
    user_id = f"{next(numbers)}@N08"  # actions can't be taken out of the outbox: somebody new each time
    person = replace(
        person,
        user_id=user_id,
        dismissed=frozenset(sorted(person.dismissed)[:8]),
        dismissed_people=frozenset(sorted(person.dismissed_people)[:3]),
    )
    world.online.write_user_states([state_of(user_id, sorted(person.favorites))])
    for photo_id in person.dismissed:
        record_action(
            session_engine, user_id=user_id, kind=Kind.DISMISS_PHOTO, photo_id=photo_id, owner_id=owner_of(photo_id)
        )
    for owner_id in person.dismissed_people:
        record_action(session_engine, user_id=user_id, kind=Kind.DISMISS_USER, owner_id=owner_id)
    wear_out(session_engine, user_id, person.tired)

    served = Served(world.champions[kind] if kind else None, world.popular)
    cursor = encode_cursor(map(mark, person.shown)) if person.shown else None
    answer = Recommender(session_engine, world.online, lambda: served).recommend(user_id, limit=limit, cursor=cursor)
    shown = [photo.photo_id for photo in answer.photos]
    assert set(shown) <= person.allowed
    assert len(set(shown)) == len(shown) == min(limit, len(person.allowed))


@pytest.mark.parametrize(
    ("safety_level", "gone", "shown"),
    [(0, False, True), (None, False, True), (1, False, False), (2, False, False), (0, True, False)],
)
def test_only_what_is_safe_and_still_there_is_shown_to_anybody(
    safety_level: int | None, gone: bool, shown: bool
) -> None:
    card = replace(card_of("1000"), safety_level=safety_level, gone_at=NOW if gone else None)
    assert is_showable(card) is shown
    assert Exclusions.of(UserState.empty("71@N09")).allow(card) is shown
