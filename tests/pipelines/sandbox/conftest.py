"""The shared sandbox as its own tests want it, and what its world says about a user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from pipelines.sandbox.world import World


@pytest.fixture
def sandbox(shared_sandbox: Any) -> Iterator[Any]:
    """The one server of this session, well-behaved and at the present time."""
    shared_sandbox.faults()
    shared_sandbox.clock("live")
    yield shared_sandbox
    shared_sandbox.faults()


@pytest.fixture(scope="session")
def favorites_at(world: World) -> Callable[[int, float], list[tuple[str, str]]]:
    """(photo id, date_faved) of a user's favorites at a time as the world has them, newest first."""
    faves = world.favorites

    def find(user: int, now: float) -> list[tuple[str, str]]:
        rows = np.flatnonzero((faves.user == user) & (faves.faved_at <= now) & (faves.unfaved_at > now))
        rows = rows[np.lexsort((faves.photo[rows], -faves.faved_at[rows]))]
        return [(world.photo_ids[faves.photo[row]], str(faves.faved_at[row])) for row in rows]

    return find


@pytest.fixture(scope="session")
def most_active(world: World) -> int:
    """The user with most favorites, by row."""
    return int(np.argmax(np.diff(world.favorites.first)))
