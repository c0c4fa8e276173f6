"""What is said on the lines of stations: a table of one partition per day, made ahead and dropped when it is old."""

import sqlalchemy as sa
from alembic import op

from migrations import ops
from migrations.ops import TIMESTAMP, UUID

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    table()
    partitions()
    op.add_column("station", sa.Column("peer", sa.Text))


def table() -> None:
    """Not by `tenant_table`, since its keys lack the day. No key to the station either: each row would ask for it."""
    tenant = "current_setting('app.tenant_id')::uuid"
    op.create_table(
        "station_log",
        sa.Column("id", UUID, nullable=False),
        sa.Column("tenant_id", UUID, nullable=False, server_default=sa.text(tenant)),
        sa.Column("station_id", UUID, nullable=False),
        sa.Column("at", TIMESTAMP, nullable=False),
        sa.Column("direction", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("action", sa.Text),
        sa.Column("message_id", sa.Text),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("duration_ms", sa.Double),
        sa.Column("error_code", sa.Text),
        sa.PrimaryKeyConstraint("tenant_id", "station_id", "at", "id"),
        postgresql_partition_by="range (at)",
    )
    ops.isolate("station_log", "tenant_id")


def partitions() -> None:
    """Whoever reads a partition by itself passes by the table's policy: it has no grants, and lets nobody see."""
    ops.security_definer(
        "ensure_station_log_partition(day date)",
        "boolean",
        """
        declare
            name text := 'station_log_' || to_char(day, 'YYYYMMDD');
            here timestamptz := day::timestamp at time zone 'UTC';
            there timestamptz := (day + 1)::timestamp at time zone 'UTC';
        begin
            if day is null or day < date '2000-01-01' or day > current_date + interval '10 years' then
                raise exception 'no partition is made for %', day using errcode = 'invalid_parameter_value';
            end if;
            if to_regclass('public.' || name) is not null then return false; end if;
            perform pg_advisory_xact_lock(hashtext('station_log partitions'));
            if to_regclass('public.' || name) is not null then return false; end if;
            execute format('create table %I (like station_log including defaults including indexes)', name);
            execute format('alter table %I enable row level security', name);
            execute format('alter table %I force row level security', name);
            execute format('alter table station_log attach partition %I '
                           'for values from (%L) to (%L)', name, here, there);
            return true;
        end
        """,
        language="plpgsql",
        kind="volatile",
    )
    ops.security_definer(
        "drop_station_log_partitions(days integer)",
        "integer",
        """
        declare
            name text;
            dropped integer := 0;
        begin
            if days is null or days < 0 then
                raise exception 'not kept for % days', days using errcode = 'invalid_parameter_value';
            end if;
            for name in
                select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where i.inhparent = 'public.station_log'::regclass
                    and c.relname < 'station_log_' || to_char((now() at time zone 'UTC')::date - days, 'YYYYMMDD')
            loop
                execute format('drop table %I', name);
                dropped := dropped + 1;
            end loop;
            return dropped;
        end
        """,
        language="plpgsql",
        kind="volatile",
    )
    # rather later than every writer in a queue behind somebody's long transaction
    op.execute("alter function ensure_station_log_partition(date) set lock_timeout = '3s'")
    op.execute("alter function drop_station_log_partitions(integer) set lock_timeout = '3s'")
