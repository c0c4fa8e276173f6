"""The outbox is for hands: an event that anything follows from becomes a job in the same transaction as its change.

PgQueuer's `Queries.enqueue` runs on the very connection of the session. It joins SQLAlchemy's transaction only
once SQLAlchemy has sent a first statement, which the scope in `work.py` always does.
"""

from datetime import timedelta
from typing import cast

import asyncpg
from pgqueuer.db import AsyncpgDriver
from pgqueuer.queries import Queries
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.events import Envelope

RELAY = "relay"  # the one entry point that events are enqueued under; it fans out to reactions


async def enqueue(connection: AsyncConnection, envelopes: list[Envelope]) -> None:
    """One job per event. What follows from it is decided when the relay reads it."""
    count = len(envelopes)
    await _queries(await raw(connection)).enqueue(
        [RELAY] * count,
        [envelope.encode() for envelope in envelopes],
        [0] * count,
        cast("list[timedelta | None]", [None] * count),
        [str(envelope.id) for envelope in envelopes],
        [{"tenant": str(envelope.tenant_id), "type": type(envelope.event).__name__} for envelope in envelopes],
    )


async def raw(connection: AsyncConnection) -> asyncpg.Connection:
    """asyncpg's own connection below SQLAlchemy's."""
    fairy = await connection.get_raw_connection()
    return cast("asyncpg.Connection", fairy.driver_connection)


def _queries(connection: asyncpg.Connection) -> Queries:
    return Queries(AsyncpgDriver(connection))
