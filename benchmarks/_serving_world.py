"""A service's world at a given size, for benchmarks of serving: a trained champion, online features, people who ask.

Favorites are generated with power-law popularity and fifty tastes, and ALS is really trained on them, so that the
factors have the norms that training gives. What was made is kept in the folder, and made again only where it differs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pyarrow as pa
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.exceptions import BusyLoadingError
from redis.retry import Retry

from features.batch import POPULAR
from features.builds import Build, Builds, new_version
from features.database import open_database
from features.feature_tables import POPULAR_SCHEMA
from features.online import NeighborCandidates, OnlineFeatures, PhotoCard, UserCard, apply_repository
from features.settings import Settings
from features.user_state import UserState
from pipelines.processes import Child, Children
from training.ann.choice import graphs_for
from training.bundle import save_bundle
from training.catalog import Catalog
from training.gate import Decision
from training.interactions import Contacts, Events, Interactions
from training.models.interface import Model
from training.models.recipes import Recipe, blend_of, blend_recipe, fit_each
from training.tracking import TrainingRun

TASTES = 50
FACTORS = 64
NOW = datetime(2026, 11, 1, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
PHOTOS_OF_OWNER = 10
FEWEST, MOST = 10, 2_000
"""Favorites of those who ask, evenly in the logarithm."""
SIZES = {"s": (240, 160), "z": (640, 427), "c": (800, 534), "b": (1024, 683), "h": (1600, 1067)}

Kind = Literal["als", "blend"]


def generated(photos: int, users: int, favorites: int, seed: int = 0, *, owned: bool = False) -> Interactions:
    """Favorites with power-law popularity and 50 tastes; everybody follows ten others of the same taste.

    A photo's id is a number, of which the remainder by 50 is its taste. owned: photos have owners, ten of them each.
    """
    rng = np.random.default_rng(seed)
    who = np.sort(rng.integers(users, size=2 * favorites))
    popularity = (photos // TASTES * rng.power(0.35, size=2 * favorites)).astype(np.int64)
    keys = np.sort(who * photos + popularity * TASTES + who % TASTES)
    keys = keys[np.concatenate([[True], np.diff(keys) > 0])]
    keys = np.sort(rng.choice(keys, min(favorites, len(keys)), replace=False))
    degrees = np.bincount(keys % photos, minlength=photos)
    order = np.argsort(-degrees, kind="stable")
    rows = np.empty(photos, dtype=np.int64)
    rows[order] = np.arange(photos)
    keys = np.sort(keys // photos * photos + rows[keys % photos])
    ids = np.array([str(number) for number in order], dtype=object)
    owners = order // TASTES // PHOTOS_OF_OWNER * TASTES + order % TASTES
    names = np.array([owner_id(number) if owned else "" for number in owners], dtype=object)
    people = np.array([f"{user:06d}@N00" for user in range(users)], dtype=object)
    world = Interactions(
        user_ids=people,
        catalog=Catalog(ids, names),
        favorites=Events.of_keys(keys, rng.integers(1_700_000_000, 1_790_000_000, len(keys)), photos),
        dismissals=Events.of_keys(np.empty(0, np.int64), np.empty(0, np.int64), photos),
        data_until=1_790_000_000,
    )
    followers = np.repeat(np.arange(users), 10)
    followed = (followers + TASTES * rng.integers(1, max(2, users // (6 * TASTES)), len(followers))) % users
    return replace(world, contacts=Contacts.of(followers, followed, users))


def owner_id(number: int) -> str:
    return f"{number:06d}@N01"


@dataclass(frozen=True)
class ServingWorld:
    """Where it is, and who asks: users of `FEWEST` to `MOST` favorites; `factors`: the folder of ALS's arrays."""

    settings: Settings
    user_ids: list[str]
    factors: Path
    redis: Child


def made_world(folder: Path, port: int, photos: int, kind: Kind, started: Children, askers: int = 200) -> ServingWorld:
    """The world of that size below `folder`, made there if it is not yet, with a Redis at `port` that holds its rows;
    the champion is of that kind, and alone in its registry."""
    home = folder / f"{photos}-{kind}"
    home.mkdir(parents=True, exist_ok=True)
    settings = Settings(home=home, online_store=f"redis://127.0.0.1:{port}/0", _env_file=None)  # type: ignore[call-arg]
    redis = _redis(home, port, started)
    user_ids = [asker_id(asker) for asker in range(askers)]
    done = home / "made"
    if not done.exists():
        _make(settings, photos, kind, user_ids)
        Redis(port=port).save()
        done.touch()
    bundle = home / "bundle"
    return ServingWorld(settings, user_ids, bundle / "als" if kind == "blend" else bundle, redis)


def _redis(home: Path, port: int, started: Children) -> Child:
    """A Redis that keeps nothing by itself; it loads what was saved in that folder."""
    command = ["redis-server", "--port", str(port), "--dir", str(home), "--save", "", "--dbfilename", "online.rdb"]
    redis = started.start(f"redis-{home.name}", command, {})
    Redis(port=port, retry=Retry(ConstantBackoff(0.2), 300), retry_on_error=[BusyLoadingError]).ping()
    return redis


def restart_redis(world: ServingWorld, redis: Child, port: int, started: Children, seconds: float) -> Child:
    """Stop that Redis, and start another one after so many seconds."""
    redis.stop()
    time.sleep(seconds)
    return _redis(world.settings.home, port, started)


def _make(settings: Settings, photos: int, kind: Kind, user_ids: list[str]) -> None:
    interactions = generated_for(photos)
    catalog = interactions.catalog
    _register(settings, settings.home / "bundle", interactions, kind)
    open_database(settings.database_url).dispose()
    apply_repository(settings)
    online = OnlineFeatures(settings)
    states = asked(interactions, user_ids)
    online.write_user_states(states)
    online.write_neighbor_candidates(_candidates(states, catalog))
    online.write_photo_cards(_cards(catalog))
    online.write_user_cards(
        UserCard(user_id, f"Person {user_id}", None, f"https://live.staticflickr.com/buddyicons/{user_id}.jpg")
        for user_id in dict.fromkeys([*catalog.owner_ids, *user_ids])
    )
    popular = (catalog.photo_ids[:500], catalog.owner_ids[:500], np.linspace(1, 0.5, 500))
    builds, now = Builds(settings.lake_uri), datetime.now(UTC)
    build = Build(new_version(now), now, {}, {})
    builds.write(build.version, POPULAR, pa.table([pa.array(column) for column in popular], schema=POPULAR_SCHEMA))
    builds.publish(build)


def generated_for(photos: int) -> Interactions:
    """What the champion of that size is trained on."""
    return generated(photos, max(20_000, photos // 4), 12 * photos, owned=True)


def asker_id(number: int) -> str:
    return f"{number:06d}@N02"


def _register(settings: Settings, bundle: Path, interactions: Interactions, kind: Kind) -> None:
    als = Recipe.from_settings(settings, "als").changed(factors=FACTORS, iterations=5)
    recipes = {
        "popularity": Recipe("popularity", {"half_life_days": 60.0}),
        "item_knn": Recipe("item_knn", {"shrink": 100.0}),
        "als": als,
        "contact_vectors": Recipe("contact_vectors", {"als": "als"}),
    }
    fitted = fit_each(recipes if kind == "blend" else {"als": als}, interactions)
    recipe, served = als, cast(Model, fitted["als"])
    if kind == "blend":
        recipe = blend_recipe(recipes, dict.fromkeys(recipes, 1.0), dict.fromkeys(recipes, 1.0))
        served = blend_of(recipe, fitted)
    graphs = graphs_for(served, interactions, settings.ann_photos)
    save_bundle(bundle, recipe, served, interactions, {}, graphs=graphs)
    run = TrainingRun(settings, "benchmark")
    run.register(bundle, Decision(True, kind, "the only one"), f"benchmark-{kind}-{interactions.n_photos}")
    run.finish("FINISHED")


def asked(interactions: Interactions, user_ids: list[str]) -> list[UserState]:
    """People of three tastes each, who favorited what is popular in them, a few things that they dismissed, and whom
    they follow."""
    rng = np.random.default_rng(1)
    catalog = interactions.catalog
    numbers = catalog.photo_ids.astype(np.int64)
    rows_of = np.argsort(numbers, kind="stable")
    photos = len(numbers)
    states = []
    for asker, user_id in enumerate(user_ids):
        size = round(np.exp(np.log(FEWEST) + (np.log(MOST) - np.log(FEWEST)) * asker / (len(user_ids) - 1)))
        tastes = rng.choice(TASTES, 3, replace=False)
        chosen = (photos // TASTES * rng.power(0.35, size=3 * size)).astype(np.int64) * TASTES
        rows = rows_of[np.unique(chosen + rng.choice(tastes, 3 * size))]
        rows = rng.permutation(rows)[: size + 10]
        favorites, dismissed = rows[10:], rows[:10]
        states.append(
            UserState(
                user_id=user_id,
                favorite_ids=tuple(catalog.photo_ids[favorites]),
                favorite_owners=tuple(catalog.owner_ids[favorites]),
                favorite_times=tuple((EPOCH - rng.integers(300 * 86_400, size=len(favorites))).tolist()),
                dismissed_ids=tuple(catalog.photo_ids[dismissed]),
                dismissed_owners=tuple(catalog.owner_ids[dismissed]),
                dismissed_times=(EPOCH,) * len(dismissed),
                contacts=tuple(interactions.user_ids[rng.integers(interactions.n_users, size=30)]),
                updated_at=datetime.now(UTC),
            )
        )
    return states


def _candidates(states: list[UserState], catalog: Catalog) -> Iterator[NeighborCandidates]:
    rng = np.random.default_rng(2)
    for state in states:
        rows = rng.choice(min(20_000, len(catalog)), 500, replace=False)
        owners = list(dict.fromkeys(state.favorite_owners))[:50]
        yield NeighborCandidates(
            user_id=state.user_id,
            photo_ids=tuple(catalog.photo_ids[rows]),
            photo_owners=tuple(catalog.owner_ids[rows]),
            photo_scores=tuple(np.linspace(1, 0.1, len(rows)).tolist()),
            people_ids=tuple(owners),
            people_scores=tuple(np.linspace(1, 0.1, len(owners)).tolist()),
            people_common=tuple(range(len(owners), 0, -1)),
            coverage=1.0,
            updated_at=datetime.now(UTC),
        )


def _cards(catalog: Catalog) -> Iterator[PhotoCard]:
    for row, (photo_id, owner) in enumerate(zip(catalog.photo_ids, catalog.owner_ids, strict=True)):
        address = f"https://live.staticflickr.com/{row % 65_536}/{photo_id}"
        yield PhotoCard(
            photo_id=photo_id,
            owner_id=owner,
            owner_name=f"Person {owner}",
            title=f"A photo with a title of usual length, number {photo_id}",
            image_url=f"{address}_0123456789_z.jpg",
            sizes={
                name: {"url": f"{address}_0123456789_{name}.jpg", "width": width, "height": height}
                for name, (width, height) in SIZES.items()
            },
            page_url=f"https://www.flickr.com/photos/{owner}/{photo_id}/",
            width=1600,
            height=1067,
            safety_level=0,
            uploaded_at=NOW - timedelta(days=row % 1000),
            gone_at=None,
        )
