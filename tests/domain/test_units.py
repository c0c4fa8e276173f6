"""Quantities in base units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.units import CONVERSIONS, base_unit, converted, normalized


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (11, "kW", (11_000, "W")),
        (1.005, "kWh", (1005, "Wh")),  # 1.005 * 1000 is 1004.9999999999999 in doubles
        (0.1, "MWh", (100_000, "Wh")),
        (231_400, "mV", (231.4, "V")),
        (16_100, "mA", (16.1, "A")),
        (2, "h", (7200, "s")),
        (49_980, "mHz", (49.98, "Hz")),
        (215, "°dC", (21.5, "°C")),
        (300, "K", (26.85, "°C")),
        (212, "Fahrenheit", (100, "°C")),
        (21.5, "Celcius", (21.5, "°C")),
        (80, "Percent", (80, "%")),
        (5, "‰", (0.5, "%")),
        (1.5, "bar", (150_000, "Pa")),
        (-7.2, "kvar", (-7200, "var")),
        (42, "furlongs", (42, "furlongs")),
        (7, "W", (7, "W")),
    ],
)
def test_a_quantity_is_kept_in_its_base_unit(value: float, unit: str, expected: tuple[float, str]) -> None:
    assert normalized(value, unit) == expected
    assert base_unit(unit) == expected[1]


def test_milli_and_mega_are_told_apart() -> None:
    assert normalized(1, "mW") == (0.001, "W")
    assert normalized(1, "MW") == (1_000_000, "W")


@pytest.mark.parametrize("unit", sorted(CONVERSIONS))
def test_a_base_unit_needs_no_conversion_itself(unit: str) -> None:
    assert CONVERSIONS[unit].base not in CONVERSIONS


@given(st.integers(-(10**9), 10**9), st.integers(0, 3))
def test_a_decimal_stays_the_decimal_that_it_was(digits: int, places: int) -> None:
    assert normalized(float(f"{digits}e-{places}"), "kWh") == (float(f"{digits}e{3 - places}"), "Wh")


@pytest.mark.parametrize(
    ("value", "unit", "wanted", "expected"),
    [
        (1, "kWh", "Wh", 1_000),
        (1, "kWh", "J", 3_600_000),
        (3.6, "MJ", "kWh", 1),
        (212, "°F", "K", 373.15),
        (5, "furlong", "furlong", 5),
        (5, "furlong", "m", None),
        (5, "W", "Wh", None),
        (5, "W", "VA", None),
    ],
)
def test_a_quantity_is_said_in_another_unit_of_its_dimension(
    value: float, unit: str, wanted: str, expected: float | None
) -> None:
    assert converted(value, unit, wanted) == expected


@pytest.mark.parametrize("unit", sorted(CONVERSIONS))
@given(st.integers(-(10**6), 10**6))
def test_a_quantity_survives_being_in_its_base_unit(unit: str, value: int) -> None:
    base = converted(value, unit, base_unit(unit))
    assert base is not None
    assert converted(base, base_unit(unit), unit) == pytest.approx(value, abs=1e-6)
