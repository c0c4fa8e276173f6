from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any
from uuid import UUID

import strawberry

from domain import commands, local_lists, reservations, sessions, stations
from domain.bus import Message, Topic
from domain.commands import Command, CommandKind, CommandOutcome, CommandStatus, UnlockStatus
from domain.errors import Invalid
from domain.events import Envelope
from domain.page import FIRST_DEFAULT, Page, PageRequest
from resolvers import orders
from resolvers.arguments import QueueFor, changes, optional_id, row_id
from resolvers.context import Context, Info
from resolvers.live import live
from resolvers.orders import SendLocalListInput, StationCommand

strawberry.enum(CommandKind, description="What a station may be ordered to do.")
strawberry.enum(
    UnlockStatus,
    description="NOT_SUPPORTED is OCPP 1.6's, ONGOING_TRANSACTION and UNKNOWN_CONNECTOR are 2.x's; OTHER is nobody's.",
)
strawberry.enum(
    CommandStatus,
    description="QUEUED: it waits. SENT: it is on its way. ACCEPTED and REJECTED are the station's word; TIMEOUT and "
    "FAILED (not delivered, or no sense in the answer) are ours; CANCELLED is its caller's.",
)


@strawberry.input(description="Which orders; all that is given must hold.")
class CommandFilter:
    station_id: strawberry.ID | None = None
    status: list[CommandStatus] | None = strawberry.field(default=None, description="One of these.")
    kind: list[CommandKind] | None = strawberry.field(default=None, description="One of these.")


async def send(info: Info, station_id: strawberry.ID, command: StationCommand, queue_for_s: QueueFor = None) -> Command:
    """Answers when the station has, or at the deadline; at once where the order has to wait."""
    ((name, order),) = changes(command).items()
    if isinstance(order, SendLocalListInput) or name == "get_local_list_version":
        return await _of_local_list(info, row_id(station_id, "stationId"), order, queue_for_s)
    async with info.context.write() as work:
        requested = await orders.requested(work, row_id(station_id, "stationId"), command, queue_for_s)
    return await reservations.carry_out(info.context.workplace, info.context.caller, requested)


async def _of_local_list(
    info: Info, station_id: UUID, order: SendLocalListInput | bool | None, queue_for_s: int | None
) -> Command:
    """It may take several orders, each by what the one before it has told."""
    if queue_for_s is not None:
        raise Invalid("what waits for a station that is away is its localList: setLocalListPolicy", field="queueForS")
    workplace, caller = info.context.workplace, info.context.caller
    if isinstance(order, SendLocalListInput):
        return await local_lists.send_now(
            workplace, caller, station_id=station_id, update=order.update, token_uids=order.token_uids
        )
    if order is not True:
        raise Invalid("it is ordered by true", field="command.getLocalListVersion")
    return await local_lists.ask_version(workplace, caller, station_id=station_id)


async def cancel(info: Info, command_id: strawberry.ID) -> Command:
    return await commands.cancel(
        info.context.workplace, info.context.caller, command_id=row_id(command_id, "commandId")
    )


async def by_id(info: Info, id: strawberry.ID) -> Command:
    async with info.context.read() as work:
        return await commands.by_id(work, row_id(id))


async def listed(
    info: Info, filter: CommandFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[Command]:
    wanted = filter or CommandFilter()
    async with info.context.read() as work:
        return await commands.listed(
            work,
            PageRequest(first, after),
            station_id=optional_id(wanted.station_id, "filter.stationId"),
            status=wanted.status,
            kind=wanted.kind,
        )


async def rotate_password(info: Info, station_id: strawberry.ID, password: str | None = None) -> Command:
    context = info.context
    return await commands.rotate_password(
        context.workplace, context.caller, station_id=row_id(station_id, "stationId"), password=password
    )


def station(root: Command, info: Info) -> Awaitable[stations.Station | None]:
    return info.context.loaders.station.load(root.station_id)


def session(root: Command, info: Info) -> Awaitable[sessions.Session | None] | None:
    """The charge that it began or ended."""
    match root.kind:
        case CommandKind.REMOTE_START:
            return info.context.loaders.session_of_command.load(root.id)
        case CommandKind.REMOTE_STOP:
            return info.context.loaders.session.load(UUID(root.arguments["session_id"]))
    return None


def reservation(root: Command, info: Info) -> Awaitable[reservations.Reservation | None] | None:
    """The one that it asked for or cancelled."""
    given = root.arguments.get("reservation_id")
    return None if given is None else info.context.loaders.reservation.load(UUID(given))


def report(root: Command, info: Info) -> Awaitable[stations.StationReport | None] | None:
    """The one that it asked for."""
    asks = root.kind in (CommandKind.GET_BASE_REPORT, CommandKind.GET_REPORT)
    return info.context.loaders.report_of_command.load(root.id) if asks else None


def outcome(root: Command) -> CommandOutcome | None:
    return commands.outcome_of(root)


class CommandUpdate:
    """An order as it is at delivery, and what event told of it."""

    def __init__(self, command: Command, event_id: str | None = None) -> None:
        self.command = command
        self.event_id = event_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self.command, name)


def event_id(root: Command | CommandUpdate) -> str | None:
    return root.event_id if isinstance(root, CommandUpdate) else None


async def updates(
    info: Info, command_id: strawberry.ID | None = None, after: strawberry.ID | None = None
) -> AsyncGenerator[CommandUpdate, None]:
    watch = CommandWatch(info.context, optional_id(command_id, "commandId"))
    return live(info.context, await watch.topics(), watch, after=after)


class CommandWatch:
    """One subscription to what becomes of an order, or of all."""

    def __init__(self, context: Context, command_id: UUID | None) -> None:
        self._context = context
        self._wanted = command_id
        self._unfinished: set[UUID] = set()

    async def topics(self) -> list[Topic]:
        """Raises `NotFound` for an order that does not exist."""
        async with self._context.read() as work:
            if self._wanted is not None:
                await commands.by_id(work, self._wanted)
        key = None if self._wanted is None else str(self._wanted)
        return [Topic(self._context.caller.tenant_id, commands.CommandChanged.kind, key)]

    async def look(self) -> AsyncGenerator[CommandUpdate, None]:
        """The one that was asked for; else those without an end, and those that have got one unseen."""
        async with self._context.read() as work:
            if self._wanted is not None:
                found = [await commands.by_id(work, self._wanted)]
            else:
                unfinished = await commands.unfinished(work)
                ended = self._unfinished - {command.id for command in unfinished}
                found = [*await commands.by_ids(work, sorted(ended)), *unfinished]
        for command in found:
            yield self._seen(command)

    async def resume(self, _since: datetime | None) -> Sequence[CommandUpdate]:
        """All that it shows is facts."""
        async with aclosing(self.look()) as looked:
            async for _ in looked:
                pass
        return ()

    async def translate(self, news: Message) -> Sequence[CommandUpdate]:
        """The command is read at delivery; with its station it may be gone."""
        event = Envelope.decode(news.payload).event
        if not isinstance(event, commands.CommandChanged):
            return ()
        async with self._context.read() as work:
            found = await commands.by_ids(work, [event.command_id])
        return [self._seen(command, news.id) for command in found]

    def _seen(self, command: Command, event_id: str | None = None) -> CommandUpdate:
        if command.completed_at is None:
            self._unfinished.add(command.id)
        else:
            self._unfinished.discard(command.id)
        return CommandUpdate(command, event_id)
