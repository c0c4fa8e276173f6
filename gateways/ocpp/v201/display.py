"""OCPP 2.0.1, O: what a station's display shows is taken note of."""

from ocpp.v201 import call as request
from ocpp.v201 import call_result as result

from gateways.ocpp.link import Call, Handler


async def messages(_call: Call, _m: request.NotifyDisplayMessages) -> result.NotifyDisplayMessages:
    return result.NotifyDisplayMessages()


HANDLERS: dict[str, Handler] = {"NotifyDisplayMessages": messages}
