"""Idle chargers on one worker: memory of each, and how long until all are back; beside bare websockets."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter

from bench.charger import BOOT, Charger
from bench.rows import Row
from bench.serving import Server, data_folder, echo_server, server

CHARGERS = 5_000
WARM = 100  # imports and pools are nobody's connection
AT_ONCE = 100

Arrive = Callable[[str], Awaitable[Charger]]


def run() -> list[Row]:
    with echo_server() as running:
        bare_kib, bare_s = asyncio.run(_bare(running))
    with data_folder() as folder:
        each_kib, first_s, gone_s, up_s, back_s = asyncio.run(_ours(folder))
    return [
        Row(
            f"{CHARGERS:,} chargers connected, registered and booted",
            f"{first_s:.1f} s",
            f"bare websockets {bare_s:.1f} s",
            first_s / bare_s,
        ),
        Row(
            "memory of an idle charger",
            f"{each_kib:.1f} KiB",
            f"bare websocket {bare_kib:.1f} KiB",
            each_kib / bare_kib,
        ),
        Row(
            f"all {CHARGERS:,} back after a restart",
            f"{back_s:.1f} s: old server gone after {gone_s:.1f} s, new one up after {up_s:.1f} s",
            f"bare websockets {bare_s:.1f} s",
            back_s / bare_s,
        ),
    ]


async def _bare(running: Server) -> tuple[float, float]:
    each_kib, took_s, sockets = await _gathered(running, Charger.connected)
    await _closed(sockets)
    return each_kib, took_s


async def _ours(folder: Path) -> tuple[float, float, float, float, float]:
    with server(folder) as running:
        each_kib, first_s, chargers = await _gathered(running, _booted)
        port, stopped_at = running.port, perf_counter()
    gone_s = perf_counter() - stopped_at
    await asyncio.gather(*(charger.closed() for charger in chargers))
    with server(folder, port=port) as running:
        up_s = perf_counter() - stopped_at
        back = await _arrived(running, CHARGERS, _booted)
        back_s = perf_counter() - stopped_at
        await _closed(back)
    return each_kib, first_s, gone_s, up_s, back_s


async def _gathered(running: Server, arrive: Arrive) -> tuple[float, float, list[Charger]]:
    """KiB each, seconds for all, and the chargers."""
    await _closed(await _arrived(running, WARM, arrive))
    before_kib, started_at = running.memory_kib(), perf_counter()
    chargers = await _arrived(running, CHARGERS, arrive)
    took_s = perf_counter() - started_at
    return (running.memory_kib() - before_kib) / CHARGERS, took_s, chargers


async def _arrived(running: Server, number_of: int, arrive: Arrive) -> list[Charger]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Charger:
        async with gate:
            return await arrive(running.ocpp(f"IDLE-{number}"))

    return await asyncio.gather(*(one(number) for number in range(number_of)))


async def _booted(url: str) -> Charger:
    charger = await Charger.connected(url)
    await charger.call("BootNotification", BOOT)
    return charger


async def _closed(chargers: list[Charger]) -> None:
    await asyncio.gather(*(charger.close() for charger in chargers))
