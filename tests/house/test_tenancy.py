"""Every table belongs to tenants, or stands on a short written list with its reason."""

import pytest
from sqlalchemy import text

from domain.work import Workplace

pytestmark = pytest.mark.anyio

OPEN = {
    "alembic_version": "the structure's own version",
    "reading": "COPY is refused under row-level security; reached through point alone",
    "reading_default": "a partition of reading",
    "reading_superseded": "as reading",
    "reading_rollup": "as reading",
    "reading_rolled": "how far roll-ups go, of all tenants at once",
    "reading_dirty": "as reading",
    "pgqueuer": "the outbox; each job carries its tenant",
    "pgqueuer_log": "the outbox's log",
    "pgqueuer_statistics": "the outbox's figures",
    "pgqueuer_schedules": "the outbox's timers",
}
OWN_KEY = {"tenant": "its id is the tenant"}

_TABLES = """
select c.relname as name, c.relrowsecurity as secured, c.relforcerowsecurity as forced, c.relispartition as partition,
       pg_get_userbyid(c.relowner) as owner,
       array(select p.polname::text from pg_policy p where p.polrelid = c.oid and 0 = any(p.polroles)) as policies,
       array(select pg_get_expr(p.polqual, p.polrelid) from pg_policy p
             where p.polrelid = c.oid and 0 = any(p.polroles)) as conditions,
       array(select pg_get_expr(p.polwithcheck, p.polrelid) from pg_policy p
             where p.polrelid = c.oid and 0 = any(p.polroles)) as checks,
       array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p') order by 1
"""


# None of them has a policy, so whoever came to read one would find it empty.
_SECURED_LOG = """
select relrowsecurity and relforcerowsecurity from pg_class
where relispartition and relkind = 'r' and relname like 'station_log_%'
"""


async def test_every_table_is_isolated_or_on_the_list(workplace: Workplace) -> None:
    async with workplace.engine.connect() as connection:
        tables = (await connection.execute(text(_TABLES))).all()
        user = await connection.scalar(text("select current_user"))
    assert len(tables) > len(OPEN)
    for table in tables:
        assert table.owner != user, f"{table.name} is owned by the application's role"
        if table.name in OPEN or (table.partition and table.name.startswith(("reading_", "station_log_"))):
            continue
        column = "id" if table.name in OWN_KEY else "tenant_id"
        assert column in table.columns, f"{table.name} has no {column}"
        assert (table.secured, table.forced) == (True, True), f"{table.name} has no forced row-level security"
        assert table.policies == ["tenant"], f"{table.name} has the policies {table.policies}"
        for expression in (*table.conditions, *table.checks):
            assert f"({column} = ( SELECT (current_setting('app.tenant_id'::text))::uuid" in expression, table.name


async def test_every_foreign_key_carries_the_tenant(workplace: Workplace) -> None:
    query = """
        select conrelid::regclass::text as name, conname, pg_get_constraintdef(oid) as definition
        from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace
    """
    async with workplace.engine.connect() as connection:
        keys = (await connection.execute(text(query))).all()
    assert keys
    for key in keys:
        assert key.definition.startswith("FOREIGN KEY (tenant_id, "), f"{key.name}: {key.definition}"


async def test_the_application_may_touch_no_partition_and_make_nothing(workplace: Workplace) -> None:
    async with workplace.engine.connect() as connection:
        await connection.execute(text("select ensure_reading_partition((now() + interval '40 days')::date)"))
        await connection.execute(text("select ensure_station_log_partition((now() + interval '40 days')::date)"))
        granted = (
            await connection.scalars(
                text(
                    "select c.relname from pg_class c where c.relispartition "
                    "and has_table_privilege(c.oid, 'select, insert, update, delete')"
                )
            )
        ).all()
        may_create = await connection.scalar(text("select has_schema_privilege('public', 'create')"))
        role = (
            await connection.execute(
                text(
                    "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb "
                    "from pg_roles where rolname = current_user"
                )
            )
        ).one()
        secured = (await connection.scalars(text(_SECURED_LOG))).all()
    assert granted == []
    assert secured
    assert all(secured)
    assert may_create is False
    assert not any(role)


async def test_functions_that_run_as_the_owner_have_a_fixed_search_path(workplace: Workplace) -> None:
    query = """
        select proname, coalesce(array_to_string(proconfig, ','), '') as config,
               has_function_privilege('public', oid, 'execute') as anybody
        from pg_proc where prosecdef and pronamespace = 'public'::regnamespace
    """
    async with workplace.engine.connect() as connection:
        functions = (await connection.execute(text(query))).all()
    assert {function.proname for function in functions} == {
        "tenant_by_slug",
        "tenant_ids",
        "credential_by_hash",
        "commands_unfinished",
        "quarantined_readings",
        "ensure_reading_partition",
        "make_reading_partition",
        "drop_reading_partitions",
        "drop_reading_months",
        "ensure_station_log_partition",
        "drop_station_log_partitions",
    }
    for function in functions:
        assert "search_path=public, pg_temp" in function.config, function.proname
        assert not function.anybody, function.proname
