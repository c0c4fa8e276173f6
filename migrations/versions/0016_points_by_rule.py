"""What a tenant says of new points; readings that do not fit their points."""

import sqlalchemy as sa
from alembic import op

from migrations.ops import TIMESTAMP, index, tenant_table

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("tenant", sa.Column("point_policy", sa.Text))
    op.add_column("tenant", sa.Column("points_max", sa.Integer))
    tenant_table(
        "quarantined_reading",
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("text", sa.Text),
        sa.Column("quality", sa.Text, nullable=False),
        sa.Column("unit", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    index("quarantined_reading", "address", "at", "version", unique=True)
    index("quarantined_reading", "created_at desc", "id desc")
