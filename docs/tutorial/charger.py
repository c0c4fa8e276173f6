"""A charger of OCPP 1.6: it boots, charges with the token DEMO, and stops when it is told to."""

import asyncio
import sys
from datetime import UTC, datetime

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result


class Charger(ChargePoint):
    stopped = asyncio.Event()

    @on("RemoteStopTransaction")
    async def stop(self, transaction_id):
        self.stopped.set()
        return call_result.RemoteStopTransaction(status="Accepted")


def now():
    return datetime.now(UTC).isoformat()


async def main(url):
    async with websockets.connect(url, subprotocols=["ocpp1.6"]) as socket:
        charger, energy_wh = Charger("charger", socket), 0
        listening = asyncio.create_task(charger.start())
        await charger.call(call.BootNotification(charge_point_vendor="Acme", charge_point_model="One"))
        await charger.call(call.StatusNotification(connector_id=1, error_code="NoError", status="Charging"))
        start = await charger.call(call.StartTransaction(connector_id=1, id_tag="DEMO", meter_start=0, timestamp=now()))
        print("charging as transaction", start.transaction_id)
        while not charger.stopped.is_set():
            await asyncio.sleep(2)
            energy_wh += 4
            sampled = [{"value": str(energy_wh)}, {"measurand": "Power.Active.Import", "value": "7200"}]
            meter_value = [{"timestamp": now(), "sampled_value": sampled}]
            await charger.call(
                call.MeterValues(connector_id=1, transaction_id=start.transaction_id, meter_value=meter_value)
            )
        await charger.call(
            call.StopTransaction(
                transaction_id=start.transaction_id, meter_stop=energy_wh, timestamp=now(), reason="Remote"
            )
        )
        await charger.call(call.StatusNotification(connector_id=1, error_code="NoError", status="Available"))
        print("stopped at", energy_wh, "Wh")
        listening.cancel()


asyncio.run(main(sys.argv[1]))
