"""Reservations; what OCPP 2.x stations tell of their components and variables."""

import sqlalchemy as sa
from alembic import op

from migrations import ops
from migrations.ops import JSONB, TIMESTAMP, UUID, index, reference, tenant_table

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # OCPP wants an int32 for either, which the station repeats to us
    for sequence in ("reservation_number", "report_number"):
        op.execute(f"create sequence {sequence} as integer minvalue 1 maxvalue 2147483647 cycle")
        ops.grant(f"sequence {sequence}", "usage")
    device_model()
    reservations()
    for column in ("firmware_status", "upload_status"):
        op.add_column("station", sa.Column(column, sa.Text))
        op.add_column("station", sa.Column(f"{column}_at", TIMESTAMP))


def device_model() -> None:
    tenant_table(
        "station_variable",
        *reference("station_id", "station", on_delete="cascade"),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("component", sa.Text, nullable=False),
        sa.Column("component_instance", sa.Text),
        sa.Column("evse_number", sa.Integer),
        sa.Column("connector_number", sa.Integer),
        sa.Column("variable", sa.Text, nullable=False),
        sa.Column("variable_instance", sa.Text),
        sa.Column("values", JSONB, nullable=False, server_default="{}"),
        sa.Column("data_type", sa.Text),
        sa.Column("unit", sa.Text),
        sa.Column("min_limit", sa.Double),
        sa.Column("max_limit", sa.Double),
        sa.Column("values_list", sa.Text),
        sa.Column("supports_monitoring", sa.Boolean),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
    )
    index("station_variable", "station_id", "key", unique=True)
    index("station_variable", "station_id", "created_at", "id")
    tenant_table(
        "station_report",
        *reference("station_id", "station", on_delete="cascade"),
        sa.Column("command_id", UUID, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("seen", JSONB, nullable=False, server_default="[]"),
        sa.Column("last", sa.Integer),
        sa.Column("completed_at", TIMESTAMP),
    )
    index("station_report", "station_id", "number")
    index("station_report", "command_id")


def reservations() -> None:
    tenant_table(
        "reservation",
        *reference("station_id", "station", on_delete="cascade"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("evse_number", sa.Integer),
        sa.Column("connector_type", sa.Text),
        *reference("token_id", "token", nullable=True, on_delete="set null"),
        sa.Column("token_uid", sa.Text, nullable=False),
        sa.Column("expires_at", TIMESTAMP, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("command_id", UUID, nullable=False),
        sa.Column("session_id", UUID),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
    )
    index("reservation", "created_at", "id")
    index("reservation", "station_id", "number")
    index("reservation", "command_id")
    index("reservation", "token_id", where="token_id is not null")
    index("reservation", "expires_at", where="status in ('REQUESTED', 'ACCEPTED')")
