"""Settings come from the environment, default to what is embedded, and name what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from features.errors import ConfigurationError
from features.settings import Settings, get_settings


def test_everything_defaults_to_files_below_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert settings.lake_uri == str(tmp_path / "lake")
    assert settings.database_url == f"sqlite:///{tmp_path}/photo_recommender.db"
    assert settings.online_store == ""


def test_one_variable_switches_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTO_RECOMMENDER_LAKE_URI", "s3://bucket/lake")
    monkeypatch.setenv("PHOTO_RECOMMENDER_IMAGE_HOSTS", "https://a.example, https://b.example")
    settings = Settings()
    assert settings.lake_uri == "s3://bucket/lake"
    assert settings.image_hosts == ["https://a.example", "https://b.example"]


def test_a_value_that_does_not_fit_is_named_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTO_RECOMMENDER_PORT", "eighty")
    get_settings.cache_clear()
    with pytest.raises(ConfigurationError, match=r"PHOTO_RECOMMENDER_PORT='eighty': .*integer"):
        get_settings()
    get_settings.cache_clear()


def test_a_child_process_gets_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(home=tmp_path, flickr_secret="s", token_keys=["k1", "k2"], image_hosts=["https://a.example"])  # type: ignore[arg-type, list-item]
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_secrets_are_not_shown() -> None:
    settings = Settings(flickr_secret="hush", api_key="hush", token_keys=["hush"])  # type: ignore[arg-type, list-item]
    assert "hush" not in repr(settings)
