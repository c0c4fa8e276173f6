"""Chargers that never stop charging, and what they were told is taken."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from websockets.exceptions import ConnectionClosed

from tests.journeys.chargers import Bare, CallError, now, written
from tests.journeys.clients import Operator

SESSIONS = """
query ($i: String!) { sessions(first: 500, filter: { stationIdentity: $i }) { nodes {
  transactionId status energyWh
} pageInfo { hasNextPage } } }
"""
HISTORY = """
query ($p: [String!]!, $from: DateTime!, $to: DateTime!) { history(points: $p, from: $from, to: $to) {
  timestamps series { values }
} }
"""


@dataclass
class Ledger:
    """What one charger was told is taken."""

    identity: str
    began: datetime = field(default_factory=lambda: now() - timedelta(minutes=4))
    started: set[str] = field(default_factory=set)
    stopped: dict[str, float] = field(default_factory=dict)
    readings: dict[datetime, float] = field(default_factory=dict)
    refused: list[CallError] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _ticks: int = 0

    def tick(self) -> datetime:
        """A time of its own for each message."""
        self._ticks += 1
        return self.began + timedelta(milliseconds=self._ticks)

    async def ended(self, number: str, wh: float) -> None:
        async with self._changed:
            self.stopped[number] = wh
            self._changed.notify_all()

    async def more(self, count: int) -> None:
        """Waits for so many charges to end from now on."""
        enough = len(self.stopped) + count
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.stopped) >= enough)


async def charge_for_ever(base: str, ledger: Ledger) -> int:
    """Charge after charge, until the server hangs up; with which code it does."""
    async with Bare.connected(base, ledger.identity) as charger:
        with suppress(ConnectionClosed):
            while True:
                try:
                    await _charge(charger, ledger)
                except CallError as error:
                    ledger.refused.append(error)
    assert charger.connection.close_code is not None
    return charger.connection.close_code


async def _charge(charger: Bare, ledger: Ledger) -> None:
    start = {"connectorId": 1, "idTag": "NOBODY", "meterStart": 0, "timestamp": written(ledger.tick())}
    number = (await charger.call("StartTransaction", start))["transactionId"]
    ledger.started.add(str(number))
    for wh in (100, 200, 300):
        at = ledger.tick()
        entry = {"timestamp": written(at), "sampledValue": [{"value": str(wh)}]}
        values = {"connectorId": 1, "transactionId": number, "meterValue": [entry]}
        await charger.call("MeterValues", values)
        ledger.readings[at] = wh
    stop = {"transactionId": number, "meterStop": 400, "timestamp": written(ledger.tick())}
    await charger.call("StopTransaction", stop)
    await ledger.ended(str(number), 400)


async def assert_kept(operator: Operator, ledger: Ledger) -> None:
    """All that was acknowledged is there, once."""
    found = await operator.ask(SESSIONS, i=ledger.identity)
    assert not found["pageInfo"]["hasNextPage"]
    kept = {node["transactionId"]: node for node in found["nodes"]}
    assert len(kept) == len(found["nodes"])
    assert ledger.started <= kept.keys()
    for transaction_id, energy_wh in ledger.stopped.items():
        assert (kept[transaction_id]["status"], kept[transaction_id]["energyWh"]) == ("COMPLETED", energy_wh)
    history = await operator.ask(
        HISTORY,
        p=[f"station/{ledger.identity}/1/Energy.Active.Import.Register"],
        **{"from": written(ledger.began), "to": written(ledger.tick())},
    )
    rows = zip(history["timestamps"], history["series"][0]["values"], strict=True)
    assert ledger.readings.items() <= {datetime.fromisoformat(at): wh for at, wh in rows}.items()
