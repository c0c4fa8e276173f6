"""On which connection an order went out; how many orders have not ended, for whoever looks after the server."""

import sqlalchemy as sa
from alembic import op

from migrations import ops

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("command", sa.Column("holder", sa.Text))
    op.execute("create index command_unfinished_idx on command (status) where completed_at is null")
    op.execute("create policy lookup on command for select to current_user using (true)")
    ops.security_definer(
        "commands_unfinished()",
        "table (status text, orders bigint)",
        "select status, count(*) from command where completed_at is null group by status",
    )
