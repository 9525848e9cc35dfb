"""Bundles on this machine: a folder a version below `home/models`, fetched once and shared by all processes here.

A copy appears whole or not at all, and few are kept. Which was champion last is written down, so that a service can
start while nobody can be asked.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from features.settings import Settings
from training.storage import load_json
from training.tracking.client import artifact_text, mlflow_client
from training.tracking.registry import CHAMPION, RegisteredVersion, list_versions, rollback_target

MANIFEST = "manifest.json"

SECONDS_KEPT = 3_600
"""How long a copy stays on this machine that nothing needs any more: a list of versions may be as old as that."""

NEWEST_KEPT = 2
"""Copies of the newest versions that stay, besides those of the aliases and of what a rollback would bring back."""

LAST_CHAMPION = "last-champion"
"""A file below `home` with the name of the copy that was champion when this machine last asked."""


def champion_folder(settings: Settings) -> tuple[str, Path] | None:
    """The champion's version and its bundle on this machine, fetched when it is not here yet; None without a champion.

    Raises DependencyError when the registry or the artifacts can't be read.
    """
    versions = list_versions(settings)
    current = next((version for version in versions if CHAMPION in version.aliases), None)
    if current is None:
        (settings.home / LAST_CHAMPION).unlink(missing_ok=True)
        return None
    folder = bundle_folder(settings, current)
    _remember(settings, folder)
    _forget_copies(settings, versions)
    return current.version, folder


def challenger_folder(settings: Settings) -> tuple[str, Path] | None:
    """The same of the challenger that somebody has put beside the champion (`models challenge`); None without one."""
    current = next((version for version in list_versions(settings) if version.is_challenging), None)
    return None if current is None else (current.version, bundle_folder(settings, current))


def copies_here(settings: Settings) -> list[tuple[str, Path]]:
    """(version, bundle) of what is on this machine: first what was champion last, then the newest. Asks nobody."""
    try:
        last = (settings.home / LAST_CHAMPION).read_text(encoding="utf-8")
    except OSError:
        last = ""
    found = [(folder.name.partition("-")[0], folder) for folder in _copies(settings)]
    return sorted(found, key=lambda copy: (copy[1].name != last, -int(copy[0])))


def discard_copy(settings: Settings, folder: Path) -> None:
    """Remove a bundle from this machine, so that it is fetched anew; nothing where it is not one of our copies.

    A process that has it open keeps what it has.
    """
    if folder in _copies(settings):
        shutil.rmtree(folder, ignore_errors=True)


def bundle_folder(settings: Settings, version: RegisteredVersion) -> Path:
    """The version's bundle below `home/models`, downloaded once; a download appears whole or not at all.

    Of several processes that want it at once, one downloads it and the others wait for that.
    """
    folder = _local_folder(settings, version)
    if folder.exists():
        return folder
    with mlflow_client(settings), _alone(settings):
        if folder.exists():
            return folder
        from mlflow.artifacts import download_artifacts

        partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
        partial.mkdir(parents=True)
        try:
            found = download_artifacts(
                artifact_uri=version.source, dst_path=str(partial), tracking_uri=settings.mlflow_uri
            )
            Path(found).rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    _forget_copies(settings, list_versions(settings))
    return folder


def manifest_of(settings: Settings, version: RegisteredVersion) -> dict[str, Any]:
    """The manifest of the version's bundle, without fetching the bundle. Raises DependencyError, CorruptModelError."""
    local = _local_folder(settings, version) / MANIFEST
    if not local.exists():
        manifest: dict[str, Any] = json.loads(artifact_text(settings, f"{version.source}/{MANIFEST}"))
        return manifest
    return load_json(local)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Holds the lock on downloads to this machine, which ends with the process that has it."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with (settings.home / "models.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _local_folder(settings: Settings, version: RegisteredVersion) -> Path:
    return settings.home / "models" / f"{version.version}-{version.run_id[:12]}"


def _copies(settings: Settings) -> list[Path]:
    return [found for found in (settings.home / "models").glob("*-*") if re.fullmatch(r"\d+-[0-9a-f]*", found.name)]


def _remember(settings: Settings, folder: Path) -> None:
    """Write down that this is the champion's copy."""
    path = settings.home / LAST_CHAMPION
    if path.exists() and path.read_text(encoding="utf-8") == folder.name:
        return
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.partial")
    partial.write_text(folder.name, encoding="utf-8")
    partial.replace(path)


def _forget_copies(settings: Settings, versions: Sequence[RegisteredVersion]) -> None:
    """Remove this machine's copies of what is neither served, nor about to be, nor what a rollback would go to."""
    needed = {version.version for version in versions if version.aliases}
    needed |= {version.trained for version in versions if CHAMPION in version.aliases}
    needed |= {version.version for version in versions[:NEWEST_KEPT]}
    if (before := rollback_target(versions)) is not None:
        needed.add(before.version)
    kept = {_local_folder(settings, version).name for version in versions if version.version in needed}
    for folder in _copies(settings):
        if folder.name not in kept and time.time() - folder.stat().st_mtime > SECONDS_KEPT:
            shutil.rmtree(folder, ignore_errors=True)
