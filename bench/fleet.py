"""5,000 stations at work on one worker, restarted in the middle, and what became of every charge.

Beside it the same fleet on a bare server that validates and answers and keeps nothing.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx2

from bench.rows import Row
from bench.serving import Server, bare_server, data_folder, server
from gateways.sim import Report, run_stations
from voltgraph import logging

STATIONS = int(os.environ.get("BENCH_STATIONS", "5000"))
FLEETS = {"1.6": 0.6, "2.0.1": 0.4}
CHARGING = 0.2
METER_S, HEARTBEAT_S = 10.0, 60
SETTLE_S = 45.0  # until what a crowd of new stations has to say is dealt with
STEADY_S = float(os.environ.get("BENCH_STEADY_S", "90"))
FINISH_S = 120.0
ALL_BACK_S = 300.0
SETTINGS = {
    "VOLTGRAPH_HEARTBEAT_INTERVAL_S": str(HEARTBEAT_S),
    "VOLTGRAPH_GRAPHQL_BUDGET_PER_S": "0",
    "VOLTGRAPH_STATION_CONFIGURATION_DAYS": "0",  # a fleet at work is known: not one that comes for the first time
    "VOLTGRAPH_STATION_PING_S": "0",
}
CARD = 'mutation { createToken(input: { uid: "DEMO" }) { id } }'
SESSIONS = """
query ($after: String) { sessions(first: 500, after: $after) { nodes {
  station { identity } transactionId status energyWh
} pageInfo { hasNextPage endCursor } } }
"""

Charge = tuple[str, str]
"""The station's identity and the transaction's id."""


@dataclass
class Window:
    """What went through in a while of quiet work."""

    began_s: float  # by the loop's clock, as the stations' waits
    ended_s: float
    messages_per_s: float
    cpu_s_per_message: float
    server_share: float


@dataclass
class Fleet:
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    running: list[asyncio.Task[Report]] = field(default_factory=list)

    async def ended(self) -> list[Report]:
        self.stop.set()
        return list(await asyncio.gather(*self.running))


def run() -> list[Row]:
    logging.configure(log_format="console", level="error")
    with data_folder() as folder:
        window, kib, back_s, reports, kept = asyncio.run(_ours(folder))
    with bare_server() as running:
        bare = asyncio.run(_bare(running))
    waits_s = sorted(
        wait_s
        for report in reports
        for station in report.stations
        for at_s, wait_s in station.waits
        if window.began_s <= at_s < window.ended_s
    )
    told = {key: wh for report in reports for key, wh in _told(report).items()}
    undelivered = sum(station.undelivered for report in reports for station in report.stations)
    wrong = sum(kept.get(key) != ("COMPLETED", wh) for key, wh in told.items())
    ours = (
        f"{window.messages_per_s:,.0f}/s, {window.cpu_s_per_message * 1e6:,.0f} µs of server CPU each "
        f"({window.server_share:.0%} of its core); an answer within {_at(waits_s, 0.5):.1f} ms, "
        f"p95 {_at(waits_s, 0.95):.1f} ms; {kib:.0f} KiB a station"
    )
    return [
        Row(
            f"{STATIONS:,} stations, one in five charging",
            ours,
            f"a bare server that validates and answers {bare.cpu_s_per_message * 1e6:,.0f} µs each",
            window.cpu_s_per_message / bare.cpu_s_per_message,
        ),
        Row(f"all {STATIONS:,} back after a restart under this load", f"{back_s:.1f} s", "60 s", back_s / 60),
        Row(
            "charges over that restart",
            f"{len(told):,}, of which {wrong} are wrong or lost, {len(kept) - len(told)} more than there were",
            f"as the stations tell it; {undelivered} messages undelivered",
            len(kept) / max(len(told), 1),
        ),
    ]


async def _ours(folder: Path) -> tuple[Window, float, float, list[Report], dict[Charge, tuple[str, float]]]:
    with server(folder, settings=SETTINGS) as running:
        await _ask(running, CARD)
        before_kib = running.memory_kib()
        fleet = _started(running)
        await _connected(running)
        await asyncio.sleep(SETTLE_S)
        window = await _window(running, STEADY_S)
        kib = (running.memory_kib() - before_kib) / STATIONS
        port, stopped_at = running.port, perf_counter()
        await asyncio.to_thread(running.end)
    with server(folder, port=port, settings=SETTINGS) as running:
        await _connected(running)
        back_s = perf_counter() - stopped_at
        await asyncio.sleep(STEADY_S)
        reports = await fleet.ended()
        return window, kib, back_s, reports, await _kept(running)


async def _bare(running: Server) -> Window:
    fleet = _started(running)
    await _connected(running)
    window = await _window(running, STEADY_S / 2)
    await fleet.ended()
    return window


def _started(running: Server) -> Fleet:
    fleet = Fleet()
    for version, share in FLEETS.items():
        run = run_stations(
            url=running.ocpp("").rstrip("/"),
            count=round(STATIONS * share),
            version=version,
            prefix=f"FLEET-{version}-",
            meter_interval_s=METER_S,
            busy_share=CHARGING,
            stop=fleet.stop,
            finish=True,
            finish_within_s=FINISH_S,
        )
        fleet.running.append(asyncio.create_task(run))
    return fleet


async def _window(running: Server, seconds: float) -> Window:
    began_s = asyncio.get_running_loop().time()
    messages, cpu_s, started = await _figure(running, MESSAGES), running.cpu_s(), perf_counter()
    await asyncio.sleep(seconds)
    took_s, spent_s = perf_counter() - started, running.cpu_s() - cpu_s
    handled = await _figure(running, MESSAGES) - messages
    return Window(began_s, began_s + took_s, handled / took_s, spent_s / max(handled, 1), spent_s / took_s)


MESSAGES, SOCKETS = "voltgraph_ocpp_messages_total", "voltgraph_ocpp_sockets"


async def _connected(running: Server) -> None:
    async with asyncio.timeout(ALL_BACK_S):
        while await _figure(running, SOCKETS) < STATIONS:  # noqa: ASYNC110 -- of another process
            await asyncio.sleep(0.5)


async def _figure(running: Server, name: str) -> float:
    """All of a metric's series together."""
    async with _client(running) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))


async def _kept(running: Server) -> dict[Charge, tuple[str, float]]:
    """Every session of the server's."""
    found: dict[Charge, tuple[str, float]] = {}
    after = None
    while True:
        page = (await _ask(running, SESSIONS, after=after))["sessions"]
        for node in page["nodes"]:
            found[node["station"]["identity"], node["transactionId"]] = (node["status"], node["energyWh"])
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


async def _ask(running: Server, query: str, **variables: Any) -> Any:
    async with _client(running) as client:
        answer = (await client.post("/graphql", json={"query": query, "variables": variables})).json()
    assert "errors" not in answer, answer["errors"]
    return answer["data"]


@asynccontextmanager
async def _client(running: Server) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {running.secret}"} if running.secret else {}
    base = f"http://127.0.0.1:{running.port}"
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=60) as client:
        yield client


def _told(report: Report) -> dict[Charge, float]:
    """Every charge that the stations have made, and the energy that the server has confirmed."""
    return {
        (station.identity, str(session.transaction_id)): session.energy_wh
        for station in report.stations
        for session in station.sessions
    }


def _at(waits_s: list[float], share: float) -> float:
    return waits_s[int(len(waits_s) * share)] * 1_000 if waits_s else 0.0
