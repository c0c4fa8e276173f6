"""Places that a station keeps for cards: OCPP 1.6, 5.13 and 5.1; 2.0.1, H. One that is asked for without an outlet is
kept at the first that is free. Groups of cards it does not know."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from gateways.sim.charger import Charger
from gateways.sim.outlet import Outlet, Place, Status
from gateways.sim.wire import Answer


def reserve(charger: Charger, number: int, *, uid: str, until: str, outlet_number: int | None) -> Answer:
    """Another reservation under the same number takes its own place."""
    place = Place(number, uid, _aware(datetime.fromisoformat(until)))
    outlets = [outlet for outlet in charger.outlets if outlet_number in (None, outlet.number)]
    if not outlets or place.until <= charger.clock():
        return Answer({"status": "Rejected"})
    in_service = [outlet for outlet in outlets if charger.in_service(outlet)]
    if not in_service:
        return Answer({"status": "Unavailable"})
    free = next((outlet for outlet in in_service if _is_free(outlet, number)), None)
    if free is None:
        return Answer({"status": "Occupied"})
    return Answer({"status": "Accepted"}, then=lambda: charger.keep_place(free, place))


def cancel(charger: Charger, number: int) -> Answer:
    outlet = charger.outlet_kept(number)
    if outlet is None:
        return Answer({"status": "Rejected"})
    return Answer({"status": "Accepted"}, then=lambda: charger.free_place(outlet))


async def expire(charger: Charger) -> None:
    """For ever: lets go what nobody came for."""
    while True:
        charger.places_changed.clear()
        for outlet in charger.outlets:
            if outlet.place is not None and outlet.place.until <= charger.clock():
                charger.free_place(outlet, told="Expired")
        ends = [outlet.place.until for outlet in charger.outlets if outlet.place is not None]
        left_s = (min(ends) - charger.clock()).total_seconds() if ends else None
        with suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await charger.places_changed.wait()


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _is_free(outlet: Outlet, number: int) -> bool:
    kept = outlet.place is not None and outlet.place.number != number
    return outlet.status is Status.AVAILABLE and outlet.order is None and not kept
