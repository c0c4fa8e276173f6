"""Who may charge where and how often: groups, locations, types of tokens; the lists that stations keep."""

import sqlalchemy as sa
from alembic import op

from migrations.ops import UUID, index, tenant_table

revision = "0004"
down_revision = "0002"


def upgrade() -> None:
    tokens()


def tokens() -> None:
    op.add_column("token", sa.Column("group_key", sa.Text))
    op.add_column("token", sa.Column("location_ids", sa.ARRAY(UUID)))
    op.add_column("token", sa.Column("id_token_type", sa.Text))
    op.execute(
        """
        do $$ declare tenant_id uuid; begin
            for tenant_id in select id from tenant loop
                perform set_config('app.tenant_id', tenant_id::text, true);
                update token set group_key = lower(trim(group_uid)) where group_uid is not null;
            end loop;
        end $$
        """
    )
    index("token", "group_key", where="group_key is not null")
    tenant_table(
        "token_group",
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("uid_key", sa.Text, nullable=False),
        sa.Column("master_pass", sa.Boolean, nullable=False),
        sa.Column("max_sessions", sa.Integer),
    )
    index("token_group", "uid_key", unique=True)
    index("token_group", "created_at", "id")
