"""Who may charge where and how often: groups, locations, types of tokens; the lists that stations keep."""

import sqlalchemy as sa
from alembic import op

from migrations.ops import JSONB, TIMESTAMP, UUID, index, reference, tenant_table

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    tokens()
    local_lists()


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


def local_lists() -> None:
    tenant_table(
        "local_list",
        *reference("station_id", "station", on_delete="cascade"),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("wanted_version", sa.Integer, nullable=False),
        sa.Column("entries", JSONB),
        sa.Column("omitted", sa.Integer, nullable=False),
        sa.Column("is_known", sa.Boolean, nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", TIMESTAMP),
        sa.Column("connection_at", TIMESTAMP),
        sa.Column("firmware_version", sa.Text),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
    )
    index("local_list", "station_id", unique=True)
    index("local_list", "due_at", where="due_at is not null")
