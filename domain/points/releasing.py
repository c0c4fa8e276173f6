from domain.actor import Actor
from domain.points import quarantine
from domain.points.known import DIRECTORY
from domain.points.models import ValueType
from domain.points.readings import Reading, Recorded
from domain.points.recording import record
from domain.work import Workplace


async def release_quarantined(
    workplace: Workplace, actor: Actor, *, address: str, value_type: ValueType | None = None, unit: str | None = None
) -> Recorded:
    """Lets in what waits at a point, which becomes one of that type; at most 10,000 at a time, the oldest first.

    `unit` is what the readings that name one are in, whatever they said. What does not fit even so goes on waiting, and
    is told in the answer.
    """
    async with workplace.open_work(actor) as work:
        waiting = await quarantine.retype(work, address=address, value_type=value_type)
    DIRECTORY.of(actor.tenant_id).forget(address)
    async with workplace.open_work(actor) as work:
        recorded = await record(work, [_in_unit(row.reading, unit) for row in waiting])
    left = {problem.index for problem in (*recorded.errors, *recorded.quarantined)}
    async with workplace.open_work(actor) as work:
        await quarantine.settle(work, [row for index, row in enumerate(waiting) if index not in left])
    return recorded


def _in_unit(reading: Reading, unit: str | None) -> Reading:
    return reading if unit is None or reading.unit is None else reading._replace(unit=unit)
