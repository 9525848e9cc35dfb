"""What the tests of the whole pull path share: the rig's package, its sandbox, and the process that forks workers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# pytest imports no folder of tests as a package; the rig is one, which a benchmark uses, too.
sys.path.insert(0, str(Path(__file__).parent))

from pull_rig.processes import Zygote, run_zygote
from pull_rig.sandbox import Sandbox, run_sandbox

from features.database import open_database


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with run_zygote() as zygote:
        yield zygote


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with run_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database whose schema is made, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    open_database(f"sqlite:///{path}").dispose()
    return path
