"""Tables for the terminal show titles as they are, whatever stands in them."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from pipelines.tables import metrics_table, wall_table


def printed(table: Table) -> str:
    console = Console(width=120, record=True, file=None)
    with console.capture() as shown:
        console.print(table)
    return shown.get()


def answer(title: str, reason: str) -> dict[str, Any]:
    photo = {
        "photo_id": "1",
        "title": title,
        "owner_id": "2@N01",
        "owner_name": "",
        "score": 0.25,
        "reasons": [{"photo_id": "7", "weight": 0.31}],
    }
    return {
        "user_id": "3@N01",
        "strategy": "personalized",
        "degraded": False,
        "model_version": "4",
        "photos": [photo],
        "reason_photos": {"7": {"title": reason}},
    }


def test_a_wall_shows_photo_owner_score_and_reason() -> None:
    shown = printed(wall_table(answer("Dunes", "Camels")))
    for words in ("Wall of 3@N01 (personalized, model version 4)", "Dunes", "2@N01", "0.250", "Camels (31%)"):
        assert words in shown


def test_brackets_in_a_title_are_no_markup() -> None:
    shown = printed(wall_table(answer("[/x] [red]Dunes", "[bold]Camels")))
    assert "[/x] [red]Dunes" in shown
    assert "[bold]Camels" in shown


def test_a_photo_without_a_title_is_called_by_its_id() -> None:
    shown = printed(wall_table(answer("", "")))
    assert "│ 1 │ 1 " in shown
    assert "7 (31%)" in shown


def test_models_stand_below_each_other_and_the_chosen_one_is_marked() -> None:
    metrics = {"als": {"ndcg_at_20": 0.2, "coverage_at_20": 0.5}, "popularity": {"ndcg_at_20": 0.1}}
    shown = printed(metrics_table("Held out", metrics, "als"))
    assert "NDCG@20" in shown
    assert shown.index("NDCG@20") < shown.index("Coverage@20")
    assert "als ◂" in shown
    assert "popularity ◂" not in shown
