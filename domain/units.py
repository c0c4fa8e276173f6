"""Units and signs: SI inside, written once, here.

Gateways hand over what a device says, in its own unit; `points.record` keeps base units alone: W, Wh, VA, VAh, var,
varh, V, A, Ah, Hz, s, Ohm, Pa, J, m, %, and °C where SI would have K, since every device and every reader has °C.
A unit that is not in the table is kept as it came.

Signs, for every name and every point of ours (a gateway that hears it the other way round turns it):
- battery: + discharges, - charges
- grid connection: + imports, - exports
- production and consumption: + always
- charging station, seen from the station: + into the vehicle, - out of it
"""

from typing import NamedTuple


class Conversion(NamedTuple):
    """`base` = given * `times` / `over` + `plus`; whole factors, since 0.001 is no binary number."""

    base: str
    times: float = 1
    over: float = 1
    plus: float = 0

    def apply(self, value: float) -> float:
        """Rounded to the 15 digits that a double keeps of a decimal: 1.005 kWh is 1005 Wh, not 1004.9999999999999."""
        return float(f"{value * self.times / self.over + self.plus:.15g}")

    def undo(self, value: float) -> float:
        return float(f"{(value - self.plus) * self.over / self.times:.15g}")


_PREFIXES = {"G": (1e9, 1), "M": (1e6, 1), "k": (1e3, 1), "d": (1, 10), "m": (1, 1e3), "u": (1, 1e6), "µ": (1, 1e6)}
_PREFIXED = {
    "W": "GMkm", "Wh": "GMkm", "VA": "Mk", "VAh": "Mk", "var": "Mk", "varh": "Mk", "V": "kdmuµ", "A": "kdmuµ",
    "Ah": "km", "Hz": "Mkm", "Ohm": "Mkmuµ", "Pa": "Mk", "J": "GMk", "s": "mu", "m": "km",
}  # fmt: skip

CONVERSIONS: dict[str, Conversion] = {
    **{
        prefix + base: Conversion(base, *_PREFIXES[prefix])
        for base, prefixes in _PREFIXED.items()
        for prefix in prefixes
    },
    "sec": Conversion("s"),
    "min": Conversion("s", 60),
    "h": Conversion("s", 3600),
    "hPa": Conversion("Pa", 100),
    "mbar": Conversion("Pa", 100),
    "bar": Conversion("Pa", 1e5),
    "Percent": Conversion("%"),
    "‰": Conversion("%", over=10),
    "0.1‰": Conversion("%", over=100),
    "Celsius": Conversion("°C"),
    "Celcius": Conversion("°C"),  # as OCPP 1.6 spells it
    "°dC": Conversion("°C", over=10),
    "dC": Conversion("°C", over=10),
    "K": Conversion("°C", plus=-273.15),
    "Fahrenheit": Conversion("°C", 5, 9, -160 / 9),
    "°F": Conversion("°C", 5, 9, -160 / 9),
}


_ALIKE = {("J", "Wh"): Conversion("Wh", over=3600), ("Wh", "J"): Conversion("J", 3600)}  # of one dimension


def base_unit(unit: str) -> str:
    """The unit that values given in `unit` are kept in."""
    conversion = CONVERSIONS.get(unit)
    return unit if conversion is None else conversion.base


def normalized(value: float, unit: str) -> tuple[float, str]:
    """The same quantity in its base unit."""
    conversion = CONVERSIONS.get(unit)
    return (value, unit) if conversion is None else (conversion.apply(value), conversion.base)


def converted(value: float, unit: str, wanted: str) -> float | None:
    """The same quantity in another unit; None where that is one of something else, or neither is known."""
    value, base = normalized(value, unit)
    target = CONVERSIONS.get(wanted, Conversion(wanted))
    if base != target.base:
        alike = _ALIKE.get((base, target.base))
        if alike is None:
            return None
        value = alike.apply(value)
    return value if target.base == wanted else target.undo(value)
