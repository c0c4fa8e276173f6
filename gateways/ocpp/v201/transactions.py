"""OCPP 2.0.1, E: what a transaction is doing, from its start to its end, heard in whatever order."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.datatypes import IdTokenInfoType, IdTokenType
from ocpp.v201.enums import AuthorizationStatusEnumType, IdTokenEnumType, ReasonEnumType

from domain import reservations, sessions, stations
from domain.errors import DomainError
from domain.sessions import Authorization, ChargingState, Reported, Stage
from domain.stations import StationStatus
from domain.work import Work
from gateways.ocpp.link import Call, Handler, waited
from gateways.ocpp.measurands import record, samples, signed
from gateways.ocpp.v201.authorization import id_token_info
from gateways.ocpp.v201.metering import meters

STAGE = {"Started": Stage.STARTED, "Updated": Stage.UPDATED, "Ended": Stage.ENDED}
STATE = {
    "Charging": ChargingState.CHARGING,
    "EVConnected": ChargingState.EV_CONNECTED,
    "SuspendedEV": ChargingState.SUSPENDED_EV,
    "SuspendedEVSE": ChargingState.SUSPENDED_EVSE,
    "Idle": ChargingState.IDLE,
}
PATIENCE_S = 10.0

# What Occupied does not tell; the other states add nothing to it.
STATUS = {
    ChargingState.CHARGING: StationStatus.CHARGING,
    ChargingState.SUSPENDED_EV: StationStatus.SUSPENDED_EV,
    ChargingState.SUSPENDED_EVSE: StationStatus.SUSPENDED_EVSE,
}


async def report(call: Call, m: request.TransactionEvent) -> result.TransactionEvent:
    measured, stage, about = meters(call, m.meter_value), STAGE[m.event_type], m.transaction_info
    at = call.moment(m.timestamp)
    async with call.write() as work:
        reported = await sessions.report(
            work,
            station_id=call.station_id,
            transaction_id=about.transaction_id,
            stage=stage,
            at=at,
            seq=m.seq_no,
            evse_number=(m.evse.id if m.evse else None) or None,
            connector_number=m.evse.connector_id if m.evse else None,
            token_uid=m.id_token.id_token if m.id_token and not _needs_none(m.id_token) else None,
            samples=samples(measured),
            state=STATE.get(about.charging_state or ""),
            reason=(about.stopped_reason or ReasonEnumType.local) if stage is Stage.ENDED else None,
            offline=bool(m.offline),
            remote_start_number=about.remote_start_id,
            signed=signed(measured),
        )
        if m.reservation_id is not None:
            await reservations.use(
                work, station_id=call.station_id, number=m.reservation_id, session_id=reported.session.id
            )
        await _show(work, reported)
    await record(call, measured, evse_number=reported.session.evse_number)
    authorization = reported.authorization and await sessions.ask_elsewhere(
        call.workplace,
        call.actor,
        reported.authorization,
        token_uid=m.id_token.id_token if m.id_token else None,
        station_id=call.station_id,
        evse_number=reported.session.evse_number,
    )
    if stage is Stage.STARTED:
        call.plugs.forget()  # that a plug is free is news again
    if reported.asks:
        call.after(_ask(call, about.transaction_id))
    return result.TransactionEvent(id_token_info=_answer(m.id_token, authorization))


def _answer(shown: IdTokenType | None, authorization: Authorization | None) -> IdTokenInfoType | None:
    """C02: a charge that needs no card says so, and is accepted."""
    if authorization is not None:
        return id_token_info(authorization)
    return IdTokenInfoType(status=AuthorizationStatusEnumType.accepted) if shown else None


def _needs_none(shown: IdTokenType) -> bool:
    return bool(shown.type == IdTokenEnumType.no_authorization)


async def _ask(call: Call, transaction_id: str) -> None:
    """E14: whether messages of a transaction wait at the station. While they do, each of them may ask again.

    Not at once: what only took another way comes soon.
    """
    if not await waited(call.socket, PATIENCE_S) or not await _lacks(call, transaction_id):
        return
    try:
        answer = await call.socket.call(request.GetTransactionStatus(transaction_id=transaction_id))
    except DomainError:
        return  # it cannot say, or it is gone
    if answer.messages_in_queue:
        return
    async with call.write() as work:
        await sessions.hear_all_sent(
            work, station_id=call.station_id, transaction_id=transaction_id, is_ongoing=answer.ongoing_indicator
        )


async def _lacks(call: Call, transaction_id: str) -> bool:
    async with call.write() as work:
        return await sessions.lacks_messages(work, station_id=call.station_id, transaction_id=transaction_id)


async def _show(work: Work, reported: Reported) -> None:
    """The EVSE shows what its charge is doing."""
    session = reported.session
    if session.evse_number is None or not reported.state_changed:
        return
    await stations.report_charging_state(
        work,
        station_id=session.station_id,
        evse_number=session.evse_number,
        state=None if session.ended_at or session.charging_state is None else STATUS.get(session.charging_state),
        at=session.ended_at or session.charging_state_at or session.started_at,
    )


HANDLERS: dict[str, Handler] = {"TransactionEvent": report}
