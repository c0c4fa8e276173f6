"""Imports: files of readings on their way into the history."""

import sqlalchemy as sa

from migrations.ops import JSONB, TIMESTAMP, UUID, index, tenant_table

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    tenant_table(
        "import",
        sa.Column("name", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("layout", JSONB, nullable=False, server_default="{}"),
        sa.Column("columns", JSONB),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempt", UUID),
        sa.Column("bytes_read", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("rows_read", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("recorded", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("failed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("errors", JSONB, nullable=False, server_default="[]"),
        sa.Column("error", sa.Text),
        sa.Column("started_at", TIMESTAMP),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
        sa.Column("finished_at", TIMESTAMP),
    )
    index("import", "created_at", "id")
    index("import", "status", where="status in ('WAITING', 'RUNNING')")
