"""Idle chargers on one worker: memory of each, and how long until all are back after a restart."""

import asyncio
from pathlib import Path
from time import perf_counter

from bench.charger import BOOT, Charger
from bench.rows import Row
from bench.serving import Server, data_folder, server

CHARGERS = 5_000
AT_ONCE = 100


def run() -> list[Row]:
    with data_folder() as folder:
        return asyncio.run(_measured(folder))


async def _measured(folder: Path) -> list[Row]:
    with server(folder) as running:
        await _all_connected(running, 100)  # warm: imports and pools are nobody's connection
        before_kib = running.memory_kib()
        first_s = perf_counter()
        chargers = await _all_connected(running, CHARGERS)
        first_s = perf_counter() - first_s
        each_kib = (running.memory_kib() - before_kib) / CHARGERS
        port = running.port
        stopped = perf_counter()
    await asyncio.gather(*(charger.closed() for charger in chargers))
    down_s = perf_counter() - stopped
    with server(folder, port=port) as running:
        up_s = perf_counter() - stopped
        back = await _all_connected(running, CHARGERS)
        back_s = perf_counter() - stopped
        await asyncio.gather(*(charger.close() for charger in back))
    return [
        Row("idle chargers connected and booted, one worker", f"{CHARGERS:,} in {first_s:.1f} s", "", 1.0),
        Row(
            "memory of an idle charger",
            f"{each_kib:.1f} KiB",
            "idle GraphQL socket, measured elsewhere: 28 KiB",
            each_kib / 28,
        ),
        Row(
            "all back after a restart",
            f"{back_s:.1f} s, of which {down_s:.1f} s until the old server had gone, {up_s:.1f} s until the new one served",
            f"first connection of all {first_s:.1f} s",
            back_s / first_s,
        ),
    ]


async def _all_connected(running: Server, number_of: int) -> list[Charger]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Charger:
        async with gate:
            charger = await Charger.connected(running.ocpp(f"IDLE-{number}"))
            await charger.call("BootNotification", BOOT)
            return charger

    return await asyncio.gather(*(one(number) for number in range(number_of)))
