"""Readings that do not fit their point: kept apart until somebody lets them in or dismisses them, within bounds."""

from collections.abc import Sequence
from datetime import datetime

import structlog
from prometheus_client import Counter
from sqlalchemy import ColumnElement, delete, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col, select

from domain.actor import Permission
from domain.errors import NotFound
from domain.page import Page, PageRequest, page
from domain.points.apart import apart
from domain.points.changes import changed
from domain.points.models import Point, ValueType
from domain.points.readings import Quality, Reading, Source
from domain.points.rules import PointRules
from domain.rows import TIMESTAMP, Record, enum_type
from domain.work import Work

log = structlog.get_logger()

KEPT = Counter("voltgraph_quarantine_readings", "Readings that did not fit their point, and were kept apart")
DROPPED = Counter(
    "voltgraph_quarantine_readings_dropped", "Readings kept apart for too long, or too many, that are gone", ["why"]
)

RELEASED_AT_ONCE = 10_000
DROPPED_AT_ONCE = 10_000


class QuarantinedReading(Record, table=True):
    """A reading as it came, and why it does not fit its point."""

    __tablename__ = "quarantined_reading"

    address: str
    at: datetime = Field(sa_type=TIMESTAMP)
    value: float | None = None
    text: str | None = None
    quality: Quality = Field(sa_type=enum_type(Quality))
    unit: str | None = None
    source: Source = Field(sa_type=enum_type(Source))
    version: int
    reason: str

    @property
    def received_at(self) -> datetime:
        return self.created_at

    @property
    def reading(self) -> Reading:
        return Reading(self.address, self.at, self.value, self.text, self.quality, self.unit, self.source, self.version)


async def keep(work: Work, misfits: Sequence[tuple[Reading, str]]) -> None:
    """Committed when this returns; `misfits`: with the reason of each. What was sent again is there once."""

    async def kept(own: Work) -> None:
        rows = {
            (reading.address, reading.at, reading.version): QuarantinedReading(
                created_at=own.now, reason=reason, **reading._asdict()
            ).model_dump()
            for reading, reason in misfits
        }
        adding = insert(QuarantinedReading)
        changed = ("value", "text", "quality", "unit", "source", "reason", "created_at")
        adding = adding.on_conflict_do_update(
            index_elements=["tenant_id", "address", "at", "version"],
            set_={name: adding.excluded[name] for name in changed},
        )
        in_order = [rows[key] for key in sorted(rows)]  # the same everywhere, so that two processes cannot deadlock
        await own.session.exec(adding, params=in_order)

    await apart(work, kept)
    KEPT.inc(len(misfits))


async def bound_quarantine(work: Work) -> None:
    """What has waited for longer than the house lets it, and what is more than it lets wait, the oldest first."""
    work.require(Permission.MANAGE)
    rules = work.port(PointRules)
    received = col(QuarantinedReading.created_at)
    await _drop(work, received < work.now - rules.quarantined_for, "age")
    place = tuple_(received, col(QuarantinedReading.id))
    newest = select(received, col(QuarantinedReading.id)).order_by(received.desc(), col(QuarantinedReading.id).desc())
    beyond = (await work.session.exec(newest.offset(rules.quarantined_max).limit(1))).first()
    if beyond is not None:
        await _drop(work, place <= tuple_(*beyond), "number")


async def _drop(work: Work, condition: ColumnElement[bool], why: str) -> None:
    """So many at most; the next time is soon."""
    ids = select(QuarantinedReading.id).where(condition).limit(DROPPED_AT_ONCE)
    gone = await work.session.exec(
        delete(QuarantinedReading).where(col(QuarantinedReading.id).in_(ids)).returning(col(QuarantinedReading.address))
    )
    addresses = gone.scalars().all()
    if addresses:
        DROPPED.labels(why).inc(len(addresses))
        log.warning(
            "readings that did not fit are dropped",
            tenant=str(work.tenant_id),
            why=why,
            count=len(addresses),
            points=sorted(set(addresses))[:10],
        )


async def quarantined(work: Work, request: PageRequest, *, address: str | None = None) -> Page[QuarantinedReading]:
    """The last received first."""
    work.require(Permission.VIEW)
    query = select(QuarantinedReading)
    if address is not None:
        query = query.where(QuarantinedReading.address == address)
    return await page(work, query, request, at=col(QuarantinedReading.created_at), row_id=col(QuarantinedReading.id))


async def retype(work: Work, *, address: str, value_type: ValueType | None) -> Sequence[QuarantinedReading]:
    """Makes the point one of that type, and answers what waits there, the oldest measurements first."""
    work.require(Permission.CONTROL)
    point = (await work.session.exec(select(Point).where(Point.address == address).with_for_update())).first()
    if point is None:
        raise NotFound(f"point {address} does not exist", address=address)
    if value_type is not None:
        point.value_type = value_type
        work.tell(*changed(work.tenant_id, [address]))
    waiting = select(QuarantinedReading).where(QuarantinedReading.address == address)
    return (await work.session.exec(waiting.order_by(col(QuarantinedReading.at)).limit(RELEASED_AT_ONCE))).all()


async def settle(work: Work, rows: Sequence[QuarantinedReading]) -> None:
    """They are where they belong."""
    work.require(Permission.CONTROL)
    await work.session.exec(delete(QuarantinedReading).where(col(QuarantinedReading.id).in_([row.id for row in rows])))


async def dismiss_quarantined(work: Work, *, address: str) -> int:
    """How many waited there, and are gone for good. Raises `NotFound` where none did."""
    work.require(Permission.CONTROL)
    gone = await work.session.exec(delete(QuarantinedReading).where(col(QuarantinedReading.address) == address))
    if not gone.rowcount:
        raise NotFound(f"no reading waits at {address}", address=address)
    return gone.rowcount
