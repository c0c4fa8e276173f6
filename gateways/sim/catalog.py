"""The makes of simulated stations and of the cars that come to them; all invented."""

import random
import zlib
from dataclasses import dataclass

from gateways.sim.battery import Car, Supply


@dataclass(frozen=True, slots=True)
class Make:
    """A product; `connector_type` is OCPP 2.0.1's ConnectorEnumType (c: cable attached, s: socket)."""

    vendor: str
    model: str
    firmware: str
    supply: Supply
    outlets: int
    connector_type: str

    @property
    def has_socket(self) -> bool:
        return self.connector_type.startswith("s")


MAKES = (
    Make("Kilowerk", "Home 11", "3.2.1", Supply(3, 11_040), 1, "cType2"),
    Make("Nordlade", "Swift 50", "1.18.0", Supply(0, 50_000), 1, "cCCS2"),
    Make("Volthaus", "Plaza 22 Duo", "7.0.4-r2", Supply(3, 22_080), 2, "sType2"),
    Make("Nordlade", "Swift 150 Duo", "1.20.3", Supply(0, 150_000), 2, "cCCS2"),
    Make("Kilowerk", "Home 4", "3.1.9", Supply(1, 3_680), 1, "cType2"),
)

# capacity_wh, ac_phases, ac_w, dc_w, knee_percent
CARS = (
    (38_000, 1, 3_680, 50_000, 75.0),
    (52_000, 1, 7_360, 85_000, 70.0),
    (58_000, 3, 11_040, 120_000, 65.0),
    (77_000, 3, 11_040, 170_000, 60.0),
    (82_000, 3, 22_080, 150_000, 80.0),
)


def make_of(index: int) -> Make:
    return MAKES[index % len(MAKES)]


def serial_of(identity: str) -> str:
    """Stable over runs, as a type plate is."""
    return f"{zlib.crc32(identity.encode()):010d}"


def arriving_car(dice: random.Random) -> Car:
    capacity_wh, ac_phases, ac_w, dc_w, knee_percent = dice.choice(CARS)
    return Car(
        capacity_wh=capacity_wh,
        ac_phases=ac_phases,
        ac_w=ac_w,
        dc_w=dc_w,
        soc_percent=dice.uniform(18, 76),
        knee_percent=knee_percent,
    )
