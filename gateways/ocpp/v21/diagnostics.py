"""OCPP 2.1, N: periodic event streams. Each is a point of the station: values keep coming, and nobody is answered."""

from datetime import timedelta
from typing import Any

from ocpp.v21 import call as request
from ocpp.v21 import call_result as result
from ocpp.v21.enums import GenericStatusEnumType

from gateways.ocpp.link import Call, Handler
from gateways.ocpp.measurands import Meter, Value, record


async def opened(_call: Call, _m: request.OpenPeriodicEventStream) -> result.OpenPeriodicEventStream:
    return result.OpenPeriodicEventStream(status=GenericStatusEnumType.accepted)


async def closed(_call: Call, _m: request.ClosePeriodicEventStream) -> result.ClosePeriodicEventStream:
    return result.ClosePeriodicEventStream()


async def streamed(call: Call, m: dict[str, Any]) -> None:
    """The package has no class for the one message that is sent and not called."""
    since, name = call.moment(m["basetime"]), f"PeriodicEventStream.{m['id']}"
    measured = [
        Meter(at=since + timedelta(seconds=sampled["t"]), values=[Value(value=sampled["v"], measurand=name)])
        for sampled in m["data"]
    ]
    await record(call, measured, evse_number=0)


HANDLERS: dict[str, Handler] = {
    "OpenPeriodicEventStream": opened,
    "ClosePeriodicEventStream": closed,
    "NotifyPeriodicEventStream": streamed,
}
