"""Meters; what is said of a point beyond its address, and points that are made of others."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from migrations.ops import TIMESTAMP, index, reference, tenant_table

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("point", sa.Column("rollover_at", sa.Double))
    op.add_column("point", sa.Column("aggregation", sa.Text))
    op.add_column("point", sa.Column("data_type", sa.Text))
    op.add_column("point", sa.Column("expression", sa.Text))
    op.execute("create index point_virtual_idx on point (tenant_id) where expression is not null")
    tenant_table(
        "meter",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        *reference("location_id", "location", nullable=True, on_delete="set null"),
        sa.Column("sampling_interval", sa.Text),
        sa.Column("timezone", sa.Text),
        sa.Column("tags", postgresql.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("commissioned_at", TIMESTAMP),
    )
    index("meter", "name", unique=True)
    index("meter", "created_at", "id")
    index("meter", "location_id", where="location_id is not null")
