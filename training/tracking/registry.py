"""The registry: which bundles there are, which of them is champion, and which shares walls with it.

Bundles are plain folders, no pickle. The alias moves last in a registration, so that a kill leaves the old champion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from features.errors import InvalidInputError, NotFoundError
from features.settings import Settings
from training.gate import Decision
from training.tracking.client import database_file, mlflow_client

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

MINORS = "minors"
"""The minor versions of a training, its tag: their numbers with spaces between. They are named there for ever: walls
are measured when most of them are no longer registered."""

CHALLENGING_SINCE = "challenging_since"
"""A challenger with it shares walls with the champion; one that the gate refused, and nobody chose, has none."""

TUNED = "tuned_als"
"""What a search found for ALS and the version was trained with, as JSON; other versions lack the tag."""

NO_MODELS = ("system", "drift", "tuning", "refit", "online")
"""Of a run's metrics, groups that are not a model's: `system/…` is MLflow's own, of processor, memory and disk."""

DESCRIPTION = """Photos for a person, from Flickr favorites. Each version is a bundle of plain files, no pickle: \
`photo-recommender serve` memory-maps the champion's, `mlflow.pyfunc.load_model` reads any.

Aliases: `champion` is served; `challenger` was refused by the gate, for the reason in its tag `gate_reason`, or, with \
the tag `challenging_since`, was put beside the champion by `photo-recommender models challenge`."""
MODEL_TAGS = {"task": "recommendation", "data": "favorites and dismissals of photos", "framework": "implicit"}


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered bundle. `aliases`: champion, challenger or none; `gate`: "passed" or "failed".

    minor_of: the version of the training that a minor version extends, "" for a training's own; `run_id`: of the
    training, for both. minors: of a training, its minor versions, those that are no longer registered among them.
    challenging_since, tuned: what those tags say, "" without them.
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
    minors: tuple[str, ...] = ()
    challenging_since: str = ""
    tuned: str = ""

    @property
    def trained(self) -> str:
        """The version that the training registered: this one, or the one that it extends."""
        return self.minor_of or self.version

    @property
    def is_challenging(self) -> bool:
        """Whether somebody has put it beside the champion, to share walls with it."""
        return CHALLENGER in self.aliases and bool(self.challenging_since)


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
        if not _is_challenged(client, name):
            client.set_registered_model_alias(name, CHALLENGER, version)
        if decision.passed:
            make_champion(client, name, version)
        client.set_model_version_tag(name, version, FINGERPRINT, fingerprint)
        return version


def _is_challenged(client: Any, name: str) -> bool:
    """Whether a challenger shares walls with the champion: a training does not take its place."""
    version = client.get_registered_model(name).aliases.get(CHALLENGER)
    return version is not None and CHALLENGING_SINCE in client.get_model_version(name, str(version)).tags


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
        minors=tuple(found.tags.get(MINORS, "").split()),
        challenging_since=found.tags.get(CHALLENGING_SINCE, ""),
        tuned=found.tags.get(TUNED, ""),
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
        if separator and model not in NO_MODELS:
            result.setdefault(model, {})[metric] = value
    return result


def champion(settings: Settings) -> RegisteredVersion | None:
    """The version that is champion now. Raises DependencyError."""
    return next((version for version in list_versions(settings) if CHAMPION in version.aliases), None)


def promote(settings: Settings, version: str) -> RegisteredVersion:
    """Make that version champion. Raises NotFoundError when it is not registered."""
    chosen = version_named(settings, version)
    with mlflow_client(settings) as client:
        make_champion(client, settings.model_name, chosen.version)
    return version_named(settings, chosen.version)


def rollback_target(versions: Sequence[RegisteredVersion]) -> RegisteredVersion | None:
    """What `rollback` would make champion; None when there is nothing. versions: all of them, newest first."""
    current = next((version for version in versions if CHAMPION in version.aliases), None)
    if current is None:
        return None
    return next((v for v in versions if v.promoted_at and int(v.version) < int(current.trained)), None)


def rollback(settings: Settings) -> RegisteredVersion:
    """Make the newest version before the champion that once was champion it again; before the training that a minor
    version extends, where the champion is one: that has the same taste, and would be extended again within the hour.

    Raises InvalidInputError when there is none.
    """
    versions = list_versions(settings)
    current = next((version for version in versions if CHAMPION in version.aliases), None)
    if current is None:
        raise InvalidInputError(f"{settings.model_name} has no champion to roll back from: train first")
    earlier = rollback_target(versions)
    if earlier is None:
        raise InvalidInputError(f"version {current.trained} is the oldest champion: there is none to roll back to")
    return promote(settings, earlier.version)


def challenge(settings: Settings, version: str) -> RegisteredVersion:
    """Put a registered version beside the champion, as the challenger that shares walls with it.

    Whatever the gate said; it stays there until it is champion or `end_challenge` is called. Raises NotFoundError when
    it is not registered, InvalidInputError when it is champion.
    """
    chosen = version_named(settings, version)
    if CHAMPION in chosen.aliases:
        raise InvalidInputError(f"version {chosen.version} is champion: it can't challenge itself", field="version")
    with mlflow_client(settings) as client:
        name, now = settings.model_name, datetime.now(UTC).isoformat(timespec="seconds")
        client.set_model_version_tag(name, chosen.version, CHALLENGING_SINCE, now)
        client.set_registered_model_alias(name, CHALLENGER, chosen.version)
    return version_named(settings, chosen.version)


def end_challenge(settings: Settings) -> RegisteredVersion:
    """Take the challenger from beside the champion; all walls are the champion's again.

    Raises NotFoundError when there is none.
    """
    current = next((version for version in list_versions(settings) if version.is_challenging), None)
    if current is None:
        raise NotFoundError("no version shares walls with the champion", field="version")
    with mlflow_client(settings) as client:
        client.delete_registered_model_alias(settings.model_name, CHALLENGER)
        client.delete_model_version_tag(settings.model_name, current.version, CHALLENGING_SINCE)
    return version_named(settings, current.version)
