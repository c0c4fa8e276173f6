"""OCPP 1.6, 4.8 and 4.10: a charge begins and ends. Both have happened when we hear of it, so neither is refused."""

from ocpp.v16 import call as request
from ocpp.v16 import call_result as result
from ocpp.v16.enums import Reason

from domain import reservations, sessions
from domain.sessions import Purpose
from gateways.ocpp.link import Call, Handler
from gateways.ocpp.measurands import record, samples, signed
from gateways.ocpp.v16.authorization import id_tag_info
from gateways.ocpp.v16.metering import meters, transaction


async def start(call: Call, m: request.StartTransaction) -> result.StartTransaction:
    async with call.write() as work:
        started = await sessions.start(
            work,
            station_id=call.station_id,
            evse_number=m.connector_id or None,
            connector_number=1 if m.connector_id else None,
            token_uid=m.id_tag,
            at=call.moment(m.timestamp),
            said_at=str(m.timestamp),
            meter_wh=m.meter_start,
        )
        if m.reservation_id is not None:
            await reservations.use(
                work, station_id=call.station_id, number=m.reservation_id, session_id=started.session.id
            )
    authorization = await sessions.ask_elsewhere(
        call.workplace,
        call.actor,
        started.authorization,
        token_uid=m.id_tag,
        station_id=call.station_id,
        evse_number=m.connector_id or None,
    )
    call.plugs.forget()  # that a plug is free is news again, also of a station that says nothing in between
    return result.StartTransaction(
        transaction_id=int(started.session.transaction_id), id_tag_info=id_tag_info(authorization)
    )


async def stop(call: Call, m: request.StopTransaction) -> result.StopTransaction:
    measured = meters(call, m.transaction_data)
    transaction_id = transaction(m.transaction_id)
    async with call.write() as work:
        session = await sessions.stop(
            work,
            station_id=call.station_id,
            transaction_id=transaction_id,
            at=call.moment(m.timestamp),
            meter_wh=m.meter_stop,
            token_uid=m.id_tag,
            reason=m.reason or Reason.local,
            samples=samples(measured),
            signed=signed(measured),
        )
        authorization = (
            await sessions.authorize(
                work,
                token_uid=m.id_tag,
                station_id=call.station_id,
                transaction_id=transaction_id,
                purpose=Purpose.STOP,
            )
            if m.id_tag
            else None
        )
    await record(call, measured, evse_number=None if session is None else session.evse_number)
    return result.StopTransaction(id_tag_info=authorization and id_tag_info(authorization))


HANDLERS: dict[str, Handler] = {"StartTransaction": start, "StopTransaction": stop}
