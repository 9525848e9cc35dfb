"""People's Flickr tokens at rest: unreadable without a key, readable with any key of a rotation."""

from __future__ import annotations

import multiprocessing
import stat

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from features.errors import ConfigurationError
from features.settings import Settings
from pipelines.flickr.client import FlickrToken
from serving.accounts.tokens import KEY_FILE, Vault, open_vault

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()
TOKEN = FlickrToken("72157-token", "5ec2e7")


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_sealed_token_comes_back_whole(token: str, secret: str) -> None:
    vault = Vault([OLD])
    assert vault.open(vault.seal(FlickrToken(token, secret))) == FlickrToken(token, secret)


def test_what_is_sealed_tells_nothing_and_differs_each_time() -> None:
    vault = Vault([OLD])
    sealed = vault.seal(TOKEN)
    assert TOKEN.token not in sealed
    assert TOKEN.secret not in sealed
    assert vault.seal(TOKEN) != sealed


def test_a_token_hides_its_parts_from_logs() -> None:
    assert TOKEN.token not in repr(TOKEN)
    assert TOKEN.secret not in repr(TOKEN)


def test_after_a_rotation_the_old_key_still_opens_and_the_new_one_seals() -> None:
    sealed = Vault([OLD]).seal(TOKEN)
    rotated = Vault([NEW, OLD])
    assert rotated.open(sealed) == TOKEN
    assert Vault([NEW]).open(rotated.seal(TOKEN)) == TOKEN


@pytest.mark.parametrize("ciphertext", [Vault([OLD]).seal(TOKEN), "", "nonsense", Vault([NEW]).seal(TOKEN)[:-4]])
def test_what_no_key_opens_is_none(ciphertext: str) -> None:
    assert Vault([NEW]).open(ciphertext) is None


def test_a_key_that_is_none_is_named() -> None:
    with pytest.raises(ConfigurationError, match="PHOTO_RECOMMENDER_TOKEN_KEYS") as raised:
        Vault([NEW, "too short"])
    assert "too short" not in raised.value.message


def test_keys_come_from_the_settings_newest_first(settings: Settings) -> None:
    keys = [SecretStr(NEW), SecretStr(OLD)]
    vault = open_vault(settings.model_copy(update={"token_keys": keys}))
    assert Vault([NEW]).open(vault.seal(TOKEN)) == TOKEN
    assert not (settings.home / KEY_FILE).exists()


def test_without_keys_one_is_made_for_its_owner_alone_and_kept(settings: Settings) -> None:
    sealed = open_vault(settings).seal(TOKEN)
    path = settings.home / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert open_vault(settings).open(sealed) == TOKEN
    assert [entry.name for entry in settings.home.iterdir()] == [KEY_FILE]


def test_processes_that_start_at_once_share_one_key(settings: Settings) -> None:
    fork = multiprocessing.get_context("fork")
    start, sealed = fork.Barrier(4), fork.Queue()

    def seal() -> None:
        start.wait()
        sealed.put(open_vault(settings).seal(TOKEN))

    processes = [fork.Process(target=seal) for _ in range(4)]
    for process in processes:
        process.start()
    tokens = [open_vault(settings).open(sealed.get(timeout=20)) for _ in processes]
    for process in processes:
        process.join(20)
    assert tokens == [TOKEN] * 4
