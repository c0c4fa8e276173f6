"""A file's way from the line into the history: read as it comes, recorded in batches, never held as a whole."""

import asyncio
from collections.abc import AsyncIterable, Sequence
from contextlib import suppress
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge
from sqlalchemy import func
from sqlmodel import col, select
from uuid_utils.compat import uuid7

from domain import points, tenants
from domain.actor import Actor, Permission
from domain.errors import Conflict, Invalid, LimitExceeded, Unavailable
from domain.imports.files import Portion, ReadingsFile, ReadingsFiles, RowError
from domain.imports.layouts import Layout
from domain.imports.models import ERRORS_MAX, OPEN, Import, ImportStatus
from domain.imports.news import progressed
from domain.imports.rules import ImportRules
from domain.imports.service import LOST_AFTER, changed
from domain.points import Reading
from domain.work import Work, Workplace

log = structlog.get_logger()

BATCH = 5_000
TICK_S = 1.0

RUNNING = Gauge("voltgraph_imports_running", "Files of readings on their way in", multiprocess_mode="livesum")
ENDED = Counter("voltgraph_imports", "Files of readings that were taken in, by what became of them", ["status"])
ROWS = Counter("voltgraph_import_rows", "Rows of files that were read")
RECORDED = Counter("voltgraph_import_readings", "Readings of files that are committed")
REFUSED = Counter("voltgraph_import_refused", "Rows, or cells of wide files, that could not be recorded")


async def receive(workplace: Workplace, actor: Actor, *, import_id: UUID, parts: AsyncIterable[bytes]) -> Import:
    """Imports a file that comes in parts; the next is asked for when there is room for it.

    What can be recorded is, whatever else is in the file: when this returns it is committed, and the import is
    COMPLETED, or FAILED where the file cannot be read or no row of it be recorded. Sent again it changes nothing.
    Raises `Conflict` where the import waits for no file or is cancelled meanwhile, `LimitExceeded` where too many run;
    whatever else ends it, such as `parts` or being cancelled, leaves it INTERRUPTED and is raised.
    """
    beginning = asyncio.create_task(_begun(workplace, actor, import_id), name="import begins")
    try:
        run = await asyncio.shield(beginning)
    except asyncio.CancelledError as error:  # it may have begun all the same
        with suppress(Exception):
            await (await beginning).ended(ImportStatus.INTERRUPTED, _why(error))
        raise
    with RUNNING.track_inprogress():
        return await _received(run, parts)


async def _received(run: "Run", parts: AsyncIterable[bytes]) -> Import:
    consuming = asyncio.create_task(run.consume(parts), name="import")
    try:
        try:
            while not (await asyncio.wait({consuming}, timeout=TICK_S))[0]:
                await run.tell()
        finally:
            consuming.cancel()
            await asyncio.wait({consuming})
        consuming.result()
    except (Invalid, LimitExceeded) as error:
        return await run.ended(ImportStatus.FAILED, error.message)
    except Conflict:  # somebody else has ended it
        ENDED.labels(ImportStatus.CANCELLED.lower()).inc()
        raise
    except asyncio.CancelledError as error:
        await run.ended(ImportStatus.INTERRUPTED, _why(error))
        raise
    except Exception as error:
        await run.ended(ImportStatus.INTERRUPTED, getattr(error, "message", "") or "something went wrong")
        raise
    return await run.ended(ImportStatus.COMPLETED)


def _why(cut: asyncio.CancelledError) -> str:
    return str(cut) or "the upload was cut off"


async def _begun(workplace: Workplace, actor: Actor, import_id: UUID) -> "Run":
    async with workplace.open_work(actor) as work:
        work.require(Permission.REPORT)
        rules = work.port(ImportRules)
        found = await work.get(Import, import_id, lock=True)
        if found.status not in OPEN:
            raise Conflict(f"the import waits for no file: it is {found.status}")
        await _admit(work, rules)
        layout = Layout.of(found.layout)
        zone = layout.zone((await work.get(tenants.Tenant, work.tenant_id)).timezone)
        attempt = found.attempt = uuid7()
        found.started_at = work.now
        file = work.port(ReadingsFiles).opened(layout, zone)  # type: ignore[type-abstract]
        changed(work, found, ImportStatus.RUNNING)
    return Run(workplace, actor, import_id, attempt, file, rules)


async def _admit(work: Work, rules: ImportRules) -> None:
    """One after the other, so that two who come at once do not both find room for one."""
    await work.session.exec(select(func.pg_advisory_xact_lock(func.hashtext(f"imports {work.tenant_id}"))))
    running = select(func.count()).where(
        Import.status == ImportStatus.RUNNING, col(Import.updated_at) >= work.now - LOST_AFTER
    )
    if (await work.session.exec(running)).one() >= rules.at_once:
        raise LimitExceeded(f"{rules.at_once} imports run already: wait for one of them to end", retry_after_s=10)


class Run:
    """One attempt at one file."""

    def __init__(
        self,
        workplace: Workplace,
        actor: Actor,
        import_id: UUID,
        attempt: UUID,
        file: ReadingsFile,
        rules: ImportRules,
    ) -> None:
        self._workplace = workplace
        self._actor = actor
        self._import_id = import_id
        self._attempt = attempt
        self._file = file
        self._rules = rules
        self._addresses: set[str] = set()
        self._readings: list[Reading] = []
        self._lines: list[int] = []
        self._bytes = self._rows = self._recorded = self._failed = 0
        self._errors: list[RowError] = []
        self._recording: asyncio.Task[None] | None = None

    async def consume(self, parts: AsyncIterable[bytes]) -> None:
        """While a batch is recorded the next is read; one after the other, so that of two rows the later counts."""
        try:
            async for part in parts:
                await asyncio.sleep(0)  # others have their turn, however much has come already
                self._bytes += len(part)
                if self._bytes > self._rules.max_bytes:
                    raise LimitExceeded(f"a file has at most {self._rules.max_bytes} bytes")
                await self._take(self._file.read(part))
            await self._take(self._file.end())
            await self._record()
            await self._settle()
        finally:
            if self._recording is not None:
                self._recording.cancel()
                await asyncio.wait({self._recording})

    async def _take(self, portion: Portion) -> None:
        self._rows += portion.rows
        ROWS.inc(portion.rows)
        self._fail(portion.errors)
        self._readings += portion.readings
        self._lines += portion.lines
        if len(self._readings) >= BATCH:
            await self._record()

    async def _record(self) -> None:
        await self._settle()
        readings, self._readings = self._readings, []
        lines, self._lines = self._lines, []
        if not readings:
            return
        self._addresses.update(reading.address for reading in readings)
        if len(self._addresses) > self._rules.max_points:
            raise Invalid(f"it names more than {self._rules.max_points} points: is its column of addresses another?")
        self._recording = asyncio.create_task(self._keep(readings, lines), name="import batch")

    async def _settle(self) -> None:
        if self._recording is not None:
            await self._recording
            self._recording = None

    async def _keep(self, readings: Sequence[Reading], lines: Sequence[int]) -> None:
        async with self._workplace.open_work(self._actor) as work:
            done = await points.record(work, readings)
        self._recorded += done.recorded
        RECORDED.inc(done.recorded)
        self._fail([RowError(lines[error.index], error.message) for error in done.errors])

    def _fail(self, errors: Sequence[RowError]) -> None:
        self._failed += len(errors)
        REFUSED.inc(len(errors))
        self._errors += errors[: ERRORS_MAX - len(self._errors)]

    async def tell(self) -> None:
        """How far it has come. Raises `Conflict` where it has been ended; a database that is away has to wait."""
        try:
            async with self._workplace.open_work(self._actor) as work:
                self._write(work, await self._own(work))
                work.tell(progressed(work.tenant_id, self._import_id))
        except Unavailable as error:
            log.warning("an import's progress cannot be told", reason=error.message)

    async def ended(self, status: ImportStatus, error: str | None = None) -> Import:
        if status is ImportStatus.COMPLETED and self._failed and not self._recorded:
            status, error = ImportStatus.FAILED, "no row could be recorded"
        ENDED.labels(status.lower()).inc()
        async with self._workplace.open_work(self._actor) as work:
            own = await self._own(work)
            self._write(work, own)
            done = changed(work, own, status, error)
        log.info(
            "import ended", id=str(done.id), status=done.status, recorded=done.recorded, failed=done.failed, error=error
        )
        return done

    async def _own(self, work: Work) -> Import:
        own = await work.get(Import, self._import_id, lock=True)
        if own.attempt != self._attempt or own.status is not ImportStatus.RUNNING:
            raise Conflict(f"the import has been ended meanwhile: it is {own.status}")
        return own

    def _write(self, work: Work, own: Import) -> None:
        own.bytes_read, own.rows_read = self._bytes, self._rows
        own.recorded, own.failed = self._recorded, self._failed
        own.errors = [error._asdict() for error in sorted(self._errors)]
        own.columns = None if self._file.columns is None else [column._asdict() for column in self._file.columns]
        own.updated_at = work.now
