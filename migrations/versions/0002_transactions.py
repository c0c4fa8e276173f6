"""How charges end and what is missing of them; orphans that an operator has settled; signed meter values."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.ops import JSONB, TIMESTAMP, index, reference, tenant_table

revision = "0002"
down_revision = "0001"


ADDED: dict[str, list[sa.Column[Any]]] = {
    "session": [
        sa.Column("vacated_at", TIMESTAMP),
        sa.Column("seqs_heard", JSONB, nullable=False, server_default="[]"),
        sa.Column("seqs_sent_to", sa.BigInteger),
        sa.Column("status_asked_at", TIMESTAMP),
        sa.Column("missing_messages", sa.Integer, nullable=False, server_default="0"),
        sa.Column("incomplete", sa.Boolean, nullable=False, server_default="false"),
    ],
    "session_orphan": [sa.Column("settled_at", TIMESTAMP), sa.Column("settled_by", sa.Text)],
    "station": [sa.Column("connected_at", TIMESTAMP), sa.Column("clock_skew_s", sa.Double)],
}


def upgrade() -> None:
    for table, columns in ADDED.items():
        for column in columns:
            op.add_column(table, column)
    op.execute("drop index session_orphan_created_at_id_idx")
    index("session_orphan", "created_at", "id", where="session_id is null and settled_at is null")
    tenant_table(
        "session_signed_value",
        *reference("session_id", "session", on_delete="cascade"),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("measurand", sa.Text, nullable=False),
        sa.Column("phase", sa.Text),
        sa.Column("location", sa.Text),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
    )
    index("session_signed_value", "session_id", "content_hash", unique=True)
