"""What the documentation must name: settings with their meaning, commands, addresses, error codes, metrics."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import sqlalchemy as sa
import typer
from prometheus_client import REGISTRY

import features
import photo_recommender
import pipelines
import serving
import training
from features.errors import PhotoRecommenderError
from features.settings import Settings
from pipelines.flickr import answers as flickr_answers
from pipelines.operation.metrics import SharedState
from pipelines.queue.sql_queue import SqlQueue
from serving import errors
from serving.accounts import signin
from serving.api.app import create_app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_every_setting_is_described_for_the_operator(name: str) -> None:
    field = Settings.model_fields[name]
    assert field.description
    row = next((line for line in read("docs/operator.md").splitlines() if line.startswith(f"| `{name.upper()}` |")), "")
    assert field.description in row


def commands() -> list[str]:
    group = typer.main.get_command(photo_recommender.app)
    names = []
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", {})
        names += [f"{name} {sub}" for sub in below] if below else [name]
    return names


@pytest.mark.parametrize("command", commands())
def test_every_command_is_listed_for_the_operator(command: str) -> None:
    assert re.search(rf"`{command}( [A-Z]+)?`", read("docs/operator.md"))


@pytest.mark.parametrize(
    ("path", "method"),
    [(path, method.upper()) for path, methods in create_app().openapi()["paths"].items() for method in methods],
)
def test_every_address_of_the_api_is_listed(path: str, method: str) -> None:
    rows = [line for line in read("docs/http.md").splitlines() if re.search(rf" {re.escape(path)}[?`]", line)]
    assert any(method in row for row in rows)


def codes() -> set[str]:
    def below(error: type[PhotoRecommenderError]) -> set[type[PhotoRecommenderError]]:
        return {error}.union(*(below(sub) for sub in error.__subclasses__()))

    assert flickr_answers, errors and signin  # imported, so that their errors are there
    return {error.code for error in below(PhotoRecommenderError)}


@pytest.mark.parametrize("code", sorted(codes() - {"not_allowed", "schema", "token_invalid"}))
def test_every_error_code_that_the_service_answers_is_listed(code: str) -> None:
    assert f"`{code}`" in read("docs/http.md")


def metrics() -> dict[str, str]:
    """The type of each metric that any process shows, by the name that a query uses."""
    for package in (features, training, pipelines, serving):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if ".migrations" not in module.name:  # Alembic's, which only run within a migration
                importlib.import_module(module.name)
    engine = sa.create_engine("sqlite://")
    shared = SharedState(Settings(_env_file=None), engine, SqlQueue(engine, 1))  # type: ignore[call-arg]
    families = [*REGISTRY.collect(), *shared.describe()]
    ours = [family for family in families if family.name.startswith("photo_recommender_")]
    return {f"{family.name}_total" if family.type == "counter" else family.name: family.type for family in ours}


def test_every_metric_is_described_with_its_type_and_no_other() -> None:
    rows = re.findall(r"^\| `(photo_recommender_\w+)` \| (\w+) \|", read("docs/metrics.md"), re.MULTILINE)
    assert dict(rows) == metrics()
    assert len(dict(rows)) == len(rows)


def test_every_metric_that_an_alarm_names_exists() -> None:
    named = re.findall(r"photo_recommender_\w+", read("docs/metrics.md").split("## What to watch")[1])
    assert named
    assert {name.removesuffix("_bucket") for name in named} <= set(metrics())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
