"""What a newcomer sees after one command: a fleet that charges, and whatever they connect to it."""

import asyncio
import os
import pty
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from tests.journeys.chargers import Bare, Charger, Charger16, Charger201
from tests.journeys.clients import Operator
from tests.journeys.servers import GUARD_S, Server, command, running

pytestmark = pytest.mark.anyio

SESSIONS = """
subscription { sessionUpdates { kind session {
  id station { identity ocppVersion } tokenUid status energyWh powerW
} } }
"""
STATIONS = "subscription { stationStatusUpdates { station { identity online status } } }"


@pytest.fixture(scope="module")
def demo(folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    """What `make run` runs."""
    with running(
        Server(folder / "demo", "demo", "--port", "0", **environment, VOLTGRAPH_STATION_POLICY=None)
    ) as server:
        yield server


@pytest.fixture
async def newcomer(demo: Server, anyio_backend: str) -> AsyncIterator[Operator]:
    secret = (demo.data_dir / "demo.credential").read_text().strip()
    assert secret in demo.log.read_text()
    async with Operator(demo.url, secret) as operator:
        yield operator


@contextmanager
def a_command(server: Server, *arguments: str, **given: Any) -> Iterator[Any]:
    environment = {**server.environment, "VOLTGRAPH_PORT": str(server.port)}
    process = command(*arguments, environment=environment, **given)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def line(process: Any, wanted: Callable[[str], bool]) -> str:
    """The first that is wanted."""
    async with asyncio.timeout(GUARD_S):
        while True:
            text = await asyncio.to_thread(process.stdout.readline)
            assert text, process.stderr.read()
            if wanted(text):
                return str(text).rstrip()


@pytest.mark.parametrize("kind", [Charger16, Charger201])
async def test_an_outside_charger_appears_as_the_fleet_does(
    kind: type[Charger], demo: Server, newcomer: Operator
) -> None:
    async with newcomer.watching(SESSIONS) as charges, newcomer.watching(STATIONS) as stations:
        async with kind.connected(f"{demo.ocpp}/demo", "CP-1") as charger:
            assert await charger.boot() == "Accepted"
            assert await charger.authorize("DEMO") == "Accepted"
            await charger.plug_in()
            await charger.start("DEMO", 1_000)
            await charger.meter(1_250, 11_000)
            await stations.until(
                lambda told: told["station"] == {"identity": "CP-1", "online": True, "status": "CHARGING"}
            )
            await charger.stop(1_500)
            await charger.unplug()
            last = await charges.until(
                lambda told: told["kind"] == "STOPPED" and told["session"]["station"]["identity"] == "CP-1"
            )
        await stations.until(
            lambda told: told["station"] == {"identity": "CP-1", "online": False, "status": "AVAILABLE"}
        )

    assert last["session"].pop("id")
    assert last["session"] == {
        "station": {"identity": "CP-1", "ocppVersion": kind.subprotocol},
        "tokenUid": "DEMO",
        "status": "COMPLETED",
        "energyWh": 500,
        "powerW": None,
    }


async def test_watch_tells_of_every_change_in_lines(demo: Server) -> None:
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with a_command(demo, "watch", **given) as watch:
        await line(watch, lambda text: "SIM-001" in text)
        async with Bare.connected(f"{demo.ocpp}/demo", "CP-2") as charger:
            start = {"connectorId": 1, "idTag": "DEMO", "meterStart": 0, "timestamp": "2026-01-01T00:00:00Z"}
            started = await charger.call("StartTransaction", start)
            stop = {**started, "meterStop": 2_500, "timestamp": "2026-01-01T01:00:00Z"}
            await charger.call(
                "StopTransaction", {name: stop[name] for name in ("transactionId", "meterStop", "timestamp")}
            )
            shown = await line(watch, lambda text: text.startswith("CP-2") and "STOPPED" in text)
        await line(watch, lambda text: text.startswith("CP-2") and "offline" in text)
        watch.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(watch.wait, GUARD_S) == 0

    assert "2.50 kWh" in shown
    assert "COMPLETED" in shown


async def test_watch_prints_a_subscription_that_is_given_to_it_as_json(demo: Server) -> None:
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with a_command(demo, "watch", "subscription { pointUpdates { address value } }", **given) as watch:
        item = orjson.loads(await line(watch, lambda text: "Power.Active.Import" in text))

    assert item["pointUpdates"]["address"].startswith("station/")
    assert item["pointUpdates"]["value"] is not None


async def test_watch_follows_what_one_station_says(demo: Server) -> None:
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    async with Bare.connected(f"{demo.ocpp}/demo", "CP-3") as charger:
        with a_command(demo, "watch", "--station", "CP-3", **given) as watch:
            await line(watch, lambda text: "· EVENT  connected" in text)
            await charger.call("BootNotification", {"chargePointVendor": "Voltex", "chargePointModel": "One"})
            call = await line(watch, lambda text: "← CALL   BootNotification {" in text)
            answer = await line(watch, lambda text: "→ RESULT BootNotification " in text)

    assert '{"chargePointVendor":"Voltex","chargePointModel":"One"}' in call
    assert ' ms {"' in answer


async def test_watch_draws_a_table_in_a_terminal(demo: Server) -> None:
    ours, theirs = pty.openpty()
    try:
        with a_command(demo, "watch", stdout=theirs, stderr=theirs, stdin=theirs) as watch:
            seen = b""
            async with asyncio.timeout(GUARD_S):
                while not all(part in seen for part in (b"Voltgraph fleet", b"SIM-001", b"SIM-005")):
                    seen += await asyncio.to_thread(os.read, ours, 65_536)
            assert watch.poll() is None
    finally:
        os.close(theirs)
        os.close(ours)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("subscription { nonsense }",), "Cannot query field 'nonsense'"),
        (("--station", "NOBODY"), "station NOBODY does not exist"),
        (("--credential", "vg_nonsense"), "the server closed the connection"),
        (("--url", "http://127.0.0.1:1/graphql"), "cannot be reached"),
    ],
)
async def test_watch_says_in_one_line_why_it_cannot(arguments: tuple[str, ...], complaint: str, demo: Server) -> None:
    done = demo.run("watch", *arguments, VOLTGRAPH_PORT=str(demo.port))

    assert done.returncode == 1
    (said,) = done.stderr.splitlines()
    assert said.startswith("voltgraph watch: ")
    assert complaint in said


async def test_a_browser_gets_graphiql(demo: Server) -> None:
    async with httpx2.AsyncClient(follow_redirects=True, headers={"Accept": "text/html"}) as browser:
        page = await browser.get(f"{demo.url}/")

    assert page.status_code == 200
    assert page.url.path == "/graphql"
    assert "graphiql" in page.text.lower()


async def test_the_fleet_charges_with_power(newcomer: Operator) -> None:
    """At least five stations, in both versions, each with a charge that is metered."""
    async with newcomer.watching(SESSIONS) as charges:
        powered: dict[str, str] = {}
        while len(powered) < 5 or set(powered.values()) != {"ocpp1.6", "ocpp2.0.1"}:
            update = await charges.until(lambda told: (told["session"]["powerW"] or 0) > 0)
            station = update["session"]["station"]
            powered[station["identity"]] = station["ocppVersion"]
            assert update["session"]["tokenUid"] == "DEMO"
            assert update["session"]["powerW"] < 400_000
    assert all(identity.startswith("SIM-") for identity in powered)
    points = await newcomer.ask('{ points(filter: { prefix: "station/SIM-" }) { totalCount } }')
    assert points["totalCount"] > 5
