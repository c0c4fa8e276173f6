"""OCPP 1.6, 4.4 and 4.5, and the security whitepaper's L and N: how far an update or an upload has come."""

from ocpp.v16 import call as request
from ocpp.v16 import call_result as result

from domain import stations
from gateways.ocpp.link import Call, Handler


async def firmware(call: Call, m: request.FirmwareStatusNotification) -> result.FirmwareStatusNotification:
    await _progress(call, firmware=m.status)
    return result.FirmwareStatusNotification()


async def signed_firmware(
    call: Call, m: request.SignedFirmwareStatusNotification
) -> result.SignedFirmwareStatusNotification:
    await _progress(call, firmware=m.status)
    return result.SignedFirmwareStatusNotification()


async def diagnostics(call: Call, m: request.DiagnosticsStatusNotification) -> result.DiagnosticsStatusNotification:
    await _progress(call, upload=m.status)
    return result.DiagnosticsStatusNotification()


async def log(call: Call, m: request.LogStatusNotification) -> result.LogStatusNotification:
    await _progress(call, upload=m.status)
    return result.LogStatusNotification()


async def _progress(call: Call, *, firmware: str | None = None, upload: str | None = None) -> None:
    async with call.write() as work:
        await stations.report_progress(work, station_id=call.station_id, firmware=firmware, upload=upload)


HANDLERS: dict[str, Handler] = {
    "FirmwareStatusNotification": firmware,
    "SignedFirmwareStatusNotification": signed_firmware,
    "DiagnosticsStatusNotification": diagnostics,
    "LogStatusNotification": log,
}
