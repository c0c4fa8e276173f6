"""The first mile: tenants, credentials, stations, tokens, sessions, commands, points, readings, the outbox."""

import sqlalchemy as sa
from alembic import op
from pgqueuer.adapters.persistence.schema_ddl import render_install
from pgqueuer.domain.settings import DBSettings

from migrations import ops
from migrations.ops import JSONB, TIMESTAMP, UUID, index, reference, tenant_table

revision = "0001"
down_revision = None


def upgrade() -> None:
    ops.grant("schema public", "usage")
    op.execute(
        f"do $$ begin execute format('grant connect, temporary on database %I to %I', current_database(), "
        f"'{ops.app_role()}'); end $$"
    )
    ops.grant("alembic_version", "select")
    tenants()
    stations()
    sessions()
    commands()
    points()
    outbox()


def tenants() -> None:
    op.create_table(
        "tenant",
        sa.Column("id", UUID, primary_key=True),
        sa.Column("created_at", TIMESTAMP, nullable=False),
        sa.Column("slug", sa.Text, nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
    )
    ops.isolate("tenant", "id")
    tenant_table(
        "user_account",
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("role", sa.Text, nullable=False),
    )
    index("user_account", "email", unique=True)
    tenant_table(
        "credential",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("scopes", JSONB, nullable=False, server_default="[]"),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("expires_at", TIMESTAMP),
        sa.Column("revoked_at", TIMESTAMP),
        *reference("user_id", "user_account", nullable=True, on_delete="cascade"),
    )
    before_a_tenant_is_known()


def before_a_tenant_is_known() -> None:
    """The three questions that may be asked without a tenant; they answer ids and roles, never rows."""
    for table in ("tenant", "credential"):
        op.execute(f"create policy lookup on {table} for select to current_user using (true)")
    ops.security_definer("tenant_by_slug(wanted text)", "uuid", "select id from tenant where slug = wanted")
    ops.security_definer("tenant_ids()", "setof uuid", "select id from tenant order by id")
    ops.security_definer(
        "credential_by_hash(wanted bytea)",
        "table (tenant_id uuid, id uuid, role text, name text, scopes jsonb, expires_at timestamptz)",
        """
        select c.tenant_id, c.id, c.role, c.name, c.scopes, c.expires_at from credential c
        where c.secret_hash = wanted and c.revoked_at is null and (c.expires_at is null or c.expires_at > now())
        """,
    )


def stations() -> None:
    tenant_table(
        "location",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("city", sa.Text),
        sa.Column("postal_code", sa.Text),
        sa.Column("country", sa.Text),
        sa.Column("timezone", sa.Text),
        sa.Column("latitude", sa.Double),
        sa.Column("longitude", sa.Double),
    )
    tenant_table(
        "station",
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("name", sa.Text),
        *reference("location_id", "location", nullable=True, on_delete="set null"),
        sa.Column("vendor", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("serial_number", sa.Text),
        sa.Column("firmware_version", sa.Text),
        sa.Column("iccid", sa.Text),
        sa.Column("imsi", sa.Text),
        sa.Column("meter_type", sa.Text),
        sa.Column("meter_serial_number", sa.Text),
        sa.Column("ocpp_version", sa.Text),
        sa.Column("registration", sa.Text, nullable=False),
        sa.Column("boot_reason", sa.Text),
        sa.Column("booted_at", TIMESTAMP),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_at", TIMESTAMP),
        sa.Column("own_status", sa.Text),
        sa.Column("own_status_at", TIMESTAMP),
        sa.Column("error_code", sa.Text),
        sa.Column("last_seen_at", TIMESTAMP),
        sa.Column("configuration", JSONB, nullable=False, server_default="{}"),
        sa.Column("password_hash", sa.LargeBinary),
    )
    index("station", "identity", unique=True)
    index("station", "created_at", "id")
    index("station", "location_id")
    tenant_table(
        "evse",
        *reference("station_id", "station", on_delete="cascade"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("charging_state", sa.Text),
        sa.Column("charging_state_at", TIMESTAMP),
    )
    index("evse", "station_id", "number", unique=True)
    tenant_table(
        "connector",
        *reference("station_id", "station", on_delete="cascade"),
        *reference("evse_id", "evse", on_delete="cascade"),
        sa.Column("evse_number", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("type", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("reported_status", sa.Text, nullable=False),
        sa.Column("status_at", TIMESTAMP),
        sa.Column("error_code", sa.Text),
        sa.Column("error_info", sa.Text),
        sa.Column("vendor_error_code", sa.Text),
    )
    index("connector", "evse_id", "number", unique=True)
    index("connector", "station_id")


def sessions() -> None:
    tenant_table(
        "token",
        sa.Column("uid", sa.Text, nullable=False),
        sa.Column("uid_key", sa.Text, nullable=False),  # OCPP compares an idTag without case
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("expires_at", TIMESTAMP),
        sa.Column("group_uid", sa.Text),
        sa.Column("contract_id", sa.Text),
        sa.Column("max_sessions", sa.Integer),
    )
    index("token", "uid_key", unique=True)
    index("token", "created_at", "id")

    # OCPP 1.6 wants a positive int32 that no two stations share; 2.x a number for RequestStartTransaction
    op.execute("create sequence transaction_number as integer minvalue 1 maxvalue 2147483647")
    op.execute("create sequence remote_start_number as integer minvalue 1 maxvalue 2147483647 cycle")
    for sequence in ("transaction_number", "remote_start_number"):
        ops.grant(f"sequence {sequence}", "usage")

    tenant_table(
        "session",
        *reference("station_id", "station", on_delete="cascade"),
        sa.Column("transaction_id", sa.Text, nullable=False),
        sa.Column("start_key", sa.Text),
        sa.Column("evse_number", sa.Integer),
        sa.Column("connector_number", sa.Integer),
        *reference("token_id", "token", nullable=True, on_delete="set null"),
        sa.Column("token_uid", sa.Text),
        sa.Column("token_at", TIMESTAMP),
        sa.Column("command_id", UUID),
        sa.Column("received_at", TIMESTAMP, nullable=False),
        sa.Column("updated_at", TIMESTAMP, nullable=False),
        sa.Column("offline", sa.Boolean, nullable=False, server_default="false"),
        # facts
        sa.Column("started_at", TIMESTAMP, nullable=False),
        sa.Column("start_inferred", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("charging_state", sa.Text),
        sa.Column("charging_state_at", TIMESTAMP),
        sa.Column("charging_state_seq", sa.BigInteger),
        sa.Column("meter_start_wh", sa.Double),
        sa.Column("meter_start_at", TIMESTAMP),
        sa.Column("meter_start_rank", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("meter_last_wh", sa.Double),
        sa.Column("meter_last_at", TIMESTAMP),
        sa.Column("meter_min_wh", sa.Double),
        sa.Column("meter_max_wh", sa.Double),
        sa.Column("meter_stop_wh", sa.Double),
        sa.Column("meter_stop_rank", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("sampled_at", TIMESTAMP),
        sa.Column("power_w", sa.Double),
        sa.Column("power_at", TIMESTAMP),
        sa.Column("soc_percent", sa.Double),
        sa.Column("soc_at", TIMESTAMP),
        sa.Column("stop_at", TIMESTAMP),
        sa.Column("stop_source", sa.Text),
        sa.Column("stop_reason", sa.Text),
        sa.Column("superseded_at", TIMESTAMP),
        sa.Column("silent_since", TIMESTAMP),
        # conclusions
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("ended_at", TIMESTAMP),
        sa.Column("energy_wh", sa.Double, nullable=False, server_default="0"),
        sa.Column("inferred", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("meter_suspect", sa.Boolean, nullable=False, server_default="false"),
    )
    # meter values touch no indexed column: with room on its page, a row is updated without touching an index
    op.execute("alter table session set (fillfactor = 70)")
    index("session", "station_id", "transaction_id", unique=True)
    index("session", "station_id", "start_key", unique=True, where="start_key is not null")
    index("session", "started_at desc", "id desc")
    index("session", "station_id", "started_at desc")
    index("session", "station_id", "evse_number", "started_at desc")
    index("session", "station_id", where="stop_at is null")
    index("session", "token_id", where="ended_at is null")
    index("session", "command_id", where="command_id is not null")
    tenant_table(
        "session_orphan",
        *reference("station_id", "station", on_delete="cascade"),
        sa.Column("kind", sa.Text, nullable=False),
        *reference("session_id", "session", nullable=True, on_delete="set null"),
        sa.Column("transaction_id", sa.Text),
        sa.Column("evse_number", sa.Integer),
        sa.Column("token_uid", sa.Text),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("meter_wh", sa.Double),
        sa.Column("reason", sa.Text),
        sa.Column("content_hash", sa.Text, nullable=False),
    )
    index("session_orphan", "station_id", "content_hash", unique=True)
    index("session_orphan", "session_id", where="session_id is not null")
    index("session_orphan", "created_at", "id", where="session_id is null")


def commands() -> None:
    tenant_table(
        "command",
        *reference("station_id", "station", on_delete="cascade"),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("arguments", JSONB, nullable=False, server_default="{}"),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("result", JSONB),
        sa.Column("error", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("deadline_at", TIMESTAMP, nullable=False),
        sa.Column("sent_at", TIMESTAMP),
        sa.Column("completed_at", TIMESTAMP),
        sa.Column("remote_start_number", sa.Integer),
    )
    index("command", "station_id", "created_at desc")
    index("command", "deadline_at", where="completed_at is null")


def points() -> None:
    tenant_table(
        "point",
        sa.Column("series", sa.BigInteger, sa.Identity(always=True), nullable=False, unique=True),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("unit", sa.Text),
        sa.Column("value_type", sa.Text, nullable=False),
        sa.Column("owner_kind", sa.Text),
        sa.Column("owner_id", UUID),
    )
    index("point", "address", unique=True)
    index("point", "created_at", "id")
    index("point", "owner_id")
    # COPY is refused on tables under row-level security: readings carry a point's series, `point` is the only way to it
    op.execute(
        "create table reading (series bigint not null, at timestamptz not null, value double precision, text text, "
        "quality smallint not null default 0, primary key (series, at)) partition by range (at)"
    )
    ops.grant("reading")
    op.execute("create table reading_default partition of reading default")
    ops.security_definer(
        "ensure_reading_partition(month date)",
        "boolean",
        """
        declare
            first date := date_trunc('month', month::timestamp)::date;
            name text := 'reading_' || to_char(first, 'YYYYMM');
            here timestamptz := first::timestamp at time zone 'UTC';
            there timestamptz := (first + interval '1 month') at time zone 'UTC';
        begin
            if first is null or first < date '2000-01-01' or first > current_date + interval '10 years' then
                raise exception 'no partition is made for %', month using errcode = 'invalid_parameter_value';
            end if;
            if to_regclass('public.' || name) is not null then return false; end if;
            -- writers wait, readers do not: a row that came into the default partition now would forbid the new one
            lock table reading in share row exclusive mode;
            if to_regclass('public.' || name) is not null then return false; end if;
            execute format('create table %I (like reading including defaults including indexes)', name);
            -- rows of this month that came before its partition did wait in the default one
            execute format('with moved as (delete from reading_default where at >= %L and at < %L returning *) '
                           'insert into %I select * from moved', here, there, name);
            execute format('alter table reading attach partition %I for values from (%L) to (%L)', name, here, there);
            return true;
        end
        """,
        language="plpgsql",
        kind="volatile",
    )
    # rather no partition for now than every writer in a queue behind somebody's long transaction
    op.execute("alter function ensure_reading_partition(date) set lock_timeout = '3s'")


def outbox() -> None:
    ops.script(render_install(DBSettings()))
    for table in ("pgqueuer", "pgqueuer_log", "pgqueuer_statistics", "pgqueuer_schedules"):
        ops.grant(table, "select, insert, update, delete")
    op.execute(f'grant usage on all sequences in schema public to "{ops.app_role()}"')
    tenant_table(
        "reaction_done",
        sa.Column("event_id", UUID, nullable=False),
        sa.Column("reaction", sa.Text, nullable=False),
    )
    index("reaction_done", "event_id", "reaction", unique=True)
    index("reaction_done", "created_at")
