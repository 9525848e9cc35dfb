"""Keys that are made below `home` when the settings name none: one file a key, readable by its owner alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def key_below(home: Path, name: str, make: Callable[[], bytes]) -> str:
    """The key in the file, made at first use; of two processes that start at once, both get the first one's."""
    path = home / name
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        partial = home / f".{name}.{os.getpid()}"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(partial, path)
        partial.unlink()
    return path.read_text().strip()
