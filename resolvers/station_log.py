from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

import strawberry

from domain import station_log
from domain.bus import Message, Topic
from domain.errors import Invalid
from domain.page import FIRST_DEFAULT, FIRST_MAX, Page, PageRequest
from domain.station_log import Direction, Entry, EntryKind, StationLogEntry
from resolvers.arguments import row_id
from resolvers.context import Context, Info
from resolvers.live import live

# Another process may have been slower to keep what was said before: a station that has just moved to this one.
_OVERLAP = timedelta(seconds=10)
_REMEMBERED = 2_000

Told = TypeVar("Told", Entry, StationLogEntry)

strawberry.enum(Direction, name="StationLogDirection", description="From the station, to it, or neither.")
strawberry.enum(
    EntryKind,
    name="StationLogKind",
    description="The message types of OCPP-J. EVENT is all that is no frame: `connected`, `disconnected` (by the "
    "station), `closed` (by us), `denied`, `unreadable`, `tolerated` (a deviation, the first time) and `lost` "
    "(entries that are missing).",
)


@strawberry.input(description="Which entries; all that is given must hold.")
class StationLogFilter:
    from_: datetime | None = strawberry.field(default=None, name="from", description="Then or later, by our clock.")
    to: datetime | None = strawberry.field(default=None, description="Before.")
    actions: list[str] | None = strawberry.field(
        default=None, description="One of these: `BootNotification`, `StatusNotification`, …, or an event's name."
    )
    direction: Direction | None = None
    text: str | None = strawberry.field(
        default=None, description="Part of the payload, the action or the error code, in any case."
    )
    message_id: str | None = strawberry.field(default=None, description="A call and its answer have the same.")


async def listed(
    info: Info,
    station_id: strawberry.ID,
    filter: StationLogFilter | None = None,
    first: int = FIRST_DEFAULT,
    after: str | None = None,
) -> Page[StationLogEntry]:
    wanted = filter or StationLogFilter()
    async with info.context.read() as work:
        return await station_log.listed(
            work,
            PageRequest(first, after),
            station_id=row_id(station_id, "stationId"),
            from_=wanted.from_,
            to=wanted.to,
            actions=wanted.actions,
            direction=wanted.direction,
            text=wanted.text,
            message_id=wanted.message_id,
        )


async def updates(
    info: Info, station_id: strawberry.ID, last: int = FIRST_DEFAULT, after: strawberry.ID | None = None
) -> AsyncGenerator[Entry | StationLogEntry, None]:
    """The table knows all that came since an entry, so it needs no help of the bus to go on from there."""
    if not 0 <= last <= FIRST_MAX:
        raise Invalid(f"last must be 0 to {FIRST_MAX}, not {last}", field="last")
    since = info.context.after or after
    context = replace(info.context, after=None)
    watch = LogWatch(
        context, row_id(station_id, "stationId"), last, None if since is None else station_log.entry_id(since)
    )
    return live(context, await watch.topics(), watch)


class LogWatch:
    """One subscription to what is said on a station's line."""

    def __init__(self, context: Context, station_id: UUID, last: int, after: UUID | None) -> None:
        self._context = context
        self._station_id = station_id
        self._last = last
        self._floor = self._newest = after
        self._told: OrderedDict[UUID, None] = OrderedDict()

    async def topics(self) -> list[Topic]:
        """Raises `NotFound` and `Forbidden`."""
        async with self._context.read() as work:
            await station_log.listed(work, PageRequest(1), station_id=self._station_id)
        return station_log.topics(self._context.caller.tenant_id, self._station_id)

    async def look(self) -> AsyncGenerator[Entry | StationLogEntry, None]:
        """The last entries; for whoever has heard of any, all that came since."""
        if self._newest is None:
            for entry in await self._latest(self._last):
                yield entry
            return
        after = self._newest
        if self._told:
            after = station_log.first_id(station_log.moment(after) - _OVERLAP)
            after = after if self._floor is None else max(after, self._floor)
        while True:
            async with self._context.read() as work:
                rows = await station_log.following(work, station_id=self._station_id, after=after, count=FIRST_MAX)
            for entry in self._fresh(rows):
                yield entry
            if len(rows) < FIRST_MAX:
                return
            after = rows[-1].id

    async def resume(self, _since: datetime | None) -> Sequence[Entry]:
        """For whoever shares the news alone. After a gap it is told from here on, whoever has heard of some of it."""
        async with self._context.read() as work:
            for row in await station_log.latest(work, station_id=self._station_id, count=1):
                self._floor = self._newest = station_log.first_id(row.at - _OVERLAP)
        return ()

    async def translate(self, news: Message) -> Sequence[Entry]:
        return list(self._fresh(station_log.read(news)))

    async def _latest(self, count: int) -> Sequence[StationLogEntry]:
        """Where there are none yet, all that comes is news."""
        async with self._context.read() as work:
            rows = await station_log.latest(work, station_id=self._station_id, count=max(count, 1))
        for row in rows:
            self._floor = row.id
        return list(self._fresh(rows))[-count:] if count else ()

    def _fresh(self, entries: Iterable[Told]) -> Iterator[Told]:
        """Each once."""
        for entry in entries:
            if entry.id in self._told:
                continue
            self._told[entry.id] = None
            if len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
            self._newest = entry.id if self._newest is None else max(self._newest, entry.id)
            yield entry
