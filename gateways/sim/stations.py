"""The simulated fleet: any number of stations in one process, each on its own socket."""

import asyncio
import random
from collections.abc import Collection
from pathlib import Path

import structlog

from gateways.sim import power
from gateways.sim.catalog import make_of
from gateways.sim.charger import Charger, Dialect
from gateways.sim.faults import Fault, named
from gateways.sim.life import live
from gateways.sim.outlet import Card
from gateways.sim.registers import Registers
from gateways.sim.report import Report, of_station
from gateways.sim.settings import Settings
from gateways.sim.v16 import V16
from gateways.sim.v21 import V21
from gateways.sim.v201 import V201

log = structlog.get_logger()

DIALECTS: dict[str, type[V16] | type[V201]] = {"1.6": V16, "2.0.1": V201, "2.1": V21}
ALL_CONNECTING_S = 30.0
BETWEEN_CONNECTIONS_S = 0.2
FINISH_S = 15.0
AFTER_CRASH_S = 5.0


async def run_stations(
    *,
    url: str,
    count: int,
    version: str | None,
    prefix: str = "SIM-",
    first: int = 1,
    token_uid: str = "DEMO",  # noqa: S107  a card's number, no secret
    password: str | None = None,
    speed: float = 1.0,
    seed: int | None = None,
    meter_interval_s: float = 5.0,
    busy_share: float | None = None,
    faults: Collection[str] = (),
    registers: Path | None = None,
    stop: asyncio.Event | None = None,
    finish: bool = False,
    finish_within_s: float = FINISH_S,
) -> Report:
    """Runs until `stop` is set. Then the sockets just go away, as those of a process that is ended; with `finish` all
    charges are stopped and told first. `busy_share` is how much of the time connectors charge; `faults` are names of
    `Fault`, or `all`; `registers` is a file in which meters go on from run to run."""
    if version is not None and version not in DIALECTS:
        raise ValueError(f"version {version}: one of {', '.join(DIALECTS)}")
    chargers = [
        _charger(
            url=url,
            identity=f"{prefix}{number:03d}",
            number=number,
            index=index,
            dialect=DIALECTS[version or ("1.6" if number % 2 else "2.0.1")](),
            settings=Settings(meter_interval_s=meter_interval_s),
            token_uid=token_uid,
            password=password,
            speed=speed,
            seed=seed,
            busy_share=busy_share,
            faults=named(faults),
        )
        for index, number in enumerate(range(first, first + count))
    ]
    kept = Registers(registers)
    for charger in chargers:
        kept.adopt(charger.identity, charger.outlets)
    spacing_s = min(BETWEEN_CONNECTIONS_S, ALL_CONNECTING_S / max(count, 1))
    runs = [asyncio.create_task(_run(charger, after_s=at * spacing_s)) for at, charger in enumerate(chargers)]
    keeping = asyncio.create_task(kept.keep())
    try:
        await (stop or asyncio.Event()).wait()
        if finish:
            await asyncio.gather(*(power.finish(charger, within_s=finish_within_s) for charger in chargers))
    finally:
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    return Report(tuple(of_station(charger) for charger in chargers))


def _charger(
    *,
    url: str,
    identity: str,
    number: int,
    index: int,
    dialect: Dialect,
    settings: Settings,
    token_uid: str,
    password: str | None,
    speed: float,
    seed: int | None,
    busy_share: float | None,
    faults: frozenset[Fault],
) -> Charger:
    return Charger(
        url=url,
        identity=identity,
        index=index,
        make=make_of(number - 1),
        dialect=dialect,
        settings=settings,
        card=Card(token_uid),
        dice=random.Random() if seed is None else random.Random(f"{seed}/{identity}"),
        password=password,
        speed=speed,
        busy_share=busy_share,
        faults=faults,
    )


async def _run(charger: Charger, *, after_s: float) -> None:
    """One station's mishap must not end the fleet: it is switched off and on again."""
    await asyncio.sleep(after_s)
    while True:
        try:
            await power.run(charger, live)
        except Exception as error:
            charger.link.traffic.fail(f"crashed: {error!r}")
            log.exception("station.crashed", station=charger.identity)
            await asyncio.sleep(AFTER_CRASH_S)
