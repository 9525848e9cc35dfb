"""People's Flickr tokens, encrypted wherever they are kept: Fernet, with keys that can be rotated.

Without keys in the settings one is made below `home`, readable by its owner alone: losing it signs everybody out.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from features.errors import ConfigurationError
from features.settings import Settings
from pipelines.flickr import FlickrToken

KEY_FILE = "token.key"


class Vault:
    """Encrypts with the newest key, decrypts with any."""

    def __init__(self, keys: list[str]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ConfigurationError(
                "PHOTO_RECOMMENDER_TOKEN_KEYS holds something that is no Fernet key (32 bytes in URL-safe base64); "
                "make one with `cryptography.fernet.Fernet.generate_key()`",
                field="token_keys",
            ) from None

    def seal(self, token: FlickrToken) -> str:
        return self._fernet.encrypt(orjson.dumps([token.token, token.secret])).decode()

    def open(self, ciphertext: str) -> FlickrToken | None:
        """None when none of the keys fits any more: the person has to sign in again."""
        try:
            token, secret = orjson.loads(self._fernet.decrypt(ciphertext.encode()))
        except InvalidToken:
            return None
        return FlickrToken(token, secret)


def open_vault(settings: Settings) -> Vault:
    """The vault with the settings' keys, or with the one below `home`. Raises ConfigurationError for a bad key."""
    keys = [key.get_secret_value() for key in settings.token_keys]
    return Vault(keys or [_key_below(settings.home)])


def _key_below(home: Path) -> str:
    """The key in the file, made at first use; of two processes that start at once, both get the first one's."""
    path = home / KEY_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        partial = home / f".{KEY_FILE}.{os.getpid()}"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(partial, path)
        partial.unlink()
    return path.read_text().strip()
