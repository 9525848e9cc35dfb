"""The wall as the page asks for it."""

from __future__ import annotations

import httpx
import pytest
import sqlalchemy as sa

from features.database import metadata
from serving.answers import MAX_PAGE, Recommendation
from serving.runtime import Runtime
from tests.serving.conftest import OWNERS, Browser, World, candidates_of, of_style, state_of

USER = "90@N09"
WALL = f"/api/users/{USER}/recommendations"


def refusal(answer: httpx.Response) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error["field"]


@pytest.fixture(autouse=True)
def taste(world: World) -> None:
    """Somebody who likes the first style."""
    world.online.write_user_states([state_of(USER, of_style(0, 8))])
    world.online.write_neighbor_candidates([candidates_of(USER, of_style(0, 20, skip=10))])


def test_the_wall_is_what_the_one_ranking_says(browser: Browser, runtime: Runtime) -> None:
    answer = Recommendation.model_validate(browser.get(WALL).json())
    ranked = runtime.recommender.recommend(USER, limit=MAX_PAGE)
    same = {"generated_at": answer.generated_at}
    assert answer == ranked.model_copy(update=same)
    assert (answer.strategy, answer.model_version, len(answer.photos)) == ("personalized", "7", MAX_PAGE)
    assert answer.people
    assert answer.reason_photos


def test_the_answer_has_exactly_the_fields_of_the_design(browser: Browser) -> None:
    answer = browser.get(WALL).json()
    assert set(answer) == {
        *("user_id", "user", "strategy", "degraded", "coverage", "model_version", "variant", "generated_at"),
        *("next_cursor", "photos", "people", "reason_photos", "reason_people"),
        *("unlearned", "unlearned_photos"),
    }
    assert set(answer["photos"][0]) == {
        *("photo_id", "owner_id", "owner_name", "title", "image_url", "sizes", "width", "height", "page_url"),
        *("score", "new", "first_recommended_at", "reasons", "neighbors"),
    }
    assert set(answer["photos"][0]["reasons"][0]) == {"photo_id", "weight"}
    assert set(answer["people"][0]) == {"user_id", "name", "avatar_url", "score", "favorites_in_common"}


def test_pages_follow_each_other_by_cursor_to_the_end(browser: Browser) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        page = browser.get(WALL, params={"limit": 25} | ({"cursor": cursor} if cursor else {})).json()
        seen += [photo["photo_id"] for photo in page["photos"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["photos"]) == 25
    assert len(seen) == len(set(seen)) > 150


def test_somebody_nobody_knows_gets_what_is_popular(browser: Browser) -> None:
    answer = browser.get("/api/users/4040404@N99/recommendations")
    assert answer.status_code == 200
    assert (answer.json()["strategy"], len(answer.json()["photos"])) == ("popular", MAX_PAGE)
    assert answer.json()["user"] == {"user_id": "4040404@N99", "name": "4040404@N99", "avatar_url": None}


def test_one_who_has_a_card_is_called_by_name(browser: Browser) -> None:
    user = browser.get(f"/api/users/{OWNERS[4]}/recommendations").json()["user"]
    assert user["name"] == f"Owner {OWNERS[4]}"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": MAX_PAGE + 1}, "limit"),
        ({"limit": "all"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(browser: Browser, parameters: dict[str, str | int], field: str) -> None:
    assert refusal(browser.get(WALL, params=parameters)) == (422, "invalid_input", field)


def test_looking_at_a_wall_needs_no_session_and_writes_nothing(browser: Browser, engine: sa.Engine) -> None:
    answer = browser.get(WALL)
    assert "Set-Cookie" not in answer.headers
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0, table.name
