from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime
from uuid import UUID

import strawberry

from domain import imports
from domain.bus import Message, Topic
from domain.events import Envelope
from domain.imports import Import, ImportChanged, ImportStatus, Layout, PointColumn
from domain.page import FIRST_DEFAULT, Page, PageRequest
from resolvers.arguments import optional_id, row_id
from resolvers.context import Context, Info
from resolvers.live import live

strawberry.enum(
    ImportStatus,
    description="WAITING: for its file. RUNNING. COMPLETED: read to its end. FAILED: the file cannot be read, or no "
    "row of it recorded. INTERRUPTED: the file may be sent again. CANCELLED.",
)


@strawberry.input(description="A column of a wide file that holds the values of one point.")
class PointColumnInput:
    column: str = strawberry.field(description="Its header, or its number from 1.")
    address: str
    unit: str | None = strawberry.field(default=None, description="Of its values.")


@strawberry.input(
    description="How a file is to be read; what is not said is found out. Columns go by their header, however it is "
    "spelt, or by their number from 1."
)
class ImportLayoutInput:
    at: str | None = strawberry.field(default=None, description="The column of times.")
    address: str | None = strawberry.field(default=None, description="The column of addresses.")
    value: str | None = strawberry.field(default=None, description="The column of values.")
    text: str | None = strawberry.field(default=None, description="The column of texts.")
    quality: str | None = strawberry.field(default=None, description="The column of qualities.")
    unit: str | None = strawberry.field(default=None, description="The column of units.")
    version: str | None = strawberry.field(default=None, description="The column of versions.")
    wide: bool | None = strawberry.field(
        default=None, description="Whether every column but that of times holds the values of a point."
    )
    points: list[PointColumnInput] | None = strawberry.field(
        default=None, description="Of a wide file: which columns, and whose values they hold."
    )
    point: str | None = strawberry.field(default=None, description="The address of all readings.")
    prefix: str = strawberry.field(default="", description="What every address begins with, beyond what is written.")
    default_unit: str | None = strawberry.field(default=None, description="Of values that do not tell theirs.")
    header: bool = strawberry.field(default=True, description="Whether the first line names the columns.")
    delimiter: str | None = strawberry.field(default=None, description="One of , ; | and a tab.")
    decimal_comma: bool | None = strawberry.field(default=None, description="Whether 1,5 is one and a half.")
    day_first: bool | None = strawberry.field(default=None, description="Whether 03/04/2026 is in April.")
    timezone: str | None = strawberry.field(
        default=None, description="IANA; of times that do not tell theirs. Null: the tenant's."
    )


@strawberry.input(description="A file of readings. Without `content` it is to be uploaded.")
class ImportReadingsInput:
    name: str | None = strawberry.field(default=None, description="Of the file, for eyes.")
    content: str | None = strawberry.field(default=None, description="The file itself, where it is small.")
    layout: ImportLayoutInput | None = None


@strawberry.input(description="Which imports; all that is given must hold.")
class ImportFilter:
    status: list[ImportStatus] | None = strawberry.field(default=None, description="One of these.")


async def begin(info: Info, input: ImportReadingsInput) -> Import:
    """A small file is imported when this answers."""
    context = info.context
    async with context.write() as work:
        begun = await imports.begin(work, layout=_layout(input.layout), name=input.name)
    if input.content is None:
        return begun
    return await imports.receive(
        context.workplace, context.caller, import_id=begun.id, parts=_one(input.content.encode())
    )


async def _one(part: bytes) -> AsyncIterator[bytes]:
    yield part


def _layout(given: ImportLayoutInput | None) -> Layout:
    if given is None:
        return Layout()
    columns = tuple(PointColumn(one.column, one.address, one.unit) for one in given.points or ())
    return Layout(**{**vars(given), "points": columns})


async def cancel(info: Info, import_id: strawberry.ID) -> Import:
    async with info.context.write() as work:
        return await imports.cancel(work, import_id=row_id(import_id, "importId"))


async def by_id(info: Info, id: strawberry.ID) -> Import:
    async with info.context.read() as work:
        return await imports.by_id(work, row_id(id))


async def listed(
    info: Info, filter: ImportFilter | None = None, first: int = FIRST_DEFAULT, after: str | None = None
) -> Page[Import]:
    async with info.context.read() as work:
        return await imports.listed(work, PageRequest(first, after), status=None if filter is None else filter.status)


async def updates(info: Info, import_id: strawberry.ID | None = None) -> AsyncGenerator[Import, None]:
    watch = ImportWatch(info.context, optional_id(import_id, "importId"))
    return live(info.context, await watch.topics(), watch)


class ImportWatch:
    """One subscription to how far an import has come, or all."""

    def __init__(self, context: Context, import_id: UUID | None) -> None:
        self._context = context
        self._wanted = import_id
        self._unfinished: set[UUID] = set()

    async def topics(self) -> list[Topic]:
        """Raises `NotFound` for an import that does not exist."""
        async with self._context.read() as work:
            if self._wanted is not None:
                await imports.by_id(work, self._wanted)
        key = None if self._wanted is None else str(self._wanted)
        tenant_id = self._context.caller.tenant_id
        return [Topic(tenant_id, ImportChanged.kind, key), Topic(tenant_id, imports.PROGRESSED, key)]

    async def look(self) -> AsyncGenerator[Import, None]:
        """The one that was asked for; else those that have not ended, and those that have, unseen."""
        async with self._context.read() as work:
            if self._wanted is not None:
                found = [await imports.by_id(work, self._wanted)]
            else:
                unfinished = await imports.unfinished(work)
                ended = self._unfinished - {one.id for one in unfinished}
                found = [*await imports.by_ids(work, sorted(ended)), *unfinished]
        for one in found:
            yield self._seen(one)

    async def resume(self, _since: datetime | None) -> Sequence[Import]:
        """There is no fact to go on from."""
        return [one async for one in self.look()]

    async def translate(self, news: Message) -> Sequence[Import]:
        """The import as it is at delivery."""
        if news.topic.kind == imports.PROGRESSED:
            changed = imports.progress_of(news.payload)
        else:
            event = Envelope.decode(news.payload).event
            if not isinstance(event, ImportChanged):
                return ()
            changed = event.import_id
        async with self._context.read() as work:
            found = await imports.by_ids(work, [changed])
        return [self._seen(one) for one in found]

    def _seen(self, one: Import) -> Import:
        if one.finished_at is None:
            self._unfinished.add(one.id)
        else:
            self._unfinished.discard(one.id)
        return one
