"""Two people who have been here for a while, Anna and Ben: rows of both in SQL, lake, features and online store.

They know each other: each favorited a photo of the other's, follows the other, and was seen doing so.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from features.actions import record_action
from features.batch import build_features
from features.database import accounts, pull_asked, pull_cursors, pull_parts, pull_progress
from features.lake import open_lake
from features.online import materialize
from features.schema import CONTACTS, IMPRESSIONS, INTERACTIONS, PHOTOS, QUARANTINE, USERS, Kind, LakeTable
from features.settings import Settings
from pipelines.flickr.client import FlickrToken
from pipelines.shown import Repetition, Showing, note_shown
from serving.accounts.sessions import open_session
from serving.last_known import LastKnown
from serving.ranking.recommender import Recommender
from serving.runtime import Runtime
from tests.serving.browser import Browser, client_of
from tests.serving.small_world import World, make_runtime

ANNA, BEN = "11111@N01", "22222@N02"
NAMES = {ANNA: "Anna Åström", BEN: "Ben"}
ANNAS_PHOTO, BENS_PHOTO, EVES_PHOTO = "711", "722", "733"
OWNED = {ANNAS_PHOTO: ANNA, BENS_PHOTO: BEN, EVES_PHOTO: "33333@N03"}
SINCE = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
SEEN = datetime(2026, 3, 31, 12, tzinfo=UTC)


def lived_in_home(home: Path) -> Path:
    """A home with a lake, features and an online store that know Anna and Ben; no SQL."""
    settings = Settings(home=home, _env_file=None)  # type: ignore[call-arg]
    _fill_lake(settings)
    materialize(settings, build_features(open_lake(settings), settings))
    return home


def lived_in_runtime(world: World, engine: sa.Engine, settings: Settings, home: Path) -> Runtime:
    """A runtime whose stores are all below the settings' home, a copy of `home`, with Anna and Ben in each."""
    shutil.copytree(home, settings.home, dirs_exist_ok=True)
    runtime = make_runtime(world, engine, settings)
    online = LastKnown(settings, lambda: runtime.watch.served)
    recommender = Recommender(engine, online, lambda: runtime.watch.served, runtime.suppression)
    runtime = replace(runtime, online=online, recommender=recommender)
    for user_id in (ANNA, BEN):
        _fill_sql(runtime, user_id)
    return runtime


def browser_of(runtime: Runtime, user_id: str | None) -> Browser:
    """A browser in which that person is signed in; None: nobody is."""
    browser = Browser(client_of(runtime))
    browser.cookie, _ = open_session(runtime.engine, user_id=user_id)
    return browser


def other_of(user_id: str) -> str:
    return BEN if user_id == ANNA else ANNA


def token_for(user_id: str) -> FlickrToken:
    return FlickrToken(f"token-of-{user_id}", f"secret-of-{user_id}")


def _append(settings: Settings, table: LakeTable, *rows: dict[str, Any]) -> None:
    open_lake(settings).append(table, pa.Table.from_pylist(list(rows), schema=table.schema))


def _fill_lake(settings: Settings) -> None:
    def interaction(user_id: str, photo_id: str, kind: Kind = Kind.FAVORITE) -> dict[str, Any]:
        at = {"event_timestamp": SEEN, "created_timestamp": SEEN, "ingest_date": SEEN.date()}
        owner_id = OWNED.get(photo_id, other_of(user_id))
        what = {"user_id": user_id, "photo_id": photo_id, "owner_id": owner_id, "kind": str(kind), "source": "flickr"}
        return {**what, **at, "faved_at": SEEN - timedelta(days=1)}

    kinds = [(BENS_PHOTO, Kind.FAVORITE), (EVES_PHOTO, Kind.FAVORITE), (EVES_PHOTO, Kind.DISMISS_PHOTO)]
    _append(settings, INTERACTIONS, *(interaction(ANNA, photo_id, kind) for photo_id, kind in kinds))
    _append(settings, INTERACTIONS, interaction(BEN, ANNAS_PHOTO))
    at = {"event_timestamp": SEEN, "created_timestamp": SEEN, "kind": "follow"}
    _append(settings, CONTACTS, *({"user_id": one, "contact_id": other_of(one), **at} for one in (ANNA, BEN)))
    _append(settings, USERS, *({"user_id": u, "name": n, "created_timestamp": SEEN} for u, n in NAMES.items()))
    for photo_id, owner_id in OWNED.items():
        page = f"https://www.flickr.com/photos/{owner_id}/{photo_id}/"
        picture = {"title": f"Photo {photo_id}", "image_url": f"https://x/{photo_id}", "sizes": "{}", "page_url": page}
        _append(settings, PHOTOS, {"photo_id": photo_id, "owner_id": owner_id, "created_timestamp": SEEN, **picture})
    seen = {"photo_id": EVES_PHOTO, "rank": 1, "model_version": "1", "variant": "", "shown_at": SEEN}
    _append(settings, IMPRESSIONS, *({"user_id": u, **seen, "created_timestamp": SEEN} for u in (ANNA, BEN)))
    bad = {"source": "flickr", "reason": "no date", "payload": "{}", "created_timestamp": SEEN}
    _append(settings, QUARANTINE, *({"subject_id": u, **bad, "ingest_date": SEEN.date()} for u in (ANNA, BEN)))


def _fill_sql(runtime: Runtime, user_id: str) -> None:
    engine, mine = runtime.engine, {"user_id": user_id}
    sealed = runtime.vault.seal(token_for(user_id))
    account = {"name": NAMES[user_id], "token_ciphertext": sealed, "created_at": SINCE, "last_visit_at": SINCE}
    pull = {"stage": "done", "priority": 0, "asked_at": SEEN, "updated_at": SEEN}
    with engine.begin() as connection:
        connection.execute(sa.insert(accounts).values(**mine, **account))
        connection.execute(sa.insert(pull_cursors).values(**mine, favorites=2, favorites_pulled_at=SEEN))
        connection.execute(sa.insert(pull_progress).values(**mine, **pull))
        connection.execute(sa.insert(pull_asked).values(**mine, kind="favorites", priority=0, asked_at=SEEN))
        connection.execute(sa.insert(pull_parts).values(**mine, neighbor_id=other_of(user_id)))
    note_shown(engine, [Showing(user_id, photo_id, SEEN) for photo_id in (EVES_PHOTO, "734")], Repetition())
    record_action(engine, user_id=user_id, kind=Kind.DISMISS_USER, owner_id="44444@N04")
    record_action(engine, user_id=user_id, kind=Kind.DISMISS_PHOTO, photo_id=BENS_PHOTO, owner_id=BEN)
