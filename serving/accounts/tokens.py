"""People's Flickr tokens, encrypted wherever they are kept: Fernet, with keys that can be rotated.

Without keys in the settings one is made below `home`, readable by its owner alone: losing it signs everybody out.
"""

from __future__ import annotations

import orjson
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from features.errors import ConfigurationError
from features.key_files import key_below
from features.settings import Settings
from pipelines.flickr.client import FlickrToken

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
    return Vault(keys or [key_below(settings.home, KEY_FILE, Fernet.generate_key)])
