"""The application's way into PostgreSQL."""

from typing import Any

import orjson
from sqlalchemy import event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from domain.errors import Unavailable


def create_engine(url: str, *, pool_size: int = 20, patience_s: float = 10.0) -> AsyncEngine:
    """One pool per process. In a rush it takes twice its size; who gets no connection in time is told so."""
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=patience_s,
        hide_parameters=True,  # failed statements are logged, and parameters hold hashes of secrets
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "do_connect", _connected)
    return engine


def _connected(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    """A database that is not there, or not yet or no longer, is no fault of ours."""
    try:
        return dialect.connect(*arguments, **options)
    except (OSError, dialect.loaded_dbapi.Error) as error:
        raise Unavailable("the database is not reachable") from error


def _refuse_closed(connection: Any, _record: Any, _proxy: Any) -> None:
    """asyncpg knows that PostgreSQL has hung up without asking it: no ping per checkout, no first failing query."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def plain_url(url: str) -> str:
    """The same database as asyncpg itself is told of it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
