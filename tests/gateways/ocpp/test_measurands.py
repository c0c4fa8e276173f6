"""Meter values, however a station writes them, are what was measured."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.points import Quality, Reading
from domain.sessions import Moment, Sample, Signed
from gateways.ocpp.measurands import REGISTER, Meter, Value, readings, samples, signed

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
POWER = "Power.Active.Import"


def one(*values: Value) -> Sample:
    (sample,) = samples([Meter(NOON, values)])
    return sample


def read(*values: Value, evse: int | None = 1) -> list[Reading]:
    return list(readings([Meter(NOON, values)], identity="CP-1", evse_number=evse))


def test_a_bare_value_is_the_import_register_in_wh_at_the_outlet() -> None:
    assert one(Value("1234")) == Sample(NOON, register_wh=1_234)
    assert read(Value("1234")) == [Reading(f"station/CP-1/1/{REGISTER}", NOON, 1_234, unit="Wh")]


@pytest.mark.parametrize(
    ("value", "wh"),
    [
        (Value("12.345", unit="kWh"), 12_345),
        (Value("1.005", unit="kWh"), 1_005),
        (Value("12,345", unit="KWH"), 12_345),
        (Value(" 12345 ", unit="wh"), 12_345),
        (Value(12.345, unit="kWh"), 12_345),
        (Value(12_345, multiplier=3), 12_345_000),
        (Value(12_345, unit="kWh", multiplier=-3), 12_345),
        (Value(123_456, unit="Wh", multiplier=-1), 12_345.6),
        (Value("-5"), -5),
    ],
)
def test_energy_is_in_wh_whatever_it_was_told_in(value: Value, wh: float) -> None:
    assert one(value).register_wh == wh


@pytest.mark.parametrize(
    ("measurand", "unit"),
    [
        ("Energy.Active.Export.Interval", "Wh"),
        ("Energy.Reactive.Import.Register", "varh"),
        ("Energy.Apparent.Import", "VAh"),
        ("Power.Active.Export", "W"),
        ("Power.Offered", "W"),
        ("Power.Reactive.Import", "var"),
        ("Power.Factor", None),
        ("Current.Import", "A"),
        ("Voltage", "V"),
        ("Frequency", "Hz"),
        ("SoC", "Percent"),
        ("Temperature", "Celsius"),
        ("Vendor.Thing", None),
    ],
)
def test_a_measurand_without_a_unit_has_its_own(measurand: str, unit: str | None) -> None:
    assert [reading.unit for reading in read(Value("1", measurand))] == [unit]


def test_power_and_charge_are_found_among_the_rest() -> None:
    sample = one(
        Value("7.2", POWER, "kW"),
        Value("230", "Voltage", "V", phase="L1"),
        Value("11", "Power.Offered", "kW"),
        Value("57", "SoC", "Percent", location="EV"),
        Value("1000"),
    )
    assert sample == Sample(NOON, register_wh=1_000, power_w=7_200, soc_percent=57)


def test_the_total_is_taken_where_there_is_one_and_else_the_phases_are_added() -> None:
    phases = [Value("1000", POWER, "W", phase=phase) for phase in ("L1", "L2", "L3")]
    to_neutral = [Value("1000", POWER, "W", phase=phase) for phase in ("L1-N", "L2-N", "L3-N")]
    total = Value("3.1", POWER, "kW")
    assert one(*phases, total).power_w == 3_100
    assert one(*phases).power_w == 3_000
    assert one(*to_neutral).power_w == 3_000
    assert one(*phases, *to_neutral).power_w == 3_000
    assert one(phases[0]).power_w == 1_000
    assert one(Value("5", POWER, "W", phase="N")).power_w is None


def test_what_the_outlet_gives_counts_and_never_what_the_vehicle_says() -> None:
    outlet, inlet, vehicle = Value("1000"), Value("2000", location="Inlet"), Value("3000", location="EV")
    assert one(vehicle, inlet, outlet).register_wh == 1_000
    assert one(vehicle, inlet).register_wh == 2_000
    assert one(vehicle).register_wh is None


def test_begin_end_and_periodic_values_of_one_time_are_told_apart() -> None:
    told = samples(
        [
            Meter(NOON, [Value("1000", context="Transaction.Begin"), Value("5000", context="Transaction.End")]),
            Meter(NOON + timedelta(minutes=1), [Value("6000", context="Sample.Clock"), Value("7", POWER, "kW")]),
        ]
    )
    assert told == [
        Sample(NOON, register_wh=1_000, moment=Moment.BEGIN),
        Sample(NOON, register_wh=5_000, moment=Moment.END),
        Sample(NOON + timedelta(minutes=1), register_wh=6_000, power_w=7_000),
    ]


def test_values_that_do_not_concern_a_charge_are_a_sign_of_life() -> None:
    assert one(Value("230", "Voltage", "V")) == Sample(NOON)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (Value("1", "Voltage", phase="L1-N"), "station/CP-1/1/Voltage/L1-N"),
        (Value("1", "SoC", location="EV"), "station/CP-1/1/SoC@EV"),
        (Value("1", "Current.Import", location="Outlet", phase="L2"), "station/CP-1/1/Current.Import/L2"),
        (Value("1", "Temperature", location="Body", phase="N"), "station/CP-1/1/Temperature@Body/N"),
        (Value("1", "Own/Thing@Home\n"), "station/CP-1/1/Own_Thing_Home"),
        (Value("1", "x" * 300), f"station/CP-1/1/{'x' * 64}"),
    ],
)
def test_an_address_says_what_where_and_on_which_phase(value: Value, address: str) -> None:
    assert [reading.address for reading in read(value)] == [address]


def test_the_station_itself_is_evse_0_and_what_it_does_not_place_is_unknown() -> None:
    assert read(Value("1"), evse=0)[0].address == f"station/CP-1/0/{REGISTER}"
    assert read(Value("1"), evse=None)[0].address == f"station/CP-1/unknown/{REGISTER}"


def test_units_of_a_stations_own_are_kept_and_make_no_energy() -> None:
    assert read(Value("5", unit=" furlong "))[0] == Reading(f"station/CP-1/1/{REGISTER}", NOON, 5, unit="furlong")
    assert one(Value("5", unit="furlong")).register_wh is None


@pytest.mark.parametrize(
    ("written", "quality"),
    [("open", Quality.GOOD), ("", Quality.GOOD), ("NaN", Quality.BAD), ("inf", Quality.BAD), ("1e999", Quality.BAD)],
)
def test_what_is_no_number_is_kept_as_text(written: str, quality: Quality) -> None:
    value = Value(written)
    assert read(value) == [Reading(f"station/CP-1/1/{REGISTER}", NOON, text=written, quality=quality)]
    assert one(value).register_wh is None


def test_a_signed_value_is_kept_byte_for_byte_beside_the_plain_one() -> None:
    signed = 'OCMF|{"FV":"1.0"}|{"SA":"ECDSA-secp256r1-SHA256"}'
    assert read(Value(1_000, signed=signed), Value(None, signed=signed, phase="L1")) == [
        Reading(f"station/CP-1/1/{REGISTER}/SignedData", NOON, text=signed),
        Reading(f"station/CP-1/1/{REGISTER}", NOON, 1_000, unit="Wh"),
        Reading(f"station/CP-1/1/{REGISTER}/L1/SignedData", NOON, text=signed),
    ]
    assert one(Value(None, signed=signed)).register_wh is None


anything = st.text(max_size=80) | st.sampled_from(
    ["L1", "Outlet", "EV", "kWh", "W", "SoC", "", "1e400", "12,5", "0x1F"]
)


@given(
    st.lists(
        st.builds(
            Value,
            anything | st.floats(),
            st.none() | anything,
            st.none() | anything,
            st.integers(-(2**62), 2**62),
            st.none() | anything,
            st.none() | anything,
            st.none() | anything,
        ),
        max_size=5,
    )
)
def test_nothing_that_a_station_can_write_is_lost_or_breaks_anything(values: list[Any]) -> None:
    assert len(read(*values)) == len(values)
    assert sum(1 for _ in samples([Meter(NOON, values)])) <= len(Moment)


@pytest.mark.parametrize(
    "context",
    ["Interruption.Begin", "Interruption.End", "Sample.Clock", "Sample.Periodic", "Trigger", "Other", "Own", None],
)
def test_what_is_neither_begin_nor_end_is_measured_amid(context: str | None) -> None:
    assert one(Value("1000", context=context)) == Sample(NOON, register_wh=1_000)
    assert [reading.value for reading in read(Value("1000", context=context))] == [1_000]


def test_an_energy_register_with_a_phase_is_a_part_and_one_between_phases_is_none() -> None:
    per_phase = [Value(str(wh), phase=phase) for phase, wh in (("L1", 100), ("L2", 200), ("L3", 300))]
    assert one(*per_phase).register_wh == 600
    assert one(Value("600"), *per_phase).register_wh == 600
    assert one(Value("400", "Voltage", phase="L1-L2"), Value("5", phase="L1-L2")).register_wh is None
    assert [reading.address for reading in read(Value("400", "Voltage", phase="L1-L2"))] == [
        "station/CP-1/1/Voltage/L1-L2"
    ]


def test_a_register_is_signed_if_its_time_and_moment_have_a_signature_of_it() -> None:
    begin, end = "Transaction.Begin", "Transaction.End"
    plain = Value("1000", context=begin)
    told = samples(
        [
            Meter(NOON, [plain, Value(None, signed="OCMF|…", context=begin), Value("9", context=end)]),
            Meter(NOON, [Value("50", "SoC", signed="OCMF|…", context=begin), plain]),
        ]
    )
    assert [(sample.moment, sample.signed) for sample in told] == [
        (Moment.BEGIN, True),
        (Moment.END, False),
        (Moment.BEGIN, False),
    ]
    assert signed([Meter(NOON, [Value(None, signed="OCMF|…", context=begin, phase="L1", signed_format="OCMF")])]) == [
        Signed(NOON, begin, REGISTER, "L1", None, "OCMF", "OCMF|…")
    ]
