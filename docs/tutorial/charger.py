"""A charger (OCPP 1.6): it charges at once, and starts and stops when it is told to. Ctrl-C unplugs it."""

import asyncio
import contextlib
import sys
from datetime import UTC, datetime

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result


class Charger(ChargePoint):
    card = "DEMO"  # who charges; None: nobody
    meter_wh = 1000

    @on("RemoteStartTransaction")
    async def remote_start(self, id_tag, **_):
        self.card = id_tag
        return call_result.RemoteStartTransaction("Accepted")

    @on("RemoteStopTransaction")
    async def remote_stop(self, transaction_id):
        self.card = None
        return call_result.RemoteStopTransaction("Accepted")

    @on("GetConfiguration")
    async def get_configuration(self, key=None):
        return call_result.GetConfiguration(unknown_key=key)

    async def live(self):
        await self.call(call.BootNotification("One", "Acme"))
        while True:
            if self.card:
                await self.charge()
            await asyncio.sleep(0.1)

    async def charge(self):
        start = await self.call(call.StartTransaction(1, self.card, self.meter_wh, now()))
        await self.call(call.StatusNotification(1, "NoError", "Charging"))
        while self.card:
            await asyncio.sleep(2)
            self.meter_wh += 4
            sampled = [{"value": str(self.meter_wh)}, {"value": "7200", "measurand": "Power.Active.Import"}]
            meter_value = [{"timestamp": now(), "sampled_value": sampled}]
            await self.call(call.MeterValues(1, meter_value, start.transaction_id))
        await self.call(call.StopTransaction(self.meter_wh, now(), start.transaction_id, "Remote"))
        await self.call(call.StatusNotification(1, "NoError", "Available"))


def now():
    return datetime.now(UTC).isoformat()


async def main(url):
    async with websockets.connect(url, subprotocols=["ocpp1.6"]) as socket:
        charger = Charger("charger", socket)
        await asyncio.gather(charger.start(), charger.live())


with contextlib.suppress(KeyboardInterrupt):
    asyncio.run(main(sys.argv[1]))
