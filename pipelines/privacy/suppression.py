"""Who was erased, as keyed hashes: enough to recognize them when a pull lists them again, and not to say who they are.

HMAC-SHA256 of the NSID, with a key outside the database: without the key, the hashes can't be tried against the list of
all NSIDs.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime

import sqlalchemy as sa

from features.database import suppressions, tombstones
from features.errors import ConfigurationError
from features.key_files import key_below
from features.settings import Settings
from pipelines.upsert import insert

KEY_FILE = "erasure.key"
AT_ONCE = 500
"""Hashes of one statement."""

ERASED = "erased"
"""How the reason begins for which an erased user's photos are tombstones; the user's hash follows it."""

_PROOF = b"the key of the suppressions"


class Suppression:
    """The list of suppressions of one database. Safe to share between threads."""

    def __init__(self, settings: Settings, engine: sa.Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._key: bytes | None = None
        self._known_empty = False

    def check(self) -> None:
        """Raises ConfigurationError when there are suppressions, and the key that they were made with is not ours."""
        self._secret()

    def digests(self, user_ids: Iterable[str]) -> dict[str, str]:
        """Each user's hash (64 hexadecimal digits) → the user; none while nobody was ever erased.

        Raises what `check` raises.
        """
        key = self._secret()
        return {} if key is None else {_digest(key, user_id): user_id for user_id in user_ids}

    def suppressed(self, user_ids: Iterable[str]) -> set[str]:
        """Those of the users who were erased and have not signed in since. Raises what `check` raises."""
        by_digest = self.digests(user_ids)
        wanted = list(by_digest)
        found: set[str] = set()
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), AT_ONCE):
                some = suppressions.c.digest.in_(wanted[start : start + AT_ONCE])
                found.update(
                    by_digest[digest] for digest in connection.scalars(sa.select(suppressions.c.digest).where(some))
                )
        return found

    def suppress(self, user_id: str) -> str:
        """Put the user on the list, where they may be already; their hash. Makes the key when this is the first."""
        key = self._secret(make=True)
        assert key is not None  # noqa: S101  (it was made if there was none)
        now = datetime.now(UTC)
        rows = [{"digest": digest, "created_at": now} for digest in (_proof(key), _digest(key, user_id))]
        with self._engine.begin() as connection:
            connection.execute(insert(self._engine, suppressions).on_conflict_do_nothing(), rows)
        return _digest(key, user_id)

    def lift(self, user_id: str) -> bool:
        """Take the user off the list, and the tombstones off their photos; whether they were on it.

        Whoever signs in again asks for it by that. What a takedown buried stays buried.
        """
        by_digest = self.digests([user_id])
        if not by_digest:
            return False
        (digest,) = by_digest
        with self._engine.begin() as connection:
            lifted = connection.execute(sa.delete(suppressions).where(suppressions.c.digest == digest)).rowcount
            if lifted:
                connection.execute(sa.delete(tombstones).where(tombstones.c.reason == erased_reason(digest)))
        return bool(lifted)

    def _secret(self, make: bool = False) -> bytes | None:
        """The key; None when none was ever made and `make` is False. Its proof is looked for at first use."""
        if self._key is None and not (self._find() is None and self._known_empty and not make):
            self._key = self._proven(self._find())
            if self._key is None and make:
                made = key_below(self._settings.home, KEY_FILE, lambda: secrets.token_hex(32).encode())
                self._key = made.encode()
        return self._key

    def _proven(self, key: bytes | None) -> bytes | None:
        known = sa.select(suppressions.c.digest).where(suppressions.c.digest == _proof(key or b""))
        with self._engine.connect() as connection:
            self._known_empty = connection.scalar(sa.select(sa.func.count()).select_from(suppressions)) == 0
            if not self._known_empty and (key is None or connection.scalar(known) is None):
                raise ConfigurationError(
                    "people were erased with another key than this one: set PHOTO_RECOMMENDER_ERASURE_KEY to it, or "
                    f"put its file back at {self._settings.home / KEY_FILE}",
                    field="erasure_key",
                )
        return key

    def _find(self) -> bytes | None:
        configured = self._settings.erasure_key.get_secret_value()
        path = self._settings.home / KEY_FILE
        return configured.encode() if configured else path.read_bytes().strip() if path.exists() else None


def erased_reason(digest: str) -> str:
    """The reason of the tombstones of that erased user's photos."""
    return f"{ERASED}:{digest}"


def _digest(key: bytes, user_id: str) -> str:
    return hmac.digest(key, b"user:" + user_id.encode(), "sha256").hex()


def _proof(key: bytes) -> str:
    """A row of its own, by which a key is recognized as the one that the others were made with."""
    return hmac.digest(key, _PROOF, "sha256").hex()
