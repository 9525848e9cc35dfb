"""Whose walls the challenger ranks: a share of all people, each of them on every visit and in every process."""

from __future__ import annotations

import hashlib


def is_challenged(user_id: str, version: str, share: float) -> bool:
    """Whether the challenger of that version ranks this user's walls; share: percent of all users.

    Who is drawn for a share is drawn for every larger one, too; another version draws others.
    """
    drawn = hashlib.blake2b(f"{version}:{user_id}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn, "big") * 100 < share * 2**64
