"""Roll-ups of readings, the marks of how far they go, what of them is out of date, and an end to what is old."""

import sqlalchemy as sa
from alembic import op

from migrations import ops

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    rollups()
    marks()
    partitions()
    op.add_column("tenant", sa.Column("history_days", sa.Integer))


def rollups() -> None:
    op.execute(
        "create table reading_rollup (series bigint not null, at timestamptz not null, "
        "first_at timestamptz not null, last_at timestamptz not null, sum double precision, "
        "min double precision not null, max double precision not null, first double precision not null, "
        "last double precision not null, area double precision, covered double precision not null, "
        "width_s integer not null, count integer not null, uncertain integer not null, drops integer not null, "
        "primary key (series, width_s, at)) partition by range (at)"
    )
    op.execute("create table reading_rollup_default partition of reading_rollup default")
    # what has come since, of all series: rows lie on disk about as they came
    for table in ("reading", "reading_rollup"):
        op.execute(f"create index {table}_at on {table} using brin (at) with (autosummarize = on)")
    ops.grant("reading_rollup")


def marks() -> None:
    """What is there already is out of date from the first, so whoever asks reads it raw until it is rolled up."""
    op.execute(
        "create table reading_rolled (closed_to timestamptz not null, rolled_to timestamptz not null, "
        "one boolean primary key default true check (one))"
    )
    op.execute(
        "insert into reading_rolled (closed_to, rolled_to) "
        "select now, now from date_bin('1 minute', now(), 'epoch') as now"
    )
    op.execute("create table reading_dirty (series bigint not null, first_at timestamptz, last_at timestamptz)")
    op.execute("create index reading_dirty_series on reading_dirty (series)")
    op.execute(
        "insert into reading_dirty (series, first_at, last_at) select series, min(at), max(at) from reading "
        "where at < now() group by series, date_bin('1 day', at, 'epoch')"
    )
    ops.grant("reading_rolled", "select, update")
    ops.grant("reading_dirty", "select, insert, delete")
    # A statement of its own inside, so that it sees what was true when the lock was had.
    op.execute(
        "create function reading_closed_to() returns timestamptz language plpgsql volatile as $body$ begin "
        "perform pg_advisory_xact_lock_shared(hashtext('readings are closed')); "
        "return (select closed_to from public.reading_rolled); end $body$"
    )


def partitions() -> None:
    """Of one table at a time: whoever locked both at once would stand in the way of those who read both."""
    op.execute("drop function ensure_reading_partition(date)")
    ops.security_definer(
        "ensure_reading_partition(month date, parent text default 'reading')",
        "boolean",
        """
        declare
            first date := date_trunc('month', month::timestamp)::date;
            name text := parent || to_char(first, '_YYYYMM');
            here timestamptz := first::timestamp at time zone 'UTC';
            there timestamptz := (first + interval '1 month') at time zone 'UTC';
        begin
            if first is null or first < date '2000-01-01' or first > current_date + interval '10 years' then
                raise exception 'no partition is made for %', month using errcode = 'invalid_parameter_value';
            end if;
            if parent is null or parent not in ('reading', 'reading_rollup') then
                raise exception 'no partition is made of %', parent using errcode = 'invalid_parameter_value';
            end if;
            if to_regclass('public.' || name) is not null then return false; end if;
            -- writers wait, readers do not: a row that came into the default partition now would forbid the new one
            execute format('lock table %I in share row exclusive mode', parent);
            if to_regclass('public.' || name) is not null then return false; end if;
            execute format('create table %I (like %I including defaults including indexes)', name, parent);
            -- rows of this month that came before its partition did wait in the default one
            execute format('with moved as (delete from %I where at >= %L and at < %L returning *) '
                           'insert into %I select * from moved', parent || '_default', here, there, name);
            execute format('alter table %I attach partition %I for values from (%L) to (%L)',
                           parent, name, here, there);
            return true;
        end
        """,
        language="plpgsql",
        kind="volatile",
    )
    ops.security_definer(
        "drop_reading_partitions(before timestamptz, parent text)",
        "integer",
        """
        declare
            name text;
            dropped integer := 0;
        begin
            if before is null or before > now() then
                raise exception 'readings are not dropped before %', before using errcode = 'invalid_parameter_value';
            end if;
            if parent is null or parent not in ('reading', 'reading_rollup') then
                raise exception '% is not dropped', parent using errcode = 'invalid_parameter_value';
            end if;
            for name in
                select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where i.inhparent = ('public.' || parent)::regclass and c.relname ~ '_[0-9]{6}$'
                    and to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' <= before at time zone 'UTC'
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
    # rather no partition for now than every writer in a queue behind somebody's long transaction
    op.execute("alter function ensure_reading_partition(date, text) set lock_timeout = '3s'")
    op.execute("alter function drop_reading_partitions(timestamptz, text) set lock_timeout = '3s'")
