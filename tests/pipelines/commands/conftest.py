"""The command line, run within the test's own process with settings of the test's choice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

import photo_recommender
from features.settings import Settings, get_settings


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ended]]:
    """`command_line(settings, "pull", …, NAME=value)`: the settings, and what else is named, are the environment."""

    def run(settings: Settings, *arguments: object, **environment: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["photo-recommender", *map(str, arguments)])
        for name, value in {**settings.environment(), **environment}.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        with pytest.raises(SystemExit) as ended:
            photo_recommender.main()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    yield run
    get_settings.cache_clear()
