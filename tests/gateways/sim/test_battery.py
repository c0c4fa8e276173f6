"""The power curve: whatever the car, the connector and the rhythm of the reading."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateways.sim.battery import AC_EFFICIENCY, DC_EFFICIENCY, Car, Charge, Supply, full_power_w, taper
from gateways.sim.outlet import Outlet

supplies = st.one_of(
    st.builds(Supply, st.sampled_from([1, 3]), st.floats(3_680, 22_080)),
    st.builds(Supply, st.just(0), st.floats(50_000, 150_000)),
)


@st.composite
def cars(draw: st.DrawFn) -> Car:
    soc_percent = draw(st.floats(0, 100))
    return Car(
        capacity_wh=draw(st.floats(10_000, 120_000)),
        ac_phases=draw(st.sampled_from([1, 2, 3])),
        ac_w=draw(st.floats(3_680, 22_080)),
        dc_w=draw(st.floats(20_000, 250_000)),
        soc_percent=soc_percent,
        target_percent=draw(st.floats(soc_percent, 100)),
        knee_percent=draw(st.floats(50, 80)),
    )


charges = st.builds(
    lambda supply, car, seed: Charge(supply=supply, car=car, dice=random.Random(seed)),
    supplies,
    cars(),
    st.integers(0, 2**32),
)
pauses_between_readings = st.lists(st.floats(0, 900), max_size=40)


@given(charges, pauses_between_readings)
def test_the_power_is_never_above_what_connector_and_car_allow(charge: Charge, pauses: list[float]) -> None:
    for seconds in pauses:
        charge.advance(seconds)

        assert 0 <= charge.power_w <= charge.supply.rated_w
        assert charge.power_w <= (charge.car.dc_w if charge.supply.direct else charge.car.ac_w)


@given(charges, pauses_between_readings)
def test_the_state_of_charge_rises_to_the_target_and_stays_there(charge: Charge, pauses: list[float]) -> None:
    for seconds in pauses:
        before_percent = charge.car.soc_percent
        charge.advance(seconds)

        assert before_percent <= charge.car.soc_percent <= charge.car.target_percent <= 100


@given(charges, st.lists(st.floats(0.01, 1.0), max_size=300))
def test_the_energy_is_the_integral_of_the_power(charge: Charge, pauses: list[float]) -> None:
    energy_wh = integral_wh = 0.0
    for seconds in pauses:
        before_w = charge.power_w
        step_wh = charge.advance(seconds)
        if charge.complete:
            break  # within this step the car stopped drawing: less than the trapezoid, which the next test bounds
        energy_wh += step_wh
        integral_wh += (before_w + charge.power_w) / 2 * seconds / 3600

    assert energy_wh == pytest.approx(integral_wh, rel=1e-9, abs=1e-9)


@given(charges, pauses_between_readings)
def test_what_the_battery_gains_is_what_the_meter_counts_less_the_losses(charge: Charge, pauses: list[float]) -> None:
    start_percent = charge.car.soc_percent

    energy_wh = sum(charge.advance(seconds) for seconds in pauses)

    efficiency = DC_EFFICIENCY if charge.supply.direct else AC_EFFICIENCY
    gained_wh = (charge.car.soc_percent - start_percent) / 100 * charge.car.capacity_wh
    assert gained_wh == pytest.approx(energy_wh * efficiency, rel=1e-6, abs=1e-6)


@given(charges, st.lists(st.tuples(st.sampled_from(["wait", "suspend", "resume", "stop"]), st.floats(0, 600))))
def test_the_register_never_goes_backwards(charge: Charge, life: list[tuple[str, float]]) -> None:
    outlet = Outlet(1, charge.supply, random.Random(1), register_wh=1_234.5)
    now_s = 1_000.0
    outlet.energize(charge.car, now_s)
    for act, seconds in life:
        before_wh = outlet.read(datetime.now(UTC)).register_wh
        if act == "suspend" and outlet.charge:
            outlet.charge.suspend()
        elif act == "resume" and outlet.charge:
            outlet.charge.resume()
        elif act == "stop":
            outlet.unplug()
        outlet.advance(now_s := now_s + seconds)

        assert outlet.read(datetime.now(UTC)).register_wh >= before_wh
        outlet.advance(now_s - 100)  # a reading asked for twice, or late, takes nothing back
        assert outlet.read(datetime.now(UTC)).register_wh >= before_wh


@given(charges, st.floats(1, 600))
def test_a_suspended_car_draws_nothing(charge: Charge, seconds: float) -> None:
    charge.advance(seconds)
    charge.suspend()

    assert (charge.advance(seconds), charge.power_w) == (0.0, 0.0)


def test_a_fast_charge_ramps_up_in_seconds_and_tapers_above_the_knee() -> None:
    car = Car(60_000, 3, 11_000, 120_000, soc_percent=40, knee_percent=70)
    charge = Charge(supply=Supply(0, 150_000), car=car, dice=random.Random(1))

    charge.advance(2)
    first_w = charge.power_w
    charge.advance(28)
    flat_w = charge.power_w
    while car.soc_percent < 95:
        charge.advance(10)

    assert first_w < 0.3 * 120_000
    assert 0.98 * 120_000 < flat_w <= 120_000
    assert charge.power_w < 0.35 * 120_000


@given(st.floats(0, 100), st.floats(0, 100), st.floats(50, 80))
def test_a_fuller_battery_never_takes_more(one: float, other: float, knee: float) -> None:
    assert taper(max(one, other), knee) <= taper(min(one, other), knee)


def test_a_car_with_a_single_phase_takes_a_third_of_a_three_phase_connector() -> None:
    car = Car(40_000, 1, 7_360, 50_000, soc_percent=30)

    assert full_power_w(Supply(3, 11_040), car) == 3_680
    outlet = Outlet(1, Supply(3, 11_040), random.Random(1), register_wh=0)
    outlet.energize(car, 0)
    outlet.advance(60)
    currents_a = [value.value for value in outlet.read(datetime.now(UTC)).values if value.measurand == "Current.Import"]
    assert currents_a[0] > 15
    assert currents_a[1:] == [0.0, 0.0]
