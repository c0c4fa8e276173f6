"""Bring a database's structure to this release, as its owner."""

import asyncio
import getpass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

import migrations

_LOCK = 0x766F6C74  # "volt": two processes that start together migrate one after the other


async def migrate(owner_url: str, application_url: str) -> None:
    """Forward to the newest structure; the application's role is read from its URL and gets its rights."""
    role = make_url(application_url).username or getpass.getuser()  # as libpq does
    engine = create_async_engine(owner_url)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
            try:
                await connection.commit()
                await connection.run_sync(_upgrade, role)
                await connection.commit()
            finally:
                await connection.execute(text("select pg_advisory_unlock(:key)"), {"key": _LOCK})
                await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, role: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes.update(connection=connection, app_role=role)
    command.upgrade(config, "head")


def migrate_now(owner_url: str, application_url: str) -> None:
    asyncio.run(migrate(owner_url, application_url))


class NotMigrated(Exception):
    """The database's structure is not this release's."""


def require_current(application_url: str) -> None:
    """A named database is migrated on purpose, by its owner; a server that does not find it so says what to do."""
    asyncio.run(_require_current(application_url))


async def _require_current(application_url: str) -> None:
    newest = ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head()
    engine = create_async_engine(application_url)
    try:
        async with engine.connect() as connection:
            found = await connection.scalar(text("select to_regclass('alembic_version')"))
            current = await connection.scalar(text("select version_num from alembic_version")) if found else None
    except (OSError, SQLAlchemyError) as error:
        raise NotMigrated(f"VOLTGRAPH_DATABASE_URL: the database does not answer: {error}") from error
    finally:
        await engine.dispose()
    if current != newest:
        raise NotMigrated(f"the database is at {current or 'nothing'}, this release needs {newest}: voltgraph migrate")
