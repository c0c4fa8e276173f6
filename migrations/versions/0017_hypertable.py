"""Readings as a hypertable whose old chunks are compressed, where the database has TimescaleDB and no readings yet."""

from alembic import op

from migrations import ops

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    partitions()
    hypertable()


def hypertable() -> None:
    """For the owner alone, who may also call it later: it takes the readings along, while nobody reads or writes.

    Names of TimescaleDB are looked up where they are reached, so that this stands without it too.
    """
    op.execute(
        f"""
        create function reading_into_hypertable() returns boolean language plpgsql
        set search_path = public, pg_temp as $body$ begin
            if not exists (select from pg_extension where extname = 'timescaledb') then return false; end if;
            lock table reading in access exclusive mode;
            if (select relkind from pg_class where oid = 'reading'::regclass) <> 'p' then return false; end if;
            create table reading_hyper (like reading including defaults including indexes);
            perform create_hypertable('reading_hyper', 'at', chunk_time_interval => interval '7 days');
            insert into reading_hyper select * from reading;
            drop table reading;
            alter table reading_hyper rename to reading;
            grant select, insert, update, delete on reading to "{ops.app_role()}";
            if current_setting('timescaledb.license') = 'timescale' then  -- else it was built without compression
                alter table reading set (timescaledb.compress, timescaledb.compress_segmentby = 'series',
                    timescaledb.compress_orderby = 'at');
                perform add_compression_policy('reading', interval '30 days');
            end if;
            return true;
        end $body$
        """
    )
    op.execute("revoke all on function reading_into_hypertable() from public")
    # A release that was never tried must not keep anybody from migrating: partitions do the same.
    op.execute(
        "do $$ begin if not exists (select from reading) then perform reading_into_hypertable(); end if; "
        "exception when others then raise warning 'readings stay in partitions: %', sqlerrm; end $$"
    )


def partitions() -> None:
    """A hypertable makes its chunks itself, and drops those that have ended."""
    op.execute("alter function ensure_reading_partition(date, text) rename to make_reading_partition")
    op.execute("alter function drop_reading_partitions(timestamptz, text) rename to drop_reading_months")
    for function in ("make_reading_partition(date, text)", "drop_reading_months(timestamptz, text)"):
        op.execute(f'revoke execute on function {function} from "{ops.app_role()}"')
    ops.security_definer(
        "ensure_reading_partition(month date, parent text default 'reading')",
        "boolean",
        """
        begin
            if parent = 'reading' and reading_is_hypertable() then return false; end if;
            return make_reading_partition(month, parent);
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
            dropped integer;
        begin
            if parent is distinct from 'reading' or not reading_is_hypertable() then
                return drop_reading_months(before, parent);
            end if;
            if before is null or before > now() then
                raise exception 'readings are not dropped before %', before using errcode = 'invalid_parameter_value';
            end if;
            select count(*) into dropped from drop_chunks('reading', older_than => before);
            return dropped;
        end
        """,
        language="plpgsql",
        kind="volatile",
    )
    op.execute(
        "create function reading_is_hypertable() returns boolean language sql stable as "
        "$$ select relkind <> 'p' from pg_class where oid = 'public.reading'::regclass $$"
    )
    op.execute("alter function ensure_reading_partition(date, text) set lock_timeout = '3s'")
    op.execute("alter function drop_reading_partitions(timestamptz, text) set lock_timeout = '3s'")
