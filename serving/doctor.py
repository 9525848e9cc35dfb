"""What `doctor` looks at of serving, and all checks of all parts in their order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from features.errors import ConfigurationError
from features.settings import PREFIX, Settings
from pipelines.operation.doctor import Check, Finding, State, examine, failed, ok, skipped, warning
from pipelines.operation.doctor_pulling import database_check, pulling_checks
from pipelines.operation.doctor_stores import model_check, store_checks
from serving.accounts.tokens import KEY_FILE, Vault
from serving.web.site import FOLDER, PAGE


def examine_everything(settings: Settings, site: Path = FOLDER) -> Iterator[tuple[str, Finding]]:
    """(name, finding) of every part that these settings name, as soon as it is known. Changes nothing."""
    yield "settings", ok(f"home is {settings.home}")
    ((name, database),) = examine([database_check(settings)])
    yield name, database
    engine = sa.create_engine(settings.database_url) if database.state is State.OK else None
    mlflow = skipped("")
    for name, finding in examine(
        [*store_checks(settings), *pulling_checks(settings, engine), *serving_checks(settings, site)]
    ):
        mlflow = finding if name == "MLflow" else mlflow
        yield name, finding
    yield from examine([model_check(settings, mlflow)])
    if engine is not None:
        engine.dispose()


def serving_checks(settings: Settings, site: Path = FOLDER) -> list[Check]:
    """What only the website needs. `site`: the folder of the built one."""
    return [
        Check("token keys", partial(_tokens, settings), "without the right key everybody has to sign in again"),
        Check("website", partial(_site, site), "run `make site`"),
    ]


def _tokens(settings: Settings) -> Finding:
    if settings.token_keys:
        Vault([key.get_secret_value() for key in settings.token_keys])
        return ok(f"{len(settings.token_keys)} in {PREFIX}TOKEN_KEYS")
    path = settings.home / KEY_FILE
    if not path.exists():
        return skipped(f"{path} is not there yet: the service makes it")
    try:
        Vault([path.read_text().strip()])
    except ConfigurationError as error:
        return failed(f"{path} holds no key", "bring it back from a backup", error.exit_status)
    if path.stat().st_mode & 0o077:
        return warning(f"others on this machine can read {path}", f"chmod 600 {path}")
    return ok(f"one, in {path}")


def _site(folder: Path) -> Finding:
    page = folder / PAGE
    return ok(f"{page.parent} is built") if page.exists() else failed(f"{page} is missing", "run `make site`")
