"""What people change in the sandbox (favorites, comments, OAuth tokens), in SQLite: a kill loses nothing.

The generated world itself is not here: `world.json` beside it holds what it is generated from.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from features.errors import ConfigurationError
from pipelines.sandbox.config import WorldConfig

SCHEMA = """
CREATE TABLE IF NOT EXISTS favorites (
    user_id TEXT NOT NULL, photo_id TEXT NOT NULL, faved_at INTEGER, PRIMARY KEY (user_id, photo_id)
) WITHOUT ROWID;  -- faved_at NULL: removed
CREATE TABLE IF NOT EXISTS comments (
    number INTEGER PRIMARY KEY AUTOINCREMENT, photo_id TEXT NOT NULL, user_id TEXT NOT NULL, text TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS request_tokens (
    token TEXT PRIMARY KEY, secret TEXT NOT NULL, callback TEXT NOT NULL, user_id TEXT, perms TEXT, verifier TEXT,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS access_tokens (
    token TEXT PRIMARY KEY, secret TEXT NOT NULL, user_id TEXT NOT NULL, perms TEXT NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
"""


FIRST_COMMENT = 72_157_000_000_000_000
"""Flickr's comments have numbers of that length."""


@dataclass(frozen=True)
class RequestToken:
    token: str
    secret: str
    callback: str
    user_id: str | None  # who allowed it, once somebody has
    perms: str | None
    verifier: str | None
    created_at: int


@dataclass(frozen=True)
class AccessToken:
    token: str
    secret: str
    user_id: str
    perms: str
    created_at: int


@dataclass(frozen=True)
class Comment:
    """`number` is unique among all photos' comments, and the last part of the id that Flickr gives one."""

    number: int
    photo_id: str
    user_id: str
    text: str
    created_at: int

    @property
    def comment_id(self) -> str:
        return f"{self.user_id.partition('@')[0]}-{self.photo_id}-{FIRST_COMMENT + self.number}"

    @property
    def anchor(self) -> str:
        """What the comment's own address ends with, behind its photo's page."""
        return f"comment{FIRST_COMMENT + self.number}"


def world_config(folder: Path, config: WorldConfig) -> WorldConfig:
    """`config` with the `end` that the folder's world has; the first call fixes it in `world.json`.

    Raises ConfigurationError when it is no folder or holds a world generated from something else.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ConfigurationError(f"{folder} is no folder: choose another with --folder", field="folder") from None
    path = folder / "world.json"
    if not path.exists():
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(config.as_json(), indent=2) + "\n")
        draft.replace(path)
        return config
    try:
        held = json.loads(path.read_text())
        kept = replace(config, end=datetime.fromisoformat(held["end"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is unreadable ({error}): remove {folder} for a new world") from None
    for name, value in kept.as_json().items():
        if held.get(name) != value:
            raise ConfigurationError(
                f"{folder} holds another world ({name} {held.get(name)}, not {value}): remove it or choose another",
                field=name,
            )
    return kept


class Store:
    """One connection for the one thread of the server. Every change is committed when its method returns."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def favorite_changes(self) -> list[tuple[str, str, int | None]]:
        """(user, photo, faved_at or None for removed), each pair once."""
        return self._connection.execute("SELECT user_id, photo_id, faved_at FROM favorites").fetchall()

    def set_favorite(self, user_id: str, photo_id: str, faved_at: int | None) -> None:
        self._connection.execute("INSERT OR REPLACE INTO favorites VALUES (?, ?, ?)", (user_id, photo_id, faved_at))

    def add_comment(self, photo_id: str, user_id: str, text: str, created_at: int) -> Comment:
        number = self._connection.execute(
            "INSERT INTO comments (photo_id, user_id, text, created_at) VALUES (?, ?, ?, ?)",
            (photo_id, user_id, text, created_at),
        ).lastrowid
        return Comment(number or 0, photo_id, user_id, text, created_at)

    def comments(self, photo_id: str | None = None) -> list[Comment]:
        """Of that photo, or all; the oldest first."""
        rows = self._connection.execute(
            "SELECT * FROM comments WHERE photo_id = coalesce(?, photo_id) ORDER BY number", (photo_id,)
        )
        return [Comment(*row) for row in rows]

    def add_request_token(self, token: RequestToken) -> None:
        values = (token.token, token.secret, token.callback, None, None, None, token.created_at)
        self._connection.execute("INSERT INTO request_tokens VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def request_token(self, token: str) -> RequestToken | None:
        row = self._connection.execute("SELECT * FROM request_tokens WHERE token = ?", (token,)).fetchone()
        return RequestToken(*row) if row else None

    def allow_request_token(self, token: str, *, user_id: str, perms: str, verifier: str) -> None:
        self._connection.execute(
            "UPDATE request_tokens SET user_id = ?, perms = ?, verifier = ? WHERE token = ?",
            (user_id, perms, verifier, token),
        )

    def drop_request_token(self, token: str) -> None:
        self._connection.execute("DELETE FROM request_tokens WHERE token = ?", (token,))

    def exchange(self, request_token: RequestToken, token: AccessToken) -> None:
        """The access token in the place of the request token, in one transaction."""
        values = (token.token, token.secret, token.user_id, token.perms, token.created_at)
        self._connection.execute("BEGIN IMMEDIATE")
        with self._connection:
            self._connection.execute("DELETE FROM request_tokens WHERE token = ?", (request_token.token,))
            self._connection.execute("INSERT INTO access_tokens VALUES (?, ?, ?, ?, ?)", values)

    def access_token(self, token: str) -> AccessToken | None:
        row = self._connection.execute("SELECT * FROM access_tokens WHERE token = ?", (token,)).fetchone()
        return AccessToken(*row) if row else None
