"""Opening the SQL database: what stands in the way is said, soon, and without a password."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from features import database
from features.database import open_database
from features.errors import ConfigurationError, DependencyError


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_server_that_never_answers_is_given_up_soon(silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)
    began = time.monotonic()
    with pytest.raises(DependencyError, match=r"photo:\*\*\*@127\.0\.0\.1") as raised:
        open_database(f"postgresql://photo:secret@127.0.0.1:{silent_port}/photo")
    assert time.monotonic() - began < 20
    assert "secret" not in raised.value.message


def test_an_address_that_is_none_names_the_setting() -> None:
    with pytest.raises(ConfigurationError, match="PHOTO_RECOMMENDER_DATABASE_URL='nonsense'"):
        open_database("nonsense")
