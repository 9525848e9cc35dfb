"""What walls showed to whom, so that they say what is new on them and show nothing for ever."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from features.database import UtcDateTime

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "shown",
        sa.Column("user_id", sa.String(length=128), nullable=False),
        sa.Column("photo_id", sa.String(length=64), nullable=False),
        sa.Column("first_shown_at", UtcDateTime(), nullable=False),
        sa.Column("last_shown_at", UtcDateTime(), nullable=False),
        sa.Column("visits", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "photo_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("shown")
