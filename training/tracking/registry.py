"""The registry: which bundles there are, which of them is champion, and how a bundle gets to this machine.

Bundles are plain folders, no pickle. The alias moves last in a registration, so that a kill leaves the old champion.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.errors import InvalidInputError, NotFoundError
from features.settings import Settings
from training.gate import Decision
from training.storage import load_json
from training.tracking.client import artifact_text, database_file, mlflow_client

CHAMPION = "champion"
CHALLENGER = "challenger"

# Tags of a version. FINGERPRINT is the last thing that a registration writes: a version without it is not finished.
FINGERPRINT = "fingerprint"
PROMOTED_AT = "promoted_at"
KIND = "kind"
GATE = "gate"
GATE_REASON = "gate_reason"
MINOR_OF = "minor_of"
"""The version that a minor version extends by new photos; other versions lack the tag."""

MANIFEST = "manifest.json"

SECONDS_KEPT = 3_600
"""How long a copy of what is no longer registered stays on this machine: a list of versions may be as old as that."""

DESCRIPTION = """Photos for a person, from Flickr favorites. Each version is a bundle of plain files, no pickle: \
`photo-recommender serve` memory-maps the champion's, `mlflow.pyfunc.load_model` reads any.

Aliases: `champion` is served; `challenger` was refused by the gate, for the reason in its tag `gate_reason`."""
MODEL_TAGS = {"task": "recommendation", "data": "favorites and dismissals of photos", "framework": "implicit"}


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered bundle. `aliases`: champion, challenger or none; `gate`: "passed" or "failed".

    minor_of: the version of the training that a minor version extends, "" for a training's own; `run_id`: of the
    training, for both.
    """

    version: str
    kind: str
    aliases: tuple[str, ...]
    gate: str
    gate_reason: str
    created_at: datetime
    promoted_at: str
    run_id: str
    source: str
    fingerprint: str
    minor_of: str = ""

    @property
    def trained(self) -> str:
        """The version that the training registered: this one, or the one that it extends."""
        return self.minor_of or self.version


def register(
    settings: Settings,
    run_id: str,
    source: str,
    decision: Decision,
    fingerprint: str,
    description: str,
    tags: Mapping[str, str],
) -> str:
    """Register the uploaded bundle at `source` and move the aliases as decided. Returns the version's number."""
    with mlflow_client(settings) as client:
        name = settings.model_name
        _ensure_registered_model(client, name)
        about = {KIND: decision.kind, GATE: "passed" if decision.passed else "failed", GATE_REASON: decision.reason}
        registered = client.create_model_version(
            name, source=source, run_id=run_id, tags={**tags, **about}, description=description
        )
        version = str(registered.version)
        client.set_registered_model_alias(name, CHALLENGER, version)
        if decision.passed:
            make_champion(client, name, version)
        client.set_model_version_tag(name, version, FINGERPRINT, fingerprint)
        return version


def _ensure_registered_model(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, tags=MODEL_TAGS, description=DESCRIPTION)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def make_champion(client: Any, name: str, version: str) -> None:
    client.set_model_version_tag(name, version, PROMOTED_AT, datetime.now(UTC).isoformat(timespec="seconds"))
    client.set_registered_model_alias(name, CHAMPION, version)
    if str(client.get_registered_model(name).aliases.get(CHALLENGER)) == version:  # a number from some backends
        client.delete_registered_model_alias(name, CHALLENGER)


def list_versions(settings: Settings) -> list[RegisteredVersion]:
    """All registered versions, newest first; none when nothing was ever registered. Raises DependencyError."""
    database = database_file(settings)
    if database is not None and not database.exists():
        return []
    with mlflow_client(settings) as client:
        from mlflow.exceptions import MlflowException

        name = settings.model_name
        try:
            aliases = client.get_registered_model(name).aliases
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return []
            raise
        found, token = [], None
        while True:
            page = client.search_model_versions(f"name = '{name}'", max_results=200, page_token=token)
            found += [_registered(version, aliases) for version in page]
            token = page.token
            if not token:
                return sorted(found, key=lambda version: int(version.version), reverse=True)


def _registered(found: Any, aliases: dict[str, Any]) -> RegisteredVersion:
    return RegisteredVersion(
        version=str(found.version),
        kind=found.tags.get(KIND, ""),
        aliases=tuple(sorted(alias for alias, version in aliases.items() if str(version) == str(found.version))),
        gate=found.tags.get(GATE, ""),
        gate_reason=found.tags.get(GATE_REASON, ""),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, tz=UTC),
        promoted_at=found.tags.get(PROMOTED_AT, ""),
        run_id=found.run_id or "",
        source=found.source,
        fingerprint=found.tags.get(FINGERPRINT, ""),
        minor_of=found.tags.get(MINOR_OF, ""),
    )


def version_named(settings: Settings, name: str) -> RegisteredVersion:
    """The version of that number or alias. Raises NotFoundError when there is none, DependencyError."""
    versions = list_versions(settings)
    found = next((known for known in versions if name in (known.version, *known.aliases)), None)
    if found is None:
        registered = ", ".join(known.version for known in versions) or "none"
        raise NotFoundError(f"no version {name!r} of {settings.model_name}; registered: {registered}", field="version")
    return found


def run_metrics(settings: Settings, run_id: str) -> dict[str, dict[str, float]]:
    """{model: {metric: value}} of a training's run. Raises DependencyError."""
    with mlflow_client(settings) as client:
        logged = client.get_run(run_id).data.metrics
    result: dict[str, dict[str, float]] = {}
    for name, value in sorted(logged.items()):
        model, separator, metric = name.partition("/")
        if separator and model != "system":  # MLflow's own prefix for processor, memory and disk
            result.setdefault(model, {})[metric] = value
    return result


def champion(settings: Settings) -> RegisteredVersion | None:
    """The version that is champion now. Raises DependencyError."""
    return next((version for version in list_versions(settings) if CHAMPION in version.aliases), None)


def champion_folder(settings: Settings) -> tuple[str, Path] | None:
    """The champion's version and its bundle on this machine, fetched when it is not here yet; None without a champion.

    Raises DependencyError when the registry or the artifacts can't be read.
    """
    versions = list_versions(settings)
    current = next((version for version in versions if CHAMPION in version.aliases), None)
    if current is None:
        return None
    folder = bundle_folder(settings, current)
    _forget_copies(settings, versions)
    return current.version, folder


def _local_folder(settings: Settings, version: RegisteredVersion) -> Path:
    return settings.home / "models" / f"{version.version}-{version.run_id[:12]}"


def _forget_copies(settings: Settings, versions: Sequence[RegisteredVersion]) -> None:
    """Remove this machine's copies of versions that are no longer registered: minor versions come by the hour."""
    known = {_local_folder(settings, version).name for version in versions}
    for folder in (settings.home / "models").glob("*-*"):
        unknown = re.fullmatch(r"\d+-[0-9a-f]*", folder.name) and folder.name not in known
        if unknown and time.time() - folder.stat().st_mtime > SECONDS_KEPT:
            shutil.rmtree(folder, ignore_errors=True)


def bundle_folder(settings: Settings, version: RegisteredVersion) -> Path:
    """The version's bundle below `home/models`, downloaded once; a download appears whole or not at all."""
    folder = _local_folder(settings, version)
    if folder.exists():
        return folder
    with mlflow_client(settings):
        from mlflow.artifacts import download_artifacts

        partial = folder.with_name(f"{folder.name}.{uuid.uuid4().hex[:8]}.partial")
        partial.mkdir(parents=True)
        try:
            found = download_artifacts(
                artifact_uri=version.source, dst_path=str(partial), tracking_uri=settings.mlflow_uri
            )
            Path(found).rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster: its copy is as good
                raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return folder


def manifest_of(settings: Settings, version: RegisteredVersion) -> dict[str, Any]:
    """The manifest of the version's bundle, without fetching the bundle. Raises DependencyError, CorruptModelError."""
    local = _local_folder(settings, version) / MANIFEST
    if not local.exists():
        manifest: dict[str, Any] = json.loads(artifact_text(settings, f"{version.source}/{MANIFEST}"))
        return manifest
    return load_json(local)


def promote(settings: Settings, version: str) -> RegisteredVersion:
    """Make that version champion. Raises NotFoundError when it is not registered."""
    chosen = version_named(settings, version)
    with mlflow_client(settings) as client:
        make_champion(client, settings.model_name, chosen.version)
    return version_named(settings, chosen.version)


def rollback(settings: Settings) -> RegisteredVersion:
    """Make the newest version before the champion that once was champion it again; before the training that a minor
    version extends, where the champion is one: that has the same taste, and would be extended again within the hour.

    Raises InvalidInputError when there is none.
    """
    versions = list_versions(settings)
    current = next((version for version in versions if CHAMPION in version.aliases), None)
    if current is None:
        raise InvalidInputError(f"{settings.model_name} has no champion to roll back from: train first")
    earlier = [v for v in versions if v.promoted_at and int(v.version) < int(current.trained)]
    if not earlier:
        raise InvalidInputError(f"version {current.trained} is the oldest champion: there is none to roll back to")
    return promote(settings, earlier[0].version)
