"""OCPP 2.0.1, J: meter values. Those of a transaction come with its TransactionEvents; these name an EVSE alone."""

from collections.abc import Sequence
from typing import Any, cast

import orjson
from ocpp.v201 import call as request
from ocpp.v201 import call_result as result
from ocpp.v201.datatypes import MeterValueType, SampledValueType

from domain import sessions
from gateways.ocpp.link import Call, Handler
from gateways.ocpp.measurands import Meter, Value, record, samples, signed


async def meter(call: Call, m: request.MeterValues) -> result.MeterValues:
    measured = meters(call, m.meter_value)
    if m.evse_id:
        async with call.write() as work:
            await sessions.meter(
                work,
                station_id=call.station_id,
                evse_number=m.evse_id,
                samples=samples(measured),
                signed=signed(measured),
            )
    await record(call, measured, evse_number=m.evse_id)
    return result.MeterValues()


def meters(call: Call, meter_values: Sequence[MeterValueType] | None) -> list[Meter]:
    return [
        Meter(
            at=call.moment(entry.timestamp),
            values=[_value(sampled) for sampled in entry.sampled_value or []],
        )
        for entry in meter_values or []
    ]


def _value(sampled: SampledValueType) -> Value:
    unit, by_meter = sampled.unit_of_measure, cast("dict[str, Any] | None", sampled.signed_meter_value)
    return Value(
        value=sampled.value,
        measurand=sampled.measurand,
        unit=unit.unit if unit else None,
        multiplier=(unit.multiplier if unit else None) or 0,
        phase=sampled.phase,
        location=sampled.location,
        context=sampled.context,
        signed=orjson.dumps(by_meter).decode() if by_meter else None,  # every key as it came, in its order
        signed_format=str(by_meter.get("encodingMethod") or "") if by_meter else None,
    )


HANDLERS: dict[str, Handler] = {"MeterValues": meter}
