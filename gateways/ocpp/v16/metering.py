"""OCPP 1.6, 4.7: meter values, in and outside of transactions."""

from collections.abc import Sequence
from typing import Any

import orjson
from ocpp.v16 import call as request
from ocpp.v16 import call_result as result

from domain import sessions
from gateways.ocpp.link import Call, Handler
from gateways.ocpp.measurands import Meter, Value, record, samples, signed


async def meter(call: Call, m: request.MeterValues) -> result.MeterValues:
    measured = meters(call, m.meter_value)
    async with call.write() as work:
        session = await sessions.meter(
            work,
            station_id=call.station_id,
            transaction_id=transaction(m.transaction_id),
            evse_number=m.connector_id or None,
            samples=samples(measured),
            signed=signed(measured),
        )
    evse_number = session.evse_number if m.connector_id is None and session else m.connector_id
    await record(call, measured, evse_number=evse_number)
    return result.MeterValues()


def transaction(number: int | None) -> str | None:
    """0 and -1 are how stations say that they were never given one."""
    return str(number) if number is not None and number > 0 else None


def meters(call: Call, meter_values: Sequence[dict[str, Any]] | None) -> list[Meter]:
    return [
        Meter(
            at=call.moment(entry.get("timestamp")),
            values=[_value(sampled) for sampled in entry.get("sampled_value") or []],
        )
        for entry in meter_values or []
    ]


def _value(sampled: dict[str, Any]) -> Value:
    is_signed = sampled.get("format") == "SignedData"
    written = sampled.get("value")
    return Value(
        value=None if is_signed else written,
        signed=written if is_signed else None,
        signed_format=_encoding(written) if is_signed and written else None,
        measurand=sampled.get("measurand"),
        unit=sampled.get("unit"),
        phase=sampled.get("phase"),
        location=sampled.get("location"),
        context=sampled.get("context"),
    )


def _encoding(written: str) -> str | None:
    """1.6 has no word for it: OCMF says so itself, and OCA's wrapper has the key that 2.x has."""
    if written.startswith("OCMF|"):
        return "OCMF"
    try:
        wrapper = orjson.loads(written)
    except orjson.JSONDecodeError:
        return None
    return str(wrapper.get("encodingMethod") or "") or None if isinstance(wrapper, dict) else None


HANDLERS: dict[str, Handler] = {"MeterValues": meter}
