"""The command `schedule`: what it says of what is due, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from features.database import accounts, leases, pull_asked, pull_cursors
from features.errors import InvalidInputError
from features.settings import Settings
from pipelines.commands import schedule as commands_schedule


def insert(engine: sa.Engine, table: sa.Table, *rows: dict[str, Any]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(table), list(rows))


def visit(engine: sa.Engine, user_id: str, at: datetime) -> None:
    insert(engine, accounts, {"user_id": user_id, "name": user_id, "created_at": at, "last_visit_at": at})


def pulled(engine: sa.Engine, user_id: str, at: datetime, **columns: Any) -> None:
    insert(engine, pull_cursors, {"user_id": user_id, "favorites_pulled_at": at, "contacts_pulled_at": at, **columns})


@pytest.fixture
def invoke(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    app = typer.Typer()
    app.callback()(lambda: None)
    commands_schedule.register(app)
    monkeypatch.setattr("features.settings.get_settings", lambda: settings)
    return lambda *arguments: CliRunner().invoke(app, ["schedule", *arguments], catch_exceptions=False)


def test_once_says_what_is_due_and_why_and_asks_for_nothing(invoke: Callable[..., Any], engine: sa.Engine) -> None:
    now = datetime.now(UTC)
    visit(engine, "a@N01", now)
    pulled(engine, "a@N01", now - timedelta(days=8), favorites=10, rate_favorites=20.0, rate_days=20.0)
    visit(engine, "fresh@N01", now)
    pulled(engine, "fresh@N01", now)
    answer = json.loads(invoke("--once", "--json").stdout)
    assert (answer["users"], answer["due"], answer["overdue"]) == (2, 2, 2)
    first = answer["requests"][0]
    assert (first["user_id"], first["kind"], first["walls"], first["overdue"]) == ("a@N01", "favorites", 1, True)
    assert first["waited_hours"] == pytest.approx(8 * 24)
    assert first["worth"] == pytest.approx(8 * first["favorites_a_day"], rel=0.01)
    line = next(
        line
        for line in invoke("--once").stdout.splitlines()
        if "overdue" in line and "favorites" in line and "worth" not in line
    )
    assert line.split()[:4] == ["a@N01", "favorites", "overdue", "192.0"]
    with engine.connect() as connection:
        assert connection.execute(sa.select(pull_asked)).fetchall() == []


def test_sigterm_ends_the_process_at_once_and_frees_the_lease(settings: Settings, engine: sa.Engine) -> None:
    program = (
        "import typer; from pipelines.commands import schedule; app = typer.Typer(); app.callback()(lambda: None); "
        "schedule.register(app); app(['schedule'])"
    )
    environment = {**settings.environment(), "PHOTO_RECOMMENDER_LOG_FORMAT": "json", "PATH": "/usr/bin"}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        assert any("scheduler_active" in line for line in process.stderr)
        began = time.monotonic()
        process.terminate()
        assert process.wait(10) == 0
        assert time.monotonic() - began < 3
    finally:
        process.kill()
        process.stderr.close()
    with engine.connect() as connection:
        assert connection.execute(sa.select(leases)).fetchall() == []


def test_json_without_once_is_refused(invoke: Callable[..., Any]) -> None:
    with pytest.raises(InvalidInputError, match="--once"):
        invoke("--json")


def test_once_has_nothing_to_say_where_nobody_has_a_wall(invoke: Callable[..., Any]) -> None:
    assert json.loads(invoke("--once", "--json").stdout)["requests"] == []
    assert "0 refreshes are due" in invoke("--once").stdout
