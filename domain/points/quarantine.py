"""Readings that do not fit their point: kept apart until somebody lets them in, or dismisses them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col, select

from domain.actor import Permission
from domain.errors import NotFound
from domain.page import Page, PageRequest, page
from domain.points.apart import apart
from domain.points.models import Point, ValueType
from domain.points.readings import Quality, Reading, Source
from domain.rows import TIMESTAMP, Record, enum_type
from domain.work import Work

RELEASED_AT_ONCE = 10_000


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
        await own.session.exec(adding, params=list(rows.values()))

    await apart(work, kept)


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
