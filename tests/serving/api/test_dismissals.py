"""Dismissals, and what the wall makes of them and of favorites at once; undoing brings back exactly what was."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.runtime import Runtime
from tests.serving.api.conftest import Recorded, photo_ids, wall
from tests.serving.conftest import Browser, Sandbox, World, client_of, of_style, owner_of, state_of

FAVORITES, DISMISSALS = "/api/me/favorites", "/api/me/dismissals"


def test_a_dismissal_and_its_undo_are_recorded_and_flickr_learns_nothing(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded
) -> None:
    photo_id = of_style(0, 1)[0]
    owner_id = owner_of(photo_id)
    sandbox.faults({"kind": "bad_gateway"})
    for path in (f"{DISMISSALS}/photos/{photo_id}", f"{DISMISSALS}/people/{owner_id}"):
        for method in ("PUT", "DELETE"):
            assert visitor.change(method, path).status_code == 200
    assert recorded(me) == [
        ("dismiss_photo", photo_id, owner_id),
        ("undismiss_photo", photo_id, owner_id),
        ("dismiss_user", "", owner_id),
        ("undismiss_user", "", owner_id),
    ]


def test_a_photo_is_dismissed_though_only_flickr_knows_whose_it_is(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded
) -> None:
    ((photo_id, owner_id),) = sandbox.photos_for(me, 1)
    assert visitor.change("PUT", f"{DISMISSALS}/photos/{photo_id}").status_code == 200
    assert recorded(me) == [("dismiss_photo", photo_id, owner_id)]


def test_the_next_wall_lacks_what_was_dismissed_and_undoing_brings_back_exactly_that(
    visitor: Browser, me: str, world: World
) -> None:
    world.online.write_user_states([state_of(me, of_style(0, 6))])
    before = wall(visitor, me)
    photo = before["photos"][0]
    person = before["photos"][1]["owner_id"]
    changes = [f"{DISMISSALS}/photos/{photo['photo_id']}", f"{DISMISSALS}/people/{person}"]
    for path in changes:
        visitor.change("PUT", path)
    after = wall(visitor, me)
    assert photo["photo_id"] not in photo_ids(after)
    assert person not in {entry["owner_id"] for entry in after["photos"]}
    assert len(after["photos"]) == len(before["photos"])
    for path in reversed(changes):
        visitor.change("DELETE", path)
    assert photo_ids(wall(visitor, me)) == photo_ids(before)


def test_the_next_wall_lacks_a_new_favorite_and_undoing_brings_it_back(small_wall: Browser, me: str) -> None:
    before = photo_ids(wall(small_wall, me))
    small_wall.change("PUT", f"{FAVORITES}/{before[0]}")
    assert photo_ids(wall(small_wall, me)) == before[1:]
    small_wall.change("DELETE", f"{FAVORITES}/{before[0]}")
    assert photo_ids(wall(small_wall, me)) == before


def test_taking_a_favorite_back_takes_no_dismissal_back(small_wall: Browser, me: str) -> None:
    before = photo_ids(wall(small_wall, me))
    for method, path in (("PUT", f"{DISMISSALS}/photos"), ("PUT", FAVORITES), ("DELETE", FAVORITES)):
        assert small_wall.change(method, f"{path}/{before[0]}").status_code == 200
    assert photo_ids(wall(small_wall, me)) == before[1:]


def test_everybody_acts_for_themselves_alone(
    visitor: Browser, me: str, sandbox: Sandbox, recorded: Recorded, flickr_runtime: Runtime
) -> None:
    other = Browser(client_of(flickr_runtime))
    other.sign_in(sandbox, sandbox.people[3])
    visitor.change("PUT", f"{DISMISSALS}/photos/1000")
    assert other.get("/api/me").json()["dismissed_photos"] == []
    assert recorded(sandbox.people[3]) == []


# Undo

CHANGES = st.tuples(
    st.sampled_from([FAVORITES, f"{DISMISSALS}/photos", f"{DISMISSALS}/people"]),
    st.integers(0, 3),
    st.sampled_from(["PUT", "DELETE"]),
)
INVERSE = {"PUT": "DELETE", "DELETE": "PUT"}


def held(runtime: Runtime, user_id: str) -> dict[str, set[str]]:
    """What is true of the person now, by the address of what changes it."""
    state = runtime.recommender.state(user_id)
    kinds = (state.favorite_ids, state.dismissed_ids, state.dismissed_people)
    paths = (FAVORITES, f"{DISMISSALS}/photos", f"{DISMISSALS}/people")
    return {path: set(ids) for path, ids in zip(paths, kinds, strict=True)}


@given(changes=st.lists(CHANGES, max_size=12))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_done_the_state_is_what_was_done_last_and_undoing_all_of_it_restores_the_wall(
    small_wall: Browser, me: str, sandbox: Sandbox, flickr_runtime: Runtime, changes: list[tuple[str, int, str]]
) -> None:
    # On Flickr too, everything is undone in the end: the sandbox is the same for all examples.
    photos = sandbox.photos_for(me, 4)
    before, page = held(flickr_runtime, me), wall(small_wall, me)["photos"]
    expected = {path: set(ids) for path, ids in before.items()}
    done: list[tuple[str, str]] = []
    for path, number, method in changes:
        photo_id, owner_id = photos[number]
        subject = owner_id if path.endswith("people") else photo_id
        changed = (subject in expected[path]) == (method == "DELETE")
        assert small_wall.change(method, f"{path}/{subject}").status_code == 200
        (expected[path].add if method == "PUT" else expected[path].discard)(subject)
        if changed:
            done.append((method, f"{path}/{subject}"))
        assert held(flickr_runtime, me) == expected
    ids = {photo["photo_id"] for photo in wall(small_wall, me)["photos"]}
    assert not ids & (expected[FAVORITES] | expected[f"{DISMISSALS}/photos"])
    for method, path in reversed(done):
        assert small_wall.change(INVERSE[method], path).status_code == 200
    assert held(flickr_runtime, me) == before
    assert wall(small_wall, me)["photos"] == page
