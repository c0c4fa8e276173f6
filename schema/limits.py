"""What fields cost where that is not what the engine assumes, which is 1 for a resolver and 1 for each item of a list.

`cost` is in place of the resolver's 1. `size` is how many items a list has, or the lists right beneath the field: a
number, or the name of the argument that says it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from domain import history
from domain.errors import Invalid

Arguments = Mapping[str, Any]  # as JSON has them
Cost = int | Callable[[Arguments], int]
Size = int | str

NOTHING = 0  # it is there already
COUNT = 10  # of all rows that a list has on all its pages
EVSES = 2  # of a station, as most have
CONNECTORS = 2  # of an EVSE
SIGNED_VALUES = 4  # of a charge, as most have that have any
LOCATIONS = 2  # of a token, where it has any
METRICS = 50  # of a station, as most have
TRANSACTION = 10
DROPS = 2  # of a register in a period, as most have that have any

_VALUES = 100  # of a time series, for 1
_ENERGY = 5  # of a point, over whatever time
_CHARACTERS = 100  # of a file of readings, for 1
RELEASE = 1_000  # of what waits at a point

_READINGS = 2  # recorded, for 1


def of_history(arguments: Arguments) -> int:
    """By the values that it may have, since any field may have hundreds of thousands."""
    return 1 + len(arguments["points"]) + _values(arguments) // _VALUES


def of_raw(arguments: Arguments) -> int:
    return of_history({**arguments, "resolution": None})


def of_energy(arguments: Arguments) -> int:
    return 1 + _ENERGY * len(arguments["points"])


def of_readings(arguments: Arguments) -> int:
    return TRANSACTION + len(arguments["readings"]) // _READINGS


def of_import(arguments: Arguments) -> int:
    """By the characters of what is given at once."""
    return TRANSACTION + len(arguments["input"].get("content") or "") // _CHARACTERS


def _values(arguments: Arguments) -> int:
    try:
        return history.values_max(
            points=len(arguments["points"]),
            from_=datetime.fromisoformat(arguments["from"]),
            to=datetime.fromisoformat(arguments["to"]),
            resolution=arguments["resolution"],
        )
    except (Invalid, TypeError, ValueError, OverflowError):
        return history.VALUES_MAX  # what is not understood here is refused when it is asked
