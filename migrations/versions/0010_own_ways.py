"""What a tenant, or a station, has otherwise than the house."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("tenant", sa.Column("station_policy", sa.Text))
    op.add_column("station", sa.Column("ping_interval_s", sa.Integer))
