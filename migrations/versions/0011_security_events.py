"""What stations report of their security."""

import sqlalchemy as sa
from alembic import op

from migrations.ops import TIMESTAMP, index, reference, tenant_table

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    tenant_table(
        "security_event",
        *reference("station_id", "station", on_delete="cascade"),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("info", sa.Text),
    )
    index("security_event", "created_at desc", "id desc")
    index("security_event", "station_id", "created_at desc", "id desc")
    # a repeat is no other event
    op.execute(
        "create unique index security_event_said_key on security_event "
        "(tenant_id, station_id, at, type, md5(coalesce(info, '')))"
    )
