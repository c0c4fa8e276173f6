"""What meters sign is kept as it came: whoever checks it needs every byte, and both ends of a charge."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from domain.actor import Permission
from domain.sessions.models import Session, SignedValue
from domain.work import Work

SIGNED_MAX = 200  # shown of one charge; its begin and end are always among them
_ENDS = ("Transaction.Begin", "Transaction.End")


@dataclass(frozen=True, slots=True)
class Signed:
    """One signed value in the station's words."""

    at: datetime
    context: str
    measurand: str
    phase: str | None
    location: str | None
    format: str
    value: str


async def keep_signed(work: Work, session: Session, signed: Sequence[Signed]) -> None:
    """A repeated one is kept once."""
    if not signed:
        return
    await work.session.flush()  # the charge may be new
    rows = {
        content: SignedValue(session_id=session.id, created_at=work.now, content_hash=content, **asdict(one))
        for one in signed
        if (content := _hash(one))
    }
    fresh = insert(SignedValue).values([row.model_dump() for row in rows.values()])
    await work.session.exec(fresh.on_conflict_do_nothing())


async def signed_values_of(work: Work, session_ids: Sequence[UUID]) -> Sequence[SignedValue]:
    """Of several charges, each in the order of time; of very many the first, and those of begin and end."""
    work.require(Permission.VIEW)
    is_end = col(SignedValue.context).in_(_ENDS)
    rank = func.row_number().over(
        partition_by=col(SignedValue.session_id), order_by=(is_end.desc(), col(SignedValue.at), col(SignedValue.id))
    )
    ranked = select(SignedValue.id, rank.label("rank")).where(col(SignedValue.session_id).in_(session_ids)).subquery()
    shown = select(ranked.c.id).where(ranked.c.rank <= SIGNED_MAX)
    query = select(SignedValue).where(col(SignedValue.id).in_(shown))
    return (await work.session.exec(query.order_by(col(SignedValue.at), col(SignedValue.id)))).all()


def _hash(one: Signed) -> str:
    return hashlib.sha256("\n".join(map(str, asdict(one).values())).encode(errors="surrogatepass")).hexdigest()
