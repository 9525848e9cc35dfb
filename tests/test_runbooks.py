"""Alarms and runbooks: each alarm in Terraform names its runbook and has it, and what the pages say to run exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import photo_recommender

ROOT = Path(__file__).parents[1]
MONITORING = ROOT / "terraform" / "modules" / "monitoring"
OPERATIONS = ROOT / "docs" / "operations"
INDEX = OPERATIONS / "README.md"
RUNBOOKS = sorted((OPERATIONS / "runbooks").glob("*.md"))
PARTS = ("**Means.**", "**People see.**", "**First look**", "**Do**", "**Over**")


def terraform() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(MONITORING.glob("*.tf")))


def alarms() -> list[str]:
    """The keys of the maps `…_alarms`, over which the one resource of alarms goes."""
    maps = re.findall(r"^  \w+_alarms = \{\n(.*?)^  \}", terraform(), re.MULTILINE | re.DOTALL)
    return [name for text in maps for name in re.findall(r'^    "([a-z0-9-]+)" = \{', text, re.MULTILINE)]


def test_every_alarm_names_the_runbook_of_its_own_name() -> None:
    resources = re.findall(r'^resource "aws_cloudwatch_(?:metric|composite)_alarm".*?^\}', terraform(), re.M | re.S)
    assert resources
    for resource in resources:
        description = re.search(r"alarm_description\s+= (.+)", resource)
        assert description
        assert "docs/operations/runbooks/${each.key}.md" in description[1]


def test_every_alarm_says_what_it_means() -> None:
    assert len(re.findall(r"^      says +=", terraform(), re.MULTILINE)) == len(alarms())


def test_every_map_of_alarms_is_made_into_alarms() -> None:
    maps = set(re.findall(r"^  (\w+_alarms) = \{\n", terraform(), re.MULTILINE))
    merged = re.search(r"in merge\(([^)]*)\)", terraform())
    assert merged
    assert {name.strip().removeprefix("local.") for name in merged[1].split(",")} == maps


def test_every_alarm_has_a_runbook_and_every_runbook_an_alarm() -> None:
    names = alarms()
    assert len(names) == len(set(names))
    assert sorted(names) == [path.stem for path in RUNBOOKS]


def test_the_index_lists_every_runbook_once() -> None:
    listed = re.findall(
        r"^\| \[([a-z0-9-]+)\]\(runbooks/\1\.md\)", (OPERATIONS / "README.md").read_text(), re.MULTILINE
    )
    assert sorted(listed) == [path.stem for path in RUNBOOKS]


@pytest.mark.parametrize("runbook", RUNBOOKS, ids=lambda path: path.stem)
def test_every_runbook_says_what_it_means_where_to_look_what_to_do_and_when_it_is_over(runbook: Path) -> None:
    text = runbook.read_text(encoding="utf-8")
    places = [text.find(part) for part in PARTS]
    assert -1 not in places
    assert places == sorted(places)


def described() -> set[str]:
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    return set(re.findall(r"^\| `photo_recommender_(\w+)`", text, re.MULTILINE))


def collected() -> set[str]:
    """Metrics that the collectors take, without the prefix of all."""
    text = (MONITORING.parent / "service" / "collector.tf").read_text(encoding="utf-8")
    lists = text.split("metrics_by_labels = {")[1].split("\n  }")[0]
    return {name for names in re.findall(r"\[([^\]]*)\]", lists) for name in re.findall(r'"(\w+)"', names)}


def test_every_metric_that_an_alarm_or_a_graph_looks_at_is_collected() -> None:
    named = set(re.findall(r"photo_recommender_(\w+)", terraform()))
    assert named
    assert named <= collected()


def test_every_metric_that_is_collected_exists() -> None:
    assert collected() <= described()


def test_every_saved_query_and_graph_that_a_page_names_is_made() -> None:
    text = terraform()
    queries = set(re.findall(r'^    "?([a-z-]+)"? += "(?:fields|filter|stats) ', text, re.MULTILINE))
    titles = [title.lower() for title in re.findall(r'title = "([^"]+)"', text)]
    for page in [INDEX, *RUNBOOKS]:
        content = page.read_text(encoding="utf-8")
        for name in re.findall(r"saved query `([a-z-]+)`", content):
            assert name in queries, f"{page.name}: there is no query {name}"
        if page in RUNBOOKS:
            for graph in re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", content):
                assert any(graph.lower() in title.lower() for title in titles), (
                    f"{page.name}: no graph has {graph!r} in its title"
                )


def runs() -> Iterator[tuple[str, list[str]]]:
    """(page, words after `photo-recommender`) of every command in docs/operations: in code, on one line."""
    for page in sorted(OPERATIONS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        code = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
        for line in [line for block in code for line in block.splitlines()] + spans:
            as_json = re.search(r'\["photo-recommender"((?:, *"[^"]*")*)\]', line)
            if as_json:
                yield page.name, re.findall(r'"([^"]*)"', as_json[1])
            elif found := re.search(r"(?:^|[\s(])photo-recommender ([a-z][^|;&>#)]*)", line):
                yield page.name, shlex.split(found[1])


@pytest.mark.parametrize(("page", "words"), [*runs()])
def test_every_command_of_the_pages_exists_with_its_options(page: str, words: list[str]) -> None:
    command = typer.main.get_command(photo_recommender.app)
    depth = 0
    while depth < len(words) and words[depth] in (below := getattr(command, "commands", {})):
        command, depth = below[words[depth]], depth + 1
    assert depth, f"{page}: there is no command {words[0]}"
    is_whole = not getattr(command, "commands", {}) or getattr(command, "invoke_without_command", False)
    assert is_whole, f"{page}: {words} lacks a subcommand"
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in words[depth:] if word.startswith("--")} <= known | {"--help"}


def test_the_pages_name_commands() -> None:
    assert len([*runs()]) > 20
