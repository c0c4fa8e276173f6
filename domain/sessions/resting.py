"""Where nobody charges any more nothing flows, whether the station says so or not.

Most stations meter during a charge alone. What one was last heard to draw would stand for an hour, in each mean, in
each energy from power, and in the power of a whole site.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from domain import points, stations
from domain.actor import Actor
from domain.points import Quality, Reading, ValueType
from domain.sessions.events import SessionStopped
from domain.sessions.models import Session
from domain.work import Work, Workplace

FLOWS = frozenset(
    f"{quantity}.{way}" for quantity in ("Power.Active", "Power.Reactive", "Current") for way in ("Import", "Export")
)  # measurands of OCPP; `Current.Import.Offered` and `Power.Active.Setpoint` (2.1) are none
AFTER = timedelta(milliseconds=1)  # lest it takes the place of what the station itself measured at the end
POINTS_MAX = 1_000


async def come_to_rest(workplace: Workplace, actor: Actor, event: SessionStopped) -> None:
    """Records 0 for each flow that was ever measured at the EVSE, as of the end; UNCERTAIN, since nobody measured it.

    What the station has said of a later time stays what it is. To be repeated without harm.
    """
    async with workplace.open_work(actor, read_only=True) as work:
        readings = await _at_rest(work, event.session_id)
    if readings:
        async with workplace.open_work(actor) as work:
            await points.record(work, readings)


async def _at_rest(work: Work, session_id: UUID) -> Sequence[Reading]:
    session = await work.session.get(Session, session_id)
    if session is None or session.ended_at is None or session.evse_number is None:  # deleted, or it goes on after all
        return []
    station = await stations.by_id(work, session.station_id)
    place = f"{stations.address_of(station.identity, session.evse_number)}/"
    return [
        Reading(point.address, session.ended_at + AFTER, value=0, unit=point.unit, quality=Quality.UNCERTAIN)
        for point in await points.of_owner(work, station.id, limit=POINTS_MAX)
        if _is_flow(point.address, place) and point.value_type is ValueType.NUMBER and point.expression is None
    ]


def _is_flow(address: str, place: str) -> bool:
    """`<place><measurand>[@<location>][/<phase>]`"""
    measurand, *_ = address.removeprefix(place).replace("@", "/").split("/")
    return address.startswith(place) and measurand in FLOWS
