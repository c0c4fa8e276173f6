"""OCPP messages per second and core, each with a database write; beside a bare websocket echo on the same client."""

import asyncio
from time import perf_counter

from bench.charger import BOOT, Charger, status
from bench.rows import Row
from bench.serving import Server, data_folder, echo_server, server

CHARGERS = 50
SECONDS = 15.0


def run() -> list[Row]:
    with data_folder() as folder, server(folder) as running:
        ours_per_s, ours_cpu = asyncio.run(_rate(running, boots=True))
    with echo_server() as running:
        echo_per_s, echo_cpu = asyncio.run(_rate(running, boots=False))
    ours = f"{ours_per_s:,.0f}/s, {ours_cpu * 1e6:,.0f} µs of server CPU each"
    echo = f"echo {echo_per_s:,.0f}/s, {echo_cpu * 1e6:,.0f} µs each"
    return [Row("StatusNotification with a write, 50 chargers, one core", ours, echo, ours_per_s / echo_per_s)]


async def _rate(running: Server, *, boots: bool) -> tuple[float, float]:
    """Messages per second, and server seconds per message."""
    chargers = [await Charger.connected(running.ocpp(f"LOAD-{number}")) for number in range(CHARGERS)]
    if boots:
        await asyncio.gather(*(charger.call("BootNotification", BOOT) for charger in chargers))
    done = 0
    until = perf_counter() + SECONDS

    async def send(charger: Charger) -> None:
        nonlocal done
        turn = 0
        while perf_counter() < until:
            await charger.call("StatusNotification", status(turn))
            turn += 1
            done += 1

    cpu_s, started = running.cpu_s(), perf_counter()
    await asyncio.gather(*(send(charger) for charger in chargers))
    took_s = perf_counter() - started
    spent_s = running.cpu_s() - cpu_s
    await asyncio.gather(*(charger.close() for charger in chargers))
    return done / took_s, spent_s / done
