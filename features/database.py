"""The SQL database: accounts, sessions, pulls in progress, what walls showed, and the outbox of actions.

Its tables and how to open them: SQLite by default, PostgreSQL by URL; Alembic migrations in `features/migrations` make
the schema.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from features.errors import ConfigurationError, DependencyError

MIGRATIONS = Path(__file__).parent / "migrations"

CONNECT_SECONDS = 5
"""What a server of PostgreSQL gets to take a connection: libpq would wait for minutes."""

# Alembic keeps the context of a migration in module globals: one at a time within a process.
_alembic = Lock()


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime: SQLite keeps no time zone, so it is put back on reading."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = sa.MetaData()

# SQLite numbers rows itself only in a column that is exactly INTEGER.
_Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("user_id", sa.String(128), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("avatar_url", sa.Text),
    sa.Column("token_ciphertext", sa.Text),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("last_visit_at", UtcDateTime),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("session_hash", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.String(128), sa.ForeignKey("accounts.user_id", ondelete="CASCADE")),
    sa.Column("csrf_token", sa.String(64), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
)

oauth_requests = sa.Table(
    "oauth_requests",
    metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    sa.Column("secret_ciphertext", sa.Text, nullable=False),
    sa.Column("session_hash", sa.String(64), nullable=False),
    sa.Column("return_to", sa.Text, nullable=False),
    sa.Column("expires_at", UtcDateTime, nullable=False),
)

pull_requests = sa.Table(
    "pull_requests",  # the embedded queue (pipelines/queue/sql_queue.py)
    metadata,
    sa.Column("message_id", _Serial, primary_key=True, autoincrement=True),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # waiting | leased | dead
    sa.Column("visible_at", UtcDateTime, nullable=False),  # from when it may be received (again)
    sa.Column("lease_token", sa.String(64)),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("reason", sa.Text),  # why it is dead
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("buried_at", UtcDateTime),
    sa.Index("pull_requests_next", "state", "priority", "message_id"),
    # A number that was acknowledged once is never given to another message.
    sqlite_autoincrement=True,
)

pull_asked = sa.Table(
    "pull_asked",  # which requests are open: asking again while one is, is not worth another message
    metadata,
    sa.Column("user_id", sa.String(128), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("asked_at", UtcDateTime, nullable=False),
)

pull_progress = sa.Table(
    "pull_progress",
    metadata,
    sa.Column("user_id", sa.String(128), primary_key=True),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("favorites", sa.Integer, nullable=False, default=0),
    sa.Column("wants_neighbors", sa.Boolean, nullable=False, default=True),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("correlation_id", sa.String(64), nullable=False, default=""),
    sa.Column("published", sa.Integer, nullable=False, default=-1),  # finished parts that the wall was last made of
    sa.Column("error", sa.Text),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("finished_at", UtcDateTime),
)

pull_parts = sa.Table(
    "pull_parts",  # whose favorites a person's wall is made of; a set, so that nothing can be counted twice
    metadata,
    sa.Column("user_id", sa.String(128), primary_key=True),
    sa.Column("neighbor_id", sa.String(128), primary_key=True),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("covered", sa.Boolean, nullable=False, default=False),  # finished, and not because it failed
    sa.Index("pull_parts_of_neighbor", "neighbor_id"),
)

pull_cursors = sa.Table(
    "pull_cursors",
    metadata,
    sa.Column("user_id", sa.String(128), primary_key=True),
    sa.Column("newest_faved_at", UtcDateTime),
    sa.Column("favorites_pulled_at", UtcDateTime),
    sa.Column("contacts_pulled_at", UtcDateTime),
    sa.Column("favorites", sa.Integer, nullable=False, default=0),  # how many there are, as far as was seen
    sa.Column("oldest_faved_at", UtcDateTime),  # nothing older is kept, as there are too many; NULL: everything is
    sa.Column("sweep_until", UtcDateTime),  # the sweep has seen everything faved after this; NULL: begin at the newest
    sa.Column("sweep_moved_at", UtcDateTime),  # when the sweep last looked at a page
    sa.Column("swept_at", UtcDateTime),  # when it last came to the end
    # What the favoriting rate is estimated from: new favorites in days of observation, both decayed.
    sa.Column("rate_favorites", sa.Float, nullable=False, default=0.0),
    sa.Column("rate_days", sa.Float, nullable=False, default=0.0),
    sa.Index("pull_cursors_by_pull", "favorites_pulled_at"),
)

leases = sa.Table(
    "leases",  # what one process of several may do at a time
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(64), nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
)

workers = sa.Table(
    "workers",  # who is at work: a row is renewed while its process lives
    metadata,
    sa.Column("worker_id", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

photo_checks = sa.Table(
    "photo_checks",  # photos to look at again on Flickr: shown a while ago, or reported as broken by the page
    metadata,
    sa.Column("photo_id", sa.String(64), primary_key=True),
    sa.Column("reported_at", UtcDateTime),
    sa.Column("checked_at", UtcDateTime),
)

shown = sa.Table(
    "shown",  # what a person's own wall showed them (pipelines/shown.py)
    metadata,
    sa.Column("user_id", sa.String(128), primary_key=True),
    sa.Column("photo_id", sa.String(64), primary_key=True),
    sa.Column("first_shown_at", UtcDateTime, nullable=False),
    sa.Column("last_shown_at", UtcDateTime, nullable=False),
    sa.Column("visits", sa.Integer, nullable=False),  # on how many it was shown since its last rest
    # A person's rows lie together: they are read with each wall.
    sqlite_with_rowid=False,
)

suppressions = sa.Table(
    "suppressions",  # erased users, as keyed hashes: who must not come back as somebody's neighbor
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

tombstones = sa.Table(
    "tombstones",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("subject_id", sa.String(128), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

actions = sa.Table(
    "actions",
    metadata,
    sa.Column("seq", _Serial, primary_key=True, autoincrement=True),
    sa.Column("action_id", sa.String(36), nullable=False, unique=True),
    sa.Column("user_id", sa.String(128), nullable=False),
    sa.Column("photo_id", sa.String(64), nullable=False),
    sa.Column("owner_id", sa.String(128), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("event_timestamp", UtcDateTime, nullable=False),
    sa.Column("created_timestamp", UtcDateTime, nullable=False),
    sa.Index("actions_of_user", "user_id", "seq"),
    # Numbers are never used again, even after the newest rows were purged: the lake remembers the newest it has seen.
    sqlite_autoincrement=True,
)


def open_database(url: str) -> sa.Engine:
    """The engine for that SQLAlchemy URL, its schema made or brought up to date.

    Raises ConfigurationError when the URL can't be read, DependencyError when the database doesn't answer.
    """
    try:
        address = sa.make_url(url)
        if address.drivername == "postgresql":  # SQLAlchemy would look for the driver before this one
            address = address.set(drivername="postgresql+psycopg")
    except sa.exc.ArgumentError as error:
        raise ConfigurationError(f"PHOTO_RECOMMENDER_DATABASE_URL={url!r}: {error}", field="database_url") from None
    try:
        if address.get_backend_name() == "sqlite" and address.database:
            _create_sqlite(Path(address.database))
        engine = sa.create_engine(address, pool_pre_ping=True, connect_args=_connecting(address))
        _prepare_sqlite(engine)
        upgrade(engine)
    except sa.exc.SQLAlchemyError as error:
        raise DependencyError(
            f"the database at {address.render_as_string(hide_password=True)} can't be used: {error}"
        ) from error
    return engine


def _connecting(address: sa.URL) -> dict[str, int]:
    return {"connect_timeout": CONNECT_SECONDS} if address.get_backend_name() == "postgresql" else {}


Readable = sa.Engine | sa.Connection
"""Where something is read: by a connection of its own, or by one that the caller holds for several reads."""


@contextmanager
def reading(source: Readable) -> Iterator[sa.Connection]:
    if isinstance(source, sa.Connection):
        yield source
    else:
        with source.connect() as connection:
            yield connection


def upgrade(engine: sa.Engine) -> None:
    """Run the migrations that the database has not seen; cheap when there are none."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    head = ScriptDirectory.from_config(config).get_current_head()
    with engine.connect() as connection:
        if MigrationContext.configure(connection).get_current_revision() == head:
            return
    with _alembic, engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _create_sqlite(path: Path) -> None:
    """Make the file whole under another name and move it into place: a kill leaves none, not half of one."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        engine = sa.create_engine(sa.URL.create("sqlite", database=name))
        upgrade(engine)
        engine.dispose()
        # A link, not a rename: of two processes that start at once the first one's file stays.
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _prepare_sqlite(engine: sa.Engine) -> None:
    if engine.dialect.name != "sqlite":
        return

    @sa.event.listens_for(engine, "connect")
    def _set_pragmas(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
