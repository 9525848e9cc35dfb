"""The model card says the essentials first, and is Markdown whatever stands in it."""

from __future__ import annotations

from dataclasses import replace

from tests.training.reports.examples import example
from training.reports.model_card import model_card

REPORT = example()


def test_the_first_lines_say_what_it_is_how_good_and_why_it_passed() -> None:
    head = model_card(REPORT).splitlines()[:7]
    model, champion = REPORT.model("blend"), REPORT.model("champion")
    assert head[0] == "# train 2026-11-25 07:38 lake v17: blend"
    assert model.metrics["ndcg_at_20"].text in head[2]
    assert champion.metrics["ndcg_at_20"].text in head[2]
    assert head[3] == f"Passed the gate: {REPORT.reason}"
    assert "2,004 users" in head[5]


def test_every_model_is_in_the_table_and_every_segment_below_it() -> None:
    card = model_card(REPORT)
    for model in REPORT.models:
        assert f"| {model.name} | {model.metrics['ndcg_at_20'].text} |" in card
    for segment in REPORT.model("blend").segments:
        assert f"| {segment.label} | {segment.users:,} |" in card


def test_it_names_the_rows_that_it_learned_from() -> None:
    assert "- `interactions` version 17: 48,210 rows, digest `v17-5d1f0a`" in model_card(REPORT)


def test_without_champion_and_inputs_it_says_so_or_nothing() -> None:
    models = [model for model in REPORT.models if model.name != "champion"]
    card = model_card(replace(REPORT, models=models, champion=None, inputs=None, counts={}, passed=False))
    assert "no champion before it" in card
    assert "Failed the gate" in card
    assert "How it was made" not in card


def test_a_pipe_does_not_break_the_table() -> None:
    model = replace(REPORT.model("als"), name="a|b")
    card = model_card(replace(REPORT, models=[*REPORT.models, model]))
    assert "| a\\|b |" in card
