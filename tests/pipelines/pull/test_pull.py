"""Pulling many users in one go, from the sandbox into the lake: everything once, and only what is new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, USERS
from features.settings import Settings
from features.state import STATE_COLUMNS, interaction_state
from pipelines.flickr.client import Flickr, FlickrUnavailableError, open_flickr
from pipelines.pull.many import PullReport, PullStoppedError, pull_favorites
from pipelines.pull.workplace import Workplace
from pipelines.sandbox.world import World

NOBODY = "1@N00"
LIST_FAVORITES = "flickr.favorites.getPublicList"

Pull = Callable[..., PullReport]


@pytest.fixture
def pull(place: Workplace, flickr: Flickr) -> Pull:
    """`pull_favorites` into the test's lake, with settings changed as asked."""

    def run(users: list[str], *, client: Flickr = flickr, settings: dict[str, object] | None = None, **options: Any):
        changed = replace(place, settings=place.settings.model_copy(update=settings or {}))
        return pull_favorites(changed, client, users, **options)

    return run


def held(lake: Lake, user_id: str) -> set[tuple[str, str]]:
    """(photo, owner) of the favorites that the lake's state holds of a user."""
    favorites = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS)).favorites.to_pylist()
    return {(row["photo_id"], row["owner_id"]) for row in favorites if row["user_id"] == user_id}


def listed(sandbox: Any, user_id: str) -> set[tuple[str, str]]:
    return {(photo, owner) for photo, owner, _ in sandbox.listed(user_id)}


def versions(lake: Lake) -> dict[str, int]:
    return lake.versions()


@pytest.fixture
def some(world: World) -> list[str]:
    """Twelve users of the world."""
    return world.user_ids[:12]


def test_every_favorite_is_in_the_lake_with_its_photo_and_its_people(
    pull: Pull, lake: Lake, sandbox: Any, some: list[str]
) -> None:
    report = pull(some)
    rows = lake.scan(INTERACTIONS).to_pylist()
    assert report.favorites == report.added.interactions == len(rows)
    for user in some:
        assert held(lake, user) == listed(sandbox, user)
    photos = {row["photo_id"] for row in lake.scan(PHOTOS).to_pylist()}
    users = {row["user_id"] for row in lake.scan(USERS).to_pylist()}
    assert {row["photo_id"] for row in rows} <= photos
    assert {row["owner_id"] for row in rows} <= users


def test_contacts_are_followed(pull: Pull, lake: Lake, world: World, some: list[str]) -> None:
    pull(some)
    rows = lake.scan(CONTACTS).to_pylist()
    follows = {(row["user_id"], row["contact_id"]) for row in rows if row["kind"] == "follow"}
    contacts = world.contacts[: len(some)].tocoo()
    names = world.user_ids
    expected = {(names[row], names[column]) for row, column in zip(*contacts.coords, strict=True)}
    assert follows == expected


def test_pulling_again_adds_nothing(pull: Pull, lake: Lake, some: list[str]) -> None:
    pull(some)
    before = versions(lake)
    again = pull(some, settings={"pull_fresh_minutes": 0})
    assert (again.added.interactions, again.added.photos, again.added.users, again.added.contacts) == (0, 0, 0, 0)
    assert versions(lake) == before


def test_users_pulled_just_now_cost_no_call(pull: Pull, sandbox: Any, some: list[str]) -> None:
    pull(some)
    before = sandbox.calls(LIST_FAVORITES)
    report = pull(some)
    assert (report.fresh, report.calls) == (len(some), 0)
    assert sandbox.calls(LIST_FAVORITES) == before


def test_a_second_pull_of_an_unchanged_user_is_one_call_for_the_favorites(pull: Pull, sandbox: Any, avid: str) -> None:
    pull([avid])
    before = sandbox.calls(LIST_FAVORITES)
    pull([avid], settings={"pull_fresh_minutes": 0})
    assert sandbox.calls(LIST_FAVORITES) == before + 1


def test_the_calls_that_it_reports_are_those_that_flickr_got(pull: Pull, sandbox: Any, some: list[str]) -> None:
    before = sandbox.get("/sandbox/calls")["total"]
    report = pull(some)
    assert report.calls == sandbox.get("/sandbox/calls")["total"] - before > 0


def test_somebody_who_left_flickr_is_reported_and_the_others_are_pulled(
    pull: Pull, lake: Lake, sandbox: Any, some: list[str]
) -> None:
    report = pull([*some[:2], NOBODY])
    assert report.missing == [NOBODY]
    assert held(lake, some[0]) == listed(sandbox, some[0])
    assert pull([NOBODY]).fresh == 1


def test_more_favorites_than_are_kept_are_cut_to_the_newest(pull: Pull, lake: Lake, sandbox: Any, avid: str) -> None:
    pull([avid], settings={"pull_max_favorites": 40})
    assert held(lake, avid) == {(photo, owner) for photo, owner, _ in sandbox.listed(avid)[:40]}


def test_the_progress_ends_at_all_of_them(pull: Pull, some: list[str]) -> None:
    told: list[tuple[str, int, int]] = []
    pull(some, progress=lambda *step: told.append(step))
    assert told[0] == ("users", 0, len(some))
    assert told[-1] == ("users", len(some), len(some))


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "bad_gateway", "rate": 0.3},
        {"kind": "truncated_json", "rate": 0.3},
        {"kind": "html", "rate": 0.3},
        {"kind": "fail", "code": 105, "rate": 0.3},
        {"kind": "short_pages", "rate": 1.0},
        {"kind": "wrong_total", "rate": 1.0},
    ],
    ids=lambda rule: rule["kind"],
)
def test_a_misbehaving_flickr_costs_calls_but_no_favorite(
    pull: Pull, lake: Lake, sandbox: Any, sandbox_settings: Settings, some: list[str], rule: Any
) -> None:
    expected = {user: listed(sandbox, user) for user in some}
    sandbox.faults(rule, seed=5)
    patient = open_flickr(sandbox_settings.model_copy(update={"flickr_attempts": 12}))
    report = pull(some, client=patient)
    assert not report.failed
    assert report.added.interactions == sum(len(favorites) for favorites in expected.values())
    sandbox.faults()
    for user in some:
        assert held(lake, user) == expected[user]


def test_when_flickr_is_down_it_gives_up_and_keeps_what_it_has(
    pull: Pull, lake: Lake, sandbox: Any, some: list[str]
) -> None:
    pull(some[:3])
    sandbox.faults({"kind": "bad_gateway"})
    with pytest.raises(FlickrUnavailableError):
        pull(some, concurrency=2)
    sandbox.faults()
    assert held(lake, some[0]) == listed(sandbox, some[0])
    report = pull(some)
    assert report.fresh == 3
    assert held(lake, some[-1]) == listed(sandbox, some[-1])


def test_what_was_fetched_until_somebody_stops_it_is_kept(
    pull: Pull, lake: Lake, sandbox: Any, some: list[str]
) -> None:
    def stop_after_five(_stage: str, done: int, _total: int) -> None:
        if done == 5:
            raise PullStoppedError

    with pytest.raises(PullStoppedError):
        pull(some, progress=stop_after_five)
    kept = [user for user in some if held(lake, user)]
    assert len(kept) == 5
    assert pull(some).fresh == 5
    for user in some:
        assert held(lake, user) == listed(sandbox, user)
