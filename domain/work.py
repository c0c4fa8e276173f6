"""Work: one actor, one tenant, one transaction, one clock reading.

`Workplace.open_work` is the only maker of sessions, so nobody without an actor reaches the database, and every
transaction carries its tenant, which row-level security demands.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, cast
from uuid import UUID

import asyncpg
import structlog
from sqlalchemy import bindparam, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import SessionTransaction
from sqlmodel import Session, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar
from uuid_utils.compat import uuid7

from domain import outbox
from domain.actor import Actor, Permission
from domain.bus import Bus, Message
from domain.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from domain.events import Envelope, Event

log = structlog.get_logger()

Row = TypeVar("Row", bound=SQLModel)
Port = TypeVar("Port")

_SCOPE = text(
    "select set_config('app.tenant_id', :tenant, true), set_config('transaction_read_only', :read_only, true)"
)
_LOST = (asyncpg.InterfaceError, asyncpg.InternalClientError)  # what asyncpg says of a connection that was cut
_PASSING = (Unavailable, "the database cannot do it now")
_MEANINGS = {  # what a state of the database means to the caller, by how its SQLSTATE begins
    "08": _PASSING,  # lost connection
    "57P": _PASSING,  # shut down, or starting
    "53": _PASSING,  # out of something
    "40": _PASSING,  # deadlock
    "25006": (Forbidden, "this work is read-only"),
    "23505": (Conflict, "it exists already"),  # unique_violation: somebody was faster than our own check
    "23503": (Conflict, "something else still refers to it, or what it refers to is gone"),
    "22": (Invalid, "a value is not one that the database can hold"),  # NUL, half a surrogate pair, too large
}
_open: ContextVar[bool] = ContextVar("work_is_open", default=False)


class _ScopedSession(Session):
    """A session that knows its tenant; `_scope` refuses any other kind."""


@event.listens_for(_ScopedSession, "after_begin")
def _scope(session: Session, _transaction: SessionTransaction, connection: Connection) -> None:
    tenant_id = session.info.get("tenant_id")
    if tenant_id is None:
        raise RuntimeError("a session without a tenant: open a Work")
    connection.execute(_SCOPE, {"tenant": str(tenant_id), "read_only": "on" if session.info["read_only"] else "off"})


@cache
def _held(model: type[Row]) -> SelectOfScalar[Row]:
    """Built once: that costs more than to run it."""
    key = model.__table__.primary_key.columns[0]  # type: ignore[attr-defined]
    query = select(model).where(key == bindparam("id")).with_for_update()
    return query.execution_options(populate_existing=True)


@dataclass
class Work:
    """What a use-case gets as its first argument. Nobody commits it; leaving the `async with` does."""

    workplace: "Workplace"
    actor: Actor
    read_only: bool
    now: datetime
    session: AsyncSession
    emitted: list[Envelope] = field(default_factory=list)
    told: list[Message] = field(default_factory=list)

    @property
    def tenant_id(self) -> UUID:
        return self.actor.tenant_id

    def require(self, permission: Permission) -> None:
        """The first line of every use-case that changes or shows something."""
        if not self.actor.may(permission):
            raise Forbidden(f"{self.actor.role} may not {permission.lower()}", permission=permission)

    async def get(self, model: type[Row], row_id: UUID | int, *, lock: bool = False) -> Row:
        """The row, or `NotFound`. `lock` holds it against other writers until this work ends."""
        row = (
            (await self.session.exec(_held(model), params={"id": row_id})).first()
            if lock
            else await self.session.get(model, row_id)
        )
        if row is None:
            raise NotFound(f"{model.__name__} {row_id} does not exist", id=str(row_id))
        return row

    def add(self, row: Row) -> Row:
        self.session.add(row)
        return row

    async def delete(self, row: SQLModel) -> None:
        await self.session.delete(row)

    async def connection(self) -> asyncpg.Connection:
        """asyncpg's own, within this transaction, for the few statements that are written by hand. They see what
        was changed before; rows that the session holds already do not learn of them."""
        await self.session.flush()
        return await outbox.raw(await self.session.connection())

    def emit(self, event: Event) -> None:
        """A fact: into the outbox with this transaction, where anything follows from it, and on the bus after it."""
        self.emitted.append(Envelope(id=uuid7(), tenant_id=self.tenant_id, at=self.now, event=event))

    def tell(self, *news: Message) -> None:
        """For eyes only: on the bus after the commit, kept nowhere."""
        self.told.extend(news)

    def port(self, protocol: type[Port]) -> Port:
        """The adapter that is wired to a port."""
        return self.workplace.port(protocol)


LeadsOn = Callable[[Work, Event], Awaitable[bool]]


class Workplace:
    """Where work is opened: the database, the clock, and what the ports are wired to."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        ports: Mapping[type[Any], Any],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        leads_on: LeadsOn | None = None,
    ) -> None:
        """`leads_on` is the table's word (`domain.reactions`) on what goes into the outbox: from here it cannot
        be asked, for it imports every slice. Without it everything does, which costs but loses nothing."""
        self.engine = engine
        self.clock = clock
        self._ports = ports
        self._leads_on = leads_on
        self._untold = 0

    def port(self, protocol: type[Port]) -> Port:
        return cast("Port", self._ports[protocol])

    @asynccontextmanager
    async def open_work(self, actor: Actor, *, read_only: bool = False) -> AsyncIterator[Work]:
        """One transaction for one actor. Does not nest: PostgreSQL has no transactions within transactions."""
        if _open.get():
            raise RuntimeError("Work does not nest: finish the open one first")
        token = _open.set(True)
        try:
            async with AsyncSession(
                self.engine,
                expire_on_commit=False,
                sync_session_class=_ScopedSession,
                info={"tenant_id": actor.tenant_id, "read_only": read_only},
            ) as session:
                work = Work(self, actor, read_only, self.clock(), session)
                yield work
                await self._finish(work)
        except (DBAPIError, asyncpg.PostgresError, *_LOST) as error:
            raise _translated(error) from error  # also of the roll-back, on a line that is cut
        except NoConnectionLeft as error:
            raise Unavailable("the database has too much to do") from error
        finally:
            _open.reset(token)
        await self._publish(work)

    async def _finish(self, work: Work) -> None:
        leads_on = self._leads_on
        followed = [each for each in work.emitted if leads_on is None or await leads_on(work, each.event)]
        if followed:
            await work.session.flush()
            await outbox.enqueue(await work.session.connection(), followed)
        await work.session.commit()

    async def _publish(self, work: Work) -> None:
        """After the commit, so nobody hears of what did not happen; a deaf bus does not undo a fact."""
        news = [*(envelope.message() for envelope in work.emitted), *work.told]
        if not news:
            return
        try:
            await self.port(Bus).publish(news)  # type: ignore[type-abstract]
        except Unavailable as error:
            if not self._untold:
                log.warning("news cannot be told", reason=error.message)
            self._untold += len(news)
        else:
            if self._untold:
                log.info("news is told again", lost=self._untold)
            self._untold = 0


def _translated(error: Exception) -> Exception:
    """What the database's state means to the caller, where it means anything."""
    if getattr(error, "connection_invalidated", isinstance(error, _LOST)):
        return Unavailable("the database is not reachable")
    state = str(getattr(getattr(error, "orig", error), "sqlstate", None) or "")
    meant = next((meaning for begin, meaning in _MEANINGS.items() if state.startswith(begin)), None)
    return error if meant is None else meant[0](meant[1])
