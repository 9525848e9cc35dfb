"""Where a worker can be struck, and what then happens to it: the instrumentation of a child process.

A point is a call of the pull path's own functions, before it or after it, the nth time. There the process kills itself
as `kill -9` would, or the call fails as when a dependency is away, or in a way that nobody foresaw.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from features.errors import DependencyError

How = Literal["kill", "unreachable", "break"]

# point: the module and the name in it through which the pull path calls
CALLS = {
    "begin cursors": ("pipelines.pull.commit", "begin_cursors"),
    "write cursors": ("pipelines.pull.commit", "write_cursors"),
    "revive users": ("pipelines.pull.conclude", "revive_users"),
    "finish parts": ("pipelines.pull.conclude", "finish_parts"),
    "replace parts": ("pipelines.pull.conclude", "replace_parts"),
    "update progress": ("pipelines.pull.conclude", "update_progress"),
    "begin progress": ("pipelines.pull.worker", "begin_progress"),
    "ask": ("pipelines.pull.conclude", "ask"),
    "settle": ("pipelines.pull.conclude", "settle"),
    "publish": ("pipelines.pull.publish", "Publisher.publish"),
    "write candidates": ("features.online", "OnlineFeatures.write_neighbor_candidates"),
    "write snapshot": ("features.online", "OnlineFeatures.write_user_states"),
    "write photo cards": ("features.online", "OnlineFeatures.write_photo_cards"),
    "queue put": ("pipelines.queue.sql_queue", "SqlQueue.put"),
    "queue receive": ("pipelines.queue.sql_queue", "SqlQueue.receive"),
    "queue extend": ("pipelines.queue.sql_queue", "SqlQueue.extend"),
    "queue done": ("pipelines.queue.sql_queue", "SqlQueue.done"),
    "queue retry": ("pipelines.queue.sql_queue", "SqlQueue.retry"),
    "queue put back": ("pipelines.queue.sql_queue", "SqlQueue.put_back"),
}
APPENDS = tuple(f"append {name}" for name in ("users", "photos", "contacts", "interactions", "actions"))
POINTS = (*CALLS, *APPENDS)


@dataclass(frozen=True)
class Doom:
    """What becomes of a worker at the nth arrival at a point."""

    point: str
    moment: Literal["before", "after"]
    nth: int
    how: How = "kill"


class Fate:
    """The dooms of this process. Whatever is struck is noted in a file first, a line each."""

    def __init__(self, dooms: Sequence[Doom], notes: Path) -> None:
        self._dooms = list(dooms)
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._arrivals: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def note(self, words: str) -> None:
        os.write(self._notes, f"{words}\n".encode())

    def arrive(self, point: str, moment: str) -> None:
        with self._lock:
            self._arrivals[point, moment] += 1
            struck = [
                doom
                for doom in self._dooms
                if (doom.point, doom.moment, doom.nth) == (point, moment, self._arrivals[point, moment])
            ]
            for doom in struck:
                self.note(f"{doom.how} {moment} {point}")
                if doom.how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
        for doom in struck:
            if doom.how == "unreachable":
                raise DependencyError(f"made up {moment} {point}")
            raise RuntimeError(f"made up {moment} {point}")

    def watch(self) -> None:
        """Make every point of this process pass by here."""
        for point, (module, path) in CALLS.items():
            self._wrap(module, path, lambda *_args, point=point, **_options: point)
        self._wrap("features.lake", "Lake.append", _append)

    def _wrap(self, module: str, path: str, name: Callable[..., str]) -> None:
        *owners, attribute = path.split(".")
        owner: Any = importlib.import_module(module)
        for part in owners:
            owner = getattr(owner, part)
        inner = getattr(owner, attribute)

        def passing(*arguments: Any, **options: Any) -> Any:
            point = name(*arguments, **options)
            self.arrive(point, "before")
            result = inner(*arguments, **options)
            self.arrive(point, "after")
            return result

        setattr(owner, attribute, passing)


def _append(_lake: Any, table: Any, _rows: Any, *, marks: Any = None, **_options: Any) -> str:
    return "append actions" if "relay" in (marks or {}) else f"append {table.name}"
