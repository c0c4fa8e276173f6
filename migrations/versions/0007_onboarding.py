"""Onboarding: when a station's configuration was read, and passwords that it was given and has not shown yet."""

import sqlalchemy as sa
from alembic import op

from migrations.ops import JSONB, TIMESTAMP

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("station", sa.Column("configuration_read_at", TIMESTAMP))
    op.add_column("station", sa.Column("configuration_read_of", sa.Text))
    op.add_column("station", sa.Column("offered_password_hashes", JSONB, nullable=False, server_default="[]"))
