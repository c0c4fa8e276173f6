"""What it costs to write down what stations say: the same server with the station log and without, turn by turn."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from bench.charger import BOOT, Charger, status
from bench.rows import Row, table
from bench.serving import Server, data_folder, server

CHARGERS = 50
ROUNDS = 6
SECONDS = 4.0
LOOK_S = 1.0
IDLE_S = 0.03  # what it needs in that time where nothing is left to do
_TICKS = os.sysconf("SC_CLK_TCK")

Say = Callable[[Charger, int], Awaitable[Any]]
Cost = tuple[float, float]  # seconds of server and PostgreSQL CPU per message


def _status(charger: Charger, turn: int) -> Awaitable[Any]:
    return charger.call("StatusNotification", status(turn))


def _heartbeat(charger: Charger, _turn: int) -> Awaitable[Any]:
    return charger.call("Heartbeat", {})


SAID: dict[str, Say] = {"StatusNotification with a write": _status, "Heartbeat": _heartbeat}


def run() -> list[Row]:
    without = {"VOLTGRAPH_STATION_LOG_DAYS": "0"}
    with (
        data_folder() as here,
        data_folder() as there,
        server(here) as logged,
        server(there, settings=without) as unlogged,
    ):
        return asyncio.run(_measured(logged, unlogged))


async def _measured(logged: Server, unlogged: Server) -> list[Row]:
    fleets = [await _fleet(one) for one in (logged, unlogged)]
    rows = []
    for what, say in SAID.items():
        costs: tuple[list[Cost], list[Cost]] = ([], [])
        sides = list(zip((logged, unlogged), fleets, costs, strict=True))
        for turn in range(ROUNDS):
            for one, fleet, spent in sides if turn % 2 else reversed(sides):  # neither is always the first
                spent.append(await _cost(one, fleet, say))
        (ours, ours_pg), (bare, bare_pg) = (
            [median(cost[part] for cost in spent) * 1e6 for part in (0, 1)] for spent in costs
        )
        rows.append(
            Row(
                f"{what}, server CPU with the station log",
                f"{ours:,.0f} µs, PostgreSQL {ours_pg:,.0f} µs",
                f"without it {bare:,.0f} µs, PostgreSQL {bare_pg:,.0f} µs",
                ours / bare,
            )
        )
    return rows


async def _fleet(running: Server) -> list[Charger]:
    chargers = [await Charger.connected(running.ocpp(f"LOAD-{number}")) for number in range(CHARGERS)]
    await asyncio.gather(*(charger.call("BootNotification", BOOT) for charger in chargers))
    return chargers


async def _cost(running: Server, fleet: list[Charger], say: Say) -> Cost:
    done = 0

    async def send(charger: Charger, until: float) -> None:
        nonlocal done
        turn = 0
        while perf_counter() < until:
            await say(charger, turn)
            turn += 1
            done += 1

    await _settled(running)
    cpu_s, postgres_s = running.cpu_s(), _postgres_cpu_s(running)
    until = perf_counter() + SECONDS
    await asyncio.gather(*(send(charger, until) for charger in fleet))
    await _settled(running)
    return (running.cpu_s() - cpu_s) / done, (_postgres_cpu_s(running) - postgres_s) / done


async def _settled(running: Server) -> None:
    """All is written down and the outbox is empty."""
    before_s = -1.0
    while (now_s := running.cpu_s()) - before_s > IDLE_S:
        before_s = now_s
        await asyncio.sleep(LOOK_S)


def _postgres_cpu_s(running: Server) -> float:
    """Of all its processes, those too that have ended: the postmaster's figures have them."""
    (postmaster,) = (running.data_dir / "servers").resolve().rglob("postmaster.pid")
    pid = int(postmaster.read_text().splitlines()[0])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return _cpu_s(pid, ended=True) + sum(_cpu_s(int(child)) for child in children)


def _cpu_s(pid: int, *, ended: bool = False) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11 : 15 if ended else 13])) / _TICKS


if __name__ == "__main__":
    print(table(run()))
