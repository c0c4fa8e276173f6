"""Orders that wait for stations which are not there."""

import sqlalchemy as sa
from alembic import op

from migrations.ops import TIMESTAMP, index

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for column in (
        sa.Column("priority", sa.SmallInteger, nullable=False, server_default="2"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("expires_at", TIMESTAMP),
        sa.Column("next_attempt_at", TIMESTAMP),
    ):
        op.add_column("command", column)
    index("command", "created_at desc", "id desc")
    index("command", "station_id", "priority", "created_at", where="status = 'QUEUED' and expires_at is not null")
    # of those that wait, one at a time is on its way to a station
    index("command", "station_id", unique=True, where="status = 'SENT' and expires_at is not null")
