"""What the generated world looks like, in the figures by which a real sample of Flickr was described.

docs/sandbox.md shows both side by side; the tests hold the world to them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pipelines.sandbox.config import DAY
from pipelines.sandbox.world import NEVER, World

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class WorldStatistics:
    """Of the favorites that stand at the world's end, the visitors' aside. Quantiles are those of QUANTILES."""

    users: int
    photos: int  # with a favorite
    favorites: int
    favorites_a_user: NDArray[np.float64]
    favorites_a_photo: NDArray[np.float64]  # of photos with one
    contacts_a_user: NDArray[np.float64]
    followers_a_user: NDArray[np.float64]
    top_1_percent: float  # share of favorites on the most favorited photos
    top_10_percent: float
    mutual_contacts: float
    sharing_if_connected: float  # share of pairs with a favorite in common, of users and their contacts
    sharing_at_random: float
    taken_back: float  # share of all favorites, the future's too, that are ever taken back
    days_after_upload: NDArray[np.float64]


def world_statistics(world: World, *, pairs: int = 20_000, seed: int = 0) -> WorldStatistics:
    """Measures the world; `pairs` of users are drawn for the two shares of pairs."""
    faves = world.favorites
    rows = world.favorites_at(world.config.end)
    rows = rows[~world.visitor[faves.user[rows]]]
    user, photo = faves.user[rows], faves.photo[rows]
    per_photo = np.sort(np.bincount(photo))[::-1]
    per_photo = per_photo[per_photo > 0]
    n_users = world.config.users  # the visitors are the last rows
    contacts = world.contacts[:n_users][:, :n_users]
    matrix = sparse.csr_array((np.ones(len(rows), np.int32), (user, photo)), shape=(n_users, len(world.photo_ids)))
    rng = np.random.default_rng(seed)
    follower, followed = contacts.tocoo().coords
    edges = rng.integers(0, len(follower), pairs)
    strangers = rng.integers(0, n_users, (2, pairs))
    strangers = strangers[:, strangers[0] != strangers[1]]
    return WorldStatistics(
        users=n_users,
        photos=len(per_photo),
        favorites=len(rows),
        favorites_a_user=_quantiles(np.bincount(user, minlength=n_users)),
        favorites_a_photo=_quantiles(per_photo),
        contacts_a_user=_quantiles(np.diff(contacts.indptr)),
        followers_a_user=_quantiles(np.bincount(followed, minlength=n_users)),
        top_1_percent=float(per_photo[: max(1, len(per_photo) // 100)].sum() / len(rows)),
        top_10_percent=float(per_photo[: max(1, len(per_photo) // 10)].sum() / len(rows)),
        mutual_contacts=float(contacts.multiply(contacts.T).nnz / max(1, contacts.nnz)),
        sharing_if_connected=_sharing(matrix, follower[edges], followed[edges]),
        sharing_at_random=_sharing(matrix, strangers[0], strangers[1]),
        taken_back=float((faves.unfaved_at < NEVER).mean()),
        days_after_upload=_quantiles((faves.faved_at[rows] - world.photo_uploaded_at[photo]) / DAY),
    )


def _quantiles(values: NDArray[np.integer] | NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.quantile(values, QUANTILES), dtype=np.float64)


def _sharing(matrix: sparse.csr_array, left: NDArray[np.integer], right: NDArray[np.integer]) -> float:
    common = matrix[left].multiply(matrix[right]).sum(axis=1)
    return float(np.mean(np.asarray(common) > 0))


def statistics_table(world: World) -> str:
    """The statistics as lines for a terminal."""
    found = world_statistics(world)

    def line(values: NDArray[np.float64], digits: int = 0) -> str:
        return " / ".join(f"{value:,.{digits}f}" for value in values)

    return "\n".join(
        [
            f"users, photos with a favorite, favorites   {found.users:,} / {found.photos:,} / {found.favorites:,}",
            "quantiles: 10 / 25 / 50 / 75 / 90 / 99 %, maximum",
            f"favorites a user                           {line(found.favorites_a_user)}",
            f"favorites a photo                          {line(found.favorites_a_photo)}",
            f"contacts a user                            {line(found.contacts_a_user)}",
            f"followers a user                           {line(found.followers_a_user)}",
            f"days from upload to favorite               {line(found.days_after_upload, 1)}",
            f"favorites on the top 1 % / 10 % of photos  {found.top_1_percent:.1%} / {found.top_10_percent:.1%}",
            f"contacts that are mutual                   {found.mutual_contacts:.1%}",
            f"pairs that share a favorite                "
            f"{found.sharing_if_connected:.1%} if connected, {found.sharing_at_random:.1%} at random",
            f"favorites ever taken back                  {found.taken_back:.1%}",
        ]
    )
