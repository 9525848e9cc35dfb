"""A small world for the models: three styles, users who like one or two of them, and time."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from features.lake import Lake
from features.schema import INTERACTIONS, TIMESTAMP, Kind
from features.settings import Settings
from training.from_lake import build_interactions
from training.interactions import Interactions
from training.models.recipes import Recipe, blend_recipe
from training.tracking import prepare_mlflow

DAY = 86_400
START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())

Row = tuple[str, str, str, str, int]
"""user_id, photo_id, owner_id, kind, unix seconds"""


def log_of(rows: Iterable[Row]) -> pa.Table:
    """Rows as the lake's log gives them."""
    users, photos, owners, kinds, seconds = zip(*rows, strict=True) if (rows := list(rows)) else ((), (), (), (), ())
    times = pa.array([s * 1_000_000 for s in seconds], pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "photo_id": pa.array(photos, pa.string()),
            "owner_id": pa.array(owners, pa.string()),
            "kind": pa.array([str(kind) for kind in kinds], pa.string()),
            "event_timestamp": times,
            "created_timestamp": times,
            "faved_at": times,
        }
    )


def append_to(lake: Lake, rows: Sequence[Row]) -> None:
    """Append the rows to the lake, as a pull that comes right after the last of them would."""
    log = log_of(rows)
    ingested = datetime.fromtimestamp(max(row[4] for row in rows), tz=UTC)
    constants = {
        "created_timestamp": pa.repeat(pa.scalar(ingested, TIMESTAMP), len(log)),
        "ingest_date": pa.repeat(pa.scalar(ingested.date()), len(log)),
        "source": pa.repeat("flickr", len(log)),
    }
    log = log.drop_columns("created_timestamp")
    for name, column in constants.items():
        log = log.append_column(name, column)
    lake.append(INTERACTIONS, log)


def give_mlflow(settings: Settings, session_folder: Path) -> None:
    """Put MLflow's database where the settings expect it: one is built for the session, as its tables take seconds."""
    original = Settings(home=session_folder / "prepared", _env_file=None)  # type: ignore[call-arg]
    prepare_mlflow(original)
    shutil.copytree(original.home / "mlflow", settings.home / "mlflow")


def interactions_of(
    favorites: Mapping[str, Sequence[str]],
    owners: Mapping[str, str] | None = None,
    dismissed: Mapping[str, Sequence[str]] | None = None,
    day: int = 0,
) -> Interactions:
    """Interactions in which every user favorited (and dismissed) these photos on one day."""
    owners = owners or {}

    def rows(of: Mapping[str, Sequence[str]], kind: Kind) -> list[Row]:
        return [(u, p, owners.get(p, f"owner of {p}"), kind, START + day * DAY) for u, ps in of.items() for p in ps]

    return build_interactions(log_of(rows(favorites, Kind.FAVORITE) + rows(dismissed or {}, Kind.DISMISS_PHOTO)))


def is_mapped(array: NDArray[Any]) -> bool:
    """Whether the array is read from its file."""
    return isinstance(array.base, np.memmap)


def style_of(photo_id: str) -> int:
    """The style of a photo of `world_rows`."""
    return int(photo_id[0])


def world_rows(users: int = 60, photos: int = 120, days: int = 100, seed: int = 5) -> list[Row]:
    """Favorites of users with one main style of three (nine favorites in ten are of it), over `days` days."""
    rng = np.random.default_rng(seed)
    photo_ids = [f"{row % 3}-{row:04d}" for row in range(photos)]
    rows = []
    for user in range(users):
        liked = rng.permutation([p for p in photo_ids if style_of(p) == user % 3])[: photos // 5]
        other = rng.permutation([p for p in photo_ids if style_of(p) != user % 3])[: photos // 50]
        for photo in [*liked, *other]:
            owner = f"u{int(photo[2:]) % users:03d}"
            rows.append((f"u{user:03d}", photo, owner, Kind.FAVORITE, START + int(rng.integers(days * DAY))))
    return rows


@pytest.fixture(scope="session")
def world() -> Interactions:
    return build_interactions(log_of(world_rows()))


def recipe_of(kind: str) -> Recipe:
    """A recipe for the small world; of "blend" one of every sort of component."""
    settings = Settings(
        als_factors=8,
        als_regularization=1.0,
        als_iterations=10,
        confidence_alpha=10.0,
        confidence_alpha_dismissal=10.0,
        recency_half_life_days=365.0,
        degree_exponent=0.5,
        seed=0,
        _env_file=None,  # type: ignore[call-arg]
    )
    if kind == "blend":
        recipes = {
            **{name: Recipe.from_settings(settings, name) for name in ("popularity", "als")},
            "item_knn": Recipe("item_knn", {"shrink": 10.0}),
            "contact_vectors": Recipe("contact_vectors", {"als": "als"}),
            **{kind: Recipe(kind, {}) for kind in ("owner_share", "contact_favorites", "followed_owner")},
        }
        weights = {"popularity": 0.1, "als": 1.0, "item_knn": 0.5, "contact_vectors": 0.25, "owner_share": 0.1}
        units = {"popularity": 5.0, "als": 0.3, "item_knn": 0.2, "contact_vectors": 0.1, "owner_share": 0.05}
        of_contacts = dict.fromkeys(("contact_favorites", "followed_owner"), 0.1)
        return blend_recipe(recipes, weights | of_contacts, units | of_contacts)
    return Recipe.from_settings(settings, kind)


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return recipe_of("als")
