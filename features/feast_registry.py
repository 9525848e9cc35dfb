"""How Feast is told where its parts are: from our settings, in our processes and under Feast's own commands alike.

Feast's registry is kept in SQL, where a kill can't leave half of it. `feature_store.yaml` knows no defaults, so it
names the SQLAlchemy plugin below, which puts the registry's address from the settings in its place.
"""

from __future__ import annotations

from contextlib import chdir
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects import plugins
from sqlalchemy.engine import CreateEnginePlugin, make_url
from sqlalchemy.engine.url import URL

from features.settings import Settings, get_settings

if TYPE_CHECKING:
    from feast import FeatureStore, RepoConfig

PROJECT = "photo_recommender"
REPOSITORY = Path(__file__).parent / "repository"
PLUGIN = "photo_recommender_registry"
LOCK_SECONDS = 30


def feast_settings() -> Settings:
    """The settings of a process of Feast: its commands run in the repository, `.env` and `var` lie at the root."""
    with chdir(REPOSITORY.parents[1] if Path.cwd() == REPOSITORY else Path.cwd()):
        return get_settings()


def registry_url(settings: Settings) -> str:
    """The registry's SQLAlchemy URL; the folder of a SQLite file is made."""
    url = make_url(settings.registry_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    return settings.registry_url


class RegistryPlugin(CreateEnginePlugin):
    """`sqlite://?plugin=photo_recommender_registry` means: the registry that the settings name."""

    def __init__(self, url: URL, kwargs: dict[str, Any]) -> None:
        super().__init__(url, kwargs)
        self._url = make_url(registry_url(feast_settings()))
        kwargs.update(engine_arguments(self._url))

    def update_url(self, url: URL) -> URL:
        return self._url


plugins.register(PLUGIN, __name__, RegistryPlugin.__name__)


def engine_arguments(url: URL) -> dict[str, Any]:
    """Arguments of `create_engine`: a second writer waits for the first one instead of failing at once."""
    return {"connect_args": {"timeout": LOCK_SECONDS}} if url.get_backend_name() == "sqlite" else {}


def repo_config(settings: Settings) -> RepoConfig:
    """What `feature_store.yaml` says, for these very settings. Imports Feast (seconds)."""
    from feast import RepoConfig

    from features.lake_store import LakeOfflineStoreConfig
    from features.online_store import online_store_config

    url = registry_url(settings)
    return RepoConfig(
        project=PROJECT,
        provider="local",
        registry={
            "registry_type": "sql",
            "path": url,
            "sqlalchemy_config_kwargs": {"echo": False, **engine_arguments(make_url(url))},
        },
        offline_store=LakeOfflineStoreConfig(lake_uri=settings.lake_uri),
        online_store=online_store_config(settings),
        entity_key_serialization_version=3,
        repo_path=REPOSITORY,
    )


def open_store(settings: Settings) -> FeatureStore:
    """Feast's own face of these settings: registry, historical and online features."""
    from feast import FeatureStore

    return FeatureStore(config=repo_config(settings))


def apply_repository(settings: Settings) -> None:
    """What `feast apply` does, in this process: the registry and the online store follow the definitions."""
    from feast.repo_contents import RepoContents
    from feast.repo_operations import extract_objects_for_apply_delete

    from features.repository import definitions

    store = open_store(settings)
    contents = RepoContents(
        projects=[definitions.project],
        # Feast notes in the objects what it finds in the registry: copies, so that nothing goes from one to another.
        data_sources=deepcopy(definitions.SOURCES),
        entities=deepcopy(definitions.ENTITIES),
        feature_views=deepcopy(definitions.VIEWS),
        feature_services=deepcopy(definitions.SERVICES),
        on_demand_feature_views=[],
        stream_feature_views=[],
        label_views=[],
        permissions=[],
    )
    changed, removed, _, _ = extract_objects_for_apply_delete(  # type: ignore[no-untyped-call]
        PROJECT, store.registry, contents
    )
    store.apply(changed, objects_to_delete=removed, partial=False)
