"""A file of favorites into the lake: what any service exports, or a public data set.

The file is streamed and its good rows laid aside by user, so that memory holds a part of the users at a time, and a
favorite that comes twice meets itself; each part is then compared with what the lake holds of those users.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.lake import Lake, one_of
from features.progress import Report
from features.schema import INTERACTIONS, PHOTOS, QUARANTINE, TIMESTAMP, USERS, Kind, Source
from features.settings import Settings
from features.state import newest
from pipelines.privacy.suppression import Suppression
from pipelines.privacy.tombstones import taken_down
from pipelines.sources.import_formats import open_favorites
from pipelines.sources.import_rows import Rejected, check
from pipelines.sources.import_spool import Spool
from pipelines.sources.source import check_namespace, unknown_owner

EXAMPLES = 3
KEPT_OUT = "erased or taken down"
HELD_COLUMNS = ("user_id", "photo_id", "kind", "event_timestamp", "created_timestamp")
_JOINT = "\x1f"


@dataclass
class ImportReport:
    """What became of the rows: rows = added + known + repeats + the rejected (of a dry run: good + repeats + …).

    known: the lake holds the favorite, or that it was taken back since; repeats: the file itself has it twice;
    good: different favorites in the file. photos, users: described for the first time. rejected: reason → rows.
    """

    file: str
    dry_run: bool
    rows: int = 0
    good: int = 0
    added: int = 0
    known: int = 0
    repeats: int = 0
    photos: int = 0
    users: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    seconds: float = 0.0

    def reject(self, reason: str, rows: int = 1, example: str | None = None) -> None:
        """Count rejected rows; what is shown of a reason are its first EXAMPLES examples."""
        self.rejected[reason] = self.rejected.get(reason, 0) + rows
        examples = self.examples.setdefault(reason, [])
        if example is not None and len(examples) < EXAMPLES:
            examples.append(example)


@dataclass(frozen=True)
class _Import:
    """One import under way: where to, what for, and when."""

    lake: Lake
    engine: sa.Engine
    suppression: Suppression
    report: ImportReport
    source: str
    now: datetime

    def quarantine(self, rejected: Rejected, marks: Mapping[str, int]) -> None:
        """Keep the rejected rows, but for those of erased users, who must not come back this way either."""
        erased = self.suppression.suppressed(rejected.subject_ids)
        kept = [place for place, subject_id in enumerate(rejected.subject_ids) if subject_id not in erased]
        if kept:
            columns = {
                "subject_id": pa.array([rejected.subject_ids[place] for place in kept]),
                "reason": pa.array([rejected.reasons[place] for place in kept]),
                "payload": pa.array([rejected.payloads[place] for place in kept]),
                "source": pa.repeat(self.source, len(kept)),
                "ingest_date": pa.repeat(pa.scalar(self.now.date()), len(kept)),
            }
            self.lake.append(QUARANTINE, _stamped(columns, self.now), marks=marks)

    def admitted(self, rows: pa.Table) -> pa.Table:
        """`rows` without those that name an erased user, or a photo that was taken down."""
        people = pa.chunked_array([*rows.column("user_id").chunks, *rows.column("owner_id").chunks]).unique()
        erased = pa.array(self.suppression.suppressed(people.drop_null().to_pylist()), pa.string())
        down = pa.array(taken_down(self.engine, rows.column("photo_id").unique().to_pylist()), pa.string())
        out = pc.is_in(rows.column("photo_id"), value_set=down)
        for name in ("user_id", "owner_id"):
            out = pc.or_(out, pc.is_in(rows.column(name), value_set=erased))
        kept = rows.filter(pc.invert(out))
        if kept.num_rows < rows.num_rows:
            self.report.reject(KEPT_OUT, rows.num_rows - kept.num_rows)
        return kept


def import_file(
    settings: Settings,
    lake: Lake,
    engine: sa.Engine,
    path: Path,
    *,
    renamed: Mapping[str, str] | None = None,
    source: str = str(Source.FILE),
    namespace: str = "",
    dry_run: bool = False,
    progress: Report = lambda stage, done, total: None,
) -> ImportReport:
    """Import a file; again, or after a kill, it adds what is missing and nothing twice.

    renamed: the file's column → ours. source: under which name rejected rows are kept. A favorite without a date
    happened when the file was written, at the latest. Raises InvalidInputError for the file as a whole, and what
    `Lake.append` raises; single rows that are no favorites are in the report and in the lake's table `quarantine`.
    """
    check_namespace(namespace)
    started = time.monotonic()
    now = datetime.now(UTC)
    opened = open_favorites(path, renamed or {})
    report = ImportReport(str(path), dry_run)
    work = _Import(lake, engine, Suppression(settings, engine), report, source, now)
    # The same file read the same way: its rejected rows go into the lake once, however often it is imported.
    application = f"import:{_digest(path, renamed or {}, source, namespace)}"
    written = min(datetime.fromtimestamp(path.stat().st_mtime, UTC), now)
    with tempfile.TemporaryDirectory(prefix="photo-recommender-import-") as folder:
        with Spool(Path(folder)) as spool:
            for number, batch in enumerate(opened.batches):
                checked = check(batch, namespace=namespace, now=now)
                report.rows += batch.count
                for reason, payload in zip(checked.rejected.reasons, checked.rejected.payloads, strict=True):
                    report.reject(reason, example=payload)
                if checked.rejected.reasons and not dry_run:
                    work.quarantine(checked.rejected, {application: number})
                spool.add(checked.good)
                progress("check rows", report.rows, opened.rows)
        parts = spool.parts()
        for done, part in enumerate(parts, start=1):
            _commit(work, spool.read(part), written)
            progress("commit users", done, len(parts))
    report.seconds = round(time.monotonic() - started, 2)
    return report


def _commit(work: _Import, rows: pa.Table, written: datetime) -> None:
    """Append what the lake does not have yet of these rows (GOOD; all the file's rows of their users).

    What a row refers to goes first, so that a kill in between leaves nothing dangling.
    """
    lake, report, now = work.lake, work.report, work.now
    dated = rows.append_column("order", pc.fill_null(rows.column("faved_at"), pa.scalar(0).cast(TIMESTAMP)))
    distinct = newest(dated, ("user_id", "photo_id"), ("order",)).drop_columns(["order"])
    report.repeats += rows.num_rows - distinct.num_rows
    distinct = work.admitted(distinct)
    report.good += distinct.num_rows
    if report.dry_run or not distinct.num_rows:
        return
    users = distinct.column("user_id").unique().to_pylist()
    held = lake.scan(INTERACTIONS, columns=HELD_COLUMNS, where=one_of("user_id", users))
    fresh = new_favorites(distinct, held)
    named = _new_users(lake, distinct, now)
    described = _new_photos(lake, _with_owners(lake, distinct), now)
    for table, new in ((USERS, named), (PHOTOS, described)):
        if new.num_rows:
            lake.append(table, new)
    if fresh.num_rows:
        lake.append(INTERACTIONS, _as_interactions(_with_owners(lake, fresh), written, now))
    report.added += fresh.num_rows
    report.known += distinct.num_rows - fresh.num_rows
    report.photos += described.num_rows
    report.users += named.num_rows


def new_favorites(rows: pa.Table, held: pa.Table) -> pa.Table:
    """Those of `rows` (each user and photo once) that the state does not hold; `held`: HELD_COLUMNS of those users.

    A favorite that was taken back comes again only with a later date of its own: a file is no observation of today.
    """
    axis = pa.array([str(Kind.FAVORITE), str(Kind.UNFAVORITE)])
    latest = newest(held.filter(pc.is_in(held.column("kind"), axis)), ("user_id", "photo_id"))
    place = pc.index_in(_pairs(rows), value_set=_pairs(latest).combine_chunks())
    later = pc.and_(
        pc.equal(latest.column("kind").take(place), str(Kind.UNFAVORITE)),
        pc.greater(rows.column("faved_at"), latest.column("event_timestamp").take(place)),
    )
    return rows.filter(pc.or_(pc.is_null(place), pc.fill_null(later, False)))


def _pairs(rows: pa.Table) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(rows.column("user_id"), rows.column("photo_id"), _JOINT)


def _with_owners(lake: Lake, rows: pa.Table) -> pa.Table:
    """With every owner told: by the file, else by the lake's photos, else somebody who owns this photo alone."""
    owners = rows.column("owner_id")
    if not owners.null_count:
        return rows
    orphans = rows.column("photo_id").filter(owners.is_null()).unique()
    photos = lake.scan(PHOTOS, columns=("photo_id", "owner_id"), where=one_of("photo_id", orphans.to_pylist()))
    place = pc.index_in(rows.column("photo_id"), value_set=photos.column("photo_id").combine_chunks())
    unknown = pc.binary_join_element_wise(unknown_owner(""), rows.column("photo_id"), "")
    told = pc.coalesce(owners, photos.column("owner_id").take(place), unknown)
    return rows.set_column(rows.column_names.index("owner_id"), "owner_id", told)


def _as_interactions(rows: pa.Table, written: datetime, now: datetime) -> pa.Table:
    same = {
        "kind": pa.scalar(str(Kind.FAVORITE)),
        "source": pa.scalar(str(Source.FILE)),
        "ingest_date": pa.scalar(now.date()),
    }
    columns = {name: rows.column(name) for name in ("user_id", "photo_id", "owner_id", "faved_at")}
    columns["event_timestamp"] = pc.fill_null(rows.column("faved_at"), pa.scalar(written, TIMESTAMP))
    columns |= {name: pa.repeat(value, rows.num_rows) for name, value in same.items()}
    return _stamped(columns, now)


def _new_photos(lake: Lake, rows: pa.Table, now: datetime) -> pa.Table:
    """Photos with a picture of which the lake knows nothing: what a service told of a photo is not overruled."""
    shown = rows.filter(rows.column("image_url").is_valid())
    described = _first(shown, "photo_id")
    held = lake.scan(PHOTOS, columns=("photo_id",), where=one_of("photo_id", described.column("photo_id").to_pylist()))
    new = described.filter(pc.invert(pc.is_in(described.column("photo_id"), held.column("photo_id").combine_chunks())))
    columns = {name: new.column(name) for name in ("photo_id", "owner_id", "image_url", "width", "height", "tags")}
    columns |= {name: pc.fill_null(new.column(name), "") for name in ("title", "page_url")}
    return _stamped({**columns, "sizes": pa.repeat("{}", new.num_rows)}, now)


def _new_users(lake: Lake, rows: pa.Table, now: datetime) -> pa.Table:
    """Owners with a name of whom the lake knows nothing."""
    told = pc.and_(rows.column("owner_id").is_valid(), rows.column("owner_name").is_valid())
    named = _first(rows.filter(told), "owner_id")
    held = lake.scan(USERS, columns=("user_id",), where=one_of("user_id", named.column("owner_id").to_pylist()))
    new = named.filter(pc.invert(pc.is_in(named.column("owner_id"), held.column("user_id").combine_chunks())))
    return _stamped({"user_id": new.column("owner_id"), "name": new.column("owner_name")}, now)


def _stamped(columns: Mapping[str, pa.Array | pa.ChunkedArray], now: datetime) -> pa.Table:
    rows = pa.table(dict(columns))
    return rows.append_column("created_timestamp", pa.repeat(pa.scalar(now, TIMESTAMP), rows.num_rows))


def _first(rows: pa.Table, key: str) -> pa.Table:
    """One row of each key, the first."""
    codes = np.asarray(rows.column(key).combine_chunks().dictionary_encode().indices)
    return rows.take(pa.array(np.unique(codes, return_index=True)[1]))


def _digest(path: Path, *read_as: object) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(orjson.dumps(read_as))
    return digest.hexdigest()
