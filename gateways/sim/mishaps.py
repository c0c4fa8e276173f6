"""The faults that befall a station while it charges."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from gateways.sim.charger import Charger
from gateways.sim.faults import Fault

BETWEEN_S: Final = (15.0, 45.0)
OFFLINE_S: Final = (10.0, 60.0)


async def befall(charger: Charger) -> None:
    """Now and then, while somebody charges."""
    mishaps = [MISHAPS[fault] for fault in sorted(charger.faults) if fault in MISHAPS]
    while mishaps:
        await asyncio.sleep(charger.dice.uniform(*BETWEEN_S) / charger.speed)
        await charger.registered.wait()
        if charger.ready and charger.busy(None):
            charger.dice.choice(mishaps)(charger)


def _go_offline(charger: Charger) -> None:
    charger.link.cut_off(charger.dice.uniform(*OFFLINE_S) / charger.speed)


def _lose_power(charger: Charger) -> None:
    charger.lose_power()


def _forsake_line(charger: Charger) -> None:
    charger.link.forsake()


MISHAPS: Final[Mapping[Fault, Callable[[Charger], None]]] = {
    Fault.OFFLINE_BURST: _go_offline,
    Fault.REBOOT: _lose_power,
    Fault.HALF_OPEN: _forsake_line,
}
