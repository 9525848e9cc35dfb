"""A small world as serving sees it: 240 photos of 20 owners in three styles, a model of each kind, cards, popularity.

Its photos show by their number whose they are, of which style, and whether they may be shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from features.batch import PopularPhotos
from features.online import NeighborCandidates, OnlineFeatures, PhotoCard, UserCard
from features.schema import Kind
from features.settings import Settings
from features.user_state import UserState
from pipelines.privacy.suppression import Suppression
from pipelines.queue.messages import open_queue
from serving.accounts.tokens import open_vault
from serving.champion.loading import load_champion
from serving.champion.served import Champion
from serving.champion.watch import ChampionWatch
from serving.impressions import Impressions
from serving.last_known import LastKnown
from serving.ranking.recommender import Recommender
from serving.runtime import Runtime
from training.bundle import save_bundle
from training.from_lake import build_interactions, with_contacts
from training.models.recipes import Recipe, blend_recipe, fit

STYLES = 3
OWNERS = [f"{number:02d}@N01" for number in range(20)]
PHOTOS = [str(1000 + number) for number in range(240)]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
NOBODY_FOLLOWED = pa.schema({"user_id": pa.string(), "contact_id": pa.string()}).empty_table()


def owner_of(photo_id: str) -> str:
    return OWNERS[(int(photo_id) - 1000) // STYLES % len(OWNERS)]


def style_of(photo_id: str) -> int:
    return (int(photo_id) - 1000) % STYLES


def is_gone(photo_id: str) -> bool:
    return int(photo_id) % 17 == 0


def is_unsafe(photo_id: str) -> bool:
    return int(photo_id) % 19 == 0


def card_of(photo_id: str) -> PhotoCard:
    return PhotoCard(
        photo_id=photo_id,
        owner_id=owner_of(photo_id),
        owner_name=f"Owner {owner_of(photo_id)}",
        title=f"Photo {photo_id}",
        image_url=f"https://live.staticflickr.com/1/{photo_id}_z.jpg",
        sizes={"z": {"url": f"https://live.staticflickr.com/1/{photo_id}_z.jpg", "width": 640, "height": 427}},
        page_url=f"https://www.flickr.com/photos/{owner_of(photo_id)}/{photo_id}/",
        width=640,
        height=427,
        safety_level=2 if is_unsafe(photo_id) else 0,
        uploaded_at=NOW - timedelta(days=int(photo_id) % 90),
        gone_at=NOW if is_gone(photo_id) else None,
    )


def showable(photo_id: str) -> bool:
    return not is_gone(photo_id) and not is_unsafe(photo_id)


def of_style(style: int, count: int, skip: int = 0) -> list[str]:
    return [p for p in PHOTOS if style_of(p) == style and showable(p)][skip : skip + count]


def state_of(user_id: str, favorites: list[str], **more: object) -> UserState:
    """A state with these favorites, faved now."""
    state = UserState(
        user_id=user_id,
        favorite_ids=tuple(favorites),
        favorite_owners=tuple(owner_of(p) for p in favorites),
        favorite_times=(EPOCH,) * len(favorites),
        updated_at=datetime.now(UTC),
    )
    return replace(state, **more)  # type: ignore[arg-type]


def fan_of(style: int, number: int) -> str:
    """A user of the training data with that main style; number below 20."""
    return f"9{number * STYLES + style:02d}@N02"


def _log() -> pa.Table:
    """Sixty users with one main style each; every photo has a few favoriters."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(60):
        liked = [p for p in PHOTOS if style_of(p) == user % STYLES]
        photos = [*rng.choice(liked, 30, replace=False), *rng.choice(PHOTOS, 4, replace=False)]
        rows += [(f"9{user:02d}@N02", str(photo), EPOCH - int(rng.integers(100 * 86400))) for photo in photos]
    rows += [(f"8{n:03d}@N02", photo, EPOCH) for n, photo in enumerate(PHOTOS)]
    users, photos, seconds = zip(*rows, strict=True)
    times = pa.array([s * 1_000_000 for s in seconds], pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "user_id": pa.array(users),
            "photo_id": pa.array(photos),
            "owner_id": pa.array([owner_of(p) for p in photos]),
            "kind": pa.array([str(Kind.FAVORITE)] * len(rows)),
            "event_timestamp": times,
            "created_timestamp": times,
            "faved_at": times,
        }
    )


def _blend(recipes: dict[str, Recipe]) -> Recipe:
    """Of ALS, popularity and the contacts' vectors."""
    parts = {kind: recipes[kind] for kind in ("als", "popularity")}
    parts["contact_vectors"] = Recipe("contact_vectors", {"als": "als"})
    weights = {"als": 1.0, "popularity": 0.1, "contact_vectors": 0.5}
    return blend_recipe(parts, weights, {"als": 0.3, "popularity": 5.0, "contact_vectors": 0.3})


@dataclass(frozen=True)
class World:
    settings: Settings
    online: OnlineFeatures
    bundles: dict[str, Path]
    champions: dict[str, Champion]
    popular: PopularPhotos


def make_world(home: Path) -> World:
    """Everything below that folder."""
    settings = Settings(
        home=home,
        als_factors=8,
        als_iterations=10,
        als_regularization=1.0,
        confidence_alpha=10.0,
        recency_half_life_days=365.0,
        _env_file=None,
    )  # type: ignore[call-arg]
    online = OnlineFeatures(settings)
    online.write_photo_cards(card_of(p) for p in PHOTOS)
    online.write_user_cards(UserCard(o, f"Owner {o}", None, f"https://live.staticflickr.com/{o}.jpg") for o in OWNERS)
    interactions = with_contacts(build_interactions(_log()), NOBODY_FOLLOWED, -1)
    recipes = {kind: Recipe.from_settings(settings, kind) for kind in ("als", "neighbor_score", "popularity")}
    recipes["blend"] = _blend(recipes)
    bundles = {kind: home / "bundles" / kind for kind in recipes}
    for kind, folder in bundles.items():
        save_bundle(folder, recipes[kind], fit(recipes[kind], interactions), interactions, {})
    champions = {kind: load_champion(kind, folder) for kind, folder in bundles.items()}
    by_popularity = sorted(PHOTOS, key=lambda p: int(p) % 7)
    popular = PopularPhotos(
        tuple(by_popularity), tuple(owner_of(p) for p in by_popularity), tuple(float(-n) for n in range(len(PHOTOS)))
    )
    return World(settings, online, bundles, champions, popular)


def candidates_of(user_id: str, photos: list[str], people: list[str] = OWNERS) -> NeighborCandidates:
    return NeighborCandidates(
        user_id=user_id,
        photo_ids=tuple(photos),
        photo_owners=tuple(owner_of(p) for p in photos),
        photo_scores=tuple(float(len(photos) - n) for n in range(len(photos))),
        people_ids=tuple(people),
        people_scores=tuple(float(len(people) - n) for n in range(len(people))),
        people_common=tuple(range(len(people), 0, -1)),
        coverage=0.5,
        updated_at=datetime.now(UTC),
    )


@dataclass
class Registry:
    """Which bundle the registry calls champion: what a test sets."""

    found: tuple[str, Path] | None = None
    error: Exception | None = None

    def find(self, _settings: Settings) -> tuple[str, Path] | None:
        if self.error is not None:
            raise self.error
        return self.found


def make_runtime(world: World, engine: sa.Engine, settings: Settings) -> Runtime:
    """A runtime over the world, whose registry holds one champion."""
    watch = ChampionWatch(settings, Registry(("7", world.bundles["als"])).find, lambda _: world.popular)
    watch.refresh()
    online = LastKnown(world.settings, lambda: watch.served)
    recommender = Recommender(engine, online, lambda: watch.served)
    queue, vault = open_queue(settings, engine), open_vault(settings)
    impressions = Impressions(settings, engine, Suppression(settings, engine))
    return Runtime(settings, engine, queue, online, watch, recommender, vault, impressions)
