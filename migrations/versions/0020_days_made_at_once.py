"""Whoever waited while another process made the same day of the station log sees that it is there."""

from alembic import op

from migrations import ops

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.execute("drop function ensure_station_log_partition(date)")
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
            -- one at a time, by the lock that attaching takes: what others have made is seen after the lock of a
            -- table, and not after an advisory one
            lock table station_log in share update exclusive mode;
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
    op.execute("alter function ensure_station_log_partition(date) set lock_timeout = '3s'")
