"""One alias followed: what it names is loaded once, what it named before stays, what is corrupt is fetched anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from features.errors import CorruptModelError, DependencyError
from features.settings import Settings
from serving.champion import following
from serving.champion.following import Followed
from serving.champion.served import Champion
from tests.serving.conftest import Registry, World


@pytest.fixture
def followed(settings: Settings, registry: Registry) -> Followed:
    return Followed(settings, "champion", registry.find)


def looked(followed: Followed) -> Champion:
    found = followed.look()
    assert found is not None
    return found


def failures(reason: str) -> float:
    labels = {"alias": "champion", "reason": reason}
    return REGISTRY.get_sample_value("photo_recommender_model_failures_total", labels) or 0.0


def test_a_rollback_finds_the_version_before_still_loaded(followed: Followed, registry: Registry, world: World) -> None:
    before = looked(followed)
    registry.found = ("2", world.bundles["popularity"])
    assert looked(followed).version == "2"
    registry.found = ("1", Path("/nowhere"))
    assert looked(followed) is before
    registry.found = ("2", Path("/nowhere"))
    assert looked(followed).bundle.kind == "popularity"


def test_no_more_than_two_versions_are_held(followed: Followed, registry: Registry, world: World) -> None:
    first = looked(followed)
    for version in ("2", "3"):
        registry.found = (version, world.bundles["popularity"])
        looked(followed)
    registry.found = ("1", world.bundles["als"])
    assert looked(followed) is not first


def test_a_corrupt_bundle_is_not_read_again_at_every_look_but_fetched_anew_after_a_while(
    settings: Settings, registry: Registry, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = settings.home / "models" / "2-abc"
    shutil.copytree(world.bundles["als"], copy)
    (copy / "gram.npy").write_bytes(b"cut short")

    def find(_settings: Settings) -> tuple[str, Path]:
        if not copy.exists():  # as one that is downloaded
            shutil.copytree(world.bundles["als"], copy)
        return "2", copy

    followed = Followed(settings, "champion", find)
    before = failures("corrupt")
    for _ in range(2):
        with pytest.raises(CorruptModelError, match="gram"):
            followed.look()
    assert failures("corrupt") == before + 2
    shutil.copytree(world.bundles["als"], copy, dirs_exist_ok=True)
    with pytest.raises(CorruptModelError):  # it has not been looked at
        followed.look()
    (copy / "gram.npy").write_bytes(b"cut short")
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.0)
    assert looked(followed).version == "2"


@pytest.mark.parametrize(
    ("error", "reason"),
    [(DependencyError("down"), "unreachable"), (OSError(5), "unreachable"), (KeyError("x"), "other")],
)
def test_a_registry_in_trouble_is_counted(
    followed: Followed, registry: Registry, error: Exception, reason: str
) -> None:
    before = failures(reason)
    registry.error = error
    with pytest.raises(type(error)):
        followed.look()
    assert failures(reason) == before + 1


def test_what_stands_in_is_not_loaded_again_when_the_alias_names_it(followed: Followed, world: World) -> None:
    followed.hold(world.champions["als"])
    followed._find = lambda _settings: ("als", Path("/nowhere"))
    assert looked(followed) is world.champions["als"]
