"""From nothing to this release's structure, by an owner who is no superuser; and what is said where it is not there."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

import migrations
from tests.journeys.servers import run
from voltgraph.database import plain_url
from voltgraph.embedded import Urls, throwaway
from voltgraph.migrate import NotMigrated, _require_current, migrate

pytestmark = pytest.mark.anyio

_STRUCTURE = """
select 'column', table_name, column_name, data_type from information_schema.columns where table_schema = 'public'
union all select 'index', tablename, indexname, indexdef from pg_indexes where schemaname = 'public'
union all select 'right', table_name, grantee, privilege_type from information_schema.table_privileges
    where table_schema = 'public'
union all select 'function', proname, pg_get_functiondef(oid), '' from pg_proc
    where pronamespace = 'public'::regnamespace
order by 1, 2, 3, 4
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Urls]:
    """A private one wherever the suite runs: its database is emptied for every test."""
    with throwaway() as urls:
        yield urls


@pytest.fixture
async def empty(server: Urls, anyio_backend: str) -> Urls:
    await sql(server.database_owner, "drop schema if exists public cascade")
    await sql(server.database_owner, "create schema public")
    return server


async def sql(url: str, statement: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(plain_url(url))
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


def named(url: str, **parts: Any) -> str:
    return make_url(url).set(**parts).render_as_string(hide_password=False)


async def version(urls: Urls) -> list[tuple[Any, ...]]:
    return await sql(urls.database_owner, "select version_num, xmin::text from alembic_version")


async def test_from_nothing_to_this_release(empty: Urls) -> None:
    """The application's role may do its work then, without any other preparation."""
    await migrate(empty.database_owner, empty.database)

    await _require_current(empty.database)
    assert await sql(empty.database, "select tenant_ids()") == []
    ((is_superuser,),) = await sql(empty.database_owner, "select rolsuper from pg_roles where rolname = current_user")
    assert not is_superuser


async def test_a_second_run_changes_nothing(empty: Urls) -> None:
    await migrate(empty.database_owner, empty.database)
    structure, at = await sql(empty.database_owner, _STRUCTURE), await version(empty)

    await migrate(empty.database_owner, empty.database)

    assert await sql(empty.database_owner, _STRUCTURE) == structure
    assert await version(empty) == at


async def test_those_that_start_together_migrate_once(empty: Urls) -> None:
    await asyncio.gather(*(migrate(empty.database_owner, empty.database) for _ in range(4)))

    await _require_current(empty.database)
    assert len(await version(empty)) == 1


async def test_a_database_that_was_not_migrated_is_named(empty: Urls) -> None:
    with pytest.raises(NotMigrated, match=r"^the database is at nothing, this release needs \d{4}: voltgraph migrate$"):
        await _require_current(empty.database)


async def test_a_structure_of_a_later_release_is_left_alone(empty: Urls) -> None:
    await migrate(empty.database_owner, empty.database)
    await sql(empty.database_owner, "update alembic_version set version_num = '9999'")

    for attempt in (_require_current(empty.database), migrate(empty.database_owner, empty.database)):
        with pytest.raises(NotMigrated, match="at 9999, which this release does not know"):
            await attempt


async def test_a_database_that_does_not_answer_is_named_by_its_setting(empty: Urls) -> None:
    nowhere = named(empty.database, host="127.0.0.1", port=1, query={})
    with pytest.raises(NotMigrated, match=r"^VOLTGRAPH_DATABASE_URL: the database does not answer: .+$"):
        await _require_current(nowhere)
    with pytest.raises(NotMigrated, match=r"^VOLTGRAPH_DATABASE_OWNER_URL: .*nobody.+$"):
        await migrate(named(empty.database_owner, username="nobody_knows"), empty.database)


async def test_whom_row_level_security_does_not_bind_may_not_serve(empty: Urls) -> None:
    await migrate(empty.database_owner, empty.database)

    with pytest.raises(NotMigrated, match="postgres is a superuser"):
        await _require_current(named(empty.database, username="postgres"))


async def test_a_role_that_it_was_not_migrated_for_is_named(empty: Urls) -> None:
    await migrate(empty.database_owner, empty.database)
    await sql(empty.database_owner, "revoke all on all tables in schema public from voltgraph")

    with pytest.raises(NotMigrated, match="another role than voltgraph$"):
        await _require_current(empty.database)


async def test_an_owner_that_cannot_be_one_is_told_before_anything_is_changed(empty: Urls) -> None:
    with pytest.raises(NotMigrated, match="voltgraph_owner is the application's role"):
        await migrate(empty.database_owner, empty.database_owner)
    with pytest.raises(NotMigrated, match="voltgraph may not create tables"):
        await migrate(empty.database, empty.database_owner)
    with pytest.raises(NotMigrated, match="there is no role nobody_knows"):
        await migrate(empty.database_owner, named(empty.database, username="nobody_knows"))

    assert await sql(
        empty.database_owner,
        "select count(*) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace",
    ) == [(0,)]


async def test_a_server_says_in_one_line_that_its_database_was_not_migrated(empty: Urls, tmp_path: Any) -> None:
    environment = {
        "VOLTGRAPH_DATABASE_URL": empty.database,
        "VOLTGRAPH_DATABASE_OWNER_URL": empty.database_owner,
        "VOLTGRAPH_REDIS_URL": empty.redis,
        "VOLTGRAPH_DATA_DIR": str(tmp_path),
    }

    async def told(*arguments: str) -> tuple[int, list[str]]:
        done = await asyncio.to_thread(run, *arguments, environment=environment)
        return done.returncode, done.stderr.splitlines()

    for arguments in (("serve", "--port", "0"), ("relay",), ("tenant", "create", "acme")):
        code, (line,) = await told(*arguments)
        assert (code, line.endswith(": voltgraph migrate")) == (2, True)
    assert await told("migrate") == (0, [])
    assert await told("tenant", "create", "acme") == (0, [])


async def test_points_of_intervals_and_charges_that_go_on_are_as_this_release_has_them(empty: Urls) -> None:
    """Of every tenant, whom row-level security keeps apart from the owner too."""
    await migrated_to(empty, "0018")
    superuser = named(empty.database_owner, username="postgres")
    for slug in ("acme", "rival"):
        await sql(
            superuser,
            f"""
            do $body$ declare mine uuid = gen_random_uuid(); station uuid = gen_random_uuid(); begin
                insert into tenant (id, slug, name, timezone, created_at) values (mine, '{slug}', '', 'UTC', now());
                insert into station (id, tenant_id, created_at, identity, registration, status)
                    values (station, mine, now(), 'CP-1', 'ACCEPTED', 'CHARGING');
                insert into session (id, tenant_id, created_at, station_id, transaction_id, power_w, status,
                        received_at, updated_at, started_at)
                    values (gen_random_uuid(), mine, now(), station, '1', 7000, 'ACTIVE', now(), now(), now());
                insert into point (id, tenant_id, created_at, kind, value_type, address, aggregation)
                    select gen_random_uuid(), mine, now(), 'TELEMETRY', 'NUMBER', address, aggregation from (values
                        ('station/CP-1/1/Energy.Active.Import.Interval', null),
                        ('station/CP-1/1/Energy.Active.Export.Interval@Inlet/L1', null),
                        ('station/CP-1/2/Energy.Active.Import.Interval', 'MEAN'),
                        ('station/CP-1/1/Energy.Active.Import.Register', null),
                        ('site/Energy.Active.Import.Interval', null)) as given (address, aggregation);
            end $body$
            """,
        )

    await migrate(empty.database_owner, empty.database)

    assert await sql(superuser, "select power_last_w from session") == [(7000,), (7000,)]
    query = "select address from point where aggregation = 'SUM' group by address having count(*) = 2 order by address"
    assert await sql(superuser, query) == [
        ("station/CP-1/1/Energy.Active.Export.Interval@Inlet/L1",),
        ("station/CP-1/1/Energy.Active.Import.Interval",),
    ]


async def migrated_to(urls: Urls, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    engine = create_async_engine(urls.database_owner)
    async with engine.connect() as connection:
        config.attributes["app_role"] = make_url(urls.database).username

        def upgrade(connection: Connection) -> None:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

        await connection.run_sync(upgrade)
        await connection.commit()
    await engine.dispose()
