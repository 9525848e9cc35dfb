"""The command `doctor`: one line a part, and an exit status."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from dataclasses import asdict
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.operation.doctor import Finding

MARKS = {"ok": "✓", "warning": "!", "failed": "✗", "skipped": "–"}
COLORS = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "failed": typer.colors.RED, "skipped": None}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False) -> None:
    """Check every part that the settings name, and say what to do. Exit: 0 well, 4 a part failed, 2 only settings."""
    from features.settings import get_settings

    settings = get_settings()  # what does not fit is told by the command line itself
    # A server that is down is to be told within the time of a check.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "8")
    warnings.simplefilter("ignore")
    _import_first()

    from features.logs import configure_logging
    from pipelines.operation.doctor import exit_status
    from serving.doctor import examine_everything

    configure_logging(settings, level=logging.CRITICAL)
    findings: dict[str, Finding] = {}
    for name, finding in examine_everything(settings):
        findings[name] = finding
        if not as_json:
            _say(name, finding)
    status = exit_status(list(findings.values()))
    if as_json:
        checks = [{"name": name, **asdict(finding)} for name, finding in findings.items()]
        typer.echo(json.dumps({"ok": status == 0, "exit_status": status, "checks": checks}))
    sys.exit(status)


def _import_first() -> None:
    """Take the seconds that Feast and MLflow need to be imported: they must not count as what a part took to answer."""
    for name in ("features.online", "features.repository.definitions", "mlflow", "mlflow.artifacts"):
        import_module(name)


def _say(name: str, finding: Finding) -> None:
    typer.secho(MARKS[finding.state], fg=COLORS[finding.state], nl=False)
    typer.echo(f" {name}: {finding.found}" + (f" → {finding.advice}" if finding.advice else ""))
