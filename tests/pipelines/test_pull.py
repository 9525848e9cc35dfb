"""Pulling from the sandbox into the lake: everything once, only what is new, and a wall while it still runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from features.lake import Lake
from features.online import OnlineFeatures
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, USERS
from features.settings import Settings
from features.state import STATE_COLUMNS, interaction_state
from pipelines.cursors import read_cursors
from pipelines.flickr import Flickr, FlickrUnavailableError, UserNotFoundError, open_flickr
from pipelines.progress import read_progress
from pipelines.pull import Puller, PullStoppedError
from pipelines.sandbox.world import World

NOBODY = "1@N00"
LIST_FAVORITES = "flickr.favorites.getPublicList"

Open = Callable[..., Puller]


@pytest.fixture
def open_puller(lake: Lake, engine: sa.Engine, flickr: Flickr, sandbox_settings: Settings) -> Open:
    """A puller into the test's lake, with settings changed as asked."""

    def make(online: OnlineFeatures | None = None, client: Flickr = flickr, **changes: object) -> Puller:
        return Puller(lake, engine, client, sandbox_settings.model_copy(update=changes), online)

    return make


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


class TestManyUsers:
    def test_every_favorite_is_in_the_lake_with_its_photo_and_its_people(
        self, open_puller: Open, lake: Lake, sandbox: Any, some: list[str]
    ) -> None:
        report = open_puller().pull_favorites(some)
        rows = lake.scan(INTERACTIONS).to_pylist()
        assert report.favorites == report.added.interactions == len(rows)
        for user in some:
            assert held(lake, user) == listed(sandbox, user)
        photos = {row["photo_id"] for row in lake.scan(PHOTOS).to_pylist()}
        users = {row["user_id"] for row in lake.scan(USERS).to_pylist()}
        assert {row["photo_id"] for row in rows} <= photos
        assert {row["owner_id"] for row in rows} <= users

    def test_contacts_are_followed(self, open_puller: Open, lake: Lake, world: World, some: list[str]) -> None:
        open_puller().pull_favorites(some)
        rows = lake.scan(CONTACTS).to_pylist()
        follows = {(row["user_id"], row["contact_id"]) for row in rows if row["kind"] == "follow"}
        contacts = world.contacts[: len(some)].tocoo()
        names = world.user_ids
        expected = {(names[row], names[column]) for row, column in zip(*contacts.coords, strict=True)}
        assert follows == expected

    def test_pulling_again_adds_nothing(self, open_puller: Open, lake: Lake, some: list[str]) -> None:
        open_puller().pull_favorites(some)
        before = versions(lake)
        again = open_puller(pull_fresh_minutes=0).pull_favorites(some)
        assert (again.added.interactions, again.added.photos, again.added.users, again.added.contacts) == (0, 0, 0, 0)
        assert versions(lake) == before

    def test_users_pulled_just_now_cost_no_call(self, open_puller: Open, sandbox: Any, some: list[str]) -> None:
        open_puller().pull_favorites(some)
        before = sandbox.calls(LIST_FAVORITES)
        report = open_puller().pull_favorites(some)
        assert (report.fresh, report.calls) == (len(some), 0)
        assert sandbox.calls(LIST_FAVORITES) == before

    def test_a_second_pull_of_an_unchanged_user_is_one_call_for_the_favorites(
        self, open_puller: Open, sandbox: Any, avid: str
    ) -> None:
        open_puller().pull_favorites([avid])
        before = sandbox.calls(LIST_FAVORITES)
        open_puller(pull_fresh_minutes=0).pull_favorites([avid])
        assert sandbox.calls(LIST_FAVORITES) == before + 1

    def test_the_calls_that_it_reports_are_those_that_flickr_got(
        self, open_puller: Open, sandbox: Any, some: list[str]
    ) -> None:
        before = sandbox.get("/sandbox/calls")["total"]
        report = open_puller().pull_favorites(some)
        assert report.calls == sandbox.get("/sandbox/calls")["total"] - before > 0

    def test_somebody_who_left_flickr_is_reported_and_the_others_are_pulled(
        self, open_puller: Open, lake: Lake, sandbox: Any, some: list[str]
    ) -> None:
        report = open_puller().pull_favorites([*some[:2], NOBODY])
        assert report.missing == [NOBODY]
        assert held(lake, some[0]) == listed(sandbox, some[0])
        assert open_puller().pull_favorites([NOBODY]).fresh == 1

    def test_more_favorites_than_are_kept_are_cut_to_the_newest(
        self, open_puller: Open, lake: Lake, sandbox: Any, avid: str
    ) -> None:
        open_puller(pull_max_favorites=40).pull_favorites([avid])
        assert held(lake, avid) == {(photo, owner) for photo, owner, _ in sandbox.listed(avid)[:40]}

    def test_the_progress_ends_at_all_of_them(self, open_puller: Open, some: list[str]) -> None:
        told: list[tuple[str, int, int]] = []
        open_puller().pull_favorites(some, progress=lambda *step: told.append(step))
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
        self, open_puller: Open, lake: Lake, sandbox: Any, sandbox_settings: Settings, some: list[str], rule: Any
    ) -> None:
        expected = {user: listed(sandbox, user) for user in some}
        sandbox.faults(rule, seed=5)
        patient = open_flickr(sandbox_settings.model_copy(update={"flickr_attempts": 12}))
        report = open_puller(client=patient).pull_favorites(some)
        assert not report.failed
        assert report.added.interactions == sum(len(favorites) for favorites in expected.values())
        sandbox.faults()
        for user in some:
            assert held(lake, user) == expected[user]

    def test_when_flickr_is_down_it_gives_up_and_keeps_what_it_has(
        self, open_puller: Open, lake: Lake, sandbox: Any, some: list[str]
    ) -> None:
        open_puller().pull_favorites(some[:3])
        sandbox.faults({"kind": "bad_gateway"})
        with pytest.raises(FlickrUnavailableError):
            open_puller().pull_favorites(some, concurrency=2)
        sandbox.faults()
        assert held(lake, some[0]) == listed(sandbox, some[0])
        report = open_puller().pull_favorites(some)
        assert report.fresh == 3
        assert held(lake, some[-1]) == listed(sandbox, some[-1])

    def test_what_was_fetched_until_somebody_stops_it_is_kept(
        self, open_puller: Open, lake: Lake, sandbox: Any, some: list[str]
    ) -> None:
        def stop_after_five(_stage: str, done: int, _total: int) -> None:
            if done == 5:
                raise PullStoppedError

        with pytest.raises(PullStoppedError):
            open_puller().pull_favorites(some, progress=stop_after_five)
        kept = [user for user in some if held(lake, user)]
        assert len(kept) == 5
        assert open_puller().pull_favorites(some).fresh == 5
        for user in some:
            assert held(lake, user) == listed(sandbox, user)


class TestOnePerson:
    def test_the_neighbors_are_the_owners_of_the_favorites(
        self, open_puller: Open, lake: Lake, sandbox: Any, world: World
    ) -> None:
        visitor = world.user_ids[-1]
        open_puller().pull_person(visitor, neighbors=True)
        owners = {owner for _, owner in listed(sandbox, visitor)} - {visitor}
        assert owners
        for owner in owners:
            assert held(lake, owner) == listed(sandbox, owner)
        pulled = set(read_cursors_of(open_puller(), [*owners, visitor]))
        assert pulled == owners | {visitor}

    def test_without_neighbors_only_the_person_is_pulled(
        self, open_puller: Open, lake: Lake, sandbox: Any, world: World
    ) -> None:
        visitor = world.user_ids[-1]
        open_puller().pull_person(visitor, neighbors=False)
        assert {row["user_id"] for row in lake.scan(INTERACTIONS).to_pylist()} == {visitor}
        assert held(lake, visitor) == listed(sandbox, visitor)

    def test_the_neighbors_with_most_favorites_come_first_when_there_are_too_many(
        self, open_puller: Open, sandbox: Any, avid: str
    ) -> None:
        report = open_puller(pull_max_neighbors=3).pull_person(avid, neighbors=True)
        counts: dict[str, int] = {}
        for _, owner in listed(sandbox, avid):
            counts[owner] = counts.get(owner, 0) + 1
        counts.pop(avid, None)
        best = sorted(counts.values(), reverse=True)[:3]
        pulled = set(read_cursors_of(open_puller(), list(counts)))
        assert sorted((counts[owner] for owner in pulled), reverse=True) == best
        assert report.users == 1

    def test_features_are_online_and_the_progress_ends_when_it_is_done(
        self, open_puller: Open, engine: sa.Engine, sandbox: Any, world: World, sandbox_settings: Settings
    ) -> None:
        visitor = world.user_ids[-1]
        online = OnlineFeatures(sandbox_settings)
        open_puller(online).pull_person(visitor, neighbors=True)
        state = online.user_state(visitor)
        assert set(zip(state.favorite_ids, state.favorite_owners, strict=True)) == listed(sandbox, visitor)
        candidates = online.neighbor_candidates(visitor)
        assert candidates is not None
        assert candidates.coverage == 1.0
        assert candidates.photo_ids
        assert not set(candidates.photo_ids) & set(state.favorite_ids)
        assert set(online.photo_cards(candidates.photo_ids)) == set(candidates.photo_ids)
        assert set(online.user_cards(candidates.people_ids)) == set(candidates.people_ids)
        progress = read_progress(engine, visitor)
        assert (progress.stage, progress.coverage, progress.finished) == ("done", 1.0, progress.made)
        assert progress.favorites == len(state.favorite_ids)

    def test_the_wall_grows_while_the_pull_runs(
        self, open_puller: Open, engine: sa.Engine, avid: str, sandbox_settings: Settings
    ) -> None:
        online = OnlineFeatures(sandbox_settings)
        coverages: list[float] = []

        def look(stage: str, _done: int, _total: int) -> None:
            candidates = online.neighbor_candidates(avid)
            if stage == "neighbors" and candidates is not None:
                coverages.append(candidates.coverage)

        open_puller(online).pull_person(avid, neighbors=True, progress=look)
        final = online.neighbor_candidates(avid)
        assert final is not None
        assert coverages == sorted(coverages)
        assert coverages[0] == 0.0 < coverages[-1] < final.coverage == 1.0

    def test_a_user_without_any_favorite_is_done_at_once(
        self, open_puller: Open, engine: sa.Engine, sandbox: Any, world: World, sandbox_settings: Settings
    ) -> None:
        sandbox.clock((world.config.end - timedelta(days=world.config.days)).isoformat())
        online = OnlineFeatures(sandbox_settings)
        newcomer = world.user_ids[-1]
        report = open_puller(online).pull_person(newcomer, neighbors=True)
        assert (report.favorites, report.added.interactions) == (0, 0)
        progress = read_progress(engine, newcomer)
        assert (progress.stage, progress.made, progress.favorites) == ("done", 0, 0)
        candidates = online.neighbor_candidates(newcomer)
        assert candidates is not None
        assert (candidates.photo_ids, candidates.coverage) == ((), 0.0)

    def test_an_unknown_user_fails_and_says_so_in_the_progress(self, open_puller: Open, engine: sa.Engine) -> None:
        with pytest.raises(UserNotFoundError):
            open_puller().pull_person(NOBODY, neighbors=True)
        progress = read_progress(engine, NOBODY)
        assert progress.stage == "failed"
        assert progress.error

    def test_a_favorite_taken_back_on_the_site_does_not_return_from_an_older_listing(
        self, open_puller: Open, lake: Lake, engine: sa.Engine, sandbox: Any, world: World
    ) -> None:
        from features.actions import record_action
        from features.schema import Kind
        from pipelines.relay import drain

        visitor = world.user_ids[-1]
        open_puller().pull_person(visitor, neighbors=False)
        photo, owner = next(iter(held(lake, visitor)))
        later = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1)
        record_action(engine, user_id=visitor, kind=Kind.UNFAVORITE, photo_id=photo, owner_id=owner, at=later)
        drain(engine, lake)
        open_puller(pull_fresh_minutes=0).pull_person(visitor, neighbors=False)
        assert (photo, owner) not in held(lake, visitor)


def read_cursors_of(puller: Puller, user_ids: list[str]) -> dict[str, Any]:
    return read_cursors(puller._engine, user_ids)
