"""Dependencies are locked by hash, and the locks name no addresses: each machine has its own way to the packages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


LOCKS = ("requirements.lock", "requirements-run.lock", "docker/mlflow.lock", "frontend/package-lock.json")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_address(name: str) -> None:
    assert re.findall(r"\w+://[^\s\"]+", (ROOT / name).read_text(encoding="utf-8")) == []


def test_every_python_package_has_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = re.findall(r"^[a-z0-9][^\n]*==[^\n]*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9][^\n]*==", text, re.MULTILINE)) > 100


def test_every_npm_package_has_a_hash() -> None:
    packages = json.loads((ROOT / "frontend" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, package in packages.items() if name and "integrity" not in package] == []
