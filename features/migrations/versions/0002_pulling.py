"""Pulling by messages: an opaque queue, progress by parts, sweeps and rates in the cursors, who is at work.

Requests that were open are dropped with their table: whoever waits asks again with the next visit.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from features.database import UtcDateTime

revision = "0002"
down_revision = "0001"

_SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.drop_table("pull_requests")
    op.create_table(
        "pull_requests",
        sa.Column("message_id", _SERIAL, autoincrement=True, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("visible_at", UtcDateTime(), nullable=False),
        sa.Column("lease_token", sa.String(length=64), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("buried_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("pull_requests_next", "pull_requests", ["state", "priority", "message_id"], unique=False)
    op.create_table(
        "pull_asked",
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "kind"),
    )
    op.drop_table("pull_progress")
    op.create_table(
        "pull_progress",
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("favorites", sa.Integer(), nullable=False),
        sa.Column("wants_neighbors", sa.Boolean(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("correlation_id", sa.String(length=64), nullable=False),
        sa.Column("published", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("user_id"),
    )
    op.create_table(
        "pull_parts",
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("neighbor_id", sa.String(length=128), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("covered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "neighbor_id"),
    )
    op.create_index("pull_parts_of_neighbor", "pull_parts", ["neighbor_id"], unique=False)
    op.add_column("pull_cursors", sa.Column("favorites", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("pull_cursors", sa.Column("oldest_faved_at", UtcDateTime(), nullable=True))
    op.add_column("pull_cursors", sa.Column("sweep_until", UtcDateTime(), nullable=True))
    op.add_column("pull_cursors", sa.Column("sweep_moved_at", UtcDateTime(), nullable=True))
    op.add_column("pull_cursors", sa.Column("swept_at", UtcDateTime(), nullable=True))
    op.add_column("pull_cursors", sa.Column("rate_favorites", sa.Float(), nullable=False, server_default="0"))
    op.add_column("pull_cursors", sa.Column("rate_days", sa.Float(), nullable=False, server_default="0"))
    op.create_index("pull_cursors_by_pull", "pull_cursors", ["favorites_pulled_at"], unique=False)
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "workers",
        sa.Column("worker_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("worker_id"),
    )
    op.create_table(
        "photo_checks",
        sa.Column("photo_id", sa.String(length=64), nullable=False),
        sa.Column("reported_at", UtcDateTime(), nullable=True),
        sa.Column("checked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("photo_id"),
    )
    op.create_table(
        "suppressions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )


def downgrade() -> None:
    raise RuntimeError("the migration to pulling by messages can't be taken back: restore a backup")
