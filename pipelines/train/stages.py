"""What the stages of one training share: settings, progress, how long each took, and what MLflow could not take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from features.errors import DependencyError
from features.progress import Report
from features.settings import Settings

log = structlog.get_logger(__name__)


@dataclass
class Iterations:
    """What an ALS did in each of its iterations, from 1. seconds: that one alone took, the loss's own among them."""

    loss: dict[int, float] = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def steps(self, prefix: str = "") -> dict[str, dict[int, float]]:
        """As step metrics."""
        return {f"{prefix}loss": self.loss, f"{prefix}seconds": self.seconds}


class IterationsByName(dict[str, Iterations]):
    """By the ALS's name; noted as `fit_each` tells them."""

    def note(self, name: str, iteration: int, loss: float, seconds: float) -> None:
        of_model = self.setdefault(name, Iterations())
        of_model.loss[iteration], of_model.seconds[iteration] = loss, seconds


@dataclass
class Job:
    """seconds: by stage. problems: messages, each once."""

    settings: Settings
    progress: Report | None
    seconds: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        self.report(name, 0, 1)
        yield
        self.report(name, 1, 1)
        self.seconds[name] = round(time.perf_counter() - started, 3)
        log.info("training", stage=name, seconds=self.seconds[name])

    def report(self, name: str, made: int, total: int) -> None:
        if self.progress is not None:
            self.progress(f"train: {name}", made, total)

    @contextmanager
    def mlflow_may_fail(self) -> Iterator[None]:
        """Leave the block on a DependencyError and note it, once."""
        try:
            yield
        except DependencyError as error:
            if error.message not in self.problems:
                self.problems.append(error.message)
                log.warning("mlflow failed", error=error.message)
