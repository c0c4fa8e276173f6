"""Bring a database's structure to this release, as its owner."""

import asyncio
import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

import migrations

_LOCK = 0x766F6C74  # "volt": two processes that start together migrate one after the other


class NotMigrated(Exception):
    """The database's structure is not this release's, or cannot be made so; the message says what to do."""


async def migrate(owner_url: str, application_url: str) -> None:
    """Forward to the newest structure; the application's role is read from its URL and gets its rights."""
    role = make_url(application_url).username or getpass.getuser()  # as libpq does
    async with _connected(owner_url, "VOLTGRAPH_DATABASE_OWNER_URL") as connection:
        await _require_owner(connection, role)
        await connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        try:
            await connection.commit()
            await _require_known(connection)
            await connection.run_sync(_upgrade, role)
            await connection.commit()
        finally:
            await connection.rollback()
            await connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
            await connection.commit()


@asynccontextmanager
async def _connected(url: str, setting: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url)
    try:
        try:
            connection = await engine.connect()
        except (OSError, SQLAlchemyError) as error:
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise NotMigrated(f"{setting}: the database does not answer: {reason}") from error
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await engine.dispose()


async def _require_owner(connection: AsyncConnection, role: str) -> None:
    """What would fail half way and be hard to read."""
    query = """
        select current_user::text as owner, has_schema_privilege('public', 'create') as may_create,
               exists (select from pg_roles where rolname = :role) as has_role
    """
    found = (await connection.execute(text(query), {"role": role})).one()
    setting = "VOLTGRAPH_DATABASE_OWNER_URL"
    if found.owner == role:
        raise NotMigrated(f"{setting}: {role} is the application's role, which must not own what it works on")
    if not found.may_create:
        raise NotMigrated(f"{setting}: {found.owner} may not create tables: let it own the database")
    if not found.has_role:
        raise NotMigrated(f'VOLTGRAPH_DATABASE_URL: there is no role {role}: create role "{role}" login password …')


def _upgrade(connection: Connection, role: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes.update(connection=connection, app_role=role)
    command.upgrade(config, "head")


def migrate_now(owner_url: str, application_url: str) -> None:
    asyncio.run(migrate(owner_url, application_url))


def require_current(application_url: str) -> None:
    """A named database is migrated on purpose, by its owner; a server that does not find it so says what to do."""
    asyncio.run(_require_current(application_url))


async def _require_current(application_url: str) -> None:
    async with _connected(application_url, "VOLTGRAPH_DATABASE_URL") as connection:
        await _require_bound(connection)
        current = await _require_known(connection)
    if current != (newest := _scripts().get_current_head()):
        raise NotMigrated(f"the database is at {current or 'nothing'}, this release needs {newest}: voltgraph migrate")


async def _require_bound(connection: AsyncConnection) -> None:
    """Row-level security keeps tenants apart, and does not bind everybody."""
    query = text("select current_user::text, rolsuper, rolbypassrls from pg_roles where rolname = current_user")
    role, is_superuser, bypasses = (await connection.execute(query)).one()
    if is_superuser or bypasses:
        kind = "a superuser" if is_superuser else "BYPASSRLS"
        raise NotMigrated(f"VOLTGRAPH_DATABASE_URL: {role} is {kind}, whom row-level security does not bind")


async def _require_known(connection: AsyncConnection) -> str | None:
    """The structure's version; `None` where there is nothing yet."""
    query = """
        select has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select'), current_user::text
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'public' and c.relname = 'alembic_version'
    """
    found = (await connection.execute(text(query))).first()
    if found is None:
        return None
    may_read, role = found
    if not may_read:
        raise NotMigrated(f"VOLTGRAPH_DATABASE_URL: the database was migrated for another role than {role}")
    current: str | None = await connection.scalar(text("select version_num from alembic_version"))
    if current is not None and current not in {script.revision for script in _scripts().walk_revisions()}:
        raise NotMigrated(
            f"the database is at {current}, which this release does not know: it is older than the database"
        )
    return current


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(migrations.__file__).parent))
