"""What `doctor` looks at of what is kept: disk, lake, online store, Feast's registry, MLflow, the champion's bundle.

Looking makes nothing that is not there yet, but for a file of its own in the lake, which it deletes again.
"""

from __future__ import annotations

import shutil
import uuid
from functools import partial
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from features.errors import DependencyError, StorageFullError, is_storage_full
from features.lake import open_lake
from features.settings import PREFIX, Settings
from pipelines.operation.doctor import Check, Finding, State, failed, ok, shown, skipped, sqlite_file, warning

LITTLE_BYTES = 500 * 2**20
FULL_BYTES = 50 * 2**20

PROBE = b"written by photo-recommender doctor"

TRAIN = "`photo-recommender train` makes one"


def store_checks(settings: Settings) -> list[Check]:
    return [
        Check("disk", partial(_disk, settings), f"correct {PREFIX}HOME"),
        Check("lake", partial(_lake, settings), f"correct {PREFIX}LAKE_URI, its rights, or the AWS variables"),
        Check(
            "online store",
            partial(_online, settings),
            f"start it, or correct {PREFIX}ONLINE_STORE; `photo-recommender features` fills an empty one again",
        ),
        Check("Feast registry", partial(_registry, settings), f"start it, or correct {PREFIX}REGISTRY_URL"),
        Check(
            "MLflow",
            partial(_mlflow, settings),
            f"start it, or correct {PREFIX}MLFLOW_URI; the service goes on with the model it has",
        ),
    ]


def model_check(settings: Settings, mlflow: Finding) -> Check:
    """`mlflow`: what was found of it."""
    advice = "`photo-recommender models rollback`, or `train` again; the service goes on with the model it has"
    if mlflow.state is not State.OK:
        return Check("model", lambda: skipped("needs a champion in MLflow"), advice)
    return Check("model", partial(_model, settings), advice)


def _disk(settings: Settings) -> Finding:
    parts = [settings.home, *(Path(at) for at in (settings.lake_uri, settings.mlflow_artifacts) if "://" not in at)]
    for address in (settings.database_url, settings.registry_url, settings.mlflow_uri, settings.budget_url):
        parts += [path.parent] if (path := sqlite_file(address)) is not None else []
    disks: dict[int, Path] = {}
    for place in map(_existing, parts):
        disks.setdefault(place.stat().st_dev, place)
    free = {place: shutil.disk_usage(place).free for place in disks.values()}
    found = ", ".join(f"{left / 2**30:.1f} GiB free in {place}" for place, left in free.items())
    least = min(free.values())
    if least < FULL_BYTES:
        return failed(found, "free some: workers take no messages, and actions are refused, until there is space")
    if least < LITTLE_BYTES:
        return warning(found, "free some; `photo-recommender lake vacuum` removes files that nothing needs")
    return ok(found)


def _lake(settings: Settings) -> Finding:
    uri = settings.lake_uri
    try:
        if uri.startswith("s3://"):
            _write_and_delete_object(uri)
        else:
            _write_and_delete_file(_existing(Path(uri)))
    except (OSError, BotoCoreError, ClientError) as error:
        if is_storage_full(error):
            raise StorageFullError(f"no space is left at {uri}") from error
        raise DependencyError(f"{uri} can't be written: {error}") from error
    versions = open_lake(settings).versions()
    tables = ", ".join(f"{name} {version}" for name, version in versions.items())
    return ok(f"{uri} can be written and read; {f'versions: {tables}' if tables else 'no tables yet'}")


def _write_and_delete_file(folder: Path) -> None:
    """In the lake's folder, or the one in which it will be made. Raises OSError."""
    probe = folder / _probe_name()
    try:
        probe.write_bytes(PROBE)
        if probe.read_bytes() != PROBE:
            raise OSError(f"{probe} does not hold what was written")
    finally:
        probe.unlink(missing_ok=True)


def _write_and_delete_object(uri: str) -> None:
    """Below the lake's prefix. Raises OSError, or what botocore raises."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    place = {"Bucket": bucket, "Key": f"{prefix}/{_probe_name()}".lstrip("/")}
    client = boto3.client("s3", config=Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 1}))
    client.put_object(**place, Body=PROBE)
    try:
        if client.get_object(**place)["Body"].read() != PROBE:
            raise OSError(f"{uri} does not hold what was written")
    finally:
        client.delete_object(**place)


def _probe_name() -> str:
    return f".doctor-{uuid.uuid4().hex}"


def _online(settings: Settings) -> Finding:
    from features.feature_tables import USER_SNAPSHOT
    from features.online import OnlineFeatures

    path = None if settings.online_store else settings.home / "feast" / "online.db"
    if path is not None and not path.exists():
        return skipped(f"{path} is not there yet: workers and `photo-recommender features` make it")
    OnlineFeatures(settings).read(USER_SNAPSHOT, ["doctor"])
    return ok(f"{shown(settings.online_store) if path is None else path} answers")


def _registry(settings: Settings) -> Finding:
    from features.feast_registry import open_store
    from features.repository import definitions

    path = sqlite_file(settings.registry_url)
    advice = "`photo-recommender features apply` registers them"
    if path is not None and not path.exists():
        return skipped(f"{path} is not there yet", advice)
    registered = {view.name for view in open_store(settings).list_feature_views()}
    missing = sorted({view.name for view in definitions.VIEWS} - registered)
    if missing:
        return warning(f"not registered: {', '.join(missing)}", advice)
    return ok(f"{shown(settings.registry_url)}, {len(registered)} feature views")


def _mlflow(settings: Settings) -> Finding:
    from training.tracking import champion

    path = sqlite_file(settings.mlflow_uri)
    if path is not None and not path.exists():
        return skipped(f"{path} is not there yet: nothing was trained", TRAIN)
    current = champion(settings)
    where = shown(settings.mlflow_uri)
    if current is None:
        return warning(f"{where} has no champion of {settings.model_name}: walls are ranked without a model", TRAIN)
    return ok(f"{where}, champion: version {current.version} ({current.kind}) of {settings.model_name}")


def _model(settings: Settings) -> Finding:
    from training.bundle import load_bundle
    from training.tracking import champion_folder

    current = champion_folder(settings)
    if current is None:
        return skipped("the champion was taken away meanwhile")
    version, folder = current
    bundle = load_bundle(folder, version)
    return ok(f"version {version} loads: {bundle.kind}, {len(bundle.photo_ids):,} photos")


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists and in which it would be made."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())
