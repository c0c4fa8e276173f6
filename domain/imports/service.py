from datetime import timedelta
from uuid import UUID

from sqlmodel import col, delete, select

from domain.actor import Permission
from domain.errors import Conflict, Invalid
from domain.imports.events import ImportChanged
from domain.imports.layouts import Layout
from domain.imports.models import OPEN, Import, ImportStatus
from domain.imports.rules import ImportRules
from domain.work import Work

NAME_MAX = 255
LOST_AFTER = timedelta(seconds=60)  # without a sign of life: its process died
WAITED_FOR = timedelta(days=1)
_FORGOTTEN_AT_ONCE = 1_000


async def begin(work: Work, *, layout: Layout, name: str | None = None) -> Import:
    """An import that waits for its file."""
    work.require(Permission.REPORT)
    if name is not None and not (0 < len(name) <= NAME_MAX and name.isprintable()):
        raise Invalid(f"a file's name is 1 to {NAME_MAX} printable characters", field="name")
    begun = Import(name=name, actor=work.actor.name, layout=layout.kept(), created_at=work.now, updated_at=work.now)
    return changed(work, work.add(begun), ImportStatus.WAITING)


async def cancel(work: Work, *, import_id: UUID) -> Import:
    """No more of it is recorded; what has been stays. Raises `Conflict` where it has ended by itself."""
    work.require(Permission.REPORT)
    found = await work.get(Import, import_id, lock=True)
    if found.status is ImportStatus.CANCELLED:
        return found
    if found.status not in (*OPEN, ImportStatus.RUNNING):
        raise Conflict(f"the import has ended: it is {found.status}")
    return changed(work, found, ImportStatus.CANCELLED)


async def look_after(work: Work) -> None:
    """Ends imports whose process died, and those that nobody sent a file for; forgets those that ended long ago."""
    work.require(Permission.REPORT)
    running = select(Import).where(
        Import.status == ImportStatus.RUNNING, col(Import.updated_at) < work.now - LOST_AFTER
    )
    for lost in (await work.session.exec(running.with_for_update())).all():
        changed(work, lost, ImportStatus.INTERRUPTED, "the server that read it stopped: send the file again")
    waiting = select(Import).where(
        Import.status == ImportStatus.WAITING, col(Import.created_at) < work.now - WAITED_FOR
    )
    for forgotten in (await work.session.exec(waiting.with_for_update())).all():
        changed(work, forgotten, ImportStatus.FAILED, "no file came")
    await _forget(work, timedelta(days=work.port(ImportRules).keep_days))


async def _forget(work: Work, kept_for: timedelta) -> None:
    """What was recorded of them stays."""
    has_ended = col(Import.finished_at) < work.now - kept_for
    began = col(Import.created_at) < work.now - kept_for  # of which there is an index
    oldest = select(Import.id).where(began, has_ended).order_by(col(Import.created_at)).limit(_FORGOTTEN_AT_ONCE)
    await work.session.exec(delete(Import).where(col(Import.id).in_(oldest), has_ended))


def changed(work: Work, of: Import, status: ImportStatus, error: str | None = None) -> Import:
    of.status = status
    of.error = error
    of.updated_at = work.now
    of.finished_at = None if status in (ImportStatus.WAITING, ImportStatus.RUNNING) else work.now
    work.emit(ImportChanged(import_id=of.id, status=status))
    return of
