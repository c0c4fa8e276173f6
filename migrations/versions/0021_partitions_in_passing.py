"""Nobody who asks waits long for a partition to be made or dropped.

Both need the default partition, or its table, for themselves. While they wait for somebody's long question, all who ask
after them wait behind them: so they wait for a moment at a time.
"""

from alembic import op

revision = "0021"
down_revision = "0020"

_IN_PASSING = """
            loop
                begin
                    {what}
                    exit;
                exception when lock_not_available then
                    tries := tries + 1;
                    if tries = 20 then raise; end if;
                    perform pg_sleep(0.05);
                end;
            end loop;
"""
_MOMENT = "perform set_config('lock_timeout', '100ms', true);"  # until the function returns
_SETTINGS = "security definer set search_path = public, pg_temp set lock_timeout = '3s'"


def upgrade() -> None:
    attach = _IN_PASSING.format(what="execute format('lock table %I in access exclusive mode', parent || '_default');")
    op.execute(
        f"""
        create or replace function make_reading_partition(month date, parent text default 'reading')
        returns boolean language plpgsql {_SETTINGS} as $body$
        declare
            first date := date_trunc('month', month::timestamp)::date;
            name text := parent || to_char(first, '_YYYYMM');
            here timestamptz := first::timestamp at time zone 'UTC';
            there timestamptz := (first + interval '1 month') at time zone 'UTC';
            tries integer := 0;
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
            {_MOMENT}
            {attach}
            execute format('alter table %I attach partition %I for values from (%L) to (%L)',
                           parent, name, here, there);
            return true;
        end
        $body$
        """
    )
    drop = _IN_PASSING.format(
        what="execute format('lock table only %I in access exclusive mode', parent); "
        "execute format('drop table %I', name);"
    )
    op.execute(
        f"""
        create or replace function drop_reading_months(before timestamptz, parent text)
        returns integer language plpgsql {_SETTINGS} as $body$
        declare
            name text;
            dropped integer := 0;
            tries integer := 0;
        begin
            if before is null or before > now() then
                raise exception 'readings are not dropped before %', before using errcode = 'invalid_parameter_value';
            end if;
            if parent is null or parent not in ('reading', 'reading_rollup') then
                raise exception '% is not dropped', parent using errcode = 'invalid_parameter_value';
            end if;
            {_MOMENT}
            for name in
                select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
                where i.inhparent = ('public.' || parent)::regclass and c.relname ~ '_[0-9]{{6}}$'
                    and to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' <= before at time zone 'UTC'
            loop
                {drop}
                dropped := dropped + 1;
            end loop;
            return dropped;
        end
        $body$
        """
    )
