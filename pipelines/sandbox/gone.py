"""Who and what vanished from the sandbox on request: deleted accounts, deleted and private photos, as Flickr answers.

`PUT /sandbox/gone` takes `{"photos": [ids], "private": [ids], "users": [ids]}` and replaces what was gone before; it is
in memory alone. A user who is gone takes their photos along.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features.errors import InvalidInputError
from pipelines.sandbox.payloads import Payloads


class Gone:
    """Masks over the rows of the world, true for what is gone: `photos` and `private` (n_photos,), `users` (n_users,).

    A photo that is private is there, but not shown to anybody.
    """

    def __init__(self, payloads: Payloads) -> None:
        self._payloads = payloads
        self._ids: dict[str, list[str]] = {"photos": [], "private": [], "users": []}
        self.photos: NDArray[np.bool_] = np.zeros(len(payloads.world.photo_ids), dtype=bool)
        self.private = self.photos.copy()
        self.users: NDArray[np.bool_] = np.zeros(len(payloads.world.user_ids), dtype=bool)

    def set(self, document: object) -> None:
        """Replaces all of it. Raises InvalidInputError that names the field; what was gone stays so then."""
        if not isinstance(document, dict) or not document.keys() <= self._ids.keys():
            raise InvalidInputError('send {"photos": [ids], "private": [ids], "users": [ids]}', field="photos")
        photos = _mask(document.get("photos", []), self._payloads.photo_row, "photos")
        private = _mask(document.get("private", []), self._payloads.photo_row, "private")
        users = _mask(document.get("users", []), self._payloads.user_row, "users")
        self.photos, self.private, self.users = photos | users[self._payloads.world.photo_owner], private, users
        self._ids = {name: list(document.get(name, [])) for name in self._ids}

    def as_json(self) -> dict[str, list[str]]:
        return self._ids


def _mask(ids: object, rows: Mapping[str, int], field: str) -> NDArray[np.bool_]:
    if not isinstance(ids, list):
        raise InvalidInputError(f"{field}={ids!r}: must be a list of ids", field=field)
    mask = np.zeros(len(rows), dtype=bool)
    for known in ids:
        if not isinstance(known, str) or known not in rows:
            raise InvalidInputError(f"{field}: the sandbox has no {known!r}", field=field)
        mask[rows[known]] = True
    return mask
