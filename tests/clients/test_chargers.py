"""Stations of others, unmodified: the checks of ocpp-ws-cli, and ocpp-rpc, which is strict about each of our frames."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.talking import Talker
from tests.journeys.chargers import now, written
from tests.journeys.clients import Operator, Tenant
from tests.journeys.servers import Server

pytestmark = [pytest.mark.anyio]

CHECKS = 21
GUARD_S = 180.0

CHARGE_16: list[tuple[str, dict[str, Any]]] = [
    ("StatusNotification", {"connectorId": 0, "errorCode": "NoError", "status": "Available"}),
    ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}),
    ("Heartbeat", {}),
    ("DataTransfer", {"vendorId": "nobody"}),
]
BOX = {"vendorName": "ocpp-rpc", "model": "strict"}
CARD = {"type": "ISO14443"}


async def checks(node_modules: Path, endpoint: str, protocol: str, folder: Path) -> dict[str, bool]:
    """What ocpp-ws-cli's whole suite says, by the name of the check."""
    command = ["node", str(node_modules / "ocpp-ws-cli" / "dist" / "index.js"), "test", "--suite", "all"]
    command += ["--endpoint", endpoint, "--identity", f"CLI-{protocol}", "--protocol", protocol]
    command += ["--report", "json", "--report-dir", str(folder)]
    silence = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdin=silence, stdout=silence, stderr=silence)
    try:
        async with asyncio.timeout(GUARD_S):
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _reported(folder)


def _reported(folder: Path) -> dict[str, bool]:
    (report,) = folder.glob("*.json")
    return {check["name"]: check["passed"] for check in json.loads(report.read_text())["testResults"]}


async def test_the_server_passes_every_check_of_ocpp_ws_cli(
    node_modules: Path, application: Server, tenant: Tenant, tmp_path: Path
) -> None:
    endpoint = f"{application.ocpp}/{tenant.slug}"
    folders = {protocol: tmp_path / protocol for protocol in ("ocpp1.6", "ocpp2.0.1")}
    for folder in folders.values():
        folder.mkdir()
    results = await asyncio.gather(
        *(checks(node_modules, endpoint, protocol, folder) for protocol, folder in folders.items())
    )
    for passed in results:
        assert len(passed) == CHECKS
        assert [name for name, ok in passed.items() if not ok] == []


class Strict:
    """A station of ocpp-rpc; what it thinks of a frame of ours it says."""

    def __init__(self, talker: Talker) -> None:
        self._talker = talker

    async def call(self, action: str, **payload: Any) -> dict[str, Any]:
        await self._talker.say(call=action, payload=payload)
        said = await self._talker.until(lambda one: "answer" in one or "error" in one)
        assert "answer" in said, said
        answer: dict[str, Any] = said["answer"]
        return answer

    async def ordered(self, action: str) -> dict[str, Any]:
        order: dict[str, Any] = (await self._talker.until_it_tells(order=action))["payload"]
        return order

    @property
    def complaints(self) -> list[Any]:
        return [one for one in self._talker.heard if "strict" in one or "bad" in one]


async def charge_16(station: Strict, uid: str) -> None:
    card = {"idTag": uid}
    boot = await station.call("BootNotification", chargePointVendor="ocpp-rpc", chargePointModel="strict")
    assert boot["status"] == "Accepted"
    for action, payload in CHARGE_16:
        await station.call(action, **payload)
    assert (await station.call("Authorize", **card))["idTagInfo"]["status"] == "Accepted"
    started = await station.call("StartTransaction", connectorId=1, meterStart=1_000, timestamp=written(now()), **card)
    number = started["transactionId"]
    for wh in (1_500, 2_000):
        values = [{"timestamp": written(now()), "sampledValue": [{"value": str(wh)}]}]
        await station.call("MeterValues", connectorId=1, transactionId=number, meterValue=values)
    await station.call("StopTransaction", meterStop=2_500, timestamp=written(now()), transactionId=number, **card)


async def charge_2(station: Strict, uid: str) -> None:
    card = {"idToken": {"idToken": uid, **CARD}}
    boot = await station.call("BootNotification", reason="PowerUp", chargingStation=BOX)
    assert boot["status"] == "Accepted"
    place = {"evseId": 1, "connectorId": 1, "connectorStatus": "Occupied"}
    await station.call("StatusNotification", timestamp=written(now()), **place)
    await station.call("Heartbeat")
    await station.call("DataTransfer", vendorId="nobody")
    assert (await station.call("Authorize", **card))["idTokenInfo"]["status"] == "Accepted"
    events: list[tuple[str, str, int, dict[str, Any]]] = [
        ("Started", "Authorized", 1_000, {"evse": {"id": 1, "connectorId": 1}, **card}),
        ("Updated", "MeterValuePeriodic", 2_000, {}),
        ("Ended", "StopAuthorized", 2_500, card),
    ]
    for number, (kind, trigger, wh, more) in enumerate(events):
        await station.call(
            "TransactionEvent",
            eventType=kind,
            triggerReason=trigger,
            timestamp=written(now()),
            seqNo=number,
            transactionInfo={"transactionId": f"strict-{uid}", "chargingState": "Charging"},
            meterValue=[{"timestamp": written(now()), "sampledValue": [{"value": wh}]}],
            **more,
        )


CHARGES = {"ocpp1.6": charge_16, "ocpp2.0.1": charge_2, "ocpp2.1": charge_2}
ANSWERS = {
    "Reset": {"status": "Accepted"},
    "UnlockConnector": {"status": "Unlocked"},
    "ChangeAvailability": {"status": "Accepted"},
    "TriggerMessage": {"status": "Accepted"},
    "RemoteStartTransaction": {"status": "Accepted"},
    "RequestStartTransaction": {"status": "Accepted"},
}
ORDERS = {
    "ChangeAvailability": "changeAvailability: {operationalStatus: OPERATIVE, evseNumber: 1}",
    "TriggerMessage": "triggerMessage: {message: HEARTBEAT}",
    "UnlockConnector": "unlockConnector: {evseNumber: 1}",
    "Reset": "reset: {type: SOFT}",
}


@pytest.mark.usefixtures("node_modules")
@pytest.mark.parametrize("protocol", CHARGES)
async def test_a_strict_station_charges_and_obeys_and_has_nothing_to_complain_of(
    application: Server, tenant: Tenant, protocol: str
) -> None:
    identity = f"STRICT-{protocol}"
    endpoint = f"{application.ocpp}/{tenant.slug}"
    given = {"endpoint": endpoint, "identity": identity, "protocol": protocol, "answers": ANSWERS}
    async with Operator(application.url, tenant.secret) as operator:
        uid = await operator.token()
        async with Talker.running("charger.mjs", **given) as talker:
            station = Strict(talker)
            await talker.until_it_tells(protocol=protocol)
            await CHARGES[protocol](station, uid)
            seen = await operator.station(identity, "id status")
            start = "RemoteStartTransaction" if protocol == "ocpp1.6" else "RequestStartTransaction"
            for action, command in {**ORDERS, start: f'remoteStart: {{tokenUid: "{uid}"}}'}.items():
                order = (
                    f"mutation ($id: ID!) {{ sendCommand(stationId: $id, command: {{{command}}}) {{ status error }} }}"
                )
                assert await operator.ask(order, id=seen["id"]) == {"status": "ACCEPTED", "error": None}
                await station.ordered(action)
            assert station.complaints == []
        sessions = await operator.ask(
            "query ($id: ID!) { sessions(filter: {stationId: $id}) { nodes { status energyWh token { uid } } } }",
            id=seen["id"],
        )
    assert sessions["nodes"] == [{"status": "COMPLETED", "energyWh": 1_500, "token": {"uid": uid}}]
