"""The judgement of a lake after pulls: what it lacks of the sandbox's truth, and what it holds too often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa
import sqlalchemy as sa

from features.lake import Lake
from features.schema import CONTACTS, INTERACTIONS, PHOTOS, USERS, LakeTable
from features.state import STATE_COLUMNS, current_contacts, interaction_state
from pipelines.pull.cursors import read_cursors
from pipelines.pull.progress import read_progress
from pull_rig.world import Favorite, Truth


@dataclass(frozen=True)
class Verdict:
    """lost: rows of the truth that the lake lacks; doubled: rows that it holds beyond the truth, or more than once.

    repeats: further raw rows of one key, by table, which every reader leaves out. wrong: in words, whatever else does
    not agree.
    """

    lost: int = 0
    doubled: int = 0
    repeats: Mapping[str, int] = field(default_factory=dict)
    wrong: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)


@dataclass(frozen=True)
class Acts:
    """What people did on the site meanwhile: the actions' ids, and what they add up to, as (user, photo) pairs."""

    ids: frozenset[str] = frozenset()
    faved: frozenset[tuple[str, str]] = frozenset()
    dismissed: frozenset[tuple[str, str]] = frozenset()


def pulled(truth: Truth, people: Iterable[str]) -> set[str]:
    """Whose favorites are pulled for these people's walls."""
    return {*people, *(neighbor for person in people for neighbor in truth.neighbors(person))}


def favorites_of(lake: Lake, users: Collection[str]) -> Counter[Favorite]:
    """The favorites of the derived state, with Flickr's date."""
    favorites = interaction_state(lake.scan(INTERACTIONS, columns=STATE_COLUMNS)).favorites
    return Counter(
        (row["user_id"], row["photo_id"], row["owner_id"], int(row["faved_at"].timestamp()))
        for row in favorites.to_pylist()
        if row["user_id"] in users
    )


def judge(lake: Lake, engine: sa.Engine, truth: Truth, people: Collection[str], acts: Acts | None = None) -> Verdict:
    """Compare the lake, cursors and progress of people whose pulls with neighbors are over with the truth."""
    acts = acts or Acts()
    users = pulled(truth, people)
    expected = {favorite for user in users for favorite in truth.favorites(user)}
    found = favorites_of(lake, users)
    # What was favored on the site, too, has the site's date.
    lost = {row[:3] for row in expected} - {row[:3] for row in found}
    extra = {row[:3] for row in found} - {row[:3] for row in expected}
    dated = {row for row in found if row[:2] not in acts.faved} - expected if not lost and not extra else set()
    follows, followed = set().union(*map(truth.contacts, people)), _contacts(lake)
    counts = {table.name: _repeats(lake.scan(table), table) for table in (INTERACTIONS, CONTACTS, PHOTOS, USERS)}
    photos = {row[1] for row in expected} - set(lake.scan(PHOTOS, columns=["photo_id"]).column(0).to_pylist())
    owners = {row[2] for row in expected} - set(lake.scan(USERS, columns=["user_id"]).column(0).to_pylist())
    wrong = [
        *(f"the date of a favorite: {row}" for row in sorted(dated)[:3]),
        *_wrong_cursors(engine, truth, users),
        *_wrong_progress(engine, truth, people),
    ]
    return Verdict(
        lost=len(lost) + len(follows - followed) + len(photos) + len(owners) + _missing_acts(lake, acts),
        doubled=len(extra)
        + sum(count - 1 for count in found.values())
        + len({row for row in followed if row[0] in people} - follows)
        + counts[INTERACTIONS.name]
        + counts[CONTACTS.name],
        repeats=counts,
        wrong=(
            *wrong,
            *([f"{len(photos)} photos and {len(owners)} owners without a row"] if photos or owners else []),
            *([f"contacts: {len(follows - followed)} lost"] if follows - followed else []),
            *(f"lost {row}" for row in sorted(lost)[:3]),
            *(f"too many {row}" for row in sorted(extra)[:3]),
        ),
    )


def _contacts(lake: Lake) -> set[tuple[str, str]]:
    return set(zip(*current_contacts(lake.scan(CONTACTS)).to_pydict().values(), strict=True))


def _repeats(rows: pa.Table, table: LakeTable) -> int:
    return rows.num_rows - rows.group_by(list(table.key)).aggregate([]).num_rows


def _missing_acts(lake: Lake, acts: Acts) -> int:
    """Actions that the lake does not hold exactly once, and dismissals that do not stand as they should."""
    rows = lake.scan(INTERACTIONS)
    times = Counter(one for one in rows.column("action_id").to_pylist() if one)
    state = interaction_state(rows)
    dismissed = set(
        zip(*(state.dismissed_photos.column(name).to_pylist() for name in ("user_id", "photo_id")), strict=True)
    )
    favored = set(zip(*(state.favorites.column(name).to_pylist() for name in ("user_id", "photo_id")), strict=True))
    return (
        sum(times[one] != 1 for one in acts.ids | times.keys())
        + len(dismissed ^ acts.dismissed)
        + len(acts.faved - favored)
    )


def _wrong_cursors(engine: sa.Engine, truth: Truth, users: Collection[str]) -> Iterable[str]:
    cursors = read_cursors(engine, sorted(users))
    for user in sorted(users):
        cursor, newest = cursors.get(user), truth.newest_until_now(user)
        if cursor is None or cursor.favorites_pulled_at is None:
            yield f"{user} has no cursor"
            continue
        at = cursor.newest_faved_at.timestamp() if cursor.newest_faved_at else None
        standing = max((row[3] for row in truth.favorites(user)), default=None)
        if (at or 0) < (standing or 0) or (at or 0) > (newest or 0):
            yield f"the cursor of {user} is at {at}, its favorites at {standing}"


def _wrong_progress(engine: sa.Engine, truth: Truth, people: Collection[str]) -> Iterable[str]:
    for person in people:
        progress = read_progress(engine, person)
        favorites, neighbors = len(truth.favorites(person)), len(truth.neighbors(person))
        said = (progress.stage, progress.made, progress.finished, progress.favorites, progress.coverage)
        if said != ("done", neighbors, neighbors, favorites, 1.0 if neighbors else 0.0):
            yield f"the progress of {person}, with {favorites} favorites of {neighbors} owners: {progress}"
